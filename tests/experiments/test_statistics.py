from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monai_chexmask_u.experiments.statistics import (
    area_under_risk_coverage,
    area_under_roc,
    false_positive_rate,
    miscalibration_area,
    observed_coverage,
    pearson,
    risk_coverage,
    roc_curve,
    spearman,
)

scores = st.lists(st.integers(-5, 5), min_size=1, max_size=12)


@given(foreign=scores, own=scores)
def test_area_under_roc_counts_pairs(foreign: list[int], own: list[int]) -> None:
    won = sum((a > b) + 0.5 * (a == b) for a in foreign for b in own)
    assert area_under_roc(foreign, own) == pytest.approx(won / (len(foreign) * len(own)))


@given(foreign=scores, own=scores)
def test_area_under_roc_is_the_area_under_its_curve(foreign: list[int], own: list[int]) -> None:
    false, true = roc_curve(foreign, own)
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(true, false) == pytest.approx(area_under_roc(foreign, own))


def test_area_under_roc_without_images_is_unknown() -> None:
    assert np.isnan(area_under_roc([], [1]))
    assert np.isnan(false_positive_rate([1], [np.nan]))


def test_false_positive_rate_is_that_of_the_highest_threshold_that_finds_enough() -> None:
    foreign = np.arange(20)  # 95 % of them are the upper 19: the threshold is 1
    assert false_positive_rate(foreign, [0, 0, 1, 5]) == 0.5
    assert false_positive_rate(foreign, [0, 0, 0.9, -1]) == 0
    assert false_positive_rate(foreign, [0, 0, 0.9, -1], true_positive_rate=1) == 0.75


def test_risk_of_the_oracle_is_least_and_that_of_its_reverse_is_greatest() -> None:
    error = np.array([4.0, 1.0, 3.0, 2.0])
    # 1, (1 + 2) / 2, (1 + 2 + 3) / 3, (1 + 2 + 3 + 4) / 4, and likewise from 4
    assert area_under_risk_coverage(error, error) == pytest.approx((1 + 1.5 + 2 + 2.5) / 4)
    assert area_under_risk_coverage(-error, error) == pytest.approx((4 + 3.5 + 3 + 2.5) / 4)


@given(error=st.lists(st.floats(0, 100), min_size=1, max_size=20))
def test_uncertainty_that_says_nothing_has_the_mean_error_at_every_coverage(error: list[float]) -> None:
    coverage, risk = risk_coverage(np.zeros(len(error)), error)
    np.testing.assert_allclose(risk, np.mean(error), atol=1e-9)
    np.testing.assert_allclose(coverage, np.arange(1, len(error) + 1) / len(error))


def test_items_without_a_value_are_left_out() -> None:
    assert area_under_risk_coverage([1, np.nan, 2], [5, 6, 7]) == pytest.approx((5 + 6) / 2)
    assert pearson([1, 2, np.nan, 3], [3, 2, 9, 1]) == pytest.approx(-1)


def test_correlations_know_lines_ranks_ties_and_constants() -> None:
    assert pearson([0, 1, 2, 3], [0, 1, 0, 1]) == pytest.approx(1 / np.sqrt(5))
    assert spearman([1, 2, 3, 4], [1, 10, 5, 100]) == pytest.approx(1 - 6 * 2 / (4 * 15))
    assert spearman([1, 2, 2, 3], [1, 2, 2, 3]) == pytest.approx(1)
    assert np.isnan(spearman([1, 2, 3], [5, 5, 5]))
    assert np.isnan(pearson([1], [1]))


def test_miscalibration_of_ideal_and_of_hopeless_regions() -> None:
    expected = np.linspace(0.05, 0.95, 19)
    ideal = (np.arange(1000) + 0.5) / 1000
    assert miscalibration_area(expected, observed_coverage(ideal, expected)) == pytest.approx(0, abs=1e-3)
    never = observed_coverage(np.ones(10), expected)  # the triangle under the diagonal but for its last step
    assert miscalibration_area(expected, never) == pytest.approx(0.95**2 / 2 + 0.05 * 0.95 / 2)
    # of standard deviations that are half the true ones: P(d² <= q / 4) of a chi-square with two degrees of freedom
    half = observed_coverage(1 - (1 - ideal) ** 4, expected)
    np.testing.assert_allclose(half, 1 - (1 - expected) ** 0.25, atol=1.1e-3)


def test_miscalibration_is_an_area_on_both_sides_of_the_diagonal() -> None:
    assert miscalibration_area([0.5], [0.7]) == pytest.approx(0.1)
    assert miscalibration_area([0.25, 0.75], [0.35, 0.65]) == pytest.approx(4 * 0.1 * 0.25 / 2)
