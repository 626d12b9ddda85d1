"""Landmarks from 3D Slicer markups: what this project wrote, people edited and Slicer saved."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from monai_chexmask_u.anatomy import HEART, NODE_COUNT, NODE_IDS, ORGANS, Organ
from monai_chexmask_u.annotations.landmark_placement import landmarks_of_contour
from monai_chexmask_u.geometry import Frame, ImagePlane

__all__ = ["Markup", "landmarks_of_markups", "read_landmarks", "read_markups"]

# How far a point may lie outside the image or off its plane, in parts of the image's longer side.
LARGEST_DISTANCE: Final = 0.1
FEWEST_POINTS: Final = 3
POINT_LISTS: Final = ("Fiducial", "PointList")  # the second is what newer versions of Slicer call them
NODE_LABEL: Final = re.compile(r"(RL|LL|H)(\d\d)")
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


def read_landmarks(
    paths: Sequence[Path], plane: ImagePlane, shape: tuple[int, int], *, frame: Frame | None = None
) -> NDArray[np.float64]:
    """Read the markups of one image.

    Args:
        paths: ``.mrk.json`` files of one image: one with all organs, as this project writes it, or one per organ, as
            Slicer saves them.
        plane: where Slicer puts the image (`slicer_plane`).
        shape: rows and columns of the image.
        frame: how the image is turned upright (`Frame.fit`), for images stored mirrored or upside down; it matters for
            outlines whose points came or went, on which the landmarks are placed anew.

    Returns:
        Landmarks ``(120, 2)``, (x, y) in pixels of the image; NaN for an organ without an outline.

    Raises:
        ValueError: if they cannot be used; it names the file, the cause and what to do.
    """
    return landmarks_of_markups([markup for path in paths for markup in read_markups(path)], plane, shape, frame=frame)


def landmarks_of_markups(
    markups: Sequence[Markup], plane: ImagePlane, shape: tuple[int, int], *, frame: Frame | None = None
) -> NDArray[np.float64]:
    """Return the landmarks ``(120, 2)`` of one image's markups; arguments and errors as in `read_landmarks`.

    Closed curves win, because they are what people edit. The list of points counts where there is no curve at all.
    """
    for markup in markups:
        if markup.type == "Curve":
            raise ValueError(f"{markup.source} is an open curve: convert it to a closed curve in Slicer")
    curves = [markup for markup in markups if markup.type == "ClosedCurve"]
    if curves:
        landmarks = _from_curves(curves, plane, shape, frame)
    else:
        landmarks = _from_points([markup for markup in markups if markup.type in POINT_LISTS], plane, shape)
    if not np.isfinite(landmarks).any():
        where = markups[0].source if markups else "the files"
        raise ValueError(f"{where}: there is no outline of a lung or the heart; draw closed curves and save them")
    return landmarks


def _from_curves(
    curves: Sequence[Markup], plane: ImagePlane, shape: tuple[int, int], frame: Frame | None
) -> NDArray[np.float64]:
    landmarks = np.full((NODE_COUNT, 2), np.nan)
    found: dict[Organ, Markup] = {}
    for curve in curves:
        if not len(curve.positions):
            continue  # its points were deleted: the organ is not outlined
        organ = _organ_of(curve)
        if organ in found:
            both = f"{curve.source} and {found[organ].source}"
            raise ValueError(f"{both} both outline the {organ.title.lower()}; keep one")
        found[organ] = curve
    for organ in ORGANS:  # the heart comes last, because the lungs help to place its landmarks
        if organ in found:
            contour = _pixels(found[organ], plane, shape)
            landmarks[organ.nodes] = _nodes(found[organ], organ, contour, frame, landmarks)
    return landmarks


def _nodes(
    curve: Markup, organ: Organ, contour: NDArray[np.float64], frame: Frame | None, others: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the organ's nodes ``(node, 2)``: the points as they are, or placed anew if some came or went."""
    if len(contour) < FEWEST_POINTS:
        raise ValueError(f"{curve.source} has {len(contour)} points; an outline needs at least {FEWEST_POINTS}")
    places = [(found.group(1), int(found.group(2))) for label in curve.labels if (found := NODE_LABEL.fullmatch(label))]
    in_order = places == [(organ.prefix, node) for node in range(organ.node_count)]
    if len(contour) == organ.node_count and (in_order or not places):
        return contour
    try:
        return landmarks_of_contour(organ, contour, frame=frame, lungs=others[: HEART.first_node])
    except ValueError as error:
        raise ValueError(f"{curve.source} cannot be used as an outline: {error}") from error


def _from_points(lists: Sequence[Markup], plane: ImagePlane, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return landmarks from points whose labels are node ids; other points, of whatever use, are passed over."""
    landmarks = np.full((NODE_COUNT, 2), np.nan)
    for markup in lists:
        pixels = _pixels(markup, plane, shape)
        for label, point in zip(markup.labels, pixels, strict=True):
            if label not in NODE_IDS:
                continue
            node = NODE_IDS.index(label)
            if np.isfinite(landmarks[node]).all():
                raise ValueError(f"{markup.source}: landmark {label} comes twice; keep one")
            landmarks[node] = point
    for organ in ORGANS:
        count = int(np.isfinite(landmarks[organ.nodes, 0]).sum())
        if count not in (0, organ.node_count):
            cause = f"{count} landmarks of the {organ.title.lower()} instead of {organ.node_count}"
            raise ValueError(f"{lists[0].source} has {cause}; edit the closed curves instead")
    return landmarks


def _organ_of(curve: Markup) -> Organ:
    """Return which organ a curve outlines: by its name, else by what Slicer keeps of the file it was loaded from."""
    for organ in ORGANS:
        if _words(curve.name) in (_words(organ.title), _words(organ.name), _words(organ.prefix)):
            return organ
    for organ in ORGANS:
        if f"{organ.name} area" in curve.measurements:
            return organ
    prefixes = Counter(found.group(1) for label in curve.labels if (found := NODE_LABEL.fullmatch(label)))
    for organ in ORGANS:
        if prefixes[organ.prefix] > len(curve.labels) / 2:
            return organ
    names = ", ".join(organ.title for organ in ORGANS)
    raise ValueError(f"{curve.source}: which organ it outlines is not known; name it one of {names}")


def _words(name: str) -> str:
    """Return a name without what Slicer or people add to it, such as a number for a second one."""
    return re.sub(r"[\W_]+", " ", re.sub(r"[_ ]\d+$", "", name)).strip().casefold()


def _pixels(markup: Markup, plane: ImagePlane, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return a markup's points ``(n, 2)`` in pixels of the image.

    Raises:
        ValueError: if one lies far outside the image, as those of another image do.
    """
    if not len(markup.positions):
        return np.empty((0, 2))
    pixels = plane.to_pixels(markup.positions)
    rows, columns = shape
    margin = LARGEST_DISTANCE * max(shape)
    highest = LARGEST_DISTANCE * max(columns * np.linalg.norm(plane.column_step), rows * np.linalg.norm(plane.row_step))
    outside = (pixels < -margin).any() or (pixels > np.array([columns, rows]) - 1 + margin).any()
    if outside or (plane.heights(markup.positions) > highest).any():
        raise ValueError(f"{markup.source}: points lie far outside the image; were they drawn on another one?")
    return pixels


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
