"""A calibration from radiographs to file, on a tiny network of random weights."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.samples.dicom import chest_phantom, phantom_landmarks
from support.samples.experiments import save_radiographs
from typer.testing import CliRunner

pytest.importorskip("cv2", reason="examples are made with OpenCV")

from monai_chexmask_u.calibrating.fit import CalibrationRadiographs, Settings, calibrate
from monai_chexmask_u.cli import app
from monai_chexmask_u.commands.calibrate import STAGES
from monai_chexmask_u.data.radiograph_sets import RadiographItem, read_sets
from monai_chexmask_u.files.checksum import sha256_of
from monai_chexmask_u.model import Model, calibration_file, load_model
from monai_chexmask_u.networks import HybridGNet
from monai_chexmask_u.networks.checkpoints import write_checkpoint
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import ModelIdentity
from monai_chexmask_u.segmenter import Segmenter
from monai_chexmask_u.uncertainty import error_scale
from monai_chexmask_u.uncertainty.calibration import Calibration

SETTINGS = Settings(rounds=2, error_steps=2, detector_steps=2, seed=1)


def silent() -> dict[str, Any]:
    return {stage: lambda done, total: None for stage in STAGES}


@pytest.fixture(scope="module")
def network() -> HybridGNet:
    torch.manual_seed(2)
    return HybridGNet(64, refinements=1).eval()


@pytest.fixture(scope="module")
def model(network: HybridGNet) -> Model:
    return Model(network, ModelIdentity("tiny", "1", "cd" * 32))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``set/train`` and ``set/val`` of two outlined radiographs each; ``scanner`` of four, of which i is held out."""
    folder = tmp_path_factory.mktemp("radiographs")
    for part, names in (("train", ["a", "b"]), ("val", ["c", "d"])):
        save_radiographs(folder / "set" / part / "images", names)
        landmarks = np.stack([phantom_landmarks(96, 80)] * 2).astype(np.float32)
        np.savez(folder / "set" / part / "landmarks.npz", names=names, landmarks=landmarks)
    save_radiographs(folder / "scanner", ["i", "f", "g", "h"])
    return folder


@pytest.fixture(scope="module")
def radiographs(data: Path) -> CalibrationRadiographs:
    train, held_out, frontal = (
        list(each.radiographs) for each in read_sets([data / "set" / "train", data / "set" / "val", data / "scanner"])
    )
    return CalibrationRadiographs(train, frontal[:-1], held_out, frontal[-1:])


@pytest.fixture(scope="module")
def calibrated(
    model: Model, radiographs: CalibrationRadiographs, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Calibration, Path]:
    """A calibration, and the folder of what it collected."""
    work = tmp_path_factory.mktemp("work")
    return calibrate(model, radiographs, SETTINGS, work=work, progress=silent()), work


def test_radii_hold_nine_tenths_of_the_held_out_landmarks(
    model: Model, radiographs: CalibrationRadiographs, calibrated: tuple[Calibration, Path]
) -> None:
    calibration, _ = calibrated
    segmenter = Segmenter(replace(model, calibration=calibration), device="cpu")
    image = Radiograph(chest_phantom(96, 80, seed=0), Path("c.png"))
    result = segmenter.segment(image)
    assert result.radius90 is not None
    assert result.error_covariance is not None
    expected = error_scale(result.error_covariance)
    factors = np.unique(np.round(result.radius90 / expected, 6))
    assert sorted(round(factor, 6) for factor in calibration.radius_factors.values()) == pytest.approx(factors)
    errors = np.linalg.norm(result.landmarks - phantom_landmarks(96, 80), axis=-1)
    assert 0.7 <= np.mean(errors <= result.radius90) <= 1
    assert calibration.record["films"]["held_out"] == {radiographs.held_out[0].source: 2}
    assert calibration.record["settings"]["rounds"] == 2


def test_a_stopped_calibration_continues_from_what_it_collected_and_gives_the_same(
    model: Model, radiographs: CalibrationRadiographs, calibrated: tuple[Calibration, Path]
) -> None:
    first, work = calibrated
    kept = {path.name: path.stat().st_mtime_ns for path in work.iterdir()}
    assert len(kept) == 2
    second = calibrate(model, radiographs, SETTINGS, work=work, progress=silent())
    assert {path.name: path.stat().st_mtime_ns for path in work.iterdir()} == kept
    assert first.radius_factors == second.radius_factors
    assert first.limits == second.limits
    calibrate(model, radiographs, replace(SETTINGS, seed=2), work=work, progress=silent())
    assert len(list(work.iterdir())) == 4


