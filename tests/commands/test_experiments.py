"""`chexmask-u experiments`, as a person types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.samples.experiments import FEW, Folders, make_folders
from typer.testing import CliRunner

from monai_chexmask_u.cli import app
from monai_chexmask_u.experiments import run as run_module
from monai_chexmask_u.experiments.findings import Plot


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return make_folders(tmp_path)


@pytest.fixture(autouse=True)
def few_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "Plan", lambda: FEW)
    monkeypatch.setattr(Plot, "drawn", lambda self, kind: b"")  # it takes most of the time


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["experiments", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout, result.stderr


def options(tiny_bundle: Path) -> tuple[object, ...]:
    return ("--samples", 3, "--device", "cpu", "--model", tiny_bundle)


def test_all_prints_published_numbers_beside_ours(folders: Folders, tiny_bundle: Path, tmp_path: Path) -> None:
    data = [word for folder in folders.all for word in ("--data", folder)]
    code, stdout, stderr = run(
        "all", *data, "-o", tmp_path / "out", "--films", 2, *options(tiny_bundle)
    )  # its earlier name
    assert (code, stderr) == (0, "")
    assert "7.29; 17.09 without skip" in stdout
    assert f"{tmp_path / 'out'}: report.html, summary.json" in stdout
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["experiments"] == ["corruption", "error", "ood", "calibration"]
    assert [each["used"] for each in summary["sets"]] == [2, 2, 2]


@pytest.mark.parametrize("name", ["corruption", "error", "ood", "calibration"])
def test_each_experiment_runs_alone(folders: Folders, tiny_bundle: Path, tmp_path: Path, name: str) -> None:
    few = ("--radiographs", 1, *options(tiny_bundle))
    code, _, stderr = run(name, "--data", folders.outlined, "-o", tmp_path / "out", *few)
    assert (code, stderr) == (0, "")
    numbers = json.loads((tmp_path / "out" / "summary.json").read_text())["numbers"]
    assert any(key.startswith(f"{name}.") for key in numbers)


def test_broken_radiograph_ends_with_1_and_is_named(folders: Folders, tiny_bundle: Path, tmp_path: Path) -> None:
    (folders.frontal / "x.png").write_bytes(b"\x89PNG and no more")
    data = ("--data", folders.outlined, "--data", folders.frontal)
    code, _, stderr = run("ood", *data, "-o", tmp_path / "out", *options(tiny_bundle))
    assert code == 1
    assert stderr == "chexmask-u: scanner/x: the image ends early or is broken; fetch it again [truncated]\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--data", "nowhere"), "nowhere: there is no such folder"),
        (("--data", "scanner"), "no folder with landmarks among these"),
        (("--data", "set/val", "--model", "no.pt"), "no.pt: there is no weights file here"),
        (("--data", "set/val", "--device", "abacus"), "device 'abacus' cannot be used here"),
    ],
)
def test_mistakes_end_with_2_and_one_line(
    folders: Folders, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(folders.frontal.parent)
    code, stdout, stderr = run("all", *arguments, "-o", tmp_path / "out")
    assert (code, stdout) == (2, "")
    assert stderr.startswith("chexmask-u: ")
    assert words in stderr
    assert stderr.count("\n") == 1


def test_other_settings_in_the_folder_are_refused(folders: Folders, tiny_bundle: Path, tmp_path: Path) -> None:
    start = ("calibration", "--data", folders.outlined, "-o", tmp_path / "out")
    assert run(*start, *options(tiny_bundle))[0] == 0
    code, stdout, stderr = run(*start, *options(tiny_bundle), "--seed", 1)
    assert (code, stdout) == (2, "")
    assert "holds measurements with another seed (0 there, 1 now); choose another folder with -o" in stderr


def test_missing_package_is_named_with_its_extra(
    folders: Folders, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("monai_chexmask_u.commands.experiments.find_spec", lambda name: None)
    code, _, stderr = run("all", "--data", folders.outlined, "-o", tmp_path / "out")
    assert code == 2
    assert stderr == (
        "chexmask-u: the package pandas is missing; install this one with its extra: pip install '.[experiments]'\n"
    )
