"""What dcmqi, with which researchers read measurements, takes from a report."""

from __future__ import annotations

import json
import math
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import pydicom
from pydicom.dataset import Dataset
from support.judges.programs import run

__all__ = [
    "Group",
    "Measurement",
    "dcmqi_report",
    "measurement_differences",
    "measurement_groups",
]

_MEASUREMENT_GROUP: Final = "125007"


class Measurement(NamedTuple):
    """A number as a report says it: meanings of its name, unit and derivation (None: it says none)."""

    name: str
    value: float
    unit: str
    derivation: str | None = None


@dataclass(frozen=True)
class Group:
    """One measurement group: meanings of its codes, None where there is none."""

    identifier: str
    uid: str
    finding: str | None
    site: str | None
    laterality: str | None
    measurements: tuple[Measurement, ...]
    evaluations: tuple[tuple[str, str], ...]


def measurement_groups(path: Path) -> list[Group]:
    """Return the measurement groups of a report, in its order, as dcmqi's tid1500reader reads them.

    Raises:
        ValueError: if it reads nothing.
    """
    return [_group(entry) for entry in _read_report(path)[0].get("Measurements", [])]


def dcmqi_report(path: Path) -> list[str]:
    """Return what dcmqi does not read of a report, or read unlike pydicom: groups, and their names and numbers.

    Its exit code is 0 even for broken reports, so that only a comparison tells.
    """
    try:
        read, complaints = _read_report(path)
    except ValueError as error:
        return [str(error)]
    groups = [_group(entry) for entry in read.get("Measurements", [])]
    expected = list(_written_groups(pydicom.dcmread(path)))
    if len(groups) != len(expected):
        complaints.append(f"{len(groups)} of {len(expected)} measurement groups are read")
    repeated = [name for name, count in Counter(group.identifier for group in groups).items() if count > 1]
    complaints += [f"several groups have the tracking identifier {name!r}" for name in repeated]
    for group, (name, numbers) in zip(groups, expected, strict=False):
        found = [(number.name, number.value) for number in group.measurements]
        if (group.identifier, found) != (name, numbers):
            complaints.append(f"group {name!r} with {numbers} is read as {group.identifier!r} with {found}")
    return complaints


def measurement_differences(
    path: Path, expected: Mapping[str, Sequence[Measurement]], *, relative: float = 5e-6
) -> list[str]:
    """Return in which measurements a report differs from what it should hold, as dcmqi reads it.

    Args:
        path: the report.
        expected: measurements by tracking identifier, in the report's order; other groups are not looked at.
        relative: tolerance of the values; the default is that of six significant digits.
    """
    found = {group.identifier: group.measurements for group in measurement_groups(path)}
    complaints = [f"no group {name!r}" for name in expected if name not in found]
    for name in expected.keys() & found.keys():
        wanted, there = expected[name], found[name]
        if [number._replace(value=0) for number in wanted] != [number._replace(value=0) for number in there]:
            complaints.append(f"{name}: {[*there]} instead of {[*wanted]}")
            continue
        complaints += [
            f"{name}: {written.name} is {written.value} instead of {true.value}"
            for true, written in zip(wanted, there, strict=True)
            if not math.isclose(true.value, written.value, rel_tol=relative)
        ]
    return complaints


def _read_report(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Return what dcmqi reads, and what it says that it does not understand."""
    with tempfile.TemporaryDirectory() as folder:
        metadata = Path(folder) / "report.json"
        _, text = run("tid1500reader", "--inputDICOM", path, "--outputMetadata", metadata)
        if not metadata.is_file():
            raise ValueError(f"tid1500reader reads nothing: {text.strip()}")
        read: dict[str, Any] = json.loads(metadata.read_text(encoding="utf-8"))
    words = ("ERROR", "FATAL", "not known", "E: ", "F: ")
    return read, [line for line in text.splitlines() if any(word in line for word in words)]


def _group(entry: dict[str, Any]) -> Group:
    evaluations = entry.get("qualitativeEvaluations", [])
    return Group(
        identifier=entry.get("TrackingIdentifier", ""),
        uid=entry.get("TrackingUniqueIdentifier", ""),
        finding=_meaning(entry, "Finding"),
        site=_meaning(entry, "FindingSite"),
        laterality=_meaning(entry, "Laterality"),
        measurements=tuple(_measurement(item) for item in entry.get("measurementItems", [])),
        evaluations=tuple((_meaning(item, "conceptCode") or "", _value(item)) for item in evaluations),
    )


def _measurement(item: dict[str, Any]) -> Measurement:
    unit = item["units"]["CodeValue"]
    return Measurement(
        item["quantity"]["CodeMeaning"], float(item["value"]), unit, _meaning(item, "derivationModifier")
    )


def _meaning(entry: dict[str, Any], key: str) -> str | None:
    return str(entry[key]["CodeMeaning"]) if key in entry else None


def _value(evaluation: dict[str, Any]) -> str:
    """Return the meaning of a coded evaluation, or the text of one in words."""
    value = evaluation.get("conceptValue", "")
    return str(value["CodeMeaning"] if isinstance(value, dict) else value)


def _written_groups(dataset: Dataset) -> Iterator[tuple[str, list[tuple[str, float]]]]:
    """Yield tracking identifier, and names and values of the numbers, of each measurement group, by pydicom alone."""
    for item in dataset.get("ContentSequence", []):
        if item.ValueType != "CONTAINER":
            continue
        if item.ConceptNameCodeSequence[0].get("CodeValue") != _MEASUREMENT_GROUP:
            yield from _written_groups(item)
            continue
        content = item.get("ContentSequence", [])
        names = [child.TextValue for child in content if child.ValueType == "TEXT" and _is_identifier(child)]
        yield "".join(names), [_written_number(child) for child in content if child.ValueType == "NUM"]


def _is_identifier(item: Dataset) -> bool:
    return bool(item.ConceptNameCodeSequence[0].get("CodeValue") == "112039")


def _written_number(item: Dataset) -> tuple[str, float]:
    value = item.MeasuredValueSequence[0].NumericValue if item.get("MeasuredValueSequence") else math.nan
    return str(item.ConceptNameCodeSequence[0].CodeMeaning), float(value)
