from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from highdicom import sr
from PIL import Image
from pydicom.uid import CTImageStorage
from support.processes.full_disk import small_disk
from support.samples.dicom import make_cr, make_dx, save
from typer.testing import CliRunner

from monai_chexmask_u import __version__
from monai_chexmask_u.anatomy import NODE_IDS
from monai_chexmask_u.cli import app
from monai_chexmask_u.files.checksum import sha256_of
from monai_chexmask_u.files.folder_lock import folder_lock
from monai_chexmask_u.networks import HybridGNet
from monai_chexmask_u.networks.checkpoints import read_checkpoint

Segment = Callable[..., Any]


@pytest.fixture(scope="module")
def segment(tiny_bundle: Path) -> Segment:
    """Run `chexmask-u segment` in this process with the tiny model; later arguments win."""

    def run(*arguments: object) -> Any:
        defaults = ["segment", "--samples", "4", "--device", "cpu", "--model", str(tiny_bundle)]
        result = CliRunner().invoke(app, [*defaults, *map(str, arguments)])
        assert "Traceback" not in result.output
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return run


@pytest.fixture(scope="module")
def everything(segment: Segment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All outputs for a synthetic DX."""
    folder = tmp_path_factory.mktemp("cli")
    image = save(make_dx(), folder / "chest.dcm")
    result = segment(image, "-o", folder / "out", "--write", "json,png,mask,csv,seg,sr")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"1 of 1 images segmented, 6 files written to {folder / 'out'}\nverdicts: 1 review\n"
    return folder / "out"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "chest.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 64), dtype=np.uint8)).save(path)
    return path


def lines(text: str) -> list[str]:
    return text.splitlines()


def assert_usage_error(result: Any, *said: object) -> None:
    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = lines(result.stderr)
    assert line.startswith("chexmask-u: ")
    for words in said:
        assert str(words) in line


def test_all_outputs_of_a_dicom_image_are_written(everything: Path) -> None:
    suffixes = [".json", ".landmarks.csv", ".mask.png", ".overlay.png", ".seg.dcm", ".sr.dcm"]
    assert sorted(path.name for path in everything.iterdir()) == [f"chest{suffix}" for suffix in suffixes]
    record = json.loads((everything / "chest.json").read_text())
    assert (record["samples"], record["model"]["name"], record["image"]["view"]) == (4, "tiny", "PA")
    with Image.open(everything / "chest.mask.png") as mask:
        assert mask.size == (400, 500)


def test_report_says_what_the_record_says(everything: Path) -> None:
    record = json.loads((everything / "chest.json").read_text())
    content: Any = sr.srread(everything / "chest.sr.dcm").content
    groups = {group.tracking_identifier: group for group in content.get_planar_roi_measurement_groups()}
    inside = 0
    for landmark, name in zip(record["landmarks"], NODE_IDS, strict=True):
        position = np.array([landmark["x"], landmark["y"]])
        # float32 in the report, clipped to the image; half a pixel between its frame and ours
        expected = np.clip(position, -0.5, (399.5, 499.5))
        inside += bool((expected == position).all())
        np.testing.assert_allclose(groups[name].roi.value[0] - 0.5, expected, rtol=0, atol=1e-4)
        spread = [float(number.value) for number in groups[name].get_measurements()][:2]
        np.testing.assert_allclose(spread, [landmark["std_x"], landmark["std_y"]], rtol=5e-6)  # six digits
    assert inside > 60
    (image,) = content.get_image_measurement_groups()
    numbers = {number.name.meaning: float(number.value) for number in image.get_measurements()}
    assert numbers == pytest.approx(
        {
            "Cardiothoracic ratio": record["cardiothoracic_ratio"]["value"],
            "Predictive uncertainty in a 1024-pixel image": record["uncertainty"]["predictive_px1024"],
            "Latent uncertainty": record["uncertainty"]["latent"],
        },
        rel=5e-6,
    )


def test_python_m_writes_the_same(everything: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    image = everything.parent / "chest.dcm"
    options = ["--samples", "4", "--device", "cpu", "--model", str(tiny_bundle), "--write", "json"]
    command = [sys.executable, "-m", "monai_chexmask_u", "segment", str(image), "-o", str(tmp_path), *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0
    assert lines(done.stdout) == [f"1 of 1 images segmented, 1 files written to {tmp_path}", "verdicts: 1 review"]
    ours, theirs = (json.loads((folder / "chest.json").read_text()) for folder in (tmp_path, everything))
    for landmark, other in zip(ours.pop("landmarks"), theirs.pop("landmarks"), strict=True):
        # the number of threads may differ
        assert (landmark["x"], landmark["y"]) == pytest.approx((other["x"], other["y"]), abs=0.01)
    assert ours["image"] == theirs["image"]
    assert ours["model"] == theirs["model"]


def test_a_folder_goes_on_after_bad_files_and_lists_them(segment: Segment, tmp_path: Path) -> None:
    study = tmp_path / "study"
    study.mkdir()
    good = save(make_cr(rows=80, columns=64), study / "good.dcm")
    (study / "cut.dcm").write_bytes(good.read_bytes()[:-1000])
    lateral = make_dx(rows=80, columns=64)
    lateral.ViewPosition = "LL"
    save(lateral, study / "lateral.dcm")
    slice_of_ct = make_cr(rows=80, columns=64)
    slice_of_ct.SOPClassUID = slice_of_ct.file_meta.MediaStorageSOPClassUID = CTImageStorage
    slice_of_ct.Modality = "CT"
    save(slice_of_ct, study / "ct.dcm")
    (study / "text.png").write_text("no image")
    result = segment(study, "-o", tmp_path / "out")
    assert result.exit_code == 1
    expected = [("ct.dcm", "wrong_modality"), ("cut.dcm", "truncated"), ("lateral.dcm", "not_frontal")]
    expected.append(("text.png", "not_an_image"))
    for line, (name, code) in zip(lines(result.stderr), expected, strict=True):
        assert line.startswith(f"chexmask-u: {study / name}: ")
        assert line.endswith(f" [{code}]")
    assert "Synthetic" not in result.output  # the patient's name
    assert lines(result.stdout) == [
        f"1 of 5 images segmented, 2 files written to {tmp_path / 'out'}",
        "verdicts: 1 review",
        "4 failed: 1 wrong_modality, 1 truncated, 1 not_frontal, 1 not_an_image",
    ]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["good.json", "good.overlay.png"]


def test_same_name_in_two_folders_gives_two_results(segment: Segment, tmp_path: Path) -> None:
    for name in "xy":
        (tmp_path / "in" / name).mkdir(parents=True)
        save(make_cr(rows=80, columns=64), tmp_path / "in" / name / "1.dcm")
    assert segment(tmp_path / "in", "-o", tmp_path / "out", "--write", "json").exit_code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["x_1.dcm.json", "y_1.dcm.json"]


def test_results_among_the_images_are_not_segmented_again(segment: Segment, image: Path) -> None:
    for _ in range(2):
        result = segment(image.parent, "-o", image.parent, "--write", "json,png,mask")
        assert lines(result.stdout)[0] == f"1 of 1 images segmented, 3 files written to {image.parent}"


def test_an_image_is_done_without_its_dicom_outputs(segment: Segment, image: Path, tmp_path: Path) -> None:
    result = segment(image, "-o", tmp_path / "out", "--write", "json,seg")
    assert result.exit_code == 0
    assert result.stderr == f"chexmask-u: {image}: no DICOM image, so without seg\n"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["chest.json"]


def test_an_image_file_for_dicom_outputs_alone_fails(segment: Segment, image: Path, tmp_path: Path) -> None:
    result = segment(image, "-o", tmp_path / "out", "--write", "seg")
    assert result.exit_code == 1
    (line,) = lines(result.stderr)
    assert line.startswith(f"chexmask-u: {image}: ")
    assert line.endswith("[needs_dicom]")
    assert list((tmp_path / "out").iterdir()) == []
    assert "verdict" not in result.stdout


def test_seed_decides_on_the_samples(segment: Segment, image: Path, tmp_path: Path) -> None:
    records = []
    for number, seed in enumerate((5, 5, 6)):
        segment(image, "-o", tmp_path / str(number), "--write", "json", "--seed", seed)
        records.append(json.loads((tmp_path / str(number) / "chest.json").read_text()))
    assert records[0] == records[1]
    assert records[0]["landmarks"] != records[2]["landmarks"]


def test_nothing_to_do_is_an_error_of_use(segment: Segment, image: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    out = ("-o", tmp_path / "out")
    assert_usage_error(segment(tmp_path / "empty", *out), tmp_path / "empty", "no image found")
    assert_usage_error(segment(image, tmp_path / "absent.png", *out), tmp_path / "absent.png")
    assert_usage_error(segment(image, *out, "--model", tmp_path / "absent.pt"), tmp_path / "absent.pt", "weights")
    assert_usage_error(segment(image, *out, "--model", tmp_path / "empty"), tmp_path / "empty", "found 0")
    assert_usage_error(segment(image, *out, "--write", "json,gif"), "unknown output format gif", "json, png")
    assert_usage_error(segment(image, *out, "--device", "toaster"), "device 'toaster' cannot be used")
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize("below", ["", "results"])
def test_a_file_in_the_place_of_the_output_folder_is_an_error_of_use(
    segment: Segment, image: Path, tmp_path: Path, below: str
) -> None:
    (tmp_path / "file").write_text("a file")
    assert_usage_error(segment(image, "-o", tmp_path / "file" / below), tmp_path / "file", "choose another folder")
    assert (tmp_path / "file").read_text() == "a file"


def test_a_folder_that_another_process_writes_into_is_an_error_of_use(
    segment: Segment, image: Path, tmp_path: Path
) -> None:
    segment(image, "-o", tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with folder_lock(tmp_path / "out"):
        result = segment(image, "-o", tmp_path / "out", "--write", "json")
    assert_usage_error(result, tmp_path / "out", f"process {os.getpid()} on", "writes into this folder since", "wait")
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


EMPTY = [
    ["segment", "", "-o", "out"],
    ["segment", "in", "-o", ""],
    ["segment", "in", "--output="],
    ["segment", "in", "-o", "out", "--model", ""],
    ["segment", "-o", "out", "--", ""],
    ["train", "--data", "", "-o", "out"],
    ["evaluate", "--data", "in", "-o", ""],
    ["weights", "convert", "", "-o", "out"],
    ["archive", "send", "--outbox", "", "--node", "PACS@host:104"],
    ["archive", "status", "--outbox="],
    ["dataset", "build", "", "-o", "out"],
    ["landmarks", "--images", "", "--masks", "in", "-o", "out"],
    ["calibrate", "", "-o", "out"],
    ["demo", "--model", ""],
]


@pytest.mark.parametrize("arguments", EMPTY, ids=" ".join)
def test_no_command_takes_an_empty_path_for_the_current_folder(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    result = CliRunner().invoke(app, arguments)
    assert_usage_error(result, "is empty; give a name" if "" in arguments else "has no value; give one")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_folder_that_cannot_be_listed_is_told_and_the_others_are_done(
    segment: Segment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("good", "locked"):
        (tmp_path / "in" / name).mkdir(parents=True)
        save(make_cr(rows=80, columns=64), tmp_path / "in" / name / f"{name}.dcm")
    scandir = os.scandir

    def refuse(folder: Any) -> Any:
        if isinstance(folder, str) and Path(folder).name == "locked":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    result = segment(tmp_path / "in" / "locked", tmp_path / "in", "-o", tmp_path / "out", "--write", "json")
    assert result.exit_code == 1
    problem = f"chexmask-u: the folder {tmp_path / 'in' / 'locked'} cannot be listed (Permission denied); "
    assert [line[: len(problem)] for line in lines(result.stderr)] == [problem, problem]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.json"]
    assert lines(result.stdout)[0].startswith("1 of 1 images segmented")
    assert lines(result.stdout)[-1] == "2 failed: 2 not_readable"


@pytest.mark.parametrize("kind", ["pipe", "/dev/zero"])
def test_what_is_no_file_is_a_failure_and_holds_nothing_up(segment: Segment, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "chest.dcm"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(kind)
    result = segment(path, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "a folder, a pipe or a device; give a file [not_readable]" in result.stderr


def test_names_of_files_that_no_terminal_should_see_are_done_and_told_in_one_line(
    segment: Segment, image: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in (b"\xff\xfe.png", b"a\nb.png", b"\x1b[2J.png", "‮a.png".encode()):
        (folder / os.fsdecode(name)).write_bytes(image.read_bytes())
    (folder / "c\nd.png").write_bytes(b"no image")
    result = segment(folder, "-o", tmp_path / "out", "--write", "json")
    assert result.exit_code == 1
    assert len(lines(result.stderr)) == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        ["__.json", "a_b.json", "_[2J.json", "_a.json"]
    )


def test_a_folder_whose_name_is_no_text_is_written_to_and_named(image: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    output = os.fsencode(tmp_path) + b"/out\xff"
    command: list[str | bytes] = [sys.executable, "-m", "monai_chexmask_u", "segment", str(image), "-o", output]
    command += ["--model", str(tiny_bundle), "--samples", "2", "--write", "json"]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "out\\udcff" in done.stdout


def test_a_full_disk_is_told_for_each_file_and_leaves_no_half_result(
    segment: Segment, image: Path, tmp_path: Path
) -> None:
    second = tmp_path / "second.png"
    second.write_bytes(image.read_bytes())
    with small_disk(tmp_path / "disk", kilobytes=200) as disk:
        (disk / "large").write_bytes(bytes(150 * 1024))
        result = segment(image, second, "-o", disk, "--write", "json,png,csv")
        assert result.exit_code == 1
        for line, path in zip(lines(result.stderr), (image, second), strict=True):
            assert line.startswith(f"chexmask-u: {path}: ")
            assert "the disk is full: No space left on device" in line
            assert line.endswith("[not_written]")
        assert [path.name for path in disk.iterdir()] == ["large"]


@pytest.mark.parametrize("arguments", [["--samples", "1"], ["--nonsense"]])
def test_wrong_options_end_with_2(segment: Segment, image: Path, tmp_path: Path, arguments: list[str]) -> None:
    assert segment(image, "-o", tmp_path / "out", *arguments).exit_code == 2


def test_version_is_that_of_the_package() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"chexmask-u {__version__}\n")


def test_published_weights_are_converted_to_a_file_that_segments(tmp_path: Path) -> None:
    network = HybridGNet(64)
    state = {f"model.{name}": value for name, value in network.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "source.pt")
    result = CliRunner().invoke(
        app, ["weights", "convert", str(tmp_path / "source.pt"), "-o", str(tmp_path / "model.pt"), "--half"]
    )
    assert result.exit_code == 0
    assert f"64 pixels, with skip connections, SHA-256 {sha256_of(tmp_path / 'model.pt')}" in result.output
    assert read_checkpoint(tmp_path / "model.pt").image_size == 64


def test_weights_that_cannot_be_converted_are_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "source.pt").write_bytes(b"no weights")
    target = str(tmp_path / "model.pt")
    for source, words in (("source.pt", "not a complete PyTorch weights file"), ("none.pt", "no weights file here")):
        result = CliRunner().invoke(app, ["weights", "convert", str(tmp_path / source), "-o", target])
        assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
        assert words in result.stderr
    assert not (tmp_path / "model.pt").exists()
