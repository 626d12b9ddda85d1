"""How much a header may hold: every output goes through all of it, and copies it."""

from __future__ import annotations

from typing import Final

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from monai_chexmask_u.radiograph import RadiographError

__all__ = ["MOST_ELEMENTS", "MOST_LEVELS", "check_header_size"]

# Radiographs have some hundreds of attributes, in sequences of five levels at most.
MOST_ELEMENTS: Final = 5000
MOST_LEVELS: Final = 16


def check_header_size(dataset: Dataset) -> None:
    """Refuse a header of more attributes, or more deeply nested, than any radiograph's.

    Args:
        dataset: as parsed; none of its text is looked at, only its sequences are parsed.

    Raises:
        RadiographError: ``too_large``.
    """
    count, waiting = 0, [(dataset, 0)]
    while waiting:  # no recursion: the nesting may be deeper than Python's own limit
        item, level = waiting.pop()
        count += 1 + len(item)
        if count > MOST_ELEMENTS or level > MOST_LEVELS:
            message = f"the header holds more than {MOST_ELEMENTS} attributes or {MOST_LEVELS} levels: export it again"
            raise RadiographError("too_large", message)
        for tag in item.keys():  # noqa: SIM118 (iterating would decode the values)
            waiting += [(child, level + 1) for child in _items(item, tag)]


def _items(dataset: Dataset, tag: BaseTag) -> list[Dataset]:
    """Return the items of an element, none if it is no sequence or cannot be parsed."""
    element = dataset.get_item(tag)
    kind = element.VR if element is not None else None
    if isinstance(element, RawDataElement) and kind in (None, "UN") and dictionary_has_tag(tag):
        kind = dictionary_VR(tag)  # the file does not name it
    try:
        return list(dataset[tag].value) if kind == "SQ" else []
    except Exception:  # a damaged sequence can raise nearly anything; nobody will get further with it
        return []
