"""The command line with a calibrated model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.samples.calibrations import make_calibration, make_limits
from support.samples.dicom import chest_phantom
from typer.testing import CliRunner

from monai_chexmask_u.cli import app
from monai_chexmask_u.files.checksum import sha256_of
from monai_chexmask_u.uncertainty import Limit
from monai_chexmask_u.uncertainty.calibration import write_calibration


@pytest.fixture
def bundle(calibrated_bundle: Path, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    return Path(shutil.copytree(calibrated_bundle, tmp_path / "bundle"))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Images of full, lower and hardly any contrast."""
    folder = tmp_path / "images"
    folder.mkdir()
    for name, contrast in (("good", 1.0), ("pale", 0.5), ("paler", 0.6), ("flat", 0.05)):
        Image.fromarray((255 * contrast * chest_phantom(80, 64)).astype(np.uint8)).save(folder / f"{name}.png")
    return folder


def segment(bundle: Path, images: Path, output: Path) -> Any:
    options = ["--samples", "4", "--device", "cpu", "--write", "json", "--model", str(bundle)]
    result = CliRunner().invoke(app, ["segment", str(images), "-o", str(output), *options])
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def test_verdicts_are_counted(bundle: Path, images: Path, tmp_path: Path) -> None:
    limits = make_limits(flatness=Limit(0.4, 0.9))
    weights = bundle / "models" / "model.pt"
    write_calibration(make_calibration(sha256_of(weights), limits=limits), bundle / "models" / "model.calibration.pt")
    result = segment(bundle, images, tmp_path / "out")
    assert result.exit_code == 0  # a verdict is no failure of the program
    assert result.stdout.splitlines() == [
        f"4 of 4 images segmented, 4 files written to {tmp_path / 'out'}",
        "verdicts: 1 accept, 2 review, 1 reject",
    ]
    record = json.loads((tmp_path / "out" / "flat.json").read_text())
    assert (record["reliability"]["verdict"], record["reliability"]["reasons"]) == ("reject", ["image_quality"])
    assert record["model"]["calibration_sha256"] == sha256_of(bundle / "models" / "model.calibration.pt")
    assert all(landmark["radius90"] > 0 for landmark in record["landmarks"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no calibration, or is broken"),
        (b"PK\x03\x04 cut off", "is no calibration, or is broken"),
        ({"format": "another"}, "no calibration of this version"),
        ({"format": "chexmask-u-calibration/2"}, "other weights"),
    ],
)
def test_a_calibration_of_no_use_is_told_in_one_line(
    bundle: Path, images: Path, tmp_path: Path, content: Any, said: str
) -> None:
    file = bundle / "models" / "model.calibration.pt"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save(content, file)
    result = segment(bundle, images, tmp_path / "out")
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"chexmask-u: {file}: ")
    assert said in line


def test_a_calibration_of_other_weights_is_told_in_one_line(
    bundle: Path, tiny_bundle: Path, images: Path, tmp_path: Path
) -> None:
    shutil.copy(tiny_bundle / "models" / "model.pt", bundle / "models" / "model.pt")
    result = segment(bundle, images, tmp_path / "out")
    (line,) = result.stderr.splitlines()
    assert result.exit_code == 2
    assert "model.calibration.pt: belongs to other weights" in line
