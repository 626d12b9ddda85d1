"""The verdict on a result: accept it, have a person review it, or reject it, and why."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.segmentation import Reliability
from monai_chexmask_u.uncertainty.measures import PUBLISHED_IMAGE_SIZE

__all__ = ["NOT_CALIBRATED", "Limit", "Limits", "assess", "criteria", "organ_uncertainty"]

NOT_CALIBRATED: Final = Reliability("review", ("not_calibrated",))
"""Nothing is accepted without a look as long as the model has no calibration."""

# What a high value of a criterion means. The detector's kinds explain a foreign image better where it is sure of one.
_REASONS: Final = {
    "combined": "not_frontal_chest",
    "shape_distance": "implausible_shape",
    "flatness": "image_quality",
    "saturation": "image_quality",
}
_EXPLAINED: Final = ("upside_down", "turned_sideways", "mirrored", "inverted")
SURE: Final = 0.8


@dataclass(frozen=True)
class Limit:
    """Greatest value of a criterion that is accepted, and greatest that is not rejected."""

    review: float
    reject: float = math.inf

    def __post_init__(self) -> None:
        """Check the order.

        Raises:
            ValueError: if what is accepted would be rejected.
        """
        if not self.review <= self.reject:
            raise ValueError(f"the limit of rejection must not be below that of review, got {self}")


@dataclass(frozen=True)
class Limits:
    """A limit for each criterion, by its name."""

    by_criterion: Mapping[str, Limit]

    def as_dict(self) -> dict[str, list[float]]:
        """Return what `from_dict` takes."""
        return {name: [limit.review, limit.reject] for name, limit in self.by_criterion.items()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Limits:
        """Build from pairs of numbers.

        Raises:
            ValueError: if a limit cannot be used.
        """
        return cls({name: Limit(float(review), float(reject)) for name, (review, reject) in content.items()})


def organ_uncertainty(error_covariance: NDArray[np.floating]) -> dict[str, float]:
    """Return the mean total node uncertainty of each organ, in pixels of a 1024-pixel image.

    Args:
        error_covariance: ``(120, 2, 2)`` in the network frame.
    """
    nodes = np.sqrt(np.diagonal(error_covariance, axis1=1, axis2=2)).mean(axis=1) * PUBLISHED_IMAGE_SIZE
    return {organ.name: float(nodes[organ.nodes].mean()) for organ in ORGANS}


def criteria(scores: Mapping[str, float], uncertainty: Mapping[str, float]) -> dict[str, float]:
    """Return the numbers that decide about a result.

    Args:
        scores: from the examiner, by name.
        uncertainty: of each organ, from `organ_uncertainty`.
    """
    of_organs = {f"uncertainty:{organ.name}": uncertainty[organ.name] for organ in ORGANS}
    return {name: scores[name] for name in _REASONS} | of_organs


def assess(scores: Mapping[str, float], uncertainty: Mapping[str, float], limits: Limits) -> Reliability:
    """Return the verdict on one result.

    Args:
        scores: from the examiner, by name.
        uncertainty: of each organ, from `organ_uncertainty`.
        limits: of every criterion; one that is not a number counts as beyond its limits.

    Returns:
        The verdict; an image that the detector is sure to be turned, mirrored or inverted is never accepted. The
        reasons are in the order of the criteria, those of rejection alone if there are any.
    """
    values = criteria(scores, uncertainty)
    kind = next((kind for kind in _EXPLAINED if scores[f"is_{kind}"] >= SURE), None)
    rejected = [name for name, value in values.items() if not value <= limits.by_criterion[name].reject]
    reviewed = [name for name, value in values.items() if not value <= limits.by_criterion[name].review]
    if kind is not None and "combined" not in reviewed:
        reviewed.insert(0, "combined")  # sure of what is wrong, though within the limit
    reasons = tuple(dict.fromkeys(_reason(name, kind) for name in rejected or reviewed))
    return Reliability("reject" if rejected else "review" if reviewed else "accept", reasons)


def _reason(criterion: str, kind: str | None) -> str:
    if criterion == "combined" and kind is not None:
        return kind
    return _REASONS.get(criterion) or f"high_{criterion}"
