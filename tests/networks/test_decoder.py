from __future__ import annotations

import itertools
import math

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from monai_chexmask_u.networks.sampling import sample_features


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


@given(seed=st.integers(0, 999))
def test_sampling_equals_roi_align_inside_and_around_the_map(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(2, 3, 8, 8, generator=generator)
    positions = torch.rand(2, 5, 2, generator=generator) * 1.6 - 0.3
    actual = sample_features(features, positions)
    for image, point, channel in itertools.product(range(2), range(5), range(3)):
        expected = _roi_align(features[image, channel], positions[image, point])
        assert math.isclose(float(actual[image, point, channel]), expected, abs_tol=1e-5)


def test_positions_that_diverge_give_zeros_and_no_crash() -> None:
    features = torch.ones(1, 2, 8, 8, requires_grad=True)
    positions = torch.tensor([[[math.nan, 0.5], [math.inf, 0.5], [-1e30, 1e30], [0.5, 0.5]]])
    sampled = sample_features(features, positions)
    sampled.sum().backward()
    torch.testing.assert_close(sampled[0, :, 0], torch.tensor([0.0, 0.0, 0.0, 1.0]))


def test_no_gradient_reaches_the_positions() -> None:
    positions = torch.rand(1, 4, 2, requires_grad=True)
    features = torch.rand(1, 2, 8, 8, requires_grad=True)
    sample_features(features, positions).sum().backward()
    assert positions.grad is None
    assert features.grad is not None
