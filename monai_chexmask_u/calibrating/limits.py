"""Choosing the verdict's limits from radiographs that deserve to be accepted, by a stated rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from monai_chexmask_u.uncertainty import Limit, Limits

__all__ = ["RULE", "choose_limits"]

ACCEPTED: Final = 0.95
TO_REVIEW: Final = 2.0
TO_REJECT: Final = 6.0
UNCERTAINTY: Final = "uncertainty:"

RULE: Final = (
    f"An organ's uncertainty: review beyond {TO_REVIEW:g} times, reject beyond {TO_REJECT:g} times its median over the "
    "outlined held-out images. The other criteria, from all held-out images: review beyond the same rank of each, the "
    f"lowest at which {ACCEPTED:.0%} of the radiographs stay within all of them; reject beyond the greatest value "
    "of any radiograph for `combined`, and twice as far from the median as that for the others."
)
"""The rule in words, for the record."""


def choose_limits(outlined: Sequence[Mapping[str, float]], frontal: Sequence[Mapping[str, float]]) -> Limits:
    """Choose the limits.

    How far off an outline may be is known from radiographs with true outlines. How foreign a radiograph may look is
    known from radiographs of several scanners.

    Args:
        outlined: per held-out radiograph with landmarks, the value of each criterion (see
            `monai_chexmask_u.uncertainty.reliability.criteria`).
        frontal: the same for held-out radiographs of other scanners.

    Raises:
        ValueError: if there are no outlined radiographs.
    """
    if not outlined:
        raise ValueError("limits need good radiographs with landmarks to be chosen from, and there are none")
    names = list(outlined[0])
    usual = {name: np.median([item[name] for item in outlined]) for name in names if name.startswith(UNCERTAINTY)}
    limits = {name: Limit(float(TO_REVIEW * value), float(TO_REJECT * value)) for name, value in usual.items()}
    others = [name for name in names if name not in limits]
    values = np.array([[item[name] for name in others] for item in (*outlined, *frontal)])
    ordered = np.sort(values, axis=0)
    accepted = [(values <= row).all(axis=1).mean() for row in ordered]
    review = ordered[next(rank for rank, share in enumerate(accepted) if share >= ACCEPTED)]
    worst, median = ordered[-1], np.median(values, axis=0)
    for index, name in enumerate(others):
        reject = worst[index] if name == "combined" else 2 * worst[index] - median[index]
        limits[name] = Limit(float(review[index]), float(reject))
    return Limits(limits)
