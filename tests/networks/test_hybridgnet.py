from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

from monai_chexmask_u.networks import HybridGNet

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.fixture(params=[(True, 0), (False, 0), (True, 3)], ids=["skip", "no-skip", "refined"])
def network(request: pytest.FixtureRequest) -> HybridGNet:
    torch.manual_seed(2)  # puts landmarks inside the image, where refinements have something to see
    skip_connections, refinements = request.param
    return with_offsets(HybridGNet(64, skip_connections=skip_connections, refinements=refinements)).eval()


def with_offsets(network: HybridGNet) -> HybridGNet:
    """Let refinements move the landmarks, by pixels of the fine map: untrained ones leave them where they are."""
    for refinement in network.decoder.refinements:
        torch.nn.init.normal_(refinement.get_parameter("offset.weight"), 0, 0.1)
    return network


def _images(count: int) -> Tensor:
    return torch.rand(count, 1, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("skip_connections", "expected"), [(True, 17_511_090), (False, 17_461_074)])
def test_parameters_are_as_many_as_published(skip_connections: bool, expected: int) -> None:
    with torch.device("meta"):
        encoder_size = sum(p.numel() for p in torch.nn.Linear(128 * 32 * 32, 64).parameters())
    network = HybridGNet(64, skip_connections=skip_connections)
    small = sum(p.numel() for p in torch.nn.Linear(128 * 2 * 2, 64).parameters())
    assert sum(p.numel() for p in network.parameters()) + 2 * (encoder_size - small) == expected


@pytest.mark.parametrize("refinements", [0, 3])
@pytest.mark.parametrize("image_size", [64, 96, 160])
def test_any_size_divisible_by_32_works(image_size: int, refinements: int) -> None:
    network = HybridGNet(image_size, latent_size=8, refinements=refinements)
    assert network(torch.rand(2, 1, image_size, image_size)).shape == (2, 120, 2)


@pytest.mark.parametrize("image_size", [32, 100, 0])
def test_other_sizes_are_refused(image_size: int) -> None:
    with pytest.raises(ValueError, match="divisible by 32"):
        HybridGNet(image_size)


@pytest.mark.parametrize(("skip_connections", "refinements"), [(True, -1), (True, 4), (False, 1), (False, -1)])
def test_other_numbers_of_refinements_are_refused(skip_connections: bool, refinements: int) -> None:
    message = f"refinements must be in 0..3, and 0 without skip connections, got {refinements}"
    with pytest.raises(ValueError, match=re.escape(message)):
        HybridGNet(64, skip_connections=skip_connections, refinements=refinements)


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
    assert sizes == ([120, 60, 120] if network.skip_connections else [120]) + [120] * network.refinements


def test_organs_are_segmented_on_a_map_of_a_quarter_of_the_size() -> None:
    torch.manual_seed(0)
    network = HybridGNet(96, refinements=1)
    images = torch.rand(2, 1, 96, 96)
    logits = network.organ_logits(network.encode(images)[2])
    assert logits.shape == (2, 3, 24, 24)
    torch.testing.assert_close(network.organ_logits(network.encode(images[1:])[2]), logits[1:], rtol=0, atol=1e-5)


def test_organs_are_not_segmented_without_refinements() -> None:
    network = HybridGNet(64)
    with pytest.raises(ValueError, match="without refinements has no fine map"):
        network.organ_logits(network.encode(_images(1))[2])


@pytest.mark.filterwarnings("ignore:.torch.jit.*deprecated:DeprecationWarning")
def test_scripted_network_gives_the_same(network: HybridGNet) -> None:
    scripted = torch.jit.script(network)
    torch.testing.assert_close(scripted(_images(2)), network(_images(2)))
    _, _, features = scripted.encode(_images(1))
    assert scripted.decode(torch.randn(1, 4, 64), features).shape == (1, 4, 120, 2)
    if network.refinements:
        torch.testing.assert_close(scripted.organ_logits(features), network.organ_logits(features))


def test_autocast_and_channels_last_keep_the_landmarks_in_float32(network: HybridGNet) -> None:
    expected = network(_images(2))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with torch.autocast("cpu", torch.bfloat16):
        actual = network(_images(2).to(memory_format=torch.channels_last))
    assert actual.dtype == torch.float32
    assert (actual - expected).abs().mean() < 0.05
    assert not torch.equal(actual, actual.bfloat16().float())  # finer than bfloat16 can tell


@pytest.mark.parametrize("refinements", [0, 3])
@pytest.mark.parametrize("device", DEVICES)
def test_every_parameter_learns(device: str, refinements: int) -> None:
    torch.manual_seed(0)
    network = with_offsets(HybridGNet(64, refinements=refinements)).to(device)
    mean, log_var, features = network.encode(_images(2).to(device))
    errors = [level.square().mean() for level in network.decode_levels((mean + log_var).unsqueeze(1), features)]
    if refinements:
        errors.append(network.organ_logits(features).square().mean())
    torch.stack(errors).sum().backward()
    without = [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    # What stands before an instance normalization cannot be told by its bias.
    normalized = re.compile(r"encoder\..*\.conv1\.bias|pyramid\.(lateral\.\d|join\.[01]\.2)\.bias")
    assert [name for name in without if not normalized.fullmatch(name)] == []


def test_exported_onnx_network_gives_the_same(tmp_path: Path, network: HybridGNet) -> None:
    pytest.importorskip("onnxscript", reason="the ONNX exporter of torch needs onnxscript")
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    path = tmp_path / "network.onnx"
    torch.onnx.export(network, (_images(1),), path, dynamo=True)
    # As which an embedding bag is exported; it is slow, and other runtimes refuse it.
    assert not {"Loop", "Scan"} & {node.op_type for node in onnx.load(path).graph.node}
    session = onnxruntime.InferenceSession(path)
    (landmarks,) = session.run(None, {session.get_inputs()[0].name: _images(1).numpy()})
    torch.testing.assert_close(torch.from_numpy(landmarks), network(_images(1)), rtol=0, atol=1e-3)
