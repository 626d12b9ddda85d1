from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.samples.dicom import ELLIPSES, phantom_landmarks

from monai_chexmask_u.anatomy import HEART, LEFT_LUNG, ORGANS
from monai_chexmask_u.uncertainty import confidence_ellipse, contour_normals, normal_std, tangential_std

Floats = NDArray[np.float64]
SEEDS = st.integers(0, 2**32 - 1)


def random_covariance(seed: int, *shape: int) -> Floats:
    factors = np.random.default_rng(seed).normal(0, 3, (*shape, 2, 2))
    return factors @ factors.swapaxes(-1, -2)


def circles(radius: float = 20) -> Floats:
    """Return three circles, of which the first starts at the right and goes down on the right: x to y."""
    rings = []
    for organ in ORGANS:
        angle = np.arange(organ.node_count) * 2 * np.pi / organ.node_count
        rings.append(np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius + (100 * organ.label, 50))
    return np.concatenate(rings)


def outward() -> Floats:
    return np.concatenate([(circles()[organ.nodes] - (100 * organ.label, 50)) / 20 for organ in ORGANS])


@pytest.mark.parametrize("probability", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("covariance", [[[9, 2], [2, 4]], [[1, -3], [-3, 16]], [[5, 0], [0, 5]]])
def test_ellipse_holds_the_share_of_a_normal_distribution_that_it_says(
    covariance: list[list[float]], probability: float
) -> None:
    points = np.random.default_rng(0).multivariate_normal((0, 0), covariance, 100_000)
    axes, angle = confidence_ellipse(covariance, probability)
    along = np.cos(angle) * points[:, 0] + np.sin(angle) * points[:, 1]
    across = -np.sin(angle) * points[:, 0] + np.cos(angle) * points[:, 1]
    share = np.mean((along / axes[0]) ** 2 + (across / axes[1]) ** 2 < 1)
    assert share == pytest.approx(probability, abs=4 * np.sqrt(probability * (1 - probability) / 100_000))


@given(major=st.floats(0.1, 100), ratio=st.floats(0.01, 0.9), angle=st.floats(-1.57, 1.57))
def test_axes_and_angle_are_those_the_covariance_was_made_of(major: float, ratio: float, angle: float) -> None:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    covariance = turn @ np.diag([major**2, (ratio * major) ** 2]) @ turn.T
    axes, found = confidence_ellipse(covariance, 1 - np.exp(-0.5))  # of one standard deviation
    np.testing.assert_allclose(axes, [major, ratio * major], rtol=1e-6)
    assert np.cos(2 * (found - angle)) == pytest.approx(1, abs=1e-12)  # an axis has no direction
    assert abs(found) <= np.pi / 2


def test_ninety_percent_is_the_default_and_many_ellipses_come_at_once() -> None:
    covariance = random_covariance(0, 3, 120)
    axes, angle = confidence_ellipse(covariance)
    assert axes.shape == (3, 120, 2)
    assert angle.shape == (3, 120)
    assert (axes[..., 0] >= axes[..., 1]).all()
    np.testing.assert_allclose(axes[1, 7], confidence_ellipse(covariance[1, 7], 0.9)[0], rtol=1e-12)
    np.testing.assert_allclose(confidence_ellipse(np.eye(2))[0], np.sqrt(-2 * np.log(0.1)), rtol=1e-12)


def test_a_line_and_a_point_are_ellipses_too() -> None:
    axes, angle = confidence_ellipse([[[2, 2], [2, 2]], [[0, 0], [0, 0]]])
    np.testing.assert_allclose(axes, [[2 * np.sqrt(-2 * np.log(0.1)), 0], [0, 0]], atol=1e-7)
    np.testing.assert_allclose(angle, [np.pi / 4, 0])


def test_rounding_makes_no_variance_negative() -> None:
    points = np.random.default_rng(0).normal(0, 1, (1000, 120, 2))
    flat = points[..., :, None] * points[..., None, :]
    axes, _ = confidence_ellipse(flat)
    assert (axes >= 0).all()
    radii = outward()
    assert (tangential_std(radii[:, :, None] * radii[:, None, :], circles()) >= 0).all()
    along = np.stack([-radii[:, 1], radii[:, 0]], axis=-1)
    assert (normal_std(along[:, :, None] * along[:, None, :], circles()) >= 0).all()


@pytest.mark.parametrize("order", [1, -1])
def test_normals_of_a_circle_are_its_radii_whichever_way_it_is_drawn(order: int) -> None:
    for organ in ORGANS:
        points = circles()
        points[organ.nodes] = points[organ.nodes][::order]
        expected = outward()[organ.nodes][::order]
        np.testing.assert_allclose(contour_normals(points)[organ.nodes], expected, atol=1e-12)


def test_normals_of_an_ellipse_are_those_of_its_formula() -> None:
    normals = contour_normals(phantom_landmarks(1000, 1000))
    for organ in ORGANS:
        _, _, half_x, half_y = ELLIPSES[organ]
        angle = np.linspace(0, 2 * np.pi, organ.node_count, endpoint=False) - np.pi / 2
        gradient = np.stack([np.cos(angle) / half_x, np.sin(angle) / half_y], axis=1)
        expected = gradient / np.linalg.norm(gradient, axis=1, keepdims=True)
        np.testing.assert_allclose(normals[organ.nodes], expected, atol=1e-9)


@given(seed=SEEDS, scale=st.floats(0.01, 100), shift=st.floats(-1e4, 1e4))
def test_normals_have_length_one_and_do_not_depend_on_place_or_size(seed: int, scale: float, shift: float) -> None:
    points = circles() + np.random.default_rng(seed).normal(0, 0.5, (120, 2))
    normals = contour_normals(points)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), 1, rtol=1e-12)
    np.testing.assert_allclose(contour_normals(scale * points + shift), normals, atol=1e-6)
    np.testing.assert_array_equal(contour_normals(np.stack([circles(), points]))[1], normals)


