"""The results of one name in a folder are of one image and of one run."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.samples.dicom import make_dx, save
from support.samples.segmentations import make_segmentation

from monai_chexmask_u.batch import Outcome, segment_files
from monai_chexmask_u.files.folder_lock import LOCK_NAME, FolderLockError, folder_lock
from monai_chexmask_u.files.leftovers import PARTIAL
from monai_chexmask_u.files.result_suffixes import RESULT_SUFFIXES
from monai_chexmask_u.radiograph import Radiograph, RadiographError
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation
from monai_chexmask_u.writers.formats import FORMATS, write_outputs
from monai_chexmask_u.writers.own_files import is_own_file
from monai_chexmask_u.writers.result_sets import (
    check_replaceable,
    clear_results,
    file_ids,
    new_results,
    output_folder,
)

EVERYTHING = list(RESULT_SUFFIXES)


def sampled(radiograph: Radiograph) -> LandmarkSegmentation:
    """Return a result that every format can be made of."""
    result = make_segmentation(radiograph)
    return replace(result, samples=np.repeat(result.landmarks[None], result.sample_count, axis=0))


class Phantom:
    """Segments everything alike."""

    def segment(self, radiograph: Radiograph) -> LandmarkSegmentation:
        return sampled(radiograph)


def run(paths: Sequence[Path], folder: Path, *formats: str) -> list[Outcome]:
    segmenter: Any = Phantom()
    return list(segment_files(segmenter, paths, folder, formats))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All results of one DICOM image."""
    folder = tmp_path_factory.mktemp("everything")
    radiograph = read_radiograph(save(make_dx(rows=80, columns=64), folder / "chest.dcm"))
    (folder / "out").mkdir()
    write_outputs(sampled(radiograph), radiograph, folder / "out", "radiograph", EVERYTHING)
    return folder / "out"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "results"
    path.mkdir()
    return path


def image(tmp_path: Path, patient: str) -> Path:
    """An image of a patient, always under one name."""
    (tmp_path / patient).mkdir(exist_ok=True)
    dataset = make_dx(rows=80, columns=64)
    dataset.PatientID = patient
    return save(dataset, tmp_path / patient / "radiograph.dcm")


def gray_png(path: Path) -> Path:
    Image.fromarray(np.arange(80 * 64).astype(np.uint8).reshape(80, 64)).save(path)
    return path


@pytest.mark.parametrize("key", EVERYTHING)
def test_every_result_is_known_as_this_programs_own(everything: Path, key: str) -> None:
    assert is_own_file(everything / f"radiograph{RESULT_SUFFIXES[key]}", key)


@pytest.mark.parametrize("key", EVERYTHING)
def test_what_others_wrote_is_not(tmp_path: Path, everything: Path, key: str) -> None:
    path = tmp_path / f"radiograph{RESULT_SUFFIXES[key]}"
    for content in (b"mine", b"{}", b"[" * 5000, b'{"schema": 1}', b'{"chexmask_u": [1]}', bytes(200)):
        path.write_bytes(content)
        assert not is_own_file(path, key)
    if key in ("png", "mask"):
        assert not is_own_file(gray_png(path), key)
    if path.suffix == ".dcm":
        assert not is_own_file(save(make_dx(rows=80, columns=64), path), key)
    path.unlink()
    path.symlink_to(everything / path.name)
    assert not is_own_file(path, key)
    path.unlink()
    path.mkdir()
    assert not is_own_file(path, key)


def test_a_run_with_fewer_formats_leaves_nothing_of_another_patient(
    tmp_path: Path, folder: Path, everything: Path
) -> None:
    shutil.copytree(everything, folder, dirs_exist_ok=True)
    assert len(names(folder)) == len(EVERYTHING)
    second = image(tmp_path, "B")
    (outcome,) = run([second], folder, "json")
    assert outcome.written == (folder / "radiograph.json",)
    assert names(folder) == ["radiograph.json"]
    assert json.loads((folder / "radiograph.json").read_text())["image"]["sha256"] == read_radiograph(second).sha256


def test_an_image_that_is_refused_leaves_nothing_of_another_patient(
    tmp_path: Path, folder: Path, everything: Path
) -> None:
    shutil.copytree(everything, folder, dirs_exist_ok=True)
    broken = image(tmp_path, "B")
    broken.write_bytes(broken.read_bytes()[:-1000])
    (outcome,) = run([broken], folder, "json")
    assert outcome.code == "truncated"
    assert names(folder) == []


def test_results_of_other_names_stay(tmp_path: Path, folder: Path) -> None:
    run(
        [gray_png(tmp_path / "radiograph.mrk.png"), gray_png(tmp_path / "radiograph2.png")],
        folder,
        "json",
        "mrk",
        "png",
    )
    before = names(folder)
    run([gray_png(tmp_path / "radiograph.png")], folder, "json")
    assert names(folder) == sorted([*before, "radiograph.json"])


