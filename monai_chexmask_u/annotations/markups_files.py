"""Landmarks from 3D Slicer markups: what this project wrote, people edited and Slicer saved."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monai_chexmask_u.anatomy import HEART, NODE_COUNT, NODE_IDS, ORGANS, Organ
from monai_chexmask_u.annotations.landmark_placement import landmarks_of_contour
from monai_chexmask_u.annotations.markups_json import Markup, read_markups
from monai_chexmask_u.geometry import Frame, ImagePlane

__all__ = ["landmarks_of_markups", "read_landmarks"]

# How far a point may lie outside the image or off its plane, in parts of the image's longer side.
LARGEST_DISTANCE: Final = 0.1
FEWEST_POINTS: Final = 3
POINT_LISTS: Final = ("Fiducial", "PointList")  # the second is what newer versions of Slicer call them
NODE_LABEL: Final = re.compile(r"(RL|LL|H)(\d\d)")


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
        ValueError: if they cannot be used; it names the file, the cause and the way out.
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
