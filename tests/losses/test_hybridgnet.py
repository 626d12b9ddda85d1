from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.data import MetaTensor
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.losses import HybridGNetLoss
from monai_chexmask_u.networks import HybridGNet, VariationalTraining


def prediction(seed: int = 0) -> dict[str, Any]:
    """What a published network gives."""
    generator = torch.Generator().manual_seed(seed)
    levels = [torch.rand(2, nodes, 2, generator=generator) for nodes in (120, 60, 120)]
    latent = torch.randn(2, 2, 8, generator=generator)
    return {"levels": levels, "latent_mean": latent[0], "latent_log_var": latent[1]}


def landmarks(seed: int = 0) -> Tensor:
    return torch.rand(2, 120, 2, generator=torch.Generator().manual_seed(seed + 1000))


def coarse(target: Tensor) -> Tensor:
    """Mean of every two neighbors of an organ; each organ has an even number of nodes."""
    pairs = [target[:, organ.nodes].unflatten(1, (-1, 2)).mean(dim=2) for organ in ORGANS]
    return torch.cat(pairs, dim=1)


@given(seed=st.integers(0, 999), kl_weight=st.floats(0, 2))
def test_loss_is_squared_errors_at_three_levels_plus_divergence(seed: int, kl_weight: float) -> None:
    given_prediction, target = prediction(seed), landmarks(seed)
    fine, middle, early = given_prediction["levels"]
    errors = [(fine - target).square().mean(), (middle - coarse(target)).square().mean()]
    errors.append((early - target).square().mean())
    latent = Normal(given_prediction["latent_mean"], (given_prediction["latent_log_var"] / 2).exp())
    divergence = kl_divergence(latent, Normal(0.0, 1.0)).mean()
    actual = HybridGNetLoss(kl_weight)(given_prediction, target)
    torch.testing.assert_close(actual, sum(errors, kl_weight * divergence), rtol=1e-5, atol=1e-6)


def test_loss_is_zero_for_a_perfect_prediction() -> None:
    target = landmarks()
    perfect = {"levels": [target, coarse(target), target]}
    perfect |= {"latent_mean": torch.zeros(2, 8), "latent_log_var": torch.zeros(2, 8)}  # type: ignore[dict-item]
    torch.testing.assert_close(HybridGNetLoss(1.0)(perfect, target), torch.tensor(0.0), rtol=0, atol=1e-12)


@given(weight=st.floats(0, 10))
def test_weight_of_the_divergence_acts_linearly_and_can_be_changed(weight: float) -> None:
    loss = HybridGNetLoss(0.0)
    without = loss(prediction(), landmarks())
    loss.kl_weight = 1.0
    divergence = loss(prediction(), landmarks()) - without
    loss.kl_weight = weight
    torch.testing.assert_close(loss(prediction(), landmarks()), without + weight * divergence, rtol=1e-5, atol=1e-6)


def test_one_level_is_enough_without_skip_connections() -> None:
    alone = prediction() | {"levels": prediction()["levels"][:1]}
    expected = (alone["levels"][0] - landmarks()).square().mean()
    torch.testing.assert_close(HybridGNetLoss(0.0)(alone, landmarks()), expected)


@pytest.mark.parametrize("target", [landmarks().double(), MetaTensor(landmarks())])
def test_any_floating_point_tensor_will_do_as_target(target: Tensor) -> None:
    actual = HybridGNetLoss()(prediction(), target)
    torch.testing.assert_close(actual, HybridGNetLoss()(prediction(), landmarks()))
    assert type(actual) is Tensor


def test_gradient_reaches_every_part_of_the_network(tiny_network: HybridGNet) -> None:
    network = copy.deepcopy(tiny_network)
    torch.manual_seed(0)
    HybridGNetLoss(1e-2)(VariationalTraining(network)(torch.rand(2, 1, 64, 64)), landmarks()).backward()
    untouched = [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    # A bias before an instance normalization cannot change the result.
    assert [name for name in untouched if not name.endswith(".bias")] == []
    for head in ("latent_mean", "latent_log_var", "decoder.to_landmarks", "decoder.coarse_connection.position"):
        assert network.get_parameter(f"{head}.weight").grad is not None


def test_the_pooling_map_is_no_weight() -> None:
    assert list(HybridGNetLoss().parameters()) == []
