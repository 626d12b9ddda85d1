"""Values of header attributes as text and numbers; what is absent or damaged gives none.

Importing this does not import pydicom, so that the choice of a reader stays quick.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["codes", "meanings", "meta_text", "number", "numbers", "text", "texts"]

# SNOMED codes in today's notation (SCT) and in the older one (SRT) that devices still write.
SNOMED: Final = frozenset({"SCT", "SRT", "SNM3"})


def texts(header: Dataset, keyword: str) -> list[str]:
    """Return all values of an attribute as capital text, none for one that is absent, empty or beyond conversion."""
    try:
        value: Any = header.get(keyword)
    except Exception:  # pydicom converts on access, and what a damaged element raises depends on its type
        return []
    if value is None or value == "":
        return []
    values = [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)
    return [str(item).strip().upper() for item in values]


def text(header: Dataset, keyword: str) -> str:
    """Return the first value of an attribute as capital text, empty for none."""
    return next(iter(texts(header, keyword)), "")


def meta_text(header: Dataset, keyword: str) -> str:
    """Return the first value of an attribute of the file meta information as capital text, empty for none."""
    return text(getattr(header, "file_meta", header), keyword)


def numbers(header: Dataset, keyword: str) -> list[float]:
    """Return all values of an attribute as numbers, none if one of them is no number."""
    try:
        return [float(value) for value in texts(header, keyword)]
    except ValueError:
        return []


def number(header: Dataset, keyword: str) -> float | None:
    """Return the first value of an attribute as a finite number, or None."""
    try:
        value = float(text(header, keyword))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def codes(header: Dataset, keyword: str) -> list[str]:
    """Return the SNOMED codes of a sequence; those of other schemes are private to a manufacturer."""
    return [
        text(item, "CodeValue") for item in _items(header, keyword) if text(item, "CodingSchemeDesignator") in SNOMED
    ]


def meanings(header: Dataset, keyword: str) -> list[str]:
    """Return what the codes of a sequence mean, of whatever scheme, as capital text."""
    return [text(item, "CodeMeaning") for item in _items(header, keyword)]


def _items(header: Dataset, keyword: str) -> list[Dataset]:
    try:
        return list(header.get(keyword) or [])
    except Exception:  # as above
        return []
