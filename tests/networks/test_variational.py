from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from monai_chexmask_u.inferers import VariationalTrainingInferer
from monai_chexmask_u.networks import HybridGNet


def run(network: Any, *, seed: int = 0) -> dict[str, Any]:
    images = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(seed)
    return VariationalTrainingInferer()(images, network)


def test_gives_landmarks_and_both_levels_before_them(tiny_network: HybridGNet) -> None:
    prediction = run(tiny_network)
    assert [tuple(level.shape) for level in prediction["levels"]] == [(2, 120, 2), (2, 60, 2), (2, 120, 2)]
    assert prediction["latent_mean"].shape == prediction["latent_log_var"].shape == (2, 64)


def test_without_skip_connections_there_are_only_landmarks() -> None:
    torch.manual_seed(0)
    levels = run(HybridGNet(64, 8, skip_connections=False))["levels"]
    assert [tuple(level.shape) for level in levels] == [(2, 120, 2)]


def test_draws_one_sample_per_image_from_the_global_generator(tiny_network: HybridGNet) -> None:
    prediction = run(tiny_network, seed=5)
    torch.manual_seed(5)
    noise = torch.randn(2, 64)
    images = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    mean, log_var, features = tiny_network.encode(images)
    expected = tiny_network.decode_levels((mean + noise * (log_var / 2).exp())[:, None], features)
    for actual, level in zip(prediction["levels"], expected, strict=True):
        torch.testing.assert_close(actual, level[:, 0])
    assert (run(tiny_network, seed=6)["levels"][0] - prediction["levels"][0]).abs().max() > 1e-3


def test_reparametrization_lets_gradients_reach_mean_and_spread(tiny_network: HybridGNet) -> None:
    prediction = run(tiny_network)
    latent: list[Tensor] = [prediction["latent_mean"], prediction["latent_log_var"]]
    for gradient in torch.autograd.grad(prediction["levels"][0].sum(), latent):
        assert (gradient != 0).any(dim=1).all()


def test_a_wrapped_network_is_unwrapped(tiny_network: HybridGNet) -> None:
    class Wrapper(nn.Module):
        """What DistributedDataParallel looks like: it has no methods of the network but forward."""

        def __init__(self, module: HybridGNet) -> None:
            super().__init__()
            self.module = module

    expected = run(tiny_network)
    torch.testing.assert_close(run(Wrapper(tiny_network)), expected, rtol=0, atol=0)
