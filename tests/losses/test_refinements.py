"""What the loss adds for a network with refinements: smooth L1 errors, and the cross entropy of the organs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.samples.dicom import phantom_landmarks
from torch import Tensor
from torch.nn import functional as F

from monai_chexmask_u.anatomy import HEART, ORGANS
from monai_chexmask_u.geometry import fill_polygon
from monai_chexmask_u.losses import HybridGNetLoss
from monai_chexmask_u.networks import HybridGNet, VariationalTraining

SIDE = 32
TARGET = torch.from_numpy(phantom_landmarks(1, 1)).float().expand(2, -1, -1)


def perfect(**changes: Any) -> dict[str, Any]:
    """A prediction whose loss is zero before any change."""
    latent = {"latent_mean": torch.zeros(2, 8), "latent_log_var": torch.zeros(2, 8)}
    return {"levels": [TARGET], "refined": [TARGET], **latent, **changes}


def logits(seed: int = 0, *, side: int = SIDE) -> Tensor:
    return 4 * torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(seed))


def masks(side: int = SIDE) -> Tensor:
    """The true organs ``(3, side, side)``."""
    points = TARGET[0].double().numpy() * side
    filled = [fill_polygon(points[organ.nodes], (side, side)) for organ in ORGANS]
    return torch.from_numpy(np.stack(filled)).float()


@given(shift=st.floats(-0.2, 0.2))
def test_refined_levels_have_the_smooth_l1_error_that_turns_at_ten_of_1024_pixels(shift: float) -> None:
    size = abs(shift)
    expected = size**2 / 0.02 if size < 0.01 else size - 0.005
    moved = TARGET + torch.tensor([shift, 0.0])  # half the coordinates
    actual = HybridGNetLoss(0.0)(perfect(refined=[moved]), TARGET)
    torch.testing.assert_close(actual, torch.tensor(expected / 2), rtol=1e-4, atol=1e-7)


def test_every_refined_level_counts_once() -> None:
    levels = [TARGET + shift for shift in (0.001, 0.02, 0.3)]
    actual = HybridGNetLoss(0.0)(perfect(refined=levels), TARGET)
    torch.testing.assert_close(actual, torch.tensor(0.00005 + 0.015 + 0.295), rtol=1e-4, atol=0)
    moved = TARGET + 0.5  # a published level in the same batch keeps its square
    actual = HybridGNetLoss(0.0)(perfect(levels=[moved], refined=levels), TARGET)
    torch.testing.assert_close(actual, torch.tensor(0.25 + 0.00005 + 0.015 + 0.295), rtol=1e-4, atol=0)


@given(seed=st.integers(0, 99), weight=st.floats(0.1, 2))
def test_mask_error_is_the_cross_entropy_with_the_filled_contours(seed: int, weight: float) -> None:
    given_logits = logits(seed)
    actual = HybridGNetLoss(0.0, mask_weight=weight)(perfect(organ_logits=given_logits), TARGET)
    expected = F.binary_cross_entropy_with_logits(given_logits, masks().expand(2, -1, -1, -1))
    torch.testing.assert_close(actual, weight * expected)


@pytest.mark.parametrize("side", [16, 64])
def test_contours_are_filled_at_the_size_of_the_map(side: int) -> None:
    sure = 50 * (2 * masks(side).expand(2, -1, -1, -1) - 1)
    loss = HybridGNetLoss(0.0, mask_weight=1.0)
    torch.testing.assert_close(loss(perfect(organ_logits=sure), TARGET), torch.tensor(0.0), rtol=0, atol=1e-6)
    # One pixel beside the truth is no match, nor are rows taken for columns.
    assert loss(perfect(organ_logits=sure.roll(1, dims=-1)), TARGET) > 0.5
    assert loss(perfect(organ_logits=sure.transpose(-1, -2)), TARGET) > 0.5


def test_an_unknown_organ_counts_in_no_mask() -> None:
    target = TARGET.clone()
    target[0, HEART.nodes] = torch.nan
    given_logits = logits().requires_grad_()
    actual = HybridGNetLoss(0.0, mask_weight=1.0)(perfect(organ_logits=given_logits), target)
    truth = masks().expand(2, -1, -1, -1)
    entropy = F.binary_cross_entropy_with_logits(given_logits, truth, reduction="none").mean(dim=(2, 3))
    torch.testing.assert_close(actual, (entropy.sum() - entropy[0, 2]) / 5)
    actual.backward()
    assert given_logits.grad is not None
    assert not given_logits.grad[0, 2].any()
    assert given_logits.grad[1, 2].all()


def test_a_batch_without_a_whole_organ_has_no_mask_error() -> None:
    target = TARGET.clone()
    target[:, [organ.first_node for organ in ORGANS]] = torch.nan
    without = HybridGNetLoss(0.0)(perfect(), target)
    actual = HybridGNetLoss(0.0, mask_weight=1.0)(perfect(organ_logits=logits()), target)
    torch.testing.assert_close(actual, without, rtol=0, atol=0)


def test_without_a_weight_masks_do_not_matter() -> None:
    expected = HybridGNetLoss()(perfect(), TARGET)
    actual = HybridGNetLoss()(perfect(organ_logits=logits()), TARGET)
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)


def test_a_training_that_diverges_is_stopped() -> None:
    with pytest.raises(ValueError, match="diverged; use a smaller learning rate"):
        HybridGNetLoss(mask_weight=1.0)(perfect(organ_logits=logits() * torch.nan), TARGET)


def test_autocast_does_not_round_the_coarse_target() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        actual = HybridGNetLoss()(perfect(), TARGET)
    torch.testing.assert_close(actual, HybridGNetLoss()(perfect(), TARGET), rtol=0, atol=0)


def test_a_published_network_has_no_mask_error() -> None:
    torch.manual_seed(0)
    prediction = VariationalTraining(HybridGNet(64))(torch.rand(2, 1, 64, 64))
    expected = HybridGNetLoss()(prediction, TARGET)
    torch.testing.assert_close(HybridGNetLoss(mask_weight=1.0)(prediction, TARGET), expected, rtol=0, atol=0)


def test_gradient_of_the_masks_reaches_the_fine_map_and_the_encoder() -> None:
    torch.manual_seed(0)
    network = HybridGNet(64, refinements=1)
    prediction = VariationalTraining(network)(torch.rand(2, 1, 64, 64))
    loss = HybridGNetLoss(0.0, mask_weight=1.0)
    (loss(prediction, TARGET) - HybridGNetLoss(0.0)(prediction, TARGET)).backward()
    for name in ("to_organs.weight", "pyramid.lateral.0.weight", "encoder.blocks.5.conv2.weight"):
        gradient = network.get_parameter(name).grad
        assert gradient is not None
        assert gradient.any()
