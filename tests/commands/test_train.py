"""`chexmask-u train` and `chexmask-u evaluate`, as a person types them."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("ignite", reason="training needs pytorch-ignite")

from monai_chexmask_u.cli import app


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(map(str, arguments)))
    logging.getLogger().handlers.clear()  # the training's log goes to the runner's output, which is closed now
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout, result.stderr


def test_training_then_evaluation_print_what_they_wrote(landmark_data: Path, tmp_path: Path) -> None:
    small = ("--epochs", 1, "--set", "image_size=64", "--set", "num_workers=0", "--set", "val_interval=1")
    code, stdout, _ = run("train", "--data", landmark_data, "-o", tmp_path / "runs", *small)
    assert code == 0
    assert f"{tmp_path / 'runs' / 'best.pt'}: the weights with the least error" in stdout
    model = tmp_path / "runs" / "best.pt"
    code, stdout, stderr = run("evaluate", "--data", landmark_data / "val", "-o", tmp_path / "out", "--model", model)
    assert code == 0
    assert "Traceback" not in stdout + stderr
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["images"] == 4
    assert "mean over 4 images" in stdout
    assert f"{summary['metrics']['mse']['mean']:.0f}" in stdout
    assert "mm" not in stdout.replace("summary", "")  # no spacing, no millimeters


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "--data", "nowhere", "-o", "out"), "nowhere: no folder train/ here"),
        (("evaluate", "--data", "nowhere", "-o", "out"), "nowhere: there is no such folder"),
        (("evaluate", "--data", "DATA", "-o", "out"), "no landmarks here, but folders train, val; give one of them"),
        (("train", "--data", "DATA", "-o", "out", "--set", "epochs"), "--set epochs: expected NAME=VALUE"),
        (("train", "--data", "DATA", "-o", "out", "--set", "lerning_rate=1"), "no entry 'lerning_rate'"),
        (("evaluate", "--data", "DATA/val", "-o", "out", "--model", "no.pt"), "no.pt: there is no weights file here"),
    ],
)
def test_mistakes_end_with_2_and_one_line(
    landmark_data: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(landmark_data.parent)
    code, stdout, stderr = run(*(argument.replace("DATA", "data") for argument in arguments))
    assert (code, stdout) == (2, "")
    assert stderr.startswith("chexmask-u: ")
    assert words in stderr
    assert stderr.count("\n") == 1
