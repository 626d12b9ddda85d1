"""Character sets of a header: which encodings its text has, by rule where the header does not say."""

from __future__ import annotations

from typing import Final

from pydicom.charset import python_encoding
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.valuerep import CUSTOMIZABLE_CHARSET_VR

from monai_chexmask_u.dicom.reading.attributes import texts

__all__ = ["settle_character_sets"]

# ASCII is UTF-8, and text of other encodings is hardly ever valid UTF-8: what cannot be read is noticed.
BY_RULE: Final = "utf_8"
DEFAULT_REPERTOIRE: Final = frozenset({"", "ISO_IR 6", "ISO 2022 IR 6"})
# Devices write "ISO IR 100" or "ISO-IR-100" for ISO_IR 100.
SEPARATORS: Final = str.maketrans("_-", "  ")
TERMS: Final = {term.translate(SEPARATORS): term for term in python_encoding}


def settle_character_sets(dataset: Dataset, inherited: list[str] | None = None) -> set[str]:
    """Fix with which encodings the text of a data set and of its sequences will be decoded.

    Text without a character set, or with one that is not known, is taken for UTF-8, of which ASCII is a part. What
    cannot be decoded gets replacement characters, by which it is known later on.

    Args:
        dataset: as parsed, before any of its text is looked at.
        inherited: encodings that it has if it declares none.

    Returns:
        Notes: ``character_set_unknown`` where one is declared that is not known, ``character_set_assumed`` where none
        is declared and there is text beyond ASCII.

    References:
        DICOM PS3.5, 6.1.2 Graphic Characters; PS3.3, C.12.1.1.2 Specific Character Set
    """
    notes = set()
    encodings, is_known = _declared(dataset)
    if not encodings:
        encodings = inherited or [BY_RULE]
        if not inherited and _is_beyond_ascii(dataset):
            notes.add("character_set_assumed")
    if not is_known:
        notes.add("character_set_unknown")
    is_implicit, is_little_endian = dataset.original_encoding
    dataset.set_original_encoding(is_implicit, is_little_endian, encodings)
    for item in _items(dataset):
        notes |= settle_character_sets(item, encodings)
    return notes


def _declared(dataset: Dataset) -> tuple[list[str], bool]:
    """Return Python's names of the declared encodings, none where nothing is said, and whether all are known."""
    declared = texts(dataset, "SpecificCharacterSet")
    if not any(declared):
        return [], True
    terms = [TERMS.get(term.translate(SEPARATORS)) for term in declared]
    first = BY_RULE if terms[0] is None or terms[0] in DEFAULT_REPERTOIRE else python_encoding[terms[0]]
    further = [python_encoding[term] for term in terms[1:] if term]
    return [first, *further], None not in terms


def _is_beyond_ascii(dataset: Dataset) -> bool:
    """Say whether some text of the data set itself has bytes above 127."""
    elements = (dataset.get_item(tag) for tag in dataset.keys())  # noqa: SIM118 (iterating would decode the values)
    return any(
        isinstance(element, RawDataElement)
        and _value_representation(element) in CUSTOMIZABLE_CHARSET_VR
        and not (element.value or b"").isascii()
        for element in elements
    )


def _items(dataset: Dataset) -> list[Dataset]:
    """Return the items of all standard sequences that can be parsed."""
    items: list[Dataset] = []
    for tag in list(dataset.keys()):
        if _value_representation(dataset.get_item(tag)) != "SQ":
            continue
        try:
            items += dataset[tag].value
        except Exception:  # a damaged sequence can raise nearly anything; its text will not be looked at either
            continue
    return items


def _value_representation(element: DataElement | RawDataElement | None) -> str | None:
    """Return the type of a standard element, also where the file does not name it."""
    if element is None or element.tag.is_private:
        return None
    if element.VR in (None, "UN") and dictionary_has_tag(element.tag):
        return dictionary_VR(element.tag)
    return element.VR
