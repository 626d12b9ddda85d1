"""Every decision of a reader is said in words."""

from __future__ import annotations

import re
from pathlib import Path

import monai_chexmask_u
from monai_chexmask_u.radiograph import ATTRIBUTE_NOTES, READING_NOTES, note_in_words

PACKAGE = Path(monai_chexmask_u.__file__).parent
READERS = [*PACKAGE.glob("reading/*.py"), *PACKAGE.glob("dicom/reading/*.py")]
TABLES = [*PACKAGE.glob("dataset/building/*.py"), *PACKAGE.glob("dataset/published_tables/*.py")]


def test_every_note_of_the_readers_has_words_and_no_other_has() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in READERS)
    tables = "\n".join(path.read_text(encoding="utf-8") for path in TABLES)
    assert [note for note in READING_NOTES if f'"{note}"' not in source + tables] == []
    assert [kind for kind in ATTRIBUTE_NOTES if f'f"{kind}:' not in source] == []
    # Appended to a list, listed, or named like the flag that goes with it.
    patterns = (r'notes\.(?:append|add)\("(\w+)"', r'(?<!__ = )\["([a-z_]+)"[],]', r'\("(\w+)", \1\)')
    made = [note for pattern in patterns for note in re.findall(pattern, source)]
    assert len(set(made)) > 15
    assert [note for note in made if note not in READING_NOTES] == []


def test_words_are_one_short_line_of_plain_text() -> None:
    notes = [*READING_NOTES, *(f"{kind}:patient_id" for kind in ATTRIBUTE_NOTES), "note_of_another_reader"]
    assert [note for note in notes if not re.fullmatch(r"[A-Z](?!.*_)[ -~]{10,100}\.", note_in_words(note))] == []
