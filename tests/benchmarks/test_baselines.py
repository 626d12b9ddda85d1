"""The baselines that HybridGNet is compared with, and the command that runs them all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from PIL import Image
from support.samples.dicom import phantom_landmarks
from torch import Tensor
from torch.nn import functional as F

pytest.importorskip("ignite", reason="the bundle's engines need pytorch-ignite")
pytest.importorskip("benchmarks.baselines", reason="benchmarks/ is in the checkout alone, and not on the path here")
from monai.bundle import ConfigParser
from monai.metrics import DiceMetric

from benchmarks.baselines.cli import compare
from benchmarks.baselines.fully_connected import FullyConnectedNet
from benchmarks.baselines.masks import LogitsToMasksd
from benchmarks.baselines.models import TITLES, evaluation_configs, training_configs
from benchmarks.baselines.pca import PCAShapeNet, ShapeModel
from benchmarks.baselines.runner import Setup, finished_result
from benchmarks.baselines.table import PUBLISHED, Row, markdown
from monai_chexmask_u.data import landmark_datalist
from monai_chexmask_u.losses import HybridGNetLoss
from monai_chexmask_u.networks import HybridGNet, VariationalTraining
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.transforms import LandmarksToMasksd


def shapes(count: int, seed: int = 0) -> Tensor:
    """Return phantoms ``(count, 120, 2)`` in the network frame that differ in place, size and form."""
    generator = torch.Generator().manual_seed(seed)
    base = torch.from_numpy(phantom_landmarks(64, 64) / 64).float()
    scale = 1 + 0.1 * torch.randn(count, 1, 2, generator=generator)
    shift = 0.02 * torch.randn(count, 1, 2, generator=generator)
    return base * scale + shift + 0.003 * torch.randn(count, 120, 2, generator=generator)


def networks() -> list[HybridGNet]:
    torch.manual_seed(0)
    return [PCAShapeNet(64, 6, shapes(10)), FullyConnectedNet(64)]


@pytest.mark.parametrize("network", networks(), ids=lambda network: type(network).__name__)
def test_baselines_are_trained_as_hybridgnet_is(network: HybridGNet) -> None:
    image = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    assert network(image).shape == (2, 120, 2)
    prediction = VariationalTraining(network)(image)
    HybridGNetLoss(kl_weight=1e-3)(prediction, shapes(2, seed=1)).backward()
    parameters = dict(network.named_parameters())
    assert [name for name, value in parameters.items() if value.grad is None or not value.grad.any()] == []
    latent = [*network.latent_mean.parameters(), *network.latent_log_var.parameters()]
    assert {id(value) for name, value in parameters.items() if name.startswith("latent_")} == set(map(id, latent))


def test_only_the_decoder_tells_the_fully_connected_network_from_hybridgnet() -> None:
    ours, theirs = FullyConnectedNet(64), HybridGNet(64, skip_connections=False)
    shared = [
        {name: value.shape for name, value in network.state_dict().items() if not name.startswith("decoder.")}
        for network in (ours, theirs)
    ]
    assert shared[0] == shared[1]
    counts = [sum(value.numel() for value in network.decoder.parameters()) for network in (ours, theirs)]
    assert counts[0] == pytest.approx(counts[1], rel=0.1)


def test_shape_model_loses_just_the_variance_of_the_modes_left_out() -> None:
    landmarks = shapes(30)
    model = ShapeModel(8, landmarks)
    flat = landmarks.flatten(1)
    z = (flat - model.mean) @ torch.linalg.pinv(model.modes)
    torch.testing.assert_close(z.std(dim=0), torch.ones(8), rtol=1e-3, atol=0)
    (reproduced,) = model(z.unsqueeze(1), [])
    variances = np.linalg.eigvalsh(np.cov(flat.double().numpy(), rowvar=False))[::-1]
    lost = (reproduced.squeeze(1) - landmarks).square().sum().item() / (len(landmarks) - 1)
    assert lost == pytest.approx(variances[8:].sum(), rel=1e-3)
    assert 0 < lost < 0.1 * variances.sum()


def test_shape_model_with_modes_to_spare_reproduces_the_training_landmarks() -> None:
    landmarks = shapes(4)
    model = ShapeModel(10, landmarks)
    z = (landmarks.flatten(1) - model.mean) @ torch.linalg.pinv(model.modes)
    torch.testing.assert_close(model(z.unsqueeze(1), [])[0].squeeze(1), landmarks, rtol=0, atol=1e-5)


def test_shape_model_of_unknown_landmarks_is_refused() -> None:
    landmarks = shapes(4)
    landmarks[2, 94:] = torch.nan
    with pytest.raises(ValueError, match="52 unknown"):
        ShapeModel(3, landmarks)


def test_pca_network_draws_no_sample() -> None:
    network = PCAShapeNet(64, 6, shapes(10)).eval()
    image = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    (trained,) = VariationalTraining(network)(image)["levels"]
    torch.testing.assert_close(trained, network(image), rtol=0, atol=1e-6)


def test_masks_of_logits_lie_where_those_of_landmarks_do() -> None:
    landmarks = shapes(1)[0]
    small, large = (LandmarksToMasksd("label", "label", size)({"label": landmarks})["label"] for size in (128, 1024))
    masks = LogitsToMasksd("pred", size=1024)({"pred": small[:3].float() - 0.5})["pred"]
    assert masks.dtype == torch.uint8
    dice = DiceMetric(reduction="none")(masks[None], large[None])
    assert dice.min() > 0.98
    places = torch.arange(1024.0)
    for mask, expected in zip(masks.float(), large.float(), strict=True):
        for axis in (0, 1):
            weights = [image.sum(dim=axis) / image.sum() for image in (mask, expected)]
            assert abs(float((weights[0] - weights[1]) @ places)) < 0.5


def test_mask_loss_is_dice_and_cross_entropy_of_independent_masks() -> None:
    parser = ConfigParser()
    parser.read_config([str(path) for path in training_configs("unet")])
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 8, 8, generator=generator)
    masks = (torch.rand(2, 3, 8, 8, generator=generator) > 0.5).float()
    p = logits.sigmoid()
    dice = (2 * (p * masks).sum(dim=(2, 3)) + 1e-5) / (p.sum(dim=(2, 3)) + masks.sum(dim=(2, 3)) + 1e-5)
    expected = (1 - dice).mean() + F.binary_cross_entropy_with_logits(logits, masks)
    torch.testing.assert_close(parser.get_parsed_content("loss")(logits, masks), expected)


def test_configurations_change_the_handlers_that_they_mean() -> None:
    for name in TITLES:
        for path in (*training_configs(name), *evaluation_configs(name)):
            assert path.is_file()
    content = json.loads(training_configs("unet")[0].read_text())
    handlers = [handler["_target_"].rpartition(".")[2] for handler in content["train"]["handlers"]]
    assert (handlers[0], handlers[5]) == ("KLWeightSchedule", "TrainingRecord")
    assert content["validate"]["handlers"][2]["_target_"] == "CheckpointSaver"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four images of 64 pixels with landmarks, as training and as validation set."""
    generator = np.random.default_rng(0)
    for seed, part in enumerate(("train", "val")):
        images = tmp_path / "data" / part / "images"
        images.mkdir(parents=True)
        names = [f"{part}{number}" for number in range(4)]
        for name in names:
            Image.fromarray(generator.integers(0, 255, (64, 64), dtype=np.uint8)).save(images / f"{name}.png")
        points = (shapes(4, seed).clamp(0.02, 0.98) * 64).numpy()
        np.savez(images.parent / "landmarks.npz", names=np.array(names), landmarks=points)
    return tmp_path / "data"


