from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from monai.data import MetaTensor
from support.samples.calibrations import make_examiner
from torch import Tensor, nn

from monai_chexmask_u.inferers import LandmarkUncertaintyInferer
from monai_chexmask_u.model import Model
from monai_chexmask_u.networks import HybridGNet
from monai_chexmask_u.networks.examiner import SCORES
from monai_chexmask_u.posterior import LandmarkPosterior

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")),
]


class Spy(nn.Module):
    """Counts what is asked of a network."""

    def __init__(self, network: HybridGNet) -> None:
        super().__init__()
        self.network = network
        self.encoded: list[tuple[int, ...]] = []
        self.decoded: list[int] = []
        self.features: Any = None

    def encode(self, image: Tensor) -> Any:
        self.encoded.append(tuple(image.shape))
        result = self.network.encode(image)
        self.features = result[2]
        return result

    def decode(self, z: Tensor, features: Any) -> Tensor:
        assert features is self.features
        self.decoded.append(z.shape[1])
        return self.network.decode(z, features)


def images(count: int = 1, *, seed: int = 0) -> Tensor:
    return torch.rand(count, 1, 64, 64, generator=torch.Generator().manual_seed(seed))


def assert_same(actual: LandmarkPosterior, expected: LandmarkPosterior, *, atol: float) -> None:
    for name, value in expected.items():
        torch.testing.assert_close(actual[name], value, rtol=0, atol=atol, equal_nan=True)  # without an examiner


@pytest.mark.parametrize("device", DEVICES)
def test_same_image_and_seed_give_the_same_result(tiny_network: HybridGNet, device: str) -> None:
    network, image = copy.deepcopy(tiny_network).to(device), images().to(device)
    with torch.backends.cudnn.flags(allow_tf32=False):  # TF32 has three digits only
        first, second = (LandmarkUncertaintyInferer(5, seed=7)(image, network) for _ in range(2))
    assert first.mean.device.type == device
    assert_same(second, first, atol=1e-5 if device == "cuda" else 0)  # sums on a GPU have no fixed order
    on_cpu = LandmarkUncertaintyInferer(5, seed=7)(images(), tiny_network)
    torch.testing.assert_close(first.samples.cpu(), on_cpu.samples, rtol=0, atol=1e-3)


def test_another_seed_gives_other_samples(tiny_network: HybridGNet) -> None:
    first, second = (LandmarkUncertaintyInferer(5, seed=seed)(images(), tiny_network) for seed in (0, 1))
    assert (first.samples - second.samples).abs().max() > 1e-3
    torch.testing.assert_close(first.latent_mean, second.latent_mean, rtol=0, atol=0)


def test_an_image_does_not_depend_on_its_batch(tiny_network: HybridGNet) -> None:
    infer, batch = LandmarkUncertaintyInferer(5), images(3)
    together = infer(batch, tiny_network)
    for index in range(3):
        # convolutions of other batch sizes add in another order
        alone = LandmarkPosterior(**{name: value[index : index + 1] for name, value in together.items()})
        assert_same(alone, infer(batch[index : index + 1], tiny_network), atol=1e-5)


def test_global_generator_is_neither_used_nor_touched(tiny_network: HybridGNet) -> None:
    infer = LandmarkUncertaintyInferer(5)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = infer(images(), tiny_network)
    torch.testing.assert_close(torch.random.get_rng_state(), before, rtol=0, atol=0)
    torch.manual_seed(2)
    assert_same(infer(images(), tiny_network), first, atol=0)


@pytest.mark.parametrize("chunk_size", [1, 3, 7, 100])
def test_chunk_size_does_not_matter(tiny_network: HybridGNet, chunk_size: int) -> None:
    expected = LandmarkUncertaintyInferer(7, chunk_size=25)(images(2), tiny_network)
    assert_same(LandmarkUncertaintyInferer(7, chunk_size=chunk_size)(images(2), tiny_network), expected, atol=1e-5)


def test_encodes_once_and_decodes_in_chunks_with_the_same_features(tiny_network: HybridGNet) -> None:
    spy: Any = Spy(tiny_network)
    LandmarkUncertaintyInferer(8, chunk_size=3)(images(2), spy)
    assert spy.encoded == [(2, 1, 64, 64)]
    assert spy.decoded == [3, 3, 2]


