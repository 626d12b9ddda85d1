"""The parts of a 3D Slicer markups file that positions are read from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Markup", "read_markups"]

# LPS is the default of Slicer's reader.
TO_LPS: Final = {"LPS": (1.0, 1.0, 1.0), "RAS": (-1.0, -1.0, 1.0)}
MILLIMETERS: Final = {"mm": 1.0, "um": 1e-3}
LONGEST_SOURCE: Final = 80
MAX_BYTES: Final = 32 * 2**20


@dataclass(frozen=True, eq=False)
class Markup:
    """One markup of a file.

    Attributes:
        source: file and markup for error messages.
        type: ``ClosedCurve``, ``Fiducial`` and others.
        name: of the node; Slicer leaves it out when it saves, then it is that of the file.
        labels: of the control points whose position is defined.
        positions: ``(n, 3)`` of these points, LPS, mm.
        measurements: names of the markup's measurements.
    """

    source: str
    type: str
    name: str
    labels: tuple[str, ...]
    positions: NDArray[np.float64]
    measurements: frozenset[str]


def read_markups(path: Path) -> list[Markup]:
    """Read all markups of a file, whichever coordinate system Slicer wrote them in.

    Points that were not placed or were unset are left out, hidden ones are not.

    Raises:
        ValueError: if it is no markups file, or a position is no position; it names the file and the markup.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError("markups of a radiograph are far smaller")
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        cause = error.strerror if isinstance(error, OSError) else f"it is no JSON of at most {MAX_BYTES // 2**20} MiB"
        raise ValueError(f"{path}: cannot be read as Slicer markups ({cause}); save the markups again") from error
    items = document.get("markups") if isinstance(document, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError(f"{path}: this is JSON, but no Slicer markups; give a .mrk.json file")
    if not items:
        raise ValueError(f"{path}: there are no markups in this file; draw closed curves and save them")
    return [_markup(item, path, number) for number, item in enumerate(items, start=1)]


def _markup(item: dict[str, Any], path: Path, number: int) -> Markup:
    name = item.get("name")
    if not isinstance(name, str) or not name:
        name = path.name.removesuffix(".json").removesuffix(".mrk")
    source = f"{path}: markup {number} ({name[:LONGEST_SOURCE]})"
    scale = _to_lps_mm(item, source)
    points = item.get("controlPoints", [])
    if not isinstance(points, list) or not all(isinstance(point, dict) for point in points):
        raise ValueError(f"{source}: its control points are no list of points; save it again in Slicer")
    placed = [point for point in points if _is_placed(point)]
    positions = np.array([_position(point, source) for point in placed]).reshape(-1, 3) * scale
    measurements = item.get("measurements", [])
    names = [entry.get("name") for entry in measurements if isinstance(entry, dict)] if measurements else []
    return Markup(
        source=source,
        type=str(item.get("type", "")),
        name=name,
        labels=tuple(str(point.get("label", "")) for point in placed),
        positions=positions,
        measurements=frozenset(str(entry) for entry in names),
    )


def _is_placed(point: dict[str, Any]) -> bool:
    """Say whether a point has a place: Slicer writes others with an empty position or another status."""
    return point.get("positionStatus", "defined") == "defined" and point.get("position") not in (None, "")


def _position(point: dict[str, Any], source: str) -> list[float]:
    """Return a position as it is written."""
    try:
        position = [float(value) for value in point["position"]]
    except (TypeError, ValueError):
        position = []
    if len(position) != 3 or not np.isfinite(position).all():
        label = str(point.get("label", ""))[:LONGEST_SOURCE]
        raise ValueError(f"{source}: the position of point {label!r} is not three finite numbers; place it again")
    return position


def _to_lps_mm(item: dict[str, Any], source: str) -> NDArray[np.float64]:
    """Return the factors ``(3,)`` that take a markup's coordinates to LPS, mm."""
    system, units = item.get("coordinateSystem", "LPS"), item.get("coordinateUnits", "mm")
    unit = units[0] if isinstance(units, list) and units else units  # a coded entry starts with its code
    if not isinstance(system, str) or system not in TO_LPS:
        raise ValueError(f"{source}: unknown coordinate system; save it as LPS or RAS")
    if not isinstance(unit, str) or unit not in MILLIMETERS:
        raise ValueError(f"{source}: unknown unit of its coordinates; save it in mm")
    return np.array(TO_LPS[system]) * MILLIMETERS[unit]
