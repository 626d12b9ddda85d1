"""One radiograph under one condition -> one row: error, uncertainty and verdict of the image and of its nodes.

All lengths are in pixels of a 1024-pixel image: those of the image that the network saw, times 1024 over its longer
side, also where a corruption cut a part off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from monai_chexmask_u.anatomy import NODE_COUNT, ORGANS
from monai_chexmask_u.data.radiograph_sets import RadiographItem
from monai_chexmask_u.experiments.conditions import Condition
from monai_chexmask_u.experiments.foreign import make_foreign
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation
from monai_chexmask_u.segmenter import Segmenter
from monai_chexmask_u.transforms.corruptions import corrupt
from monai_chexmask_u.uncertainty import PUBLISHED_IMAGE_SIZE, contour_normals, normal_std

__all__ = ["NODE_COLUMNS", "Shown", "measure", "names_of", "row_of", "show"]

Floats = NDArray[np.float64]

NODE_COLUMNS: Final = (
    "node_error",
    "node_normal_error",
    "node_predictive",
    "node_predictive_normal",
    "node_predictive_level",
    "node_total",
    "node_total_normal",
    "node_total_level",
    "node_radius90",
    "node_altered",
)
"""Columns that hold a list over the nodes; empty where the radiograph has no outline, or the model no calibration."""


@dataclass(frozen=True, eq=False)
class Shown:
    """What the network is shown, with the truth about it.

    Attributes:
        radiograph: the image.
        landmarks: ``(120, 2)`` true landmarks in its pixels, or None.
        altered: ``(120,)``, which of them lie in a square that was altered.
    """

    radiograph: Radiograph
    landmarks: Floats | None = None
    altered: NDArray[np.bool_] | None = None


def measure(
    segmenter: Segmenter,
    item: RadiographItem,
    radiograph: Radiograph,
    condition: Condition,
    seed: int,
    partner: Any = None,
) -> dict[str, Any]:
    """Segment a radiograph under a condition.

    Args:
        segmenter: does the work.
        item: which radiograph it is.
        radiograph: itself.
        condition: what is done to it.
        seed: of the condition.
        partner: pixels of the radiograph to blend in, if the condition needs one.

    Returns:
        A row as of `row_of`, with the names of radiograph and condition.
    """
    shown = show(item, radiograph, condition, seed, partner)
    return {**names_of(item, condition), "failure": "", **row_of(segmenter.segment(shown.radiograph), shown)}


def names_of(item: RadiographItem, condition: Condition) -> dict[str, Any]:
    """Return the columns that say which radiograph under which condition a row is of."""
    return {
        "radiograph": item.key,
        "set": item.source,
        "label": item.label,
        "part": condition.part,
        "kind": condition.kind,
        "severity": condition.severity,
    }


def show(item: RadiographItem, radiograph: Radiograph, condition: Condition, seed: int, partner: Any = None) -> Shown:
    """Do to a radiograph what a condition says."""
    if condition.part == "foreign":
        return Shown(make_foreign(radiograph, condition.kind, seed))
    if condition.part == "clean":
        return Shown(radiograph, item.landmarks)
    corrupted = corrupt(
        radiograph.pixels, condition.kind, condition.severity, seed=seed, landmarks=item.landmarks, partner=partner
    )
    altered = None if corrupted.landmarks is None else corrupted.altered_nodes
    return Shown(replace(radiograph, pixels=corrupted.pixels), corrupted.landmarks, altered)


def row_of(segmentation: LandmarkSegmentation, shown: Shown) -> dict[str, Any]:
    """Return the columns of a result: of the image and, where the truth is known, lists over the nodes."""
    reliability = segmentation.reliability
    scale = PUBLISHED_IMAGE_SIZE / max(segmentation.shape)
    row = {
        "latent": segmentation.latent_uncertainty,
        "predictive": segmentation.predictive_px1024,
        "total": _number(segmentation.total_px1024),
        "score": segmentation.score,
        "verdict": reliability.verdict,
        "reasons": " ".join(reliability.reasons),
        **{f"score_{name}": float(value) for name, value in segmentation.scores.items()},
        **_organ_radii(segmentation.radius90, scale),
    }
    if shown.landmarks is None:
        return {**row, "error": np.nan, "normal_error": np.nan, "coverage90": np.nan, **dict.fromkeys(NODE_COLUMNS)}
    nodes = _node_lists(segmentation, shown.landmarks, shown.altered, scale)
    means = {"error": _mean(nodes["node_error"]), "normal_error": _mean(nodes["node_normal_error"])}
    means["coverage90"] = _share_within(nodes["node_error"], nodes["node_radius90"])
    return {**row, **means, **{name: _compact(values) for name, values in nodes.items()}}


def _node_lists(
    segmentation: LandmarkSegmentation, truth: Floats, altered: NDArray[np.bool_] | None, scale: float
) -> Mapping[str, Any]:
    offset = segmentation.landmarks - truth
    radius = segmentation.radius90
    lists: dict[str, Any] = {
        "node_error": scale * np.hypot(*offset.T),
        "node_normal_error": scale * np.abs((offset * contour_normals(truth)).sum(axis=1)),
        "node_radius90": None if radius is None else scale * radius,
        "node_altered": np.zeros(NODE_COUNT) if altered is None else altered.astype(float),
    }
    measures = (
        ("predictive", segmentation.node_uncertainty, segmentation.covariance),
        ("total", segmentation.total_uncertainty, segmentation.error_covariance),
    )
    for name, uncertainty, covariance in measures:
        lists |= dict.fromkeys((f"node_{name}", f"node_{name}_normal", f"node_{name}_level"))
        if uncertainty is not None and covariance is not None:
            lists[f"node_{name}"] = scale * uncertainty
            lists[f"node_{name}_normal"] = scale * normal_std(covariance, truth)
            lists[f"node_{name}_level"] = _confidence_level(offset, covariance)
    return lists


def _confidence_level(offset: Floats, covariance: Floats) -> Floats:
    """Return the probability of the smallest confidence ellipse of a normal distribution that holds the truth."""
    floor = 1e-9 * np.eye(2)  # squared pixels; keeps a node without any spread invertible
    distance: Floats = np.einsum("ni,ni->n", offset, np.linalg.solve(covariance + floor, offset[..., None])[..., 0])
    return 1 - np.exp(-distance / 2)


def _organ_radii(radius: Floats | None, scale: float) -> dict[str, float]:
    names = [f"radius90_{organ.name}" for organ in ORGANS]
    if radius is None:
        return dict.fromkeys(names, float("nan"))
    return {name: float(scale * radius[organ.nodes].mean()) for name, organ in zip(names, ORGANS, strict=True)}


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")


def _share_within(errors: Floats, radius: Floats | None) -> float:
    """Return the share of the known errors that do not exceed the radius."""
    known = np.isfinite(errors)
    return float("nan") if radius is None or not known.any() else float(np.mean(errors[known] <= radius[known]))


def _compact(values: Floats | None) -> NDArray[np.float32] | None:
    return None if values is None else values.astype(np.float32)
