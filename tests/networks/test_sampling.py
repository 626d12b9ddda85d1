from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from monai_chexmask_u.networks.sampling import sample_features, sample_window

GRID = tuple((x, y) for y in (-1, 0, 1) for x in (-1, 0, 1))  # row by row


def _bilinear(plane: Tensor, x: float, y: float) -> float:
    """Read one value as roi_align does: zero beyond one pixel outside, else clamped to the border."""
    height, width = plane.shape
    if y < -1 or y > height or x < -1 or x > width:
        return 0.0
    x, y = min(max(x, 0), width - 1), min(max(y, 0), height - 1)
    x0, y0 = math.floor(x), math.floor(y)
    x1, y1 = min(x0 + 1, width - 1), min(y0 + 1, height - 1)
    top = plane[y0, x0] * (1 - (x - x0)) + plane[y0, x1] * (x - x0)
    bottom = plane[y1, x0] * (1 - (x - x0)) + plane[y1, x1] * (x - x0)
    return float(top * (1 - (y - y0)) + bottom * (y - y0))


def _roi_align(plane: Tensor, position: Tensor) -> float:
    """Average a fixed 3x3 grid of samples in the aligned box [p - 1, p + 2] of a 3x3 region with one output."""
    column, row = (position * plane.shape[-1]).tolist()
    start_x, start_y = column - 1 - 0.5, row - 1 - 0.5
    samples = [_bilinear(plane, start_x + i + 0.5, start_y + j + 0.5) for i, j in itertools.product(range(3), repeat=2)]
    return sum(samples) / 9


def _inputs(seed: int) -> tuple[Tensor, Tensor]:
    """Maps, and positions inside and around them."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, 3, 8, 8, generator=generator), torch.rand(2, 5, 2, generator=generator) * 1.6 - 0.3


@given(seed=st.integers(0, 999))
def test_sampling_equals_roi_align_inside_and_around_the_map(seed: int) -> None:
    features, positions = _inputs(seed)
    actual = sample_features(features, positions)
    for image, point, channel in itertools.product(range(2), range(5), range(3)):
        expected = _roi_align(features[image, channel], positions[image, point])
        assert math.isclose(float(actual[image, point, channel]), expected, abs_tol=1e-5)


@pytest.mark.parametrize("spacing", [2.0, 1.0, 0.5])
@given(seed=st.integers(0, 20))
def test_window_holds_the_values_of_its_points_row_by_row(spacing: float, seed: int) -> None:
    features, positions = _inputs(seed)
    actual = sample_window(features, positions, spacing)
    assert actual.shape == (2, 5, 9, 3)
    for image, point, channel in itertools.product(range(2), range(5), range(3)):
        x, y = (positions[image, point] * 8).tolist()
        plane = features[image, channel]
        expected = [_bilinear(plane, x + spacing * column, y + spacing * row) for column, row in GRID]
        torch.testing.assert_close(actual[image, point, :, channel], torch.tensor(expected), rtol=0, atol=1e-5)


def _grid_sample(features: Tensor, positions: Tensor, spacing: float) -> Tensor:
    """Read the windows with torch's own bilinear sampling, and zero what lies too far outside."""
    side = features.shape[-1]
    points = (positions * side).unsqueeze(2) + spacing * torch.tensor(GRID, dtype=positions.dtype)
    values = F.grid_sample(features, (2 * points + 1) / side - 1, padding_mode="border", align_corners=False)
    inside = ((points >= -1) & (points <= side)).all(dim=-1)
    return (values * inside.unsqueeze(1)).permute(0, 2, 3, 1)


@pytest.mark.parametrize("spacing", [2.0, 1.0, 0.5])
@pytest.mark.parametrize("side", [2, 3, 4, 16])
@pytest.mark.parametrize("channels_last", [False, True])
def test_values_and_gradients_are_those_of_grid_sample(spacing: float, side: int, channels_last: bool) -> None:
    generator = torch.Generator().manual_seed(side)
    positions = torch.rand(2, 50, 2, generator=generator, dtype=torch.float64) * 2.4 - 0.7
    ours, theirs = (torch.randn(2, 5, side, side, generator=generator.manual_seed(1)).double() for _ in range(2))
    if channels_last:
        ours = ours.contiguous(memory_format=torch.channels_last)
    actual = sample_window(ours.requires_grad_(), positions, spacing)
    expected = _grid_sample(theirs.requires_grad_(), positions, spacing)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-10)
    weights = torch.randn(actual.shape, generator=generator, dtype=torch.float64)
    (actual * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=0, atol=1e-10)
    mean = _grid_sample(theirs, positions, 1.0).mean(dim=2)
    torch.testing.assert_close(sample_features(ours, positions), mean, rtol=0, atol=1e-10)


@pytest.mark.parametrize("side", [2, 4, 8])
def test_borders_are_where_roi_align_has_them(side: int) -> None:
    """A point just one pixel outside counts, on every side, and has the value of the border."""
    features = torch.rand(1, 1, side, side, generator=torch.Generator().manual_seed(0))
    places = [-2.0, -1.5, -1.0, -0.5, 0.0, side - 1.0, side - 0.5, float(side), side + 0.5, side + 1.0]
    positions = torch.tensor(list(itertools.product(places, places)))[None] / side
    actual = sample_features(features, positions)[0, :, 0]
    expected = torch.tensor([_roi_align(features[0, 0], position) for position in positions[0]])
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-6)


def test_window_on_a_ramp_tells_its_own_grid() -> None:
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    features = torch.stack([columns, rows])[None]
    window = sample_window(features, torch.tensor([[[0.5, 0.25]]]), 0.5)
    torch.testing.assert_close(window[0, 0], torch.tensor([[8 + 0.5 * x, 4 + 0.5 * y] for x, y in GRID]))


@pytest.mark.parametrize("spacing", [2.0, 0.5])
def test_positions_that_diverge_give_zeros_and_no_crash(spacing: float) -> None:
    features = torch.ones(1, 2, 8, 8, requires_grad=True)
    positions = torch.tensor([[[math.nan, 0.5], [math.inf, 0.5], [-1e30, 1e30], [0.5, 0.5]]])
    for sampled in (sample_features(features, positions), sample_window(features, positions, spacing).mean(dim=2)):
        sampled.sum().backward()
        torch.testing.assert_close(sampled[0, :, 0], torch.tensor([0.0, 0.0, 0.0, 1.0]))
    assert features.grad is not None
    assert features.grad.isfinite().all()


def test_no_gradient_reaches_the_positions() -> None:
    positions = torch.rand(1, 4, 2, requires_grad=True)
    features = torch.rand(1, 2, 8, 8, requires_grad=True)
    sample_features(features, positions).sum().backward()
    sample_window(features, positions, 0.5).sum().backward()
    assert positions.grad is None
    assert features.grad is not None
