from __future__ import annotations

import pytest
import torch
from torch import Tensor

from monai_chexmask_u.networks.encoder import CHANNELS, Encoder, FeaturePyramid


def maps(count: int = 2) -> list[Tensor]:
    torch.manual_seed(0)
    return [torch.randn(count, channels, 64 >> level, 64 >> level) for level, channels in enumerate(CHANNELS)]


def test_maps_go_from_fine_to_coarse() -> None:
    torch.manual_seed(0)
    shapes = [tuple(each.shape) for each in Encoder()(torch.rand(2, 1, 64, 64))]
    assert shapes == [tuple(each.shape) for each in maps()]


def test_joined_map_has_a_quarter_of_the_size() -> None:
    torch.manual_seed(0)
    assert FeaturePyramid(48)(maps()).shape == (2, 48, 16, 16)


@pytest.mark.parametrize("level", range(6))
def test_all_maps_from_a_quarter_of_the_size_on_are_joined(level: int) -> None:
    torch.manual_seed(0)
    pyramid, changed = FeaturePyramid(8), maps()
    before = pyramid(changed)
    changed[level][1] += torch.randn_like(changed[level][1])
    difference = (pyramid(changed) - before).abs()
    assert bool(difference[1].any()) == (level >= 2)
    assert not difference[0].any()  # another image


def test_what_is_coarse_lands_where_it_is() -> None:
    """A change in one corner of the coarsest map changes that corner of the joined map most."""
    torch.manual_seed(0)
    pyramid, changed = FeaturePyramid(8), maps()
    before = pyramid(changed)
    changed[5][:, :, 0, 1] += 10  # top right
    difference = (pyramid(changed) - before).detach().abs().mean(dim=(0, 1))
    rows = difference.unflatten(0, (2, 8)).unflatten(2, (2, 8))
    quarters = rows.mean(dim=(1, 3)).flatten()  # top left, top right, bottom left, bottom right
    assert int(quarters.argmax()) == 1