def test_samples_are_decoded_from_the_encoded_gaussian(tiny_network: HybridGNet) -> None:
    result = LandmarkUncertaintyInferer(6, seed=3)(images(2), tiny_network)
    noise = torch.randn(6, 64, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        mean, log_var, features = tiny_network.encode(images(2))
        std = log_var.exp().sqrt()
        samples = torch.stack([tiny_network.decode((mean + eps * std)[:, None], features)[:, 0] for eps in noise], 1)
    torch.testing.assert_close(result.latent_mean, mean)
    torch.testing.assert_close(result.latent_std, std)
    torch.testing.assert_close(result.samples, samples, rtol=0, atol=1e-5)
    torch.testing.assert_close(result.mean, samples.mean(dim=1), rtol=0, atol=1e-5)
    variance = torch.diagonal(result.covariance, dim1=-2, dim2=-1)
    torch.testing.assert_close(variance, samples.var(dim=1, correction=0), rtol=1e-3, atol=1e-7)


def test_training_mode_makes_no_difference_and_stays(tiny_network: HybridGNet) -> None:
    infer, network = LandmarkUncertaintyInferer(4), copy.deepcopy(tiny_network).train()
    assert_same(infer(images(), network), infer(images(), tiny_network), atol=0)
    assert network.training


def test_result_carries_no_gradient_and_no_metadata(tiny_network: HybridGNet) -> None:
    inputs = MetaTensor(images(), meta={"filename_or_obj": "chest.png"})
    for value in LandmarkUncertaintyInferer(4)(inputs, tiny_network).values():
        assert type(value) is Tensor
        assert not value.requires_grad


@pytest.mark.parametrize("device", DEVICES)
def test_runs_under_autocast_and_gives_float32(tiny_network: HybridGNet, device: str) -> None:
    network, image = copy.deepcopy(tiny_network).to(device), images().to(device)
    expected = LandmarkUncertaintyInferer(4)(image, network)
    with torch.autocast(device, dtype=torch.bfloat16):
        result = LandmarkUncertaintyInferer(4)(image, network)
    assert {value.dtype for value in result.values()} == {torch.float32}
    # bfloat16 has three digits, and random weights amplify what the encoder loses
    torch.testing.assert_close(result.mean, expected.mean, rtol=0, atol=0.1)


@pytest.mark.parametrize("settings", [{"num_samples": 1}, {"num_samples": -3}, {"chunk_size": 0}])
def test_settings_that_are_too_small_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="num_samples must be >= 2 and chunk_size >= 1"):
        LandmarkUncertaintyInferer(**settings)


def test_image_of_another_size_is_refused(tiny_network: HybridGNet) -> None:
    with pytest.raises(ValueError, match="image must be"):
        LandmarkUncertaintyInferer(4)(torch.rand(1, 1, 32, 64), tiny_network)


@pytest.fixture(scope="module")
def refined(calibrated_model: Model) -> HybridGNet:
    """A network with refinements, whose result an examiner can judge."""
    return calibrated_model.network


def test_examiner_adds_expected_errors_and_scores_and_changes_nothing(refined: HybridGNet) -> None:
    examiner = make_examiner().train()
    result = LandmarkUncertaintyInferer(5, examiner=examiner)(images(2), refined)
    plain = LandmarkUncertaintyInferer(5)(images(2), refined)
    for name in ("mean", "covariance", "latent_mean", "latent_std", "samples"):
        torch.testing.assert_close(result[name], plain[name], rtol=0, atol=0)
    assert result.scores.shape == (2, len(SCORES))
    assert not examiner.training  # else dropout would make the scores random
    with torch.no_grad():
        features = refined.encode(images(2))[2]
        expected = examiner(images(2), features, *(plain[name] for name in list(plain)[:4]))
    torch.testing.assert_close(result.error_covariance, expected[0], rtol=1e-3, atol=1e-9)
    torch.testing.assert_close(result.scores, expected[1], rtol=1e-4, atol=1e-4)


def test_examined_image_does_not_depend_on_its_batch(refined: HybridGNet) -> None:
    infer = LandmarkUncertaintyInferer(5, examiner=make_examiner())
    together = infer(images(3), refined)
    for index in range(3):
        alone = infer(images(3)[index : index + 1], refined)
        torch.testing.assert_close(
            alone.error_covariance, together.error_covariance[index : index + 1], rtol=1e-2, atol=1e-8
        )
        torch.testing.assert_close(alone.scores, together.scores[index : index + 1], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("device", DEVICES)
def test_examiner_goes_to_the_networks_device_and_knows_no_autocast(refined: HybridGNet, device: str) -> None:
    network, image = copy.deepcopy(refined).to(device), images().to(device)
    infer = LandmarkUncertaintyInferer(4, examiner=make_examiner())
    expected = infer(image, network)
    with torch.autocast(device, dtype=torch.bfloat16):
        result = infer(image, network)
    assert {(value.dtype, value.device.type) for value in result.values()} == {(torch.float32, device)}
    # the encoder's maps differ in the third digit, the random network makes more of it
    torch.testing.assert_close(result.scores, expected.scores, rtol=0.2, atol=0.2)


def test_infer_returns_the_feature_maps_too(refined: HybridGNet) -> None:
    result, features = LandmarkUncertaintyInferer(4).infer(images(), refined)
    assert_same(result, LandmarkUncertaintyInferer(4)(images(), refined), atol=0)
    for actual, expected in zip(features, refined.encode(images())[2], strict=True):
        torch.testing.assert_close(actual, expected, rtol=0, atol=0)


def test_examiner_of_a_network_without_refinements_is_refused(tiny_network: HybridGNet) -> None:
    with pytest.raises(ValueError, match="needs a network with refinements"):
        LandmarkUncertaintyInferer(4, examiner=make_examiner())(images(), tiny_network)