def run(data: Path, output: Path, only: str, epochs: int = 1, *, resume: bool = False) -> None:
    compare(data, output, epochs, image_size=64, batch_size=4, seed=0, num_workers=0, only=only, resume=resume)


@pytest.mark.filterwarnings("ignore:the prediction of class")  # what an untrained network gives may be empty
@pytest.mark.parametrize("name", TITLES)
def test_each_model_is_trained_evaluated_and_put_in_the_table(name: str, data: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    run(data, output, name)
    (measured,) = json.loads((output / "baselines.json").read_text())["measured"]
    assert measured["model"] == TITLES[name]
    assert measured["steps"] == 1
    assert measured["parameters"] > 500_000
    assert 0 <= measured["dice_lungs"] <= 1
    assert (measured["mse"] is None) == (measured["distance"] is None) == (name == "unet")
    table = (output / "baselines.md").read_text()
    assert (
        table.index("4 validation images") < table.index(TITLES[name]) < table.index("published") < table.index("340.0")
    )


def test_the_averaged_weights_at_the_end_are_what_is_measured(data: Path, tmp_path: Path) -> None:
    run(data, tmp_path / "out", "fc", epochs=2)
    network = FullyConnectedNet(64).eval()
    network.load_state_dict(torch.load(tmp_path / "out" / "fc" / "final.pt", weights_only=True)["ema"])
    errors = []
    for item in landmark_datalist(data / "val"):
        image = torch.from_numpy(read_radiograph(Path(item["image"])).pixels)[None, None]
        errors.append((network(image)[0].detach() * 1024 - torch.from_numpy(item["label"]) * 16).square().mean().item())
    (measured,) = json.loads((tmp_path / "out" / "baselines.json").read_text())["measured"]
    assert measured["mse"] == pytest.approx(np.mean(errors), rel=1e-4)


def test_a_run_is_resumed_and_never_overwritten(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out"
    run(data, output, "fc")
    summary = output / "fc" / "evaluation" / "summary.json"
    first = summary.read_text()
    written = summary.stat().st_mtime_ns
    run(data, output, "fc", resume=True)  # is finished
    assert summary.stat().st_mtime_ns == written
    summary.unlink()
    run(data, output, "fc", resume=True)  # was cut off before the evaluation
    assert summary.read_text() == first
    result = finished_result(Setup(str(data), 1, 64, 4, 0, 0), output / "fc")
    assert result is not None
    assert result.training["steps"] == 1
    for epochs, resume, reason in ((1, False, "--resume"), (2, True, "another setup")):
        with pytest.raises(typer.Exit):
            run(data, output, "fc", epochs, resume=resume)
        assert reason in capsys.readouterr().err
    assert summary.read_text() == first


def test_unknown_models_are_refused_with_the_names_there_are(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit):
        run(data, tmp_path / "out", "resnet")
    assert "there are pca, fc" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_table_has_a_cell_for_every_column() -> None:
    lines = markdown([Row("model", steps=1200, mse=1.25)], images=3).splitlines()
    assert {line.count("|") for line in lines} == {11}
    assert len(lines) == 2 + 1 + 1 + 1 + len(PUBLISHED)
    assert "| model |  | 1,200 |  | 1.2 |" in lines[3]
