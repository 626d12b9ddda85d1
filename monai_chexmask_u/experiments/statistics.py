"""How well one number predicts another: correlation, ranking, rejection and calibration, by their closed forms.

References:
    [1] Geifman et al., Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers, https://arxiv.org/abs/1805.08206
    [2] Kuleshov et al., Accurate Uncertainties for Deep Learning Using Calibrated Regression,
        https://arxiv.org/abs/1807.00263
"""

from __future__ import annotations

import numpy as np
import torch
from monai.metrics import compute_roc_auc
from numpy.typing import ArrayLike, NDArray
from scipy import stats

__all__ = [
    "area_under_risk_coverage",
    "area_under_roc",
    "false_positive_rate",
    "miscalibration_area",
    "observed_coverage",
    "pearson",
    "risk_coverage",
    "roc_curve",
    "spearman",
]

Floats = NDArray[np.float64]


def pearson(first: ArrayLike, second: ArrayLike) -> float:
    """Return Pearson's correlation of the finite pairs, NaN where one side is constant.

    Example:
        >>> round(pearson([1, 2, 3], [2, 4, 6]), 6)
        1.0
    """
    x, y = _finite_pairs(first, second)
    return float(np.corrcoef(x, y)[0, 1]) if _varies(x) and _varies(y) else float("nan")


def spearman(first: ArrayLike, second: ArrayLike) -> float:
    """Return Spearman's rank correlation of the finite pairs, NaN where one side is constant.

    Example:
        >>> round(spearman([1, 2, 3], [1, 100, 10000]), 6)
        1.0
    """
    x, y = _finite_pairs(first, second)
    return pearson(stats.rankdata(x), stats.rankdata(y))


def area_under_roc(foreign: ArrayLike, own: ArrayLike) -> float:
    """Return the probability that a foreign image scores higher than an own one, ties counting half.

    Args:
        foreign: scores of the images to find, higher is more foreign.
        own: scores of the other images.

    Returns:
        The area under the ROC curve; NaN where one side is empty.

    Example:
        >>> area_under_roc([3, 2], [1, 2])
        0.875
    """
    found, others = _finite(foreign), _finite(own)
    if not found.size or not others.size:
        return float("nan")
    labels = torch.cat([torch.ones(found.size), torch.zeros(others.size)])
    return float(compute_roc_auc(torch.from_numpy(np.concatenate([found, others])), labels))


def roc_curve(foreign: ArrayLike, own: ArrayLike) -> tuple[Floats, Floats]:
    """Return false and true positive rates at every threshold, from (0, 0) to (1, 1)."""
    found, others = np.sort(_finite(foreign)), np.sort(_finite(own))
    thresholds = np.unique(np.concatenate([found, others]))[::-1]
    rates = [1 - np.searchsorted(scores, thresholds, side="left") / max(scores.size, 1) for scores in (others, found)]
    return np.concatenate([[0.0], rates[0]]), np.concatenate([[0.0], rates[1]])


def false_positive_rate(foreign: ArrayLike, own: ArrayLike, *, true_positive_rate: float = 0.95) -> float:
    """Return the share of own images above the highest threshold that finds enough of the foreign ones.

    Example:
        >>> false_positive_rate([2, 3, 4, 5], [0, 1, 2, 3], true_positive_rate=0.75)
        0.25
    """
    found, others = np.sort(_finite(foreign))[::-1], _finite(own)
    if not found.size or not others.size:
        return float("nan")
    needed = int(np.ceil(true_positive_rate * found.size - 1e-9))
    return float(np.mean(others >= found[needed - 1]))


def risk_coverage(uncertainty: ArrayLike, error: ArrayLike) -> tuple[Floats, Floats]:
    """Return the mean error of the k most certain items, for every k [1].

    Items of equal uncertainty have their mean error each, which is what any order of them gives on average.

    Returns:
        Coverage k / n and risk, ``(n,)`` each.

    Example:
        >>> risk_coverage([0.1, 0.3, 0.2], [1.0, 6.0, 2.0])[1]
        array([1. , 1.5, 3. ])
    """
    score, cost = _finite_pairs(uncertainty, error)
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    means = np.bincount(place, weights=cost) / counts if score.size else cost
    ordered = np.repeat(means, counts) if score.size else cost
    items = np.arange(1, score.size + 1)
    return items / max(score.size, 1), np.cumsum(ordered) / items


def area_under_risk_coverage(uncertainty: ArrayLike, error: ArrayLike) -> float:
    """Return the mean risk over all coverages; the error itself as uncertainty gives the least possible one [1]."""
    risk = risk_coverage(uncertainty, error)[1]
    return float(risk.mean()) if risk.size else float("nan")


def observed_coverage(levels: ArrayLike, expected: ArrayLike) -> Floats:
    """Return which share of the truths lies within the confidence region of each expected probability.

    Args:
        levels: for each truth, the probability of the smallest region that holds it, in 0..1.
        expected: probabilities to look at.
    """
    inside = np.sort(_finite(levels))
    if not inside.size:
        return np.full(np.shape(expected), np.nan)
    observed: Floats = np.searchsorted(inside, expected, side="right") / inside.size
    return observed


def miscalibration_area(expected: ArrayLike, observed: ArrayLike) -> float:
    """Return the area between the calibration curve and the diagonal, the curve going from (0, 0) to (1, 1) [2].

    Example:
        >>> round(miscalibration_area([0.25, 0.5, 0.75], [0.35, 0.6, 0.85]), 6)
        0.075
    """
    x = np.concatenate([[0.0], np.asarray(expected, float), [1.0]])
    gap = np.concatenate([[0.0], np.asarray(observed, float), [1.0]]) - x
    before, after = np.abs(gap[:-1]), np.abs(gap[1:])
    both = before + after
    crosses = gap[:-1] * gap[1:] < 0  # then there are two triangles, not a trapezoid
    heights = np.where(crosses, (before**2 + after**2) / np.where(crosses, both, 1), both) / 2
    return float(np.sum(np.diff(x) * heights))


def _finite(values: ArrayLike) -> Floats:
    array = np.asarray(values, dtype=np.float64).ravel()
    return array[np.isfinite(array)]


def _finite_pairs(first: ArrayLike, second: ArrayLike) -> tuple[Floats, Floats]:
    x, y = np.asarray(first, dtype=np.float64).ravel(), np.asarray(second, dtype=np.float64).ravel()
    both = np.isfinite(x) & np.isfinite(y)
    return x[both], y[both]


def _varies(values: Floats) -> bool:
    return bool(values.size > 1 and np.ptp(values) > 0)
