"""Choosing the verdict's limits from films that deserve to be accepted, by a stated rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from monai_chexmask_u.uncertainty import Limit, Limits

__all__ = ["RULE", "choose_limits"]

ACCEPTED: Final = 0.95

RULE: Final = (
    f"Review: of all criteria the same rank among the good films, the lowest at which at least {ACCEPTED:.0%} of them "
    "stay within every limit. Reject: for `combined`, beyond the greatest value of any good film; for the others, "
    "twice as far from the median as the greatest value of any good film."
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
    ordered = np.sort(values, axis=0)
    accepted = [(values <= limits).all(axis=1).mean() for limits in ordered]
    rank = next(rank for rank, share in enumerate(accepted) if share >= ACCEPTED)
    worst, median = ordered[-1], np.median(values, axis=0)
    reject = {name: worst[i] if name == "combined" else 2 * worst[i] - median[i] for i, name in enumerate(names)}
    return Limits({name: Limit(float(ordered[rank, i]), float(reject[name])) for i, name in enumerate(names)})