def test_landmarks_on_one_place_take_the_direction_of_wider_neighbors() -> None:
    points = circles() + np.random.default_rng(0).normal(0, 0.5, (120, 2))
    before = contour_normals(points)
    points[4:7] = points[5]  # node 5 lies on both of its neighbors
    x, y = points[7] - points[3]
    np.testing.assert_allclose(contour_normals(points)[5], np.array([y, -x]) / np.hypot(x, y), atol=1e-12)
    np.testing.assert_array_equal(contour_normals(points)[8:], before[8:])


def test_an_organ_that_is_a_point_has_normals_all_the_same() -> None:
    points = circles()
    points[HEART.nodes] = (7, 7)
    normals = contour_normals(points)
    np.testing.assert_array_equal(normals[HEART.nodes], np.tile((1, 0), (26, 1)))
    np.testing.assert_allclose(normals[:94], outward()[:94], atol=1e-12)


def test_normals_of_an_unknown_organ_are_unknown() -> None:
    points = circles()
    points[HEART.nodes] = np.nan
    normals = contour_normals(points)
    assert np.isnan(normals[HEART.nodes]).all()
    np.testing.assert_allclose(normals[:94], outward()[:94], atol=1e-12)


def test_parts_of_an_uncertainty_along_and_across_a_circle() -> None:
    """Every landmark is uncertain by 3 along x and by 1 along y."""
    covariance = np.tile(np.diag([9.0, 1.0]), (120, 1, 1))
    across, along = (std(covariance, circles()) for std in (normal_std, tangential_std))
    cosine, sine = outward().T
    np.testing.assert_allclose(across, np.sqrt(9 * cosine**2 + sine**2), rtol=1e-12)
    np.testing.assert_allclose(along, np.sqrt(9 * sine**2 + cosine**2), rtol=1e-12)
    assert across[LEFT_LUNG.first_node] == pytest.approx(3)


def test_spread_along_the_normal_is_that_of_the_samples() -> None:
    samples = circles() + np.random.default_rng(0).normal(0, 1, (500, 120, 2)) * (2, 0.7)
    centered = samples - samples.mean(axis=0)
    covariance = np.einsum("sni,snj->nij", centered, centered) / 500
    expected = (samples * contour_normals(circles())).sum(axis=-1).std(axis=0)
    np.testing.assert_allclose(normal_std(covariance, circles()), expected, rtol=1e-9)


@given(seed=SEEDS)
def test_both_parts_make_up_the_whole_and_lie_between_the_axes(seed: int) -> None:
    covariance = random_covariance(seed, 2, 120)
    across, along = (std(covariance, circles()) for std in (normal_std, tangential_std))
    np.testing.assert_allclose(across**2 + along**2, np.trace(covariance, axis1=-2, axis2=-1), rtol=1e-9)
    axes, _ = confidence_ellipse(covariance, 1 - np.exp(-0.5))
    assert (across <= axes[..., 0] * (1 + 1e-9)).all()
    assert (across >= axes[..., 1] * (1 - 1e-6) - 1e-6).all()


def test_arguments_that_make_no_sense_are_refused() -> None:
    for probability in (-0.1, 1, np.nan):
        with pytest.raises(ValueError, match="probability must be in 0"):
            confidence_ellipse(np.eye(2), probability)
    for covariance in (np.eye(3), [1, 2]):
        with pytest.raises(ValueError, match=r"covariance must be \(\.\.\., 2, 2\), got shape"):
            confidence_ellipse(covariance)
    with pytest.raises(ValueError, match=r"landmarks must be \(\.\.\., 120, 2\), got shape \(94, 2\)"):
        contour_normals(circles()[:94])
    with pytest.raises(ValueError, match=r"\(\.\.\., 2, 2\), got shape \(120, 2\)"):
        normal_std(np.ones((120, 2)), circles())
