"""Models that the label server trained: published whole or not at all, and the last good one is used."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("monailabel")

import torch

from monai_chexmask_u.files.checksum import sha256_of
from monai_chexmask_u.model import calibration_file, weights_file
from monai_chexmask_u.networks import HybridGNet
from monai_chexmask_u.networks.checkpoints import CheckpointError, write_checkpoint

if TYPE_CHECKING:
    from label.tasks.model_versions import ModelStore


@pytest.fixture
def store(tmp_path: Path, calibrated_bundle: Path) -> ModelStore:
    from label.tasks.model_versions import ModelStore

    return ModelStore(tmp_path / "model", calibrated_bundle)


def weights(folder: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    path = folder / f"weights{seed}.pt"
    write_checkpoint(HybridGNet(64, refinements=3), path)
    return path


def test_an_empty_store_uses_the_shipped_model(store: ModelStore, calibrated_bundle: Path) -> None:
    version = store.current()
    assert (version.number, version.path) == (0, calibrated_bundle)
    assert store.load().calibration is not None
    assert not store.problems()
    assert not store.folder.exists()


def test_a_published_model_is_used_and_tells_what_it_is(store: ModelStore, tmp_path: Path) -> None:
    before = store.load()
    file = weights(tmp_path, 5)
    version = store.publish(file, {"radiographs": 7})
    after = store.load()
    assert version == store.current()
    assert version.sha256 == after.identity.sha256 == sha256_of(file) != before.identity.sha256
    assert (after.identity.name, after.identity.version) == ("tiny", "1.2.3+label.1")
    assert after.calibration is None  # the shipped one belongs to other weights
    (record,) = store.history()
    assert (record["radiographs"], record["version"], record["sha256"]) == (7, 1, sha256_of(file))
    assert record["parent"] == {"version": 0, "sha256": before.identity.sha256}


def test_another_process_sees_what_was_published(store: ModelStore, tmp_path: Path) -> None:
    other = type(store)(store.folder, store.shipped)
    other.load()
    version = store.publish(weights(tmp_path, 5), {})
    assert other.current() == version
    assert other.load().identity.sha256 == version.sha256


def test_a_calibration_put_beside_the_weights_is_taken_up(store: ModelStore, tmp_path: Path) -> None:
    from support.samples.calibrations import make_calibration

    from monai_chexmask_u.uncertainty.calibration import write_calibration

    version = store.publish(weights(tmp_path, 5), {})
    assert store.load().calibration is None
    file = calibration_file(weights_file(version.path))
    write_calibration(make_calibration(version.sha256), file)
    assert store.current() != version
    assert store.load().calibration is not None
    shutil.copy(calibration_file(weights_file(store.shipped)), file)  # belongs to other weights
    assert store.load().calibration is None
    assert "belongs to other weights" in store.problems()[0]


def test_a_damaged_version_is_said_and_the_one_before_it_used(
    store: ModelStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = store.publish(weights(tmp_path, 5), {})
    second = store.publish(weights(tmp_path, 6), {})
    file = weights_file(second.path)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 255
    file.write_bytes(content)
    assert store.current() == first
    assert "version 2 is not used" in store.problems()[0]
    assert "is damaged" in caplog.text
    shutil.rmtree(second.path)
    assert store.load().identity.sha256 == first.sha256
    assert "version 2 is missing" in store.problems()[0]
    weights_file(first.path).unlink()
    assert store.current().number == 0
    (store.folder / "current.json").write_text("no JSON")
    assert any("current.json: cannot be read" in problem for problem in store.problems())


def test_rollback_goes_to_the_parent_and_numbers_are_not_used_again(store: ModelStore, tmp_path: Path) -> None:
    store.publish(weights(tmp_path, 5), {})
    store.publish(weights(tmp_path, 6), {})
    assert store.rollback().number == 1
    third = store.publish(weights(tmp_path, 7), {})
    assert third.number == 3
    assert store.rollback().number == 1
    assert store.rollback(2).number == store.current().number == 2
    assert store.rollback(0).number == 0
    with pytest.raises(ValueError, match="shipped model is in use"):
        store.rollback()
    with pytest.raises(ValueError, match="no version 9"):
        store.rollback(9)


def test_the_command_lists_versions_and_goes_back(
    store: ModelStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from label.models import main

    store.publish(weights(tmp_path, 5), {"before": {"distance_px1024": 9.5}, "after": {"distance_px1024": 8.25}})
    place = ["--models", str(store.folder), "--model", str(store.shipped)]
    assert main(place) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("    0  shipped")
    assert lines[1].startswith("*   1")
    assert "9.50 to 8.25" in lines[1]
    assert main([*place, "--rollback"]) == 0
    assert store.current().number == 0
    assert main([*place, "--rollback", "7"]) == 2
    assert "no version 7" in capsys.readouterr().err


def test_what_is_no_weights_file_is_not_published(store: ModelStore, tmp_path: Path) -> None:
    text = tmp_path / "model.pt"
    text.write_text("no weights")
    with pytest.raises(CheckpointError):
        store.publish(text, {})
    assert store.current().number == 0
    assert store.numbers() == [0]


@pytest.mark.parametrize("moment", ["Path.rename", "Path.replace", "shutil.copyfile", "os.fsync"])
def test_a_publication_that_is_killed_leaves_the_last_good_model(
    store: ModelStore, tmp_path: Path, moment: str
) -> None:
    good = store.publish(weights(tmp_path, 5), {})
    file = weights(tmp_path, 6)
    process = multiprocessing.get_context("fork").Process(target=_publish_and_die, args=(store, file, moment))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    again = type(store)(store.folder, store.shipped)
    assert again.current() == good
    assert not again.problems()
    assert again.publish(file, {}) == again.current()  # the lock is free
    assert again.load().identity.sha256 == sha256_of(file)
    assert not list(store.folder.glob(".publish-*"))
    assert json.loads((store.folder / "current.json").read_text())["version"] == again.current().number


def _publish_and_die(store: ModelStore, file: Path, moment: str) -> None:
    def die(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    owner, name = moment.split(".")
    setattr({"Path": Path, "shutil": shutil, "os": os}[owner], name, die)
    store.publish(file, {})
