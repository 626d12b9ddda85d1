"""Split conformal prediction: from held-out errors to radii that hold the truth with a stated probability.

References:
    Angelopoulos and Bates, A gentle introduction to conformal prediction, https://arxiv.org/abs/2107.07511
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["conformal_quantile", "error_scale"]


def conformal_quantile(scores: ArrayLike, level: float) -> float:
    """Return the value that a new score does not exceed with a probability of at least the level.

    It is the k-th smallest score with k = ceil((n + 1) level), which guarantees the level for a score that is
    exchangeable with those given.

    Args:
        scores: of held-out data, any shape.
        level: in (0, 1).

    Returns:
        The quantile; infinity where the scores are too few to guarantee the level.

    Raises:
        ValueError: if there are no scores, one is not a number, or the level is not in (0, 1).

    Example:
        >>> conformal_quantile(range(1, 10), 0.9), conformal_quantile(range(1, 9), 0.9)
        (9.0, inf)
    """
    ordered = np.sort(np.asarray(scores, dtype=np.float64).ravel())
    if ordered.size == 0 or np.isnan(ordered).any():
        raise ValueError("scores must be numbers, at least one")
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level}")
    rank = math.ceil((ordered.size + 1) * level - 1e-9)
    return float(ordered[rank - 1]) if rank <= ordered.size else math.inf


def error_scale(covariance: ArrayLike) -> NDArray[np.float64]:
    """Return the length that errors are measured by: the root mean square distance that a covariance predicts.

    Args:
        covariance: ``(..., 2, 2)``.

    Returns:
        ``(...)``, in the unit of length.
    """
    scale: NDArray[np.float64] = np.sqrt(np.trace(np.asarray(covariance, dtype=np.float64), axis1=-2, axis2=-1))
    return scale
