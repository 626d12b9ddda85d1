"""A calibration that has learned nothing, for tests of whatever takes one."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from monai_chexmask_u.anatomy import NODE_COUNT, ORGANS
from monai_chexmask_u.networks import Examiner
from monai_chexmask_u.uncertainty import Limit, Limits
from monai_chexmask_u.uncertainty.calibration import Calibration, limit_range
from monai_chexmask_u.uncertainty.joint_errors import ErrorCorrelation

__all__ = ["CRITERIA", "make_calibration", "make_correlation", "make_examiner", "make_limits"]

CRITERIA = (
    "combined",
    "shape_distance",
    "flatness",
    "saturation",
    *(f"uncertainty:{organ.name}" for organ in ORGANS),
)


def make_examiner(latent_size: int = 64, *, seed: int = 0) -> Examiner:
    """Return an examiner of random weights, which says something else of every node and image."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        examiner = Examiner(latent_size)
        torch.nn.init.normal_(examiner.error_head.to_error.weight, 0, 0.02)
        examiner.shape.basis.normal_(0, 0.01)
    return examiner.eval()


def make_limits(review: float | None = None, reject: float = float("inf"), **changes: Limit) -> Limits:
    """Return the same limits for every criterion, by default the greatest of a file; keywords replace some."""
    if review is None:
        same = {name: Limit(limit_range(name)[1], limit_range(name)[1]) for name in CRITERIA}
    else:
        same = {name: Limit(review, reject) for name in CRITERIA}
    return Limits(same | changes)


def make_correlation(*, seed: int = 0) -> ErrorCorrelation:
    """Return a correlation by which errors hang together a little."""
    random = np.random.default_rng(seed)
    return ErrorCorrelation(0.3 * random.standard_normal((2 * NODE_COUNT, 4)).clip(-1.5, 1.5))


def make_calibration(weights_sha256: str, **changes: Any) -> Calibration:
    """Return a calibration for a network of 64 latent dimensions and refinements; keywords replace attributes."""
    plain: dict[str, Any] = {
        "examiner": make_examiner(),
        "error_factors": {"right_lung": 0.5, "left_lung": 1.0, "heart": 1.5},
        "error_correlation": make_correlation(),
        "radius_factors": {"right_lung": 1.25, "left_lung": 1.5, "heart": 2.0},
        "limits": make_limits(),
        "weights_sha256": weights_sha256,
        "record": {"films": {"phantom": 1}, "seed": 0},
    }
    return Calibration(**(plain | changes))