def test_files_of_somebody_else_are_neither_removed_nor_replaced(tmp_path: Path, folder: Path) -> None:
    radiograph, mask, notes = (
        gray_png(tmp_path / "radiograph.png"),
        gray_png(folder / "radiograph.mask.png"),
        folder / "radiograph.txt",
    )
    notes.write_text("mine")
    content = mask.read_bytes()
    (outcome,) = run([radiograph], folder, "json")
    assert outcome.code is None
    (outcome,) = run([radiograph], folder, "json", "mask")
    assert outcome.code == "not_written"
    assert "radiograph.mask.png was not written by this program: move it away" in outcome.message
    assert mask.read_bytes() == content
    assert names(folder) == ["radiograph.mask.png", "radiograph.txt"]


def test_an_input_is_neither_removed_nor_replaced(tmp_path: Path, folder: Path) -> None:
    run([gray_png(tmp_path / "radiograph.png")], folder, "mask")
    result = folder / "radiograph.mask.png"
    content = result.read_bytes()
    (tmp_path / "link").symlink_to(result)
    inputs = file_ids([tmp_path / "link"])
    clear_results(folder, "radiograph", inputs=inputs)
    with pytest.raises(RadiographError, match=r"radiograph\.mask\.png is one of the images"):
        check_replaceable(folder, "radiograph", ["json", "mask"], inputs=inputs)
    with new_results(folder, "radiograph", inputs=inputs) as staging:
        (staging / "radiograph.json").write_text("{}")
    assert result.read_bytes() == content


def test_an_empty_file_that_a_power_failure_left_is_replaced(tmp_path: Path, folder: Path) -> None:
    (folder / "radiograph.json").touch()
    (outcome,) = run([gray_png(tmp_path / "radiograph.png")], folder, "json")
    assert outcome.code is None


def test_new_results_come_together_and_the_record_last(
    tmp_path: Path, folder: Path, everything: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("json", "png", "seg"):
        shutil.copy(everything / f"radiograph{RESULT_SUFFIXES[key]}", folder)
    steps: list[list[str]] = []
    move, unlink = Path.replace, Path.unlink

    def spy_replace(self: Path, target: Path) -> Path:
        moved = move(self, target)
        if moved.parent == folder:
            steps.append([f"+{name}" for name in names(folder) if not name.startswith(".")])
        return moved

    def spy_unlink(self: Path, missing_ok: bool = False) -> None:
        unlink(self, missing_ok=missing_ok)
        if self.parent == folder:
            steps.append([f"-{name}" for name in names(folder) if not name.startswith(".")])

    monkeypatch.setattr(Path, "replace", spy_replace)
    monkeypatch.setattr(Path, "unlink", spy_unlink)
    run([image(tmp_path, "B")], folder, "json", "png", "sr")
    assert steps == [
        ["-radiograph.overlay.png", "-radiograph.seg.dcm"],
        ["-radiograph.seg.dcm"],
        [],
        ["+radiograph.overlay.png"],
        ["+radiograph.overlay.png", "+radiograph.sr.dcm"],
        ["+radiograph.json", "+radiograph.overlay.png", "+radiograph.sr.dcm"],
    ]


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), KeyboardInterrupt(), SystemExit(143)])
def test_an_error_while_new_results_come_leaves_none(
    folder: Path, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = Path.replace

    def fail(self: Path, target: Path) -> Path:
        if target.name == "radiograph.json":
            raise error
        return move(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(type(error)):
        _two_results(folder)
    assert names(folder) == []


def _two_results(folder: Path) -> None:
    with new_results(folder, "radiograph") as staging:
        (staging / "radiograph.ctbl").write_text("table")
        (staging / "radiograph.json").write_text("{}")


def test_results_that_cannot_be_removed_are_told_with_the_failure(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run([image(tmp_path, "A")], folder, "json")

    def refuse(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    (outcome,) = run([tmp_path / "B" / "radiograph.dcm"], folder, "json")
    assert outcome.code == "not_found"
    assert "results of an earlier run cannot be removed (Permission denied)" in outcome.message


def test_two_runs_do_not_write_into_one_folder(tmp_path: Path) -> None:
    with output_folder(tmp_path / "out"):
        assert names(tmp_path / "out") == [LOCK_NAME]
        with pytest.raises(FolderLockError, match=f"process {os.getpid()} on "), output_folder(tmp_path / "out"):
            pass
    assert names(tmp_path / "out") == []


def test_a_run_removes_what_a_killed_one_left(folder: Path) -> None:
    (folder / f"{PARTIAL}abc").mkdir()
    (folder / f"{PARTIAL}abc" / "radiograph.json").write_text("{")
    (folder / f"{PARTIAL}def.json").write_text("{")
    with output_folder(folder):
        assert names(folder) == [LOCK_NAME]


def test_a_run_leaves_what_living_processes_write(folder: Path) -> None:
    with new_results(folder, "radiograph") as staging:
        with output_folder(folder):
            assert staging.is_dir()
        with pytest.raises(FolderLockError), folder_lock(staging):
            pass
        (staging / "radiograph.json").write_text("{}")
    assert names(folder) == ["radiograph.json"]


def test_formats_and_names_of_files_are_one_list() -> None:
    assert {key: output.suffix for key, output in FORMATS.items()} == RESULT_SUFFIXES
