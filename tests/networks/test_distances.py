from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import mahalanobis
from support.samples.dicom import phantom_landmarks
from torch import Tensor

from monai_chexmask_u.networks.distances import GaussianDistance, ShapeModel


def vectors(count: int = 200, size: int = 5, *, seed: int = 0) -> Tensor:
    """Correlated vectors far from the origin, of different scales."""
    generator = torch.Generator().manual_seed(seed)
    factors = torch.randn(size, size, generator=generator) * torch.logspace(-1, 1, size)
    return torch.randn(count, size, generator=generator) @ factors + 3


def shapes(count: int, *, seed: int = 0, spread: float = 0.02) -> Tensor:
    plain = torch.tensor(phantom_landmarks(1, 1), dtype=torch.float32)
    return plain + spread * torch.randn(count, 120, 2, generator=torch.Generator().manual_seed(seed))


def fitted(components: int = 20, *, count: int = 60) -> ShapeModel:
    model = ShapeModel(components)
    model.fit(shapes(count))
    return model


@pytest.mark.parametrize("shrinkage", [0.0, 0.05, 1.0])
def test_distance_is_that_of_mahalanobis_between_median_and_95_percent(shrinkage: float) -> None:
    known = vectors()
    distance = GaussianDistance(5)
    distance.fit(known, shrinkage=shrinkage)
    exact = known.double().numpy()
    covariance = np.cov(exact.T)
    covariance = (1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / 5 * np.eye(5)
    inverse, mean = np.linalg.inv(covariance), exact.mean(axis=0)
    raw = [mahalanobis(vector, mean, inverse) for vector in exact]
    new = vectors(20, seed=1)
    expected = [mahalanobis(vector, mean, inverse) for vector in new.double().numpy()]
    center, upper = np.quantile(raw, [0.5, 0.95])
    np.testing.assert_allclose(distance(new).numpy(), (expected - center) / (upper - center), rtol=1e-3, atol=1e-3)


@given(seed=st.integers(0, 999), count=st.integers(30, 100))
def test_distance_of_fitted_vectors_has_median_0_and_95_percent_1(seed: int, count: int) -> None:
    known = vectors(count, seed=seed)
    distance = GaussianDistance(5)
    distance.fit(known)
    quantiles = np.quantile(distance(known).numpy(), [0.5, 0.95])
    np.testing.assert_allclose(quantiles, [0, 1], rtol=0, atol=1e-4)


def test_fewer_vectors_than_dimensions_do_no_harm() -> None:
    distance = GaussianDistance(50)
    distance.fit(torch.randn(10, 50, generator=torch.Generator().manual_seed(0)))
    far = distance(torch.full((1, 50), 100.0))
    assert torch.isfinite(far).all()
    assert far > 10


def test_unfitted_distance_is_that_from_the_origin() -> None:
    torch.testing.assert_close(GaussianDistance(2)(torch.tensor([[3.0, 4.0]])), torch.tensor([5.0]))


@given(
    seed=st.integers(0, 999), scale=st.floats(0.2, 5), x=st.floats(-2, 2), y=st.floats(-2, 2), spread=st.floats(0, 0.1)
)
def test_shape_has_neither_place_nor_size(seed: int, scale: float, x: float, y: float, spread: float) -> None:
    model, some = fitted(), shapes(2, seed=seed, spread=spread)
    moved = scale * some + torch.tensor([x, y])
    torch.testing.assert_close(model(moved), model(some), rtol=1e-3, atol=1e-2)


def test_shape_is_turned_and_mirrored_for_what_it_is() -> None:
    model, plain = fitted(), shapes(1, seed=99)
    expected = model(plain).item()
    for other in (plain * torch.tensor([1.0, -1.0]), plain.flip(-1), plain * torch.tensor([-1.0, 1.0])):
        assert model(other).item() > expected + 10


def test_shapes_that_the_components_can_make_have_no_distance() -> None:
    few = shapes(20)  # which 20 components explain to the full
    model = ShapeModel(20)
    model.fit(few)
    torch.testing.assert_close(model._raw(few), torch.zeros(20), rtol=0, atol=1e-5)
    assert model._raw(shapes(20, seed=1)).min() > 0.01
    # a shape along a component is explained, one across all of them stands out by just that
    across = torch.randn(240, generator=torch.Generator().manual_seed(2))
    center = model.mean.reshape(120, 2)
    frame = torch.cat([model.basis, model.mean[None], torch.eye(2).repeat(1, 120)])  # nor may size and place change
    across -= torch.linalg.lstsq(frame.T, across[:, None]).solution.flatten() @ frame
    across *= 0.1 / across.norm()
    for step, expected in ((0.1 * model.basis[0], 0.0), (across, 0.1)):
        shape = center + step.reshape(120, 2)
        length = shape.norm()
        offset = shape.flatten() / length - model.mean
        explained = offset - model.basis.T @ (model.basis @ offset)
        assert model._raw(shape[None]).item() == pytest.approx(explained.norm().item(), abs=1e-5)
        assert model._raw(shape[None]).item() == pytest.approx(expected, abs=0.01)


def test_shapes_of_the_fit_have_median_0_and_95_percent_1() -> None:
    quantiles = np.quantile(fitted(10)(shapes(60)).numpy(), [0.5, 0.95])
    np.testing.assert_allclose(quantiles, [0, 1], rtol=0, atol=1e-4)


def test_components_are_orthonormal() -> None:
    basis = fitted().basis
    torch.testing.assert_close(basis @ basis.T, torch.eye(20), rtol=0, atol=1e-5)


def test_a_point_is_no_shape_and_no_error() -> None:
    assert torch.isfinite(fitted()(torch.full((1, 120, 2), 0.5))).all()
