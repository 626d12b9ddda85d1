"""Whether a value of a header is one that its attribute may have, so that it can be copied to other objects."""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import datetime
from typing import Any, Final

from pydicom import config
from pydicom.datadict import dictionary_has_tag, dictionary_VM, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.multival import MultiValue
from pydicom.valuerep import DS, STR_VR, validate_value

__all__ = ["decimal", "is_valid", "values_of"]

# Text that may run over several lines, of one value in which a backslash is only a character (PS3.5, 6.2).
LONG_TEXT: Final = frozenset({"LT", "ST", "UT"})
LINE_BREAKS: Final = frozenset("\t\n\f\r")
TEXT: Final = frozenset({"LO", "PN", "SH", "UC"}) | LONG_TEXT
TIME: Final = re.compile(r"([01]\d|2[0-3])([0-5]\d(([0-5]\d|60)(\.\d{1,6})?)?)?")
NAME_GROUPS, NAME_COMPONENTS = 3, 5
# Stands for bytes that could not be decoded.
REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"


def is_valid(element: DataElement) -> bool:
    """Say whether an element has the type and the number of values of its attribute, each of them valid.

    Stricter than pydicom: text is whole and free of control characters, a date is one of the calendar, a number is
    finite. An element without a value is valid, as is a sequence all of whose items' elements are.

    Args:
        element: of a standard attribute, decoded.

    References:
        DICOM PS3.5, 6.2 Value Representation
    """
    if not dictionary_has_tag(element.tag) or element.VR not in dictionary_VR(element.tag).split(" or "):
        return False
    if element.VR == "SQ":
        return all(is_valid(child) for item in element.value for child in item)
    values = values_of(element)
    if len(values) > 1 and dictionary_VM(element.tag) == "1":
        return False
    return all(_is_valid_value(str(element.VR), value) for value in values)


def decimal(value: float) -> Any:
    """Return a number as a decimal string, in the 16 characters that it may have (PS3.5, 6.2).

    Example:
        >>> str(decimal(1 / 3))
        '0.33333333333333'
    """
    return DS(value, auto_format=True)


def values_of(element: DataElement) -> list[Any]:
    """Return the values of an element that is no sequence, none where it is empty."""
    if element.value is None or element.value == "" or element.value == b"":
        return []
    return list(element.value) if isinstance(element.value, MultiValue) else [element.value]


def _is_valid_value(value_representation: str, value: Any) -> bool:
    if value_representation in ("FD", "FL"):
        return isinstance(value, float | int) and math.isfinite(value)
    if value_representation in STR_VR:
        if isinstance(value, bytes):  # of a type that the file does not name
            return False
        value = str(value)  # of names, numbers and dates the text that they were read from
    try:
        validate_value(value_representation, value, config.RAISE)
        if value_representation == "DA":
            datetime.strptime(value, "%Y%m%d")
    except (TypeError, ValueError):
        return False
    if value_representation == "TM":
        return TIME.fullmatch(value) is not None
    return value_representation not in TEXT or _is_valid_text(value_representation, value)


def _is_valid_text(value_representation: str, text: str) -> bool:
    """Say whether text was decoded in full and has no character that it must not have."""
    allowed = LINE_BREAKS if value_representation in LONG_TEXT else frozenset()
    if REPLACEMENT in text or ("\\" in text and value_representation not in LONG_TEXT):
        return False
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text if character not in allowed):
        return False
    if value_representation != "PN":
        return True
    groups = text.split("=")
    return len(groups) <= NAME_GROUPS and all(group.count("^") < NAME_COMPONENTS for group in groups)
