from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from monai_chexmask_u.networks import HybridGNet

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.fixture(params=[True, False], ids=["skip", "no-skip"])
def network(request: pytest.FixtureRequest) -> HybridGNet:
    torch.manual_seed(0)
    return HybridGNet(64, skip_connections=request.param).eval()


def _images(count: int) -> Tensor:
    return torch.rand(count, 1, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("skip_connections", "expected"), [(True, 17_511_090), (False, 17_461_074)])
def test_parameters_are_as_many_as_published(skip_connections: bool, expected: int) -> None:
    with torch.device("meta"):
        encoder_size = sum(p.numel() for p in torch.nn.Linear(128 * 32 * 32, 64).parameters())
    network = HybridGNet(64, skip_connections=skip_connections)
    small = sum(p.numel() for p in torch.nn.Linear(128 * 2 * 2, 64).parameters())
    assert sum(p.numel() for p in network.parameters()) + 2 * (encoder_size - small) == expected


@pytest.mark.parametrize("image_size", [64, 96, 160])
def test_any_size_divisible_by_32_works(image_size: int) -> None:
    network = HybridGNet(image_size, latent_size=8)
    assert network(torch.rand(2, 1, image_size, image_size)).shape == (2, 120, 2)


@pytest.mark.parametrize("image_size", [32, 100, 0])
def test_other_sizes_are_refused(image_size: int) -> None:
    with pytest.raises(ValueError, match="divisible by 32"):
        HybridGNet(image_size)


def test_an_image_of_another_shape_is_refused(network: HybridGNet) -> None:
    with pytest.raises(ValueError, match=r"image must be \(batch, 1, 64, 64\)"):
        network(torch.rand(1, 3, 64, 64))


@pytest.mark.parametrize("training", [False, True])
def test_prediction_does_not_depend_on_the_batch(network: HybridGNet, training: bool) -> None:
    network.train(training)
    images = _images(3)
    torch.testing.assert_close(network(images)[1:2], network(images[1:2]), rtol=0, atol=1e-5)


def test_normalization_equals_batch_statistics_of_one_image(network: HybridGNet) -> None:
    features = torch.randn(1, 8, 16, 16)
    norm = network.get_submodule("encoder.blocks.0.norm2")
    published = torch.nn.BatchNorm2d(8, track_running_stats=False)
    published.load_state_dict(norm.state_dict())
    torch.testing.assert_close(norm(features), published(features))


def test_forward_decodes_the_latent_mean(network: HybridGNet) -> None:
    mean, _, features = network.encode(_images(2))
    torch.testing.assert_close(network(_images(2)), network.decode(mean.unsqueeze(1), features)[:, 0])


def test_samples_decode_as_each_alone(network: HybridGNet) -> None:
    _, _, features = network.encode(_images(2))
    z = torch.randn(2, 5, 64)
    together = network.decode(z, features)
    assert together.shape == (2, 5, 120, 2)
    for sample in range(5):
        alone = network.decode(z[:, sample : sample + 1], features)
        torch.testing.assert_close(together[:, sample : sample + 1], alone, rtol=0, atol=1e-5)


def test_decoding_ignores_images_without_skip_connections() -> None:
    network = HybridGNet(64, skip_connections=False)
    z = torch.randn(1, 3, 64)
    first, second = (network.decode(z, network.encode(image)[2]) for image in (_images(1), 1 - _images(1)))
    torch.testing.assert_close(first, second)


def test_levels_have_the_graphs_sizes(network: HybridGNet) -> None:
    mean, _, features = network.encode(_images(1))
    sizes = [level.shape[2] for level in network.decode_levels(mean.unsqueeze(1), features)]
    assert sizes == ([120, 60, 120] if network.skip_connections else [120])


@pytest.mark.filterwarnings("ignore:.torch.jit.*deprecated:DeprecationWarning")
def test_scripted_network_gives_the_same(network: HybridGNet) -> None:
    scripted = torch.jit.script(network)
    torch.testing.assert_close(scripted(_images(2)), network(_images(2)))
    _, _, features = scripted.encode(_images(1))
    assert scripted.decode(torch.randn(1, 4, 64), features).shape == (1, 4, 120, 2)


def test_autocast_and_channels_last_keep_the_landmarks_in_float32(network: HybridGNet) -> None:
    expected = network(_images(2))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with torch.autocast("cpu", torch.bfloat16):
        actual = network(_images(2).to(memory_format=torch.channels_last))
    assert actual.dtype == torch.float32
    assert (actual - expected).abs().mean() < 0.05
    assert not torch.equal(actual, actual.bfloat16().float())  # finer than bfloat16 can tell


@pytest.mark.parametrize("device", DEVICES)
def test_every_parameter_learns(device: str) -> None:
    torch.manual_seed(0)
    network = HybridGNet(64).to(device)
    mean, log_var, features = network.encode(_images(2).to(device))
    levels = network.decode_levels((mean + log_var).unsqueeze(1), features)
    sum(level.square().mean() for level in levels).backward()  # type: ignore[union-attr]
    without = [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    # What stands before an instance normalization cannot be told by its bias.
    assert [name for name in without if not name.endswith("conv1.bias")] == []


def test_exported_onnx_network_gives_the_same(tmp_path: Path, network: HybridGNet) -> None:
    pytest.importorskip("onnxscript", reason="the ONNX exporter of torch needs onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    path = tmp_path / "network.onnx"
    torch.onnx.export(network, (_images(1),), path, dynamo=True)
    session = onnxruntime.InferenceSession(path)
    (landmarks,) = session.run(None, {session.get_inputs()[0].name: _images(1).numpy()})
    torch.testing.assert_close(torch.from_numpy(landmarks), network(_images(1)), rtol=0, atol=1e-3)
