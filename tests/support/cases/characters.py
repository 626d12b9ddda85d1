"""Cases on character sets: declared, misspelled, unknown, missing or wrong."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

from support.cases.case import Case, made
from support.cases.identity import copied
from support.samples.dicom import make_dx, save

__all__ = ["CHARACTERS"]

CHARACTERS: Final[list[Case]] = []
characters = partial(made, CHARACTERS, "Character sets")
Terms = str | list[str]

NAMES: Final[dict[str, tuple[Terms, str]]] = {
    "latin": ("ISO_IR 100", "Müller^Jérôme"),
    "greek": ("ISO_IR 126", "Διονυσιος"),
    "cyrillic": ("ISO_IR 144", "Люксембург"),
    "arabic": ("ISO_IR 127", "قباني^لنزار"),
    "hebrew": ("ISO_IR 138", "שרון^דבורה"),
    "japanese": (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    "japanese_katakana": (["ISO 2022 IR 13", "ISO 2022 IR 87"], "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
    "korean": (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    "chinese": ("GB18030", "Wang^XiaoDong=王^小东"),
    "utf_8": ("ISO_IR 192", "Wang^XiaoDong=王^小東"),
}


def named(folder: Path, case: str, character_set: Terms, name: str) -> Path:
    """Write a chest of a patient whose name and study are written in a character set."""
    dataset = make_dx()
    dataset.SpecificCharacterSet, dataset.PatientName = character_set, name
    dataset.StudyDescription = name.split("=")[-1].replace("^", " ")
    return save(dataset, folder / f"{case}.dcm")


def _add(case: str, character_set: Terms, name: str) -> None:
    def make(folder: Path) -> Path:
        return named(folder, case, character_set, name)

    terms = character_set if isinstance(character_set, str) else "\\".join(character_set)
    make.__name__, make.__doc__ = case, f"SpecificCharacterSet {terms}."
    copied_text = copied(PatientName=name, StudyDescription=name.split("=")[-1].replace("^", " "))
    characters("in UTF-8 in outputs", is_right=copied_text)(make)


for _case, (_character_set, _name) in NAMES.items():
    _add(_case, _character_set, _name)


def renamed(path: Path, *replacements: tuple[bytes, bytes]) -> Path:
    """Replace bytes of a file by as many others."""
    content = path.read_bytes()
    for old, new in replacements:
        assert content.count(old) == 1
        assert len(old) == len(new)
        content = content.replace(old, new)
    path.write_bytes(content)
    return path


@characters("known all the same", is_right=copied(PatientName="Müller^Jérôme"))
def misspelled_character_set(folder: Path) -> Path:
    """SpecificCharacterSet ISO-IR 100."""
    return renamed(named(folder, "misspelled_character_set", *NAMES["latin"]), (b"ISO_IR 100", b"ISO-IR 100"))


@characters(
    "read as UTF-8; what is none is left out",
    notes=(
        "character_set_unknown",
        "identifier_invalid:patient_name",
        "not_copied:study_description",
        "spacing_from_imager",
    ),
    is_right=copied(PatientName=None, StudyDescription=None, PatientID="SYN-0001"),
)
def unknown_character_set(folder: Path) -> Path:
    """SpecificCharacterSet ISO_IR 999, text in Latin-1."""
    return renamed(named(folder, "unknown_character_set", *NAMES["latin"]), (b"ISO_IR 100", b"ISO_IR 999"))


@characters(
    "the other one counts",
    notes=("character_set_unknown", "spacing_from_imager"),
    is_right=copied(PatientName="Hong^Gildong=洪^吉洞=홍^길동"),
)
def half_known_character_sets(folder: Path) -> Path:
    r"""SpecificCharacterSet ISO_IR 999\ISO 2022 IR 149."""
    path = named(folder, "half_known_character_sets", ["ISO_IR 100", "ISO 2022 IR 149"], NAMES["korean"][1])
    return renamed(path, (b"ISO_IR 100", b"ISO_IR 999"))


@characters(
    "read as UTF-8; what is none is left out",
    notes=(
        "character_set_assumed",
        "identifier_invalid:patient_name",
        "not_copied:study_description",
        "spacing_from_imager",
    ),
    is_right=copied(PatientName=None, StudyDescription=None, PatientID="SYN-0001"),
)
def undeclared_latin(folder: Path) -> Path:
    """No SpecificCharacterSet, text in Latin-1."""
    return renamed(named(folder, "undeclared_latin", *NAMES["latin"]), (b"ISO_IR 100", b"          "))


@characters(
    "read as UTF-8",
    notes=("character_set_assumed", "spacing_from_imager"),
    is_right=copied(PatientName="Wang^XiaoDong=王^小東"),
)
def undeclared_utf_8(folder: Path) -> Path:
    """No SpecificCharacterSet, text in UTF-8."""
    return renamed(named(folder, "undeclared_utf_8", *NAMES["utf_8"]), (b"ISO_IR 192", b"          "))


@characters(
    "left out",
    notes=("identifier_invalid:patient_name", "not_copied:study_description", "spacing_from_imager"),
    is_right=copied(PatientName=None, StudyDescription=None),
)
def wrong_character_set(folder: Path) -> Path:
    """SpecificCharacterSet ISO_IR 192, text in Latin-1."""
    return renamed(named(folder, "wrong_character_set", *NAMES["latin"]), (b"ISO_IR 100", b"ISO_IR 192"))


@characters("too small for a chest, whatever its text", code="implausible_size", notes=())
def japanese_thumbnail(folder: Path) -> Path:
    """32 x 32 pixels with a Japanese name."""
    dataset = make_dx(rows=32, columns=32)
    dataset.SpecificCharacterSet, dataset.PatientName = NAMES["japanese"]
    return save(dataset, folder / "japanese_thumbnail.dcm")
