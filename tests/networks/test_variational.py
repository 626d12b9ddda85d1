from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from monai_chexmask_u.networks import HybridGNet, VariationalTraining


def images() -> Tensor:
    return torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))


def run(network: HybridGNet, *, seed: int = 0) -> dict[str, Any]:
    torch.manual_seed(seed)
    prediction: dict[str, Any] = VariationalTraining(network)(images())
    return prediction


@pytest.fixture(params=[1, 2, 3])
def refining_network(request: pytest.FixtureRequest) -> HybridGNet:
    """A network whose refinements move the landmarks, each by another amount."""
    torch.manual_seed(0)
    network = HybridGNet(64, 8, refinements=request.param)
    for step, refinement in enumerate(network.decoder.refinements):
        torch.nn.init.constant_(refinement.get_parameter("offset.bias"), step + 1)
    return network


def test_gives_landmarks_and_both_levels_before_them(tiny_network: HybridGNet) -> None:
    prediction = run(tiny_network)
    assert list(prediction) == ["levels", "latent_mean", "latent_log_var"]
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
    mean, log_var, features = tiny_network.encode(images())
    expected = tiny_network.decode_levels((mean + noise * (log_var / 2).exp())[:, None], features)
    for actual, level in zip(prediction["levels"], expected, strict=True):
        torch.testing.assert_close(actual, level[:, 0])
    assert (run(tiny_network, seed=6)["levels"][0] - prediction["levels"][0]).abs().max() > 1e-3


def test_reparametrization_lets_gradients_reach_mean_and_spread(tiny_network: HybridGNet) -> None:
    prediction = run(tiny_network)
    latent: list[Tensor] = [prediction["latent_mean"], prediction["latent_log_var"]]
    for gradient in torch.autograd.grad(prediction["levels"][0].sum(), latent):
        assert (gradient != 0).any(dim=1).all()


def test_refinements_come_in_order_after_the_published_levels(refining_network: HybridGNet) -> None:
    prediction = run(refining_network)
    assert list(prediction) == ["levels", "latent_mean", "latent_log_var", "refined", "organ_logits"]
    assert [tuple(level.shape) for level in prediction["levels"]] == [(2, 120, 2), (2, 60, 2), (2, 120, 2)]
    assert len(prediction["refined"]) == refining_network.refinements
    before = prediction["levels"][0]
    for step, after in enumerate(prediction["refined"]):
        # The offset is in pixels of the fine map, of 16.
        torch.testing.assert_close(after - before, torch.full_like(after, (step + 1) / 16), rtol=0, atol=1e-5)
        before = after


def test_refinements_leave_the_published_levels_as_they_are(refining_network: HybridGNet) -> None:
    published = HybridGNet(64, 8)
    published.load_state_dict(refining_network.state_dict(), strict=False)
    expected, actual = run(published), run(refining_network)
    for name in expected:
        torch.testing.assert_close(actual[name], expected[name])


def test_last_refinement_is_what_the_network_answers(refining_network: HybridGNet) -> None:
    torch.nn.init.constant_(refining_network.latent_log_var.weight, 0)
    torch.nn.init.constant_(refining_network.latent_log_var.bias, -80)  # no spread
    actual = run(refining_network)["refined"][-1]
    torch.testing.assert_close(actual, refining_network(images()), rtol=0, atol=1e-5)


def test_organs_are_segmented_on_the_fine_map_in_full_precision(refining_network: HybridGNet) -> None:
    expected = refining_network.organ_logits(refining_network.encode(images())[2])
    logits = run(refining_network)["organ_logits"]
    assert logits.shape == (2, 3, 16, 16)
    torch.testing.assert_close(logits, expected)
    with torch.autocast("cpu", torch.bfloat16):
        assert run(refining_network)["organ_logits"].dtype == torch.float32


def test_parameters_are_those_of_the_network(tiny_network: HybridGNet) -> None:
    ours = dict(VariationalTraining(tiny_network).named_parameters())
    assert set(ours) == {f"network.{name}" for name, _ in tiny_network.named_parameters()}
    assert all(value is tiny_network.get_parameter(name.removeprefix("network.")) for name, value in ours.items())


def test_mixed_precision_rounds_the_feature_maps_and_keeps_landmarks_in_float32(tiny_network: HybridGNet) -> None:
    images = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    results = []
    for mixed_precision in (False, True):
        torch.manual_seed(0)
        results.append(VariationalTraining(tiny_network, mixed_precision)(images)["latent_mean"])
    exact, rounded = results
    assert isinstance(exact, torch.Tensor)
    assert isinstance(rounded, torch.Tensor)
    assert rounded.dtype == torch.float32
    difference = (exact - rounded).abs().max()
    assert 0 < difference < 0.1 * exact.abs().max()
