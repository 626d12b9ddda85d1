from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from monai_chexmask_u.networks.encoder import CHANNELS
from monai_chexmask_u.networks.shift_detector import KINDS_OF_IMAGE, ShiftDetector


@pytest.fixture(scope="module")
def detector() -> ShiftDetector:
    torch.manual_seed(0)
    return ShiftDetector(16).eval()


def grids(batch: int, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A grid and a latent Gaussian per image."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 256, 8, 8, generator=generator), torch.randn(batch, 32, generator=generator)


def test_frontal_chest_is_the_first_kind() -> None:
    assert KINDS_OF_IMAGE[0] == "frontal_chest"
    assert len(set(KINDS_OF_IMAGE)) == len(KINDS_OF_IMAGE) == 7


@pytest.mark.parametrize("side", [2, 4, 8, 16])
def test_maps_of_any_size_come_to_one_grid_with_their_means(side: int) -> None:
    generator = torch.Generator().manual_seed(0)
    maps = [torch.randn(3, 128, size, size, generator=generator) for size in (2 * side, side, 4 * side)]
    grid = ShiftDetector.look_at(maps)
    assert grid.shape == (3, 256, 8, 8)
    expected = torch.cat([level.mean(dim=(2, 3)) for level in maps[:2]], dim=1)
    torch.testing.assert_close(grid.mean(dim=(2, 3)), expected, rtol=0, atol=1e-5)


def test_a_place_stays_where_it_is() -> None:
    level = torch.zeros(1, CHANNELS[-1], 16, 16)
    level[:, :, 4:6, 10:12] = 1
    grid = ShiftDetector.look_at([level, torch.zeros(1, CHANNELS[-1], 8, 8)])
    assert grid.nonzero()[:, 2:].unique(dim=0).tolist() == [[2, 5]]


@given(seed=st.integers(0, 999), batch=st.integers(2, 5))
def test_an_image_does_not_depend_on_its_batch(detector: ShiftDetector, seed: int, batch: int) -> None:
    grid, latent = grids(batch, seed=seed)
    together = detector(grid, latent)
    assert together.shape == (batch, 7)
    for image in range(batch):
        alone = detector(grid[image : image + 1], latent[image : image + 1])
        torch.testing.assert_close(alone, together[image : image + 1], rtol=0, atol=1e-5)


def test_both_the_grid_and_the_latent_space_matter(detector: ShiftDetector) -> None:
    grid, latent = grids(1)
    plain = detector(grid, latent)
    assert (detector(grid.flip(2), latent) - plain).abs().max() > 1e-3
    assert (detector(grid, -latent) - plain).abs().max() > 1e-3


def test_learns_to_tell_what_lies_above_from_what_lies_below() -> None:
    torch.manual_seed(0)
    detector = ShiftDetector(16)
    grid, latent = grids(32)
    kind = torch.arange(32) % 2
    grid[kind == 0, :, :4] += 1
    grid[kind == 1, :, 4:] += 1
    optimizer = torch.optim.AdamW(detector.parameters(), lr=3e-3)
    first = F.cross_entropy(detector(grid, latent), kind).item()
    for _ in range(15):
        optimizer.zero_grad()
        loss = F.cross_entropy(detector(grid, latent), kind)
        loss.backward()
        optimizer.step()
    assert loss.item() < first / 4
    assert (detector.eval()(grid, latent).argmax(dim=1) == kind).float().mean() > 0.95
