"""Draws of the true landmarks keep to what is expected of their errors, and to how these hang together."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from support.samples.dicom import phantom_landmarks

from monai_chexmask_u.anatomy import HEART, ORGANS, RIGHT_LUNG
from monai_chexmask_u.geometry import contour_directions, polygon_area
from monai_chexmask_u.uncertainty.joint_errors import (
    FACTORS,
    ErrorCorrelation,
    draw_landmarks,
    fit_correlation,
    interval90,
    standardized_errors,
)

LANDMARKS = phantom_landmarks(1000, 1000)
INDEPENDENT = ErrorCorrelation(np.zeros((240, 1)))


def shifted_together() -> ErrorCorrelation:
    """All landmarks of the heart move outwards or inwards as one."""
    loadings = np.zeros((120, 2, 1))
    loadings[HEART.nodes, 0] = 1
    return ErrorCorrelation(loadings.reshape(240, 1))


def covariances(across: float, along: float) -> NDArray[np.float64]:
    axes = contour_directions(LANDMARKS)
    return np.asarray(np.einsum("nki,k,nkj->nij", axes, np.square([across, along]), axes))


def test_draws_have_the_expected_covariance_at_each_landmark() -> None:
    random = np.random.default_rng(0)
    factors = random.normal(0, 3, (120, 2, 2))
    expected = factors @ factors.transpose(0, 2, 1) + np.eye(2)
    drawn = draw_landmarks(LANDMARKS, 0.01 * expected, shifted_together(), count=20_000, seed=1)
    errors = drawn - LANDMARKS
    np.testing.assert_allclose(errors.mean(axis=0), 0, atol=0.1)
    found = np.einsum("sni,snj->nij", errors, errors) / len(errors)
    np.testing.assert_allclose(found, 0.01 * expected, rtol=0.1, atol=0.02)


def test_an_area_depends_on_whether_landmarks_move_together() -> None:
    covariance = covariances(5, 0.1)  # contours are straight on that length
    areas = {
        name: polygon_area(draw_landmarks(LANDMARKS, covariance, how, count=2000, seed=0)[:, HEART.nodes])
        for name, how in (("alone", INDEPENDENT), ("together", shifted_together()))
    }
    perimeter = np.linalg.norm(np.diff(LANDMARKS[HEART.nodes], axis=0, append=LANDMARKS[HEART.nodes][:1]), axis=1).sum()
    assert areas["together"].std() == pytest.approx(5 * perimeter, rel=0.05)
    assert areas["alone"].std() < 0.3 * areas["together"].std()


def test_errors_along_the_contour_leave_the_outline_where_it_is() -> None:
    """Moved along their tangents instead, landmarks that slide together would make every outline larger."""
    sliding = np.zeros((120, 2, 1))
    sliding[:, 1] = 1
    correlation = ErrorCorrelation(sliding.reshape(240, 1))
    drawn = draw_landmarks(LANDMARKS, covariances(1e-6, 30), correlation, count=500, seed=0)
    straight = LANDMARKS + 30 * correlation.draw(500, seed=0)[..., 1:] * contour_directions(LANDMARKS)[:, 1]
    for organ in ORGANS:
        area = polygon_area(LANDMARKS[organ.nodes])
        assert 0.98 * area < polygon_area(drawn[:, organ.nodes]).mean() < 1.001 * area
        assert polygon_area(straight[:, organ.nodes]).mean() > 1.01 * area


def test_what_is_fitted_is_what_was_drawn() -> None:
    true = ErrorCorrelation(np.random.default_rng(0).normal(0, 0.25, (240, 3)).clip(-0.5, 0.5))
    found = fit_correlation(true.draw(4000, seed=0))
    expected, fitted = (each.loadings @ each.loadings.T for each in (true, found))
    beside = ~np.eye(240, dtype=bool)
    assert np.abs(fitted - expected)[beside].max() < 0.15
    assert found.loadings.shape == (240, FACTORS)
    assert (np.square(found.loadings).sum(axis=1) <= 1).all()


def test_errors_are_measured_by_what_was_expected() -> None:
    covariance = np.random.default_rng(3).normal(size=(120, 2, 2))
    covariance = covariance @ covariance.transpose(0, 2, 1) + np.eye(2)
    errors = np.random.default_rng(4).multivariate_normal([0, 0], np.eye(2), (5000, 120))
    errors = np.einsum("nij,snj->sni", np.linalg.cholesky(covariance), errors)
    found = standardized_errors(errors, covariance, LANDMARKS)
    products = np.einsum("sni,snj->nij", found, found) / len(found)
    np.testing.assert_allclose(products, np.broadcast_to(np.eye(2), (120, 2, 2)), atol=0.1)


def test_unknown_landmarks_take_correlation_away_and_no_variance() -> None:
    errors = shifted_together().draw(500, seed=0)
    errors[:, RIGHT_LUNG.nodes] = np.random.default_rng(0).normal(size=(500, 44, 2))
    errors[::2, HEART.nodes] = np.nan
    loadings = fit_correlation(errors).loadings.reshape(120, 2, -1)[HEART.nodes, 0]
    assert 0.5 < float(np.square(loadings).sum(axis=1).min()) <= 1
    errors[:, 7] = np.nan
    with pytest.raises(ValueError, match="known in at least one image"):
        fit_correlation(errors)


def test_the_same_seed_draws_the_same() -> None:
    first, second, other = (
        draw_landmarks(LANDMARKS, covariances(3, 5), shifted_together(), count=5, seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_contours_that_have_shrunk_to_a_point_are_drawn_around_it() -> None:
    points = np.full((120, 2), 0.5)
    drawn = draw_landmarks(points, np.broadcast_to(1e-4 * np.eye(2), (120, 2, 2)), INDEPENDENT, count=50, seed=0)
    assert np.isfinite(drawn).all()
    assert np.abs(drawn - 0.5).max() < 0.1


def test_an_interval_holds_nine_tenths() -> None:
    low, high = interval90(np.arange(1001) / 1000)
    assert (low, high) == pytest.approx((0.05, 0.95))
    assert np.isnan(interval90([1.0, np.nan])).all()
