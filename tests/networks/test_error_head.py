from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.samples.calibrations import make_examiner
from support.samples.dicom import phantom_landmarks
from torch import Tensor

from monai_chexmask_u.anatomy import HEART, LEFT_LUNG, ORGANS
from monai_chexmask_u.networks.encoder import CHANNELS
from monai_chexmask_u.networks.error_head import ErrorHead, contour_axes
from monai_chexmask_u.networks.refinement import PYRAMID_CHANNELS
from monai_chexmask_u.uncertainty import contour_normals


@pytest.fixture(scope="module")
def head() -> ErrorHead:
    """A head of random weights, in evaluation mode."""
    return make_examiner().error_head


def outlines(batch: int = 1, *, seed: int = 0) -> Tensor:
    """The phantom's outlines in the network frame, a little moved."""
    plain = torch.tensor(phantom_landmarks(1, 1), dtype=torch.float32)
    return plain + 0.005 * torch.randn(batch, 120, 2, generator=torch.Generator().manual_seed(seed))


def inputs(batch: int = 2, *, seed: int = 0) -> tuple[list[Tensor], Tensor, Tensor]:
    """Feature maps of an image of 64 pixels, landmarks, and the covariance of their samples."""
    generator = torch.Generator().manual_seed(seed)
    sides = ((CHANNELS[-2], 4), (CHANNELS[-1], 2), (PYRAMID_CHANNELS, 16))
    features = [torch.randn(batch, channels, side, side, generator=generator) for channels, side in sides]
    factors = 0.01 * torch.randn(batch, 120, 2, 2, generator=generator)
    return features, outlines(batch, seed=seed), factors @ factors.transpose(-1, -2)


@given(seed=st.integers(0, 999), scale=st.floats(0.1, 10), x=st.floats(-1, 1), y=st.floats(-1, 1), shape=st.booleans())
def test_axes_are_orthonormal_and_know_neither_place_nor_size(
    seed: int, scale: float, x: float, y: float, shape: bool
) -> None:
    landmarks = outlines(seed=seed) if shape else torch.rand(2, 120, 2, generator=torch.Generator().manual_seed(seed))
    axes = contour_axes(landmarks)
    torch.testing.assert_close(axes @ axes.transpose(-1, -2), torch.eye(2).expand_as(axes), rtol=0, atol=1e-5)
    moved = contour_axes(scale * landmarks.double() + torch.tensor([x, y], dtype=torch.float64))
    # a direction is as exact as float32 is, over the distance of two neighbors
    torch.testing.assert_close(moved.float(), axes, rtol=0, atol=1e-3)


def test_across_points_out_of_a_contour_that_turns_clockwise() -> None:
    angle = torch.cat([2 * torch.pi * torch.arange(organ.node_count) / organ.node_count for organ in ORGANS])
    circle = torch.stack([angle.cos(), angle.sin()], dim=-1)
    axes = contour_axes(circle.unsqueeze(0))[0]
    torch.testing.assert_close(axes[:, 0], circle, rtol=0, atol=1e-5)
    torch.testing.assert_close(axes[:, 1], torch.stack([-angle.sin(), angle.cos()], dim=-1), rtol=0, atol=1e-5)
    mirrored = contour_axes((circle * torch.tensor([-1.0, 1.0])).unsqueeze(0))[0]
    torch.testing.assert_close(mirrored[:, 0], -circle * torch.tensor([-1.0, 1.0]), rtol=0, atol=1e-5)


@given(seed=st.integers(0, 999))
def test_across_is_the_normal_of_the_contour_up_to_its_sign(seed: int) -> None:
    landmarks = outlines(seed=seed)
    product = (contour_axes(landmarks)[:, :, 0].numpy() * contour_normals(landmarks.numpy())).sum(axis=-1)
    np.testing.assert_allclose(np.abs(product), 1, rtol=0, atol=1e-5)
    for organ in ORGANS:  # one sign for all of an organ
        assert len(set(np.sign(product[:, organ.nodes]).ravel())) == 1


def test_axes_of_coincident_neighbors_are_x_and_y() -> None:
    landmarks = outlines()
    node = LEFT_LUNG.first_node + 7
    landmarks[0, node - 1] = landmarks[0, node + 1]
    axes = contour_axes(landmarks)
    torch.testing.assert_close(axes[0, node], torch.eye(2), rtol=0, atol=0)
    assert (axes[0, node + 1] - torch.eye(2)).abs().max() > 0.01
    torch.testing.assert_close(contour_axes(torch.full((1, 120, 2), 0.5)), torch.eye(2).expand(1, 120, 2, 2))


def test_first_and_last_node_of_an_organ_are_neighbors() -> None:
    landmarks = outlines()
    moved = landmarks.clone()
    moved[0, HEART.nodes.stop - 1] += 0.1
    changed = (contour_axes(moved) != contour_axes(landmarks)).any(dim=-1).any(dim=-1)[0]
    assert changed.nonzero().flatten().tolist() == [HEART.first_node, HEART.nodes.stop - 2]


