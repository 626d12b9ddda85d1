"""The verdict on a result: accept it, have a person review it, or reject it, and why."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.segmentation import Reliability

__all__ = ["NOT_CALIBRATED", "Limit", "Limits", "assess", "criteria"]

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
            ValueError: if a limit is of no use.
        """
        return cls({name: Limit(float(review), float(reject)) for name, (review, reject) in content.items()})


def criteria(scores: Mapping[str, float], organ_uncertainty: Mapping[str, float]) -> dict[str, float]:
    """Return the numbers that decide about a result.

    Args:
        scores: from the examiner, by name.
        organ_uncertainty: mean total node uncertainty of each organ, in pixels of a 1024-pixel image.
    """
    uncertainty = {f"uncertainty:{organ.name}": organ_uncertainty[organ.name] for organ in ORGANS}
    return {name: scores[name] for name in _REASONS} | uncertainty


def assess(scores: Mapping[str, float], organ_uncertainty: Mapping[str, float], limits: Limits) -> Reliability:
    """Return the verdict on one result.

    Args:
        scores: from the examiner, by name.
        organ_uncertainty: mean total node uncertainty of each organ, in pixels of a 1024-pixel image.
        limits: of every criterion; one that is not a number counts as beyond its limits.

    Returns:
        The verdict; its reasons are in the order of the criteria, those of rejection alone if there are any.
    """
    values = criteria(scores, organ_uncertainty)
    kind = next((kind for kind in _EXPLAINED if scores[f"is_{kind}"] >= SURE), None)
    rejected = [name for name, value in values.items() if not value <= limits.by_criterion[name].reject]
    reviewed = [name for name, value in values.items() if not value <= limits.by_criterion[name].review]
    reasons = tuple(dict.fromkeys(_reason(name, kind) for name in rejected or reviewed))
    return Reliability("reject" if rejected else "review" if reviewed else "accept", reasons)


def _reason(criterion: str, kind: str | None) -> str:
    if criterion == "combined" and kind is not None:
        return kind
    return _REASONS.get(criterion) or f"high_{criterion}"
