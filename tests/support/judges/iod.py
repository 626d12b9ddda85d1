"""Has an object the attributes that PS3.3 requires, and no others? By the tables of the standard inside highdicom.

They are newer than the validators: they know label maps. They have no conditions (types 1C, 2C) and no values.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pydicom
from highdicom import _standard_utils
from pydicom.dataset import Dataset

__all__ = ["iod_tables"]

# The sequences that lead to an item, by keyword.
_Place = tuple[str, ...]

# Which macros an item of these holds is conditional, and the tables do not tell.
_FUNCTIONAL_GROUPS: Final = {("SharedFunctionalGroupsSequence",), ("PerFrameFunctionalGroupsSequence",)}
# The table joins all value types of content items, each of which has other attributes: see `judges.templates`.
_CONTENT: Final = "sr-document-content"


def iod_tables(path: Path) -> list[str]:
    """Return which attributes of a file are missing, empty but of type 1, or not of its Information Object Definition.

    At the top, what the mandatory modules require must be there; in the items of a sequence, what all modules that know
    the sequence require.
    """
    dataset = pydicom.dcmread(path)
    uid = str(dataset.SOPClassUID)
    if uid not in _standard_utils.get_sop_class_iod_map():
        return [f"no Information Object Definition for {uid}"]
    required, known = _tables(uid)
    complaints = []
    for place, item in _items(dataset):
        for keyword, kind in required.get(place, {}).items():
            name = "/".join((*place, keyword))
            if keyword not in item:
                complaints.append(f"{name} of type {kind} is missing")
            elif kind == "1" and item[keyword].is_empty:
                complaints.append(f"{name} of type 1 is empty")
        strange = _keywords(item) - known.get(place, set())
        complaints += [f"{'/'.join((*place, keyword))} is not of this object" for keyword in strange]
    return sorted(set(complaints))


@cache
def _tables(uid: str) -> tuple[dict[_Place, dict[str, str]], dict[_Place, set[str]]]:
    """Return, for each place in an object, the attributes of type 1 and 2 that it needs, and all that it may have."""
    required: dict[_Place, dict[str, str]] = {}
    known: dict[_Place, set[str]] = {}
    modules = _standard_utils.get_iod_module_map()[_standard_utils.get_sop_class_iod_map()[uid]]
    for module in modules:
        for row in _standard_utils.get_module_attribute_map()[module["key"]]:
            place, keyword, kind = tuple(row["path"]), row["keyword"], row["type"]
            known.setdefault(place, set()).add(keyword)
            is_conditional = place in _FUNCTIONAL_GROUPS or module["key"] == _CONTENT
            if kind in ("1", "2") and not is_conditional and (place or module["usage"] == "M"):
                kinds = required.setdefault(place, {})
                kinds[keyword] = min(kind, kinds.get(keyword, kind))  # type 1 wins
    return required, known


def _items(dataset: Dataset, place: _Place = ()) -> Iterator[tuple[_Place, Dataset]]:
    """Yield a data set and the items in it, with their places; the tree of a report has no end in the tables."""
    yield place, dataset
    for element in dataset:
        if element.VR == "SQ" and element.keyword != "ContentSequence":
            for item in element.value:
                yield from _items(item, (*place, element.keyword))


def _keywords(dataset: Dataset) -> set[str]:
    """Return the names of the standard's attributes in an item; group lengths and private ones have none."""
    return {element.keyword for element in dataset if element.keyword}
