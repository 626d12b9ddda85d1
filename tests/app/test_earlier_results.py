"""The output folder of the application holds the results of one run of an image, and other files stay."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.processes.deploy_sdk import NEEDS_SDK
from support.samples.dicom import make_dx, save

from monai_chexmask_u.files.folder_lock import folder_lock

pytestmark = [pytest.mark.deploy, NEEDS_SDK]

RunApp = Callable[..., int]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def record_of(output: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((output / "run.json").read_text())
    return record


def test_a_run_with_fewer_formats_leaves_nothing_of_the_one_before(
    study: Path, output: Path, bundle: Path, run_app: RunApp
) -> None:
    image = make_dx(rows=80, columns=64)
    save(image, study / "1.dcm")
    assert run_app("-i", study, "-o", output, "-m", bundle, "--write", "json,png,seg") == 0
    assert run_app("-i", study, "-o", output, "-m", bundle, "--write", "json") == 0
    assert names_in(output) == sorted([f"{image.SOPInstanceUID}.json", "run.json"])


def test_an_image_that_is_refused_now_has_no_results_of_before(
    study: Path, output: Path, bundle: Path, run_app: RunApp
) -> None:
    image = make_dx(rows=80, columns=64)
    save(image, study / "1.dcm")
    assert run_app("-i", study, "-o", output, "-m", bundle, "--write", "json,seg") == 0
    image.PatientID = "SYN-0002"
    save(image, study / "2.dcm")
    assert run_app("-i", study, "-o", output, "-m", bundle, "--write", "json,seg") == 1
    assert record_of(output)["images"][image.SOPInstanceUID]["code"] == "conflicting_identifiers"
    assert names_in(output) == ["run.json"]


def test_a_file_of_somebody_else_is_not_replaced(study: Path, output: Path, bundle: Path, run_app: RunApp) -> None:
    image, other = make_dx(rows=80, columns=64), make_dx(rows=80, columns=64, seed=1)
    save(image, study / "1.dcm")
    save(other, study / "2.dcm")
    output.mkdir()
    mine = output / f"{image.SOPInstanceUID}.json"
    mine.write_text('{"mine": 1}')
    assert run_app("-i", study, "-o", output, "-m", bundle, "--write", "json") == 1
    assert mine.read_text() == '{"mine": 1}'
    outcomes = {uid: image["outcome"] for uid, image in record_of(output)["images"].items()}
    assert outcomes == {image.SOPInstanceUID: "failed", other.SOPInstanceUID: "segmented"}
    (output / "run.json").write_text('{"mine": 2}')
    assert run_app("-i", study, "-o", output, "-m", bundle, "--write", "json") == 2
    assert (output / "run.json").read_text() == '{"mine": 2}'


def test_a_folder_that_another_process_writes_into_is_left_to_it(
    study: Path, output: Path, bundle: Path, run_app: RunApp, capfd: pytest.CaptureFixture[str]
) -> None:
    save(make_dx(rows=80, columns=64), study / "1.dcm")
    output.mkdir()
    (output / "run.json").write_text('{"schema": "chexmask-u/run/1"}')
    with folder_lock(output):
        assert run_app("-i", study, "-o", output, "-m", bundle) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"chexmask-u app: {output}: process {os.getpid()} on ")
    assert names_in(output) == ["run.json"]


def test_pipes_links_in_circles_and_deep_folders_do_not_hold_a_study_up(
    study: Path, output: Path, bundle: Path, run_app: RunApp
) -> None:
    image = make_dx(rows=80, columns=64)
    deep = study / Path(*"d" * 300)
    deep.mkdir(parents=True)
    save(image, deep / "1.dcm")
    os.mkfifo(study / "pipe.dcm")
    for number in range(4):
        (study / f"circle{number}").symlink_to(".")
    assert run_app("-i", study, "-o", output, "-m", bundle, "--write", "json") == 0
    assert names_in(output) == sorted([f"{image.SOPInstanceUID}.json", "run.json"])


@pytest.mark.parametrize("option", ["-i", "-o"])
def test_an_empty_path_is_not_the_current_folder(
    study: Path,
    output: Path,
    bundle: Path,
    run_app: RunApp,
    capfd: pytest.CaptureFixture[str],
    option: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(study)
    save(make_dx(rows=80, columns=64), study / "1.dcm")
    assert run_app("-i", study, "-o", output, "-m", bundle, option, "") == 2
    assert "an argument is empty" in capfd.readouterr().err
    assert names_in(study) == ["1.dcm"]
