"""From a mask to its outline, and from an outline to landmarks: where along it each node sits.

An outline alone does not tell where its nodes are. The landmarks of this project follow a convention: some nodes sit
at corners (the apex, the costophrenic angle, ...), and those between two corners divide the way between them in fixed
proportions. What is unknown are the corners, three to five numbers along the outline; they are chosen so that the
landmarks form the most probable shape under a Gaussian model of the organs' shapes, which
``scripts/learn_placement.py`` made from the JSRT training landmarks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes, gaussian_filter, label
from scipy.optimize import least_squares

from monai_chexmask_u.anatomy import HEART, LEFT_LUNG, NODE_COUNT, ORGANS, RIGHT_LUNG, Organ
from monai_chexmask_u.geometry import Frame, polygon_area

__all__ = ["CORNERS", "MODEL_FILE", "NEIGHBORS", "OutlineFrame", "landmarks_of_contour", "landmarks_of_masks"]

Floats = NDArray[np.float64]

# Nodes at corners, the published "important" vertices; the first is the apex of a lung, the lower left of the heart.
CORNERS: Final = {RIGHT_LUNG: (0, 21, 29), LEFT_LUNG: (0, 21, 27, 40, 44), HEART: (0, 6, 12, 18)}
# The heart's corners lie where it meets the lungs: their lower and inner nodes help to find them.
NEIGHBORS: Final = {RIGHT_LUNG: slice(0, 0), LEFT_LUNG: slice(0, 0), HEART: np.r_[21:44, 65:94]}
MODEL_FILE: Final = Path(__file__).with_name("landmark_placement.npz")

_POINTS: Final = 720  # on an outline, evenly spaced: finer than the nodes by far
_STARTS: Final = 72  # first corners tried around the outline
_REFINED: Final = 3  # the best of them that are followed to a minimum
_STIFFNESS: Final = 1.0  # against sections of unusual length, where the shape does not tell

_BORDER: Final = 4  # pixels around the mask, so that an outline closes outside the image
_SMOOTHING: Final = 1.0  # pixels; takes the stairs off, whose length depends on the direction
_SMALLEST: Final = 64  # pixels; 120 landmarks cannot be told apart on less
_SPECK: Final = 0.02  # of the largest region: smaller ones are slips of the brush


@dataclass(frozen=True, eq=False)
class OutlineFrame:
    """A closed outline in the frame that shapes are compared in: centered, a quarter of its perimeter as the unit.

    Attributes:
        points: ``(point + 1, 2)``, the first one repeated at the end.
        arc: ``(point + 1,)``, way along the outline in 0..1.
        center: of the outline, in the frame it was given in.
        unit: likewise.
    """

    points: Floats
    arc: Floats
    center: Floats
    unit: float

    @classmethod
    def of(cls, contour: Floats) -> OutlineFrame:
        """Measure a closed polygon ``(point, 2)``."""
        closed = np.vstack([contour, contour[:1]])
        lengths = np.linalg.norm(np.diff(closed, axis=0), axis=1)
        perimeter = float(lengths.sum())
        middles = (closed[1:] + closed[:-1]) / 2
        center = np.asarray((middles * lengths[:, None]).sum(axis=0) / perimeter)
        arc = np.concatenate([[0.0], np.cumsum(lengths) / perimeter])
        unit = perimeter / 4
        return cls((closed - center) / unit, arc, center, unit)

    def at(self, arc: Floats) -> Floats:
        """Return the points ``(..., 2)`` at these parts of the way, which may go round more than once."""
        way = np.mod(arc, 1.0)
        return np.stack([np.interp(way, self.arc, self.points[:, axis]) for axis in (0, 1)], axis=-1)

    def normalized(self, points: Floats) -> Floats:
        """Return other points ``(..., 2)`` in this frame."""
        moved: Floats = (points - self.center) / self.unit
        return moved

    def restored(self, points: Floats) -> Floats:
        """Return points of this frame in the one that the outline was given in."""
        moved: Floats = points * self.unit + self.center
        return moved


@dataclass(frozen=True, eq=False)
class _ShapeModel:
    """What is usual for one organ; see `scripts/learn_placement.py`."""

    organ: Organ
    within: Floats  # (node,): part of the way from the corner before to the one after
    sections: Floats  # (corner,): mean share of each section between corners in the outline
    mean: Floats  # (2 * (node + neighbor),)
    modes: Floats  # (2 * (node + neighbor), mode), in standard deviations
    noise: float  # standard deviation of what the modes leave out

    def arc(self, unknowns: Floats) -> Floats:
        """Return each node's part of the way along the outline.

        Args:
            unknowns: where the first corner is, and the logarithm of each section against its mean.
        """
        shares = self.sections * np.exp(unknowns[1:])
        starts = unknowns[0] + np.concatenate([[0.0], np.cumsum(shares / shares.sum())])
        corners = (*CORNERS[self.organ], self.organ.node_count)
        section = np.searchsorted(corners, np.arange(self.organ.node_count), side="right") - 1
        place: Floats = starts[section] + self.within * (starts[section + 1] - starts[section])
        return place


@lru_cache(maxsize=1)
def _models() -> Mapping[Organ, _ShapeModel]:
    with np.load(MODEL_FILE) as arrays:
        content = {name: arrays[name].astype(np.float64) for name in arrays.files}
    return {organ: _model(organ, content) for organ in ORGANS}


def _model(organ: Organ, content: Mapping[str, Floats]) -> _ShapeModel:
    within, sections, mean, modes, noise = (
        content[f"{organ.name}/{name}"] for name in ("within", "sections", "mean", "modes", "noise")
    )
    return _ShapeModel(organ, within, sections, mean, modes, float(noise))


@lru_cache(maxsize=2 * len(ORGANS))
def _whitening(organ: Organ, *, neighbors: bool) -> Floats:
    """Return the matrix that makes deviations from the mean shape independent, with or without the neighbors."""
    model = _models()[organ]
    modes = model.modes[: None if neighbors else 2 * organ.node_count]
    covariance = modes @ modes.T + model.noise**2 * np.eye(len(modes))
    return np.asarray(np.linalg.cholesky(np.linalg.inv(covariance)).T)


def landmarks_of_contour(
    organ: Organ, contour: Floats, *, frame: Frame | None = None, lungs: Floats | None = None
) -> Floats:
    """Place an organ's nodes on its outline.

    Args:
        organ: whose outline it is.
        contour: ``(point, 2)``, a closed polygon without its repeated first point, in pixels of the image as stored;
            it may start anywhere and go around either way.
        frame: how the image is turned upright (`Frame.fit`), for images that are stored mirrored or upside down or
            have pixels that are no squares; without it the image is taken for upright.
        lungs: ``(94, 2)``, the landmarks of both lungs in the same pixels; they help to place the heart's.

    Returns:
        The nodes ``(node, 2)`` on the outline, in its pixels.

    Raises:
        ValueError: if there are fewer than three points, one is not finite, or the outline has no area.

    References:
        The convention of the nodes: anatomy and the published landmark data set, https://arxiv.org/abs/2203.10977
    """
    contour = np.asarray(contour, dtype=np.float64)
    _check(organ, contour)
    if frame is not None:
        upright = landmarks_of_contour(
            organ, frame.to_network(contour), lungs=None if lungs is None else frame.to_network(lungs)
        )
        return frame.to_image(upright)
    model = _models()[organ]
    outline = OutlineFrame.of(_even_and_clockwise_like(model, contour))
    neighbors = np.empty((0, 2))
    if lungs is not None and organ is HEART and np.isfinite(lungs).all():
        neighbors = outline.normalized(np.asarray(lungs, dtype=np.float64)[NEIGHBORS[organ]])
    return outline.restored(outline.at(_most_probable(model, outline, neighbors)))


def landmarks_of_masks(masks: Mapping[Organ, NDArray[np.bool_]], *, frame: Frame | None = None) -> Floats:
    """Place the landmarks of all organs that have a mask.

    Args:
        masks: ``(row, column)`` by organ, of the image as stored. A pixel may belong to several organs; where the
            heart covers a part of a lung, as it does in a single label image, the lung's outline follows the heart's.
        frame: as for `landmarks_of_contour`.

    Returns:
        Landmarks ``(120, 2)`` in pixels of the image, on the masks' outlines; NaN for organs without a mask.

    Raises:
        ValueError: if a mask is too small, or in several pieces.
        ImportError: if scikit-image is not installed.
    """
    landmarks = np.full((NODE_COUNT, 2), np.nan)
    for organ in ORGANS:  # the lungs come before the heart
        if organ in masks and masks[organ].any():
            outline = outline_of_mask(masks[organ], organ.title.lower())
            lungs = landmarks[: HEART.first_node]
            landmarks[organ.nodes] = landmarks_of_contour(organ, outline, frame=frame, lungs=lungs)
    return landmarks


def outline_of_mask(mask: NDArray[np.bool_], name: str) -> NDArray[np.float64]:
    """Trace the outline of a mask.

    Holes are filled, and specks beside the region are left out. The outline runs between the outermost pixels of the
    region and their neighbors, so that filling it gives the mask again but for single pixels at corners.

    Args:
        mask: ``(row, column)``.
        name: of what it shows, for errors.

    Returns:
        A closed polygon ``(point, 2)`` without its repeated first point, (x, y) in pixels of the mask.

    Raises:
        ValueError: if the region is too small, or there is a second one that is no speck.
        ImportError: if scikit-image is not installed.
    """
    from skimage.measure import find_contours  # part of the extras: training on masks is not everybody's

    region = _one_region(mask, name)
    padded = np.pad(binary_fill_holes(region), _BORDER).astype(np.float64)
    contours = find_contours(gaussian_filter(padded, _SMOOTHING), 0.5)
    longest = max(contours, key=len)[:-1]
    outline: NDArray[np.float64] = longest[:, ::-1] - _BORDER
    return outline


def _one_region(mask: NDArray[np.bool_], name: str) -> NDArray[np.bool_]:
    regions, count = label(mask)
    sizes = np.bincount(regions.ravel())[1:]
    if count == 0 or sizes.max() < _SMALLEST:
        found = 0 if count == 0 else int(sizes.max())
        raise ValueError(f"the mask of the {name} has {found} pixels; at least {_SMALLEST} are needed")
    order = np.argsort(sizes)[::-1]
    if count > 1 and sizes[order[1]] > _SPECK * sizes[order[0]]:
        raise ValueError(
            f"the mask of the {name} is in pieces of {sizes[order[0]]} and {sizes[order[1]]} pixels; "
            "an outline needs one piece: join them, or erase what does not belong to it"
        )
    return np.asarray(regions == order[0] + 1)


def _check(organ: Organ, contour: Floats) -> None:
    what = f"the outline of the {organ.title.lower()}"
    if contour.ndim != 2 or contour.shape[1] != 2 or len(contour) < 3:
        raise ValueError(f"{what} must have at least three points (x, y), got an array of shape {contour.shape}")
    if not np.isfinite(contour).all():
        raise ValueError(f"{what} has a point that is not finite")
    extent = float(np.ptp(contour, axis=0).max())
    if not float(polygon_area(contour)) > 1e-6 * extent**2:
        raise ValueError(f"{what} has no area")


def _even_and_clockwise_like(model: _ShapeModel, contour: Floats) -> Floats:
    """Return the outline with evenly spaced points, from its highest one, around the way that the nodes go."""
    mean = model.mean[: 2 * model.organ.node_count].reshape(-1, 2)
    if _turning(contour) * _turning(mean) < 0:
        contour = contour[::-1]
    contour = np.roll(contour, -int(contour[:, 1].argmin()), axis=0)
    outline = OutlineFrame.of(contour)
    return outline.restored(outline.at(np.arange(_POINTS) / _POINTS))


def _turning(contour: Floats) -> float:
    """Return twice the signed area of a polygon."""
    x, y = contour.T
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())


def _most_probable(model: _ShapeModel, outline: OutlineFrame, neighbors: Floats) -> Floats:
    """Return the nodes' parts of the way along the outline with the most probable shape."""
    whitening = _whitening(model.organ, neighbors=len(neighbors) > 0)
    mean = model.mean[: len(whitening)]

    def deviation(unknowns: Floats) -> Floats:
        shape = np.concatenate([outline.at(model.arc(unknowns)), neighbors]).ravel()
        return np.concatenate([whitening @ (shape - mean), _STIFFNESS * unknowns[1:]])

    still = np.zeros(len(model.sections))
    starts = [np.concatenate([[start], still]) for start in np.arange(_STARTS) / _STARTS]
    starts.sort(key=lambda unknowns: float((deviation(unknowns) ** 2).sum()))
    found = [least_squares(deviation, start, diff_step=1e-4) for start in starts[:_REFINED]]
    return model.arc(min(found, key=lambda result: float(result.cost)).x)
