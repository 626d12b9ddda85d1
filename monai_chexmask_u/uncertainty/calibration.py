"""The calibration of a model: what turns its output into radii and a verdict, and the file that it is kept in."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from monai_chexmask_u.anatomy import NODE_COUNT, ORGANS
from monai_chexmask_u.files.atomic import atomic_path
from monai_chexmask_u.files.checksum import sha256_of
from monai_chexmask_u.networks.examiner import Examiner, examiner_from_state
from monai_chexmask_u.networks.states import StateError
from monai_chexmask_u.uncertainty.conformal import error_scale
from monai_chexmask_u.uncertainty.joint_errors import FACTORS, ErrorCorrelation
from monai_chexmask_u.uncertainty.measures import PUBLISHED_IMAGE_SIZE
from monai_chexmask_u.uncertainty.reliability import Limit, Limits, criteria

__all__ = [
    "FACTOR_RANGE",
    "FORMAT",
    "Calibration",
    "CalibrationError",
    "checked_factors",
    "checked_limits",
    "limit_range",
    "read_calibration",
    "write_calibration",
    "write_record",
]

FORMAT: Final = "chexmask-u-calibration/2"
CONTENTS: Final = (
    *("format", "weights_sha256", "examiner", "error_factors", "error_loadings", "radius_factors", "limits", "record"),
)
FACTOR_RANGE: Final = (0.01, 100.0)
"""Of what expected errors are multiplied by; a calibrated model has factors around 1."""

# Limits beyond these would be none: six times an uncertainty as large as the image (six is what rejection is from the
# usual one), more than all gray levels, a thousand times what 95 % of the images stay within.
_UNCERTAINTIES: Final = (0.0, 6.0 * PUBLISHED_IMAGE_SIZE)
_SCORES: Final = {"flatness": (0.0, 2.0), "saturation": (0.0, 2.0)}
_OTHERS: Final = (-1000.0, 1000.0)
_ROUNDING: Final = 1e-5


class CalibrationError(ValueError):
    """A calibration cannot be used; the message names the file, the cause and what to do."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """What was learned about a model on radiographs with true outlines, and on frontal radiographs of other scanners.

    Attributes:
        examiner: predicts errors and scores images.
        error_factors: per organ, what the examiner's standard deviations are multiplied by, so that half of the true
            landmarks lie within the ellipse of one half.
        error_correlation: of the errors of one image at different landmarks.
        radius_factors: per organ, what the expected error is multiplied by to hold the truth with 90 % probability.
        limits: of the verdict.
        weights_sha256: of the weights that this belongs to.
        record: how it was made: data, counts, settings, results.
        sha256: of the file.
    """

    examiner: Examiner
    error_factors: Mapping[str, float]
    error_correlation: ErrorCorrelation
    radius_factors: Mapping[str, float]
    limits: Limits
    weights_sha256: str
    record: Mapping[str, Any]
    sha256: str = ""

    def expected(self, error_covariance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the covariance of the errors as held-out radiographs show them to be.

        Args:
            error_covariance: from the examiner, ``(..., 120, 2, 2)``.
        """
        return error_covariance * np.square(_of_nodes(self.error_factors))[:, None, None]

    def radius90(self, expected_covariance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the radius around each landmark that holds the true one with 90 % probability.

        Args:
            expected_covariance: from `expected`, ``(..., 120, 2, 2)``.

        Returns:
            ``(..., 120)`` in the covariance's unit of length.
        """
        return error_scale(expected_covariance) * _of_nodes(self.radius_factors)


def _of_nodes(factors: Mapping[str, float]) -> NDArray[np.float64]:
    """Return each node's factor, ``(120,)``."""
    values = np.empty(NODE_COUNT)
    for organ in ORGANS:
        values[organ.nodes] = factors[organ.name]
    return values


def write_calibration(calibration: Calibration, path: Path) -> None:
    """Write a calibration file, whole or not at all.

    Raises:
        TypeError: if the record holds what JSON cannot.
        ValueError: if `read_calibration` would refuse it.
    """
    plain = {
        "format": FORMAT,
        "weights_sha256": calibration.weights_sha256,
        "error_factors": dict(calibration.error_factors),
        "radius_factors": dict(calibration.radius_factors),
        "limits": calibration.limits.as_dict(),
        "record": dict(calibration.record),
    }
    # By way of JSON: a NumPy number in the file would keep it from being read.
    content = json.loads(json.dumps(plain)) | {
        "examiner": calibration.examiner.state_dict(),
        "error_loadings": torch.from_numpy(calibration.error_correlation.loadings).float(),
    }
    try:
        _calibration(content, calibration.weights_sha256, "")
    except ValueError as error:
        raise ValueError(f"{path} is not written: {error}") from error
    with atomic_path(path) as temporary:
        torch.save(content, temporary)


def write_record(calibration: Calibration, path: Path) -> None:
    """Write what a calibration was made from and what came out, for people: JSON, without the networks."""
    content = {
        "format": FORMAT,
        "weights_sha256": calibration.weights_sha256,
        "calibration_sha256": calibration.sha256,
        "error_factors": dict(calibration.error_factors),
        "radius_factors": dict(calibration.radius_factors),
        "limits": calibration.limits.as_dict(),
        **calibration.record,
    }
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_calibration(path: Path, weights_sha256: str) -> Calibration:
    """Read a calibration file.

    Args:
        path: the file.
        weights_sha256: of the weights that it will be used with.

    Raises:
        CalibrationError: if the file cannot be read, is no calibration, belongs to other weights, or one of its
            numbers is invalid: not finite, out of range, limits out of order.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CalibrationError(f"{path}: cannot be read ({error.strerror})") from error
    except Exception as error:  # torch raises many kinds for a file that is cut off or no such file
        raise CalibrationError(
            f"{path}: is no calibration, or is broken; make it anew with chexmask-u calibrate"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CalibrationError(
            f"{path}: is no calibration of this version ({FORMAT}); make it with chexmask-u calibrate"
        )
    if content.get("weights_sha256") != weights_sha256:
        raise CalibrationError(
            f"{path}: belongs to other weights ({str(content.get('weights_sha256'))[:12]}, not {weights_sha256[:12]}); "
            "calibrate these weights with chexmask-u calibrate, or take the file away to use them uncalibrated"
        )
    try:
        return _calibration(content, weights_sha256, sha256_of(path))
    except ValueError as error:
        raise CalibrationError(
            f"{path}: {error}; make it anew with chexmask-u calibrate, or take it away to use the model uncalibrated"
        ) from error


def _calibration(content: Mapping[str, Any], weights_sha256: str, sha256: str) -> Calibration:
    """Build a calibration from what its file holds.

    Raises:
        ValueError: if any of it cannot be used.
    """
    if missing := [name for name in CONTENTS if name not in content]:
        raise ValueError(f"the file is incomplete: {missing[0]} is missing")
    if unknown := sorted(repr(name)[:40] for name in content.keys() - set(CONTENTS)):
        raise ValueError(f"the file holds {unknown[0]}, which is no part of a calibration")
    try:
        examiner = examiner_from_state(content["examiner"])
    except StateError as error:
        raise ValueError(f"the file {error}") from error
    errors, radii = (checked_factors(name, content[name]) for name in ("error_factors", "radius_factors"))
    correlation = _checked_correlation(content["error_loadings"])
    limits, record = checked_limits(content["limits"]), _checked_record(content["record"])
    return Calibration(examiner, errors, correlation, radii, limits, weights_sha256, record, sha256)


def limit_range(criterion: str) -> tuple[float, float]:
    """Return the lowest and the greatest limit that a criterion may have."""
    return _UNCERTAINTIES if criterion.startswith("uncertainty:") else _SCORES.get(criterion, _OTHERS)


def checked_factors(name: str, content: object) -> dict[str, float]:
    """Return the factors of a file, one per organ.

    Args:
        name: what they are called there.
        content: as read.

    Raises:
        ValueError: if an organ is missing or unknown, or a factor is no number or out of `FACTOR_RANGE`.
    """
    values = _entries(name, content, {organ.name for organ in ORGANS})
    return {organ.name: _number(f"{name} of {organ.name}", values[organ.name], FACTOR_RANGE) for organ in ORGANS}


def checked_limits(content: object) -> Limits:
    """Return the limits of a file, a pair for each criterion.

    Raises:
        ValueError: if a criterion is missing or unknown, or a limit is no number, out of range (`limit_range`) or
            above that of rejection.
    """
    names = criteria(defaultdict(float), defaultdict(float)).keys()
    values = _entries("limits", content, set(names))
    limits = {}
    for name in values:  # in the file's order
        pair = values[name]
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise ValueError(f"the limit of {name} is no pair of numbers, of review and of rejection")
        review, reject = (
            _number(f"the limit of {what} of {name}", value, limit_range(name))
            for what, value in zip(("review", "rejection"), pair, strict=True)
        )
        if name.startswith("uncertainty:") and not review > 0:
            raise ValueError(f"the limit of review of {name} is {review:g}, and must be positive")
        if review > reject:
            raise ValueError(f"the limit of review of {name} ({review:g}) is above that of rejection ({reject:g})")
        limits[name] = Limit(review, reject)
    return Limits(limits)


def _checked_correlation(content: object) -> ErrorCorrelation:
    """Return the correlation of a file.

    Raises:
        ValueError: if it is no matrix of the right shape, or no correlation.
    """
    if not isinstance(content, torch.Tensor) or content.dtype != torch.float32 or not content.isfinite().all():
        raise ValueError("error_loadings is no matrix of finite numbers")
    if content.ndim != 2 or len(content) != 2 * NODE_COUNT or not 1 <= content.shape[1] <= FACTORS:
        raise ValueError(f"error_loadings has the shape {tuple(content.shape)}, not ({2 * NODE_COUNT}, 1 to {FACTORS})")
    loadings = content.double().numpy()
    if (np.square(loadings).sum(axis=1) > 1 + _ROUNDING).any():
        raise ValueError("error_loadings are no correlation: the squares of a row exceed 1")
    return ErrorCorrelation(loadings)


def _checked_record(content: object) -> dict[str, Any]:
    """Return the record of a file: what JSON can hold.

    Raises:
        ValueError: if it is something else.
    """
    try:
        if isinstance(content, dict) and json.loads(json.dumps(content, allow_nan=False)) == content:
            return content
    except (TypeError, ValueError, RecursionError):
        pass
    raise ValueError("the record is not what JSON can hold")


def _entries(name: str, content: object, expected: set[str]) -> Mapping[str, object]:
    """Return a mapping of just these names."""
    if not isinstance(content, Mapping):
        raise ValueError(f"{name} has no entries")
    if missing := sorted(expected - content.keys()):
        raise ValueError(f"{name} is incomplete: {missing[0]} is missing")
    if unknown := sorted(repr(key)[:40] for key in content.keys() - expected):
        raise ValueError(f"{name} has an entry of an unknown name, {unknown[0]}")
    return content


def _number(name: str, value: object, allowed: tuple[float, float]) -> float:
    low, high = allowed
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} is of the type {type(value).__name__}, and must be a number")
    if not low <= value <= high:  # nor is what is not a number
        found = f"{value:g}" if isinstance(value, float) else "an integer"  # it may have hundreds of digits
        raise ValueError(f"{name} is {found}, and must be in {low:g} to {high:g}")
    return float(value)
