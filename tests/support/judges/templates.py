"""Is the content of a report made by PS3.16's templates? By tables of our own, since no program checks them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import pydicom
from pydicom.dataset import Dataset
from pydicom.sr._cid_dict import cid_concepts
from pydicom.sr._concepts_dict import concepts
from pydicom.uid import UID
from support.judges.template_tables import MEASUREMENT_REPORT, Row

__all__ = ["sr_templates"]

# How many numbers the graphic data of a type have (PS3.3, C.18.6.1.2); polylines have any even number from 4 on.
_POINT_NUMBERS: Final = {"POINT": 2, "CIRCLE": 4, "ELLIPSE": 8}
_TITLES: Final = 7021


def sr_templates(path: Path) -> list[str]:
    """Return where a measurement report leaves the rows of its templates (TID 1500 and those that it includes).

    The rows of each item are checked by relationship, value type, concept name, multiplicity and template identifier;
    coded values by their context group, numbers by their unit, spatial coordinates by the count of their numbers.
    """
    report = pydicom.dcmread(path)
    title = report.get("ConceptNameCodeSequence")
    complaints = [] if title and _is_of(title[0], _TITLES) else ["the title is not of context group 7021"]
    if _template(report) != MEASUREMENT_REPORT.template:
        complaints.append(f"the report is by template {_template(report)}")
    return complaints + list(_content_complaints(report, MEASUREMENT_REPORT.rows, ""))


def _content_complaints(item: Dataset, rows: Sequence[Row], place: str) -> Iterator[str]:
    """Yield what is wrong with the children of an item, and with theirs."""
    children: Sequence[Dataset] = item.get("ContentSequence", [])
    counts: Counter[int] = Counter()
    for number, child in enumerate(children, 1):
        where = f"{place}/{number} {_name(child)}"
        index = _row(child, rows)
        if index is None:
            yield f"{where}: no row for {child.get('RelationshipType')} {child.get('ValueType')}"
            continue
        counts[index] += 1
        yield from (f"{where}: {words}" for words in _value_complaints(child, rows[index]))
        yield from _content_complaints(child, rows[index].rows, where)
    present = {_concept(child) for child in children}
    for index, row in enumerate(rows):
        if not row.least <= counts[index] <= row.most:
            yield f"{place or 'report'}: {row.value_type} {row.concept or ''} is there {counts[index]} times"
        if counts[index] and row.needs and row.needs not in present:
            yield f"{place}: {row.concept} is there without {row.needs}"


def _row(child: Dataset, rows: Sequence[Row]) -> int | None:
    """Return the index of the row that a child follows; one that names its concept goes before one for any."""
    fitting = [
        (row.concept is None, index)
        for index, row in enumerate(rows)
        if (row.relationship, row.value_type) == (child.get("RelationshipType"), child.get("ValueType"))
        and row.concept in (None, _concept(child))
        and row.template == _template(child)
    ]
    return min(fitting)[1] if fitting else None


def _value_complaints(item: Dataset, row: Row) -> Iterator[str]:
    if row.value_type == "CODE":
        values = item.get("ConceptCodeSequence")
        if not values:
            yield "no value"
        elif row.group is not None and not _is_of(values[0], row.group):
            yield f"{values[0].CodeMeaning!r} is not of context group {row.group}"
    elif row.value_type == "NUM":
        yield from _number_complaints(item, row)
    elif row.value_type == "SCOORD":
        yield from _graphic_complaints(str(item.get("GraphicType")), list(item.get("GraphicData") or []))
    elif row.value_type == "TEXT" and not str(item.get("TextValue") or "").strip():
        yield "no text"
    elif row.value_type == "UIDREF" and not UID(str(item.get("UID") or "")).is_valid:
        yield "no valid UID"


def _number_complaints(item: Dataset, row: Row) -> Iterator[str]:
    measured = item.get("MeasuredValueSequence")
    if not measured or measured[0].get("NumericValue") is None:
        yield "no value"
        return
    units = measured[0].get("MeasurementUnitsCodeSequence")
    if not units:
        yield "no unit"
    elif row.unit is not None and units[0].CodeValue != row.unit:
        yield f"in {units[0].CodeValue} instead of {row.unit}"


def _graphic_complaints(kind: str, data: list[float]) -> Iterator[str]:
    is_polyline = kind == "POLYLINE" and len(data) >= 4 and len(data) % 2 == 0
    if not is_polyline and len(data) != _POINT_NUMBERS.get(kind):
        yield f"{kind} of {len(data)} numbers"
    if not all(math.isfinite(number) and number >= 0 for number in data):
        yield "coordinates that are no place in an image"


def _is_of(code: Dataset, group: int) -> bool:
    return _key(code) in _members(group)


@cache
def _members(group: int) -> set[str]:
    """Return the codes of a context group."""
    dictionary: dict[str, Any] = concepts
    return {
        f"{value} {scheme}"
        for scheme, keywords in cid_concepts[group].items()
        for keyword in keywords
        for value in dictionary[scheme][keyword]
    }


def _concept(item: Dataset) -> str | None:
    names = item.get("ConceptNameCodeSequence")
    return _key(names[0]) if names else None


def _key(code: Dataset) -> str:
    return f"{code.get('CodeValue') or code.get('LongCodeValue')} {code.get('CodingSchemeDesignator')}"


def _template(item: Dataset) -> str | None:
    templates = item.get("ContentTemplateSequence")
    return str(templates[0].get("TemplateIdentifier")) if templates else None


def _name(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence")
    return str(names[0].get("CodeMeaning")) if names else "unnamed"
