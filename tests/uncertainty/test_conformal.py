from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from monai_chexmask_u.uncertainty import conformal_quantile, error_scale


@pytest.mark.parametrize(("count", "level"), [(19, 0.9), (100, 0.9), (37, 0.75), (9, 0.5)])
def test_new_values_are_covered_as_often_as_theory_says(count: int, level: float) -> None:
    """The coverage given the held-out values has a beta distribution, whatever they are distributed like."""
    generator = np.random.default_rng(0)
    coverage = []
    for _ in range(2000):
        quantile = conformal_quantile(generator.lognormal(size=count), level)
        coverage.append(stats.lognorm(1).cdf(quantile))
    rank = math.ceil((count + 1) * level)
    beta = stats.beta(rank, count + 1 - rank)
    assert beta.mean() >= level
    # within four standard errors of the mean
    assert np.mean(coverage) == pytest.approx(beta.mean(), abs=4 * beta.std() / math.sqrt(2000))
    assert stats.kstest(coverage, beta.cdf).pvalue > 0.001


@example(count=99, percent=55)  # 100 * 0.55 is 55.00000000000001
@given(count=st.integers(1, 300), percent=st.integers(1, 99))
def test_it_is_the_value_of_the_rank_that_guarantees_the_level(count: int, percent: int) -> None:
    values = np.random.default_rng(count).permutation(count) + 1  # of which the k-th smallest is k
    rank = -(-(count + 1) * percent // 100)  # in whole numbers, which rounding cannot touch
    assert conformal_quantile(values, percent / 100) == (rank if rank <= count else math.inf)


@pytest.mark.parametrize(("level", "least"), [(0.9, 9), (0.95, 19), (0.99, 99), (0.5, 1)])
def test_too_few_values_guarantee_nothing(level: float, least: int) -> None:
    assert conformal_quantile(np.zeros(least), level) == 0
    if least > 1:
        assert conformal_quantile(np.zeros(least - 1), level) == math.inf


@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50),
    factor=st.floats(0.1, 10),
    level=st.floats(0.05, 0.9),
)
def test_it_scales_and_rises_with_the_level(values: list[float], factor: float, level: float) -> None:
    quantile = conformal_quantile(values, level)
    assert quantile in values or quantile == math.inf
    assert conformal_quantile(np.multiply(values, factor), level) == pytest.approx(quantile * factor)
    assert conformal_quantile(values, level + 0.05) >= quantile


def test_shape_does_not_matter_and_infinite_values_count() -> None:
    values = np.random.default_rng(0).normal(size=(4, 5, 6))
    assert conformal_quantile(values, 0.9) == conformal_quantile(values.ravel(), 0.9)
    assert conformal_quantile([1.0, 2.0, math.inf], 0.7) == math.inf
    assert conformal_quantile([1.0, 2.0, math.inf], 0.5) == 2


@pytest.mark.parametrize("values", [[], [1.0, math.nan]])
def test_values_that_are_no_numbers_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        conformal_quantile(values, 0.9)


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 90.0, math.nan])
def test_level_must_be_a_probability(level: float) -> None:
    with pytest.raises(ValueError, match=r"level must be in \(0, 1\)"):
        conformal_quantile([1.0], level)


@given(seed=st.integers(0, 999), scale=st.floats(0.1, 10), angle=st.floats(0, 6.3))
def test_error_scale_is_the_root_mean_square_distance_whatever_the_direction(
    seed: int, scale: float, angle: float
) -> None:
    factors = np.random.default_rng(seed).normal(size=(3, 4, 2, 2))
    covariance = factors @ factors.swapaxes(-1, -2)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    expected = np.linalg.norm(factors, axis=(-2, -1))  # of unit normal numbers, mapped by the factors
    np.testing.assert_allclose(error_scale(covariance), expected, rtol=1e-9)
    np.testing.assert_allclose(error_scale(turn @ covariance @ turn.T), scale * expected, rtol=1e-9)
