"""Do codes mean what PS3.16 says? By pydicom's dictionary of it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import pydicom
from pydicom.dataset import Dataset
from pydicom.sr._concepts_dict import concepts

__all__ = ["code_meanings", "wrong_codes"]

# Right codes that pydicom's dictionary does not have, or has with other words: a SNOMED code of an extensible group, a
# unit in braces, the language, and two that highdicom's templates write with the words of PS3.16's template tables.
_OTHER_WORDS: Final = {
    ("SCT", "399208008"): "plain chest x-ray",
    ("UCUM", "{pixels}"): "pixels",
    ("RFC5646", "en-US"): "english (united states)",
    ("SCT", "260753009"): "source",
    ("SCT", "276214006"): "finding category",
}


def code_meanings(path: Path) -> list[str]:
    """Return the standard codes of a file that have another meaning in the standard, or are not in it."""
    return [
        f'({value}, {scheme}, "{meaning}")' for scheme, value, meaning in sorted(wrong_codes(pydicom.dcmread(path)))
    ]


def wrong_codes(dataset: Dataset) -> set[tuple[str, str, str]]:
    """Return the codes (scheme, value, meaning) that PS3.16 does not have like this; those of private schemes pass."""
    found = set()
    for item in _items(dataset):
        if "CodeMeaning" not in item:
            continue
        scheme, meaning = str(item.get("CodingSchemeDesignator", "")), str(item.CodeMeaning)
        key = (scheme, str(item.get("CodeValue") or item.get("LongCodeValue", "")))
        if not scheme.startswith("99") and meaning.lower() not in _meanings().get(key, set()) | {_OTHER_WORDS.get(key)}:
            found.add((*key, meaning))
    return found


@cache
def _meanings() -> dict[tuple[str, str], set[str | None]]:
    """Return what each code may be called, by its scheme and value."""
    meanings: dict[tuple[str, str], set[str | None]] = {}
    dictionary: dict[str, Any] = concepts
    for scheme, keywords in dictionary.items():
        for values in keywords.values():
            for value, (meaning, _) in values.items():
                meanings.setdefault((scheme, value), set()).add(meaning.lower())
    return meanings


def _items(dataset: Dataset) -> Iterator[Dataset]:
    yield dataset
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from _items(item)