def test_what_cannot_be_calibrated_is_refused(
    model: Model, tiny_model: Model, radiographs: CalibrationRadiographs, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="refinements"):
        calibrate(tiny_model, radiographs, SETTINGS, work=tmp_path, progress=silent())
    with pytest.raises(ValueError, match="no radiograph with landmarks of the right lung to set the radii by"):
        calibrate(model, replace(radiographs, held_out=[]), SETTINGS, work=tmp_path, progress=silent())


def run(*arguments: object) -> Any:
    few = ("--rounds", 1, "--error-steps", 1, "--detector-steps", 1)
    return CliRunner().invoke(app, [str(each) for each in ("calibrate", *few, *arguments)])


def test_command_writes_a_calibration_that_the_weights_load_with(
    network: HybridGNet, data: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "model.pt"
    write_checkpoint(network, weights)
    output = calibration_file(weights)
    options = ("--data", data / "set", "--frontal", data / "scanner", "--leave-out", "f", "--work", tmp_path / "work")
    done = run(*options, "--model", weights, "-o", output, "--record", tmp_path / "record.json")
    assert done.exit_code == 0, done.output
    calibration = load_model(weights).calibration
    assert calibration is not None
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["calibration_sha256"] == calibration.sha256 == sha256_of(output)
    assert record["limits"] == calibration.limits.as_dict()
    assert record["films"] == calibration.record["films"]
    assert {name: sum(counts.values()) for name, counts in calibration.record["films"].items()} == {
        "outlined": 2,
        "frontal": 2,
        "held_out": 2,
        "held_out_frontal": 1,
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--leave-out", "nobody"], "nobody: there is no radiograph of this name to leave out"),
        (["--frontal", "nowhere"], "nowhere: there is no such folder"),
    ],
)
def test_command_says_in_one_line_what_is_wrong(
    network: HybridGNet, data: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    write_checkpoint(network, tmp_path / "model.pt")
    options = ("--data", data / "set", "--model", tmp_path / "model.pt", "-o", tmp_path / "out.pt")
    done = run(*options, "--work", tmp_path / "work", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out.pt").exists()


def test_an_organ_without_held_out_outlines_is_said_before_any_work(
    model: Model, radiographs: CalibrationRadiographs, tmp_path: Path
) -> None:
    outlines = np.asarray(radiographs.held_out[0].landmarks).copy()
    outlines[94:] = np.nan
    without_heart = [replace(item, landmarks=outlines) for item in radiographs.held_out]
    with pytest.raises(ValueError, match="no radiograph with landmarks of the heart to set the radii by"):
        calibrate(model, replace(radiographs, held_out=without_heart), SETTINGS, work=tmp_path, progress=silent())
    assert list(tmp_path.iterdir()) == []


def test_a_broken_radiograph_is_named_before_any_work(
    model: Model, radiographs: CalibrationRadiographs, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not an image")
    with pytest.raises(ValueError, match=r"broken\.png: .*--leave-out"):
        calibrate(
            model,
            replace(radiographs, held_out_frontal=[RadiographItem(broken, "broken", "scanner")]),
            SETTINGS,
            work=tmp_path / "work",
            progress=silent(),
        )


def test_the_weights_are_never_replaced(network: HybridGNet, data: Path, tmp_path: Path) -> None:
    weights = tmp_path / "model.pt"
    write_checkpoint(network, weights)
    before = weights.read_bytes()
    done = run("--data", data / "set", "--model", weights, "-o", weights, "--work", tmp_path / "work")
    assert (done.exit_code, weights.read_bytes()) == (2, before)
    assert "the weights themselves" in done.stderr


def test_radiographs_without_outlines_are_no_data(network: HybridGNet, data: Path, tmp_path: Path) -> None:
    write_checkpoint(network, tmp_path / "model.pt")
    shutil.copytree(data / "set", tmp_path / "set")
    (tmp_path / "set" / "val" / "landmarks.npz").unlink()
    options = ("--data", tmp_path / "set", "--model", tmp_path / "model.pt", "-o", tmp_path / "out.pt")
    done = run(*options, "--work", tmp_path / "work")
    assert done.exit_code == 2
    assert "val: no landmarks beside these images" in done.stderr
