"""Checking what a calibration's file holds: a wrong number in it would accept everything without a word."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.uncertainty.measures import PUBLISHED_IMAGE_SIZE
from monai_chexmask_u.uncertainty.reliability import Limit, Limits, criteria

__all__ = ["FACTOR_RANGE", "checked_factors", "checked_limits", "checked_record", "limit_range"]

FACTOR_RANGE: Final = (0.01, 100.0)
"""Of what expected errors are multiplied by; a calibrated model has factors around 1."""

# Limits beyond these would be none: six times an uncertainty as large as the image (six is what rejection is from the
# usual one), more than all gray levels, a thousand times what 95 % of the images stay within.
_UNCERTAINTIES: Final = (0.0, 6.0 * PUBLISHED_IMAGE_SIZE)
_SCORES: Final = {"flatness": (0.0, 2.0), "saturation": (0.0, 2.0)}
_OTHERS: Final = (-1000.0, 1000.0)


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


def checked_record(content: object) -> dict[str, Any]:
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
