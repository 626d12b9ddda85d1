"""Choosing the verdict's limits from films that deserve to be accepted, by a stated rule."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from monai_chexmask_u.uncertainty import Limit, Limits

__all__ = ["RULE", "choose_limits"]

ACCEPTED: Final = 0.95
USUAL: Final = 0.9

RULE: Final = (
    "Review: every criterion is measured from the median of the good films, in units of the distance to their "
    f"{USUAL:.0%} quantile; the limit is the same number of units for all criteria, the least at which {ACCEPTED:.0%} "
    "of the good films stay within every limit. Reject: for `combined`, beyond the greatest value of any good film; "
    "for the others, twice as far from the median as the greatest value of any good film."
)
"""The rule in words, for the record."""


def choose_limits(films: Sequence[Mapping[str, float]]) -> Limits:
    """Choose the limits.

    Args:
        films: per good film, the value of each criterion (see `monai_chexmask_u.uncertainty.reliability.criteria`);
            films that were not trained on.

    Raises:
        ValueError: if there are no films.
    """
    if not films:
        raise ValueError("limits need good films to be chosen from, and there are none")
    names = list(films[0])
    values = np.array([[film[name] for name in names] for film in films])
    median, worst = np.median(values, axis=0), values.max(axis=0)
    unit = np.maximum(np.quantile(values, USUAL, axis=0) - median, 1e-9)
    farthest = np.sort(((values - median) / unit).max(axis=1))
    units = max(farthest[math.ceil(ACCEPTED * len(films) - 1e-9) - 1], 0.0)
    review = median + units * unit * (1 + 1e-9)  # the film that the limit comes from stays within it
    reject = {name: worst[i] if name == "combined" else 2 * worst[i] - median[i] for i, name in enumerate(names)}
    return Limits({name: Limit(float(review[i]), float(max(review[i], reject[name]))) for i, name in enumerate(names)})