@given(
    seed=st.integers(0, 999), across=st.floats(-1e6, 1e6), along=st.floats(-1e6, 1e6), correlation=st.floats(-1e6, 1e6)
)
def test_covariance_is_symmetric_and_positive_whatever_the_network_says(
    seed: int, across: float, along: float, correlation: float
) -> None:
    raw = torch.tensor([across, along, correlation]).expand(1, 120, 3)
    covariance = ErrorHead()._covariance(raw, outlines(seed=seed))[0].double()
    trace = covariance.diagonal(dim1=-2, dim2=-1).sum(dim=-1)
    # float32: what is under a millionth of the larger axis is lost in rounding
    assert ((covariance[:, 0, 1] - covariance[:, 1, 0]).abs() < 1e-6 * trace).all()
    smaller = torch.linalg.eigvalsh(covariance)[:, 0]
    assert (smaller > -1e-6 * trace).all()
    if abs(np.clip(across, -9.8, 1) - np.clip(along, -9.8, 1)) < 5:
        assert (smaller > 0).all()
    assert (trace.sqrt() * 1024 > 1.4 * 0.05).all()  # an axis has 0.06 to 2,800 pixels of 1024
    assert (trace.sqrt() * 1024 < 1.5 * 2800).all()


@given(across=st.floats(-6, -2), along=st.floats(-6, -2), correlation=st.floats(-3, 3))
def test_standard_deviations_and_correlation_are_those_across_and_along(
    across: float, along: float, correlation: float
) -> None:
    mean = outlines()
    covariance = ErrorHead()._covariance(torch.tensor([across, along, correlation]).expand(1, 120, 3), mean)
    axes = contour_axes(mean)
    local = axes @ covariance @ axes.transpose(-1, -2)
    first, second = np.exp(across), np.exp(along)
    mixed = 0.9 * np.tanh(correlation) * first * second
    expected = torch.tensor([[first**2, mixed], [mixed, second**2]], dtype=torch.float32).expand_as(local)
    torch.testing.assert_close(local, expected, rtol=1e-3, atol=1e-5 * max(first, second) ** 2)


def test_an_untrained_head_expects_errors_of_some_ten_pixels() -> None:
    features, mean, covariance = inputs()
    predicted = ErrorHead().eval()(features, mean, covariance)
    axes = contour_axes(mean)
    variance = (axes @ predicted @ axes.transpose(-1, -2)).diagonal(dim1=-2, dim2=-1)
    expected = torch.tensor([8.43, 12.57]).expand(2, 120, 2)  # exp(-4.8) and exp(-4.4) of 1024 pixels
    torch.testing.assert_close(1024 * variance.sqrt(), expected, rtol=1e-3, atol=0)


def test_prediction_is_that_of_what_is_seen(head: ErrorHead) -> None:
    features, mean, covariance = inputs()
    place, window, coarse = head.look_around(features, mean, covariance)
    assert place.shape == (2, 120, 6)
    assert window.shape == (2, 120, 9, PYRAMID_CHANNELS)
    assert coarse.shape == (2, 120, CHANNELS[-2] + CHANNELS[-1])
    expected = head(features, mean, covariance)
    torch.testing.assert_close(head.predict(place, window, coarse, mean), expected, rtol=0, atol=0)
    assert (expected[0, 0] - expected[0, 1]).abs().max() > 1e-7  # it does not say the same of every node


def test_spread_is_seen_across_and_along_the_contour() -> None:
    features, mean, _ = inputs()
    axes = contour_axes(mean)
    spread = torch.tensor([0.02, 0.005])
    covariance = axes.transpose(-1, -2) @ torch.diag(spread.square()) @ axes
    place, _, _ = ErrorHead.look_around(features, mean, covariance)
    expected = torch.log(spread + 1e-4).expand(2, 120, 2)
    torch.testing.assert_close(place[:, :, :2], expected, rtol=1e-3, atol=0)
    torch.testing.assert_close(place[:, :, 2:4], mean, rtol=0, atol=0)
    torch.testing.assert_close(place[:, :, 4:], axes[:, :, 0], rtol=0, atol=0)


def test_every_input_matters(head: ErrorHead) -> None:
    features, mean, covariance = inputs()
    plain = head(features, mean, covariance)
    for index in range(3):
        changed = [level + (number == index) for number, level in enumerate(features)]
        assert (head(changed, mean, covariance) / plain - 1).abs().max() > 1e-3
    assert (head(features, mean, 4 * covariance) / plain - 1).abs().max() > 1e-3


def test_an_image_does_not_depend_on_its_batch(head: ErrorHead) -> None:
    features, mean, covariance = inputs(3)
    together = head(features, mean, covariance)
    for image in range(3):
        rows = slice(image, image + 1)
        alone = head([level[rows] for level in features], mean[rows], covariance[rows])
        torch.testing.assert_close(alone, together[rows], rtol=1e-3, atol=1e-9)  # sums in another order


def test_a_network_without_refinements_is_refused(head: ErrorHead) -> None:
    features, mean, covariance = inputs()
    with pytest.raises(ValueError, match="needs a network with refinements"):
        head(features[:2], mean, covariance)


def test_learns_where_errors_are_large() -> None:
    """One channel of the fine map says whether the errors are of 4 or of 40 pixels."""
    torch.manual_seed(0)
    head = ErrorHead()
    features, mean, covariance = inputs(4)
    features[2][:2, 0] += 3
    std = torch.where(torch.arange(4) < 2, 40 / 1024, 4 / 1024)
    errors = std[:, None, None] * torch.randn(4, 120, 2)

    def loss() -> Tensor:
        normal = torch.distributions.MultivariateNormal(torch.zeros(2), head(features, mean, covariance))
        return torch.as_tensor(-normal.log_prob(errors).mean())

    optimizer = torch.optim.AdamW(head.parameters(), lr=3e-3)
    first = loss().item()
    for _ in range(30):
        optimizer.zero_grad()
        value = loss()
        value.backward()
        optimizer.step()
    assert loss().item() < first - 0.5
    predicted = head.eval()(features, mean, covariance).diagonal(dim1=-2, dim2=-1).mean(dim=(1, 2)).sqrt()
    assert predicted[:2].min() > 3 * predicted[2:].max()
