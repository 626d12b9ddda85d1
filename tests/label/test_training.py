"""Training on submitted labels in this process, with a tiny network: what is learned from, and what is published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("monailabel")
pytest.importorskip("skimage")

from PIL import Image
from support.samples.dicom import phantom_landmarks
from support.samples.learning import Landmarks, annotate, noise_radiograph

if TYPE_CHECKING:
    from label.images.folder_datastore import ChestLocalDatastore
    from label.tasks.training import FineTune

GOOD = {"max_epochs": 3, "learning_rate": 1e-3, "val_split": 0.3}


@pytest.fixture
def radiographs(tmp_path: Path) -> dict[str, tuple[Path, Landmarks]]:
    folder = tmp_path / "radiographs"
    folder.mkdir()
    found = {}
    for seed in range(6):
        path = folder / f"radiograph{seed}.png"
        noise_radiograph(path, seed)
        found[path.stem] = path, phantom_landmarks(64, 64)
    return found


@pytest.fixture
def datastore(tmp_path: Path, radiographs: dict[str, tuple[Path, Landmarks]]) -> ChestLocalDatastore:
    from label.images.folder_datastore import ChestLocalDatastore

    annotate(tmp_path / "studies", radiographs, masks=["radiograph0", "radiograph1", "radiograph2"])
    return ChestLocalDatastore(tmp_path / "studies")


@pytest.fixture
def task(tmp_path: Path, calibrated_bundle: Path) -> FineTune:
    from label.tasks.model_versions import ModelStore
    from label.tasks.training import FineTune

    return FineTune(ModelStore(tmp_path / "model", calibrated_bundle))


def test_a_training_that_helps_is_published_with_its_record(task: FineTune, datastore: ChestLocalDatastore) -> None:
    shipped = task.store.current()
    result = task(GOOD, datastore)
    assert result["published"], result["message"]
    assert (result["films"], result["learned"] + result["held_out"], result["left_out"]) == (6, 6, {})
    assert result["after"]["distance_px1024"] < result["before"]["distance_px1024"]
    version = task.store.current()
    assert version.sha256 == result["model_sha256"] != shipped.sha256
    (record,) = task.store.history()
    assert record["parent"] == {"version": 0, "sha256": shipped.sha256}
    assert len(record["learned_films"]) == result["learned"]
    assert "radiograph0" not in json.dumps(record)  # ids of images may say who the patient is
    stats = task.stats()
    assert (stats["epoch"], stats["total_epochs"]) == (3, 3)
    assert stats["best_metric"] == result["after"]["dice_lungs"]
    assert stats["model"] == {"number": 1, "sha256": result["model_sha256"], "problems": []}
    (version.path / "models" / "model.pt").write_bytes(b"damaged")
    assert "version 1 is not used" in task.stats()["model"]["problems"][0]
    assert not list(task.store.folder.glob(".training-*"))


def test_what_is_published_is_what_was_measured(
    task: FineTune, datastore: ChestLocalDatastore, monkeypatch: pytest.MonkeyPatch
) -> None:
    import label.tasks.training
    from monai_chexmask_u import workflows
    from monai_chexmask_u.files.checksum import sha256_of

    measured = []

    def evaluate(data: Path, output: Path, model: Path) -> None:
        measured.append(sha256_of(model))
        workflows.evaluate(data, output, model)

    monkeypatch.setattr(label.tasks.training, "evaluate", evaluate)
    before = task.store.current().sha256
    assert task(GOOD, datastore)["published"]
    assert measured == [before, task.store.current().sha256]


def test_a_training_that_ruins_the_weights_publishes_nothing_and_says_so(
    task: FineTune, datastore: ChestLocalDatastore
) -> None:
    assert task(GOOD, datastore)["published"]
    good = task.store.current()
    for learning_rate in (5.0, 1e6):
        result = task({"max_epochs": 1, "learning_rate": learning_rate}, datastore)
        assert not result["published"]
        assert "nothing is published" in result["message"] or "diverged" in result["message"]
        assert task.store.current() == good
        assert task.stats()["last"]["message"] == result["message"]


def test_labels_of_no_use_are_left_out_and_listed(
    task: FineTune, datastore: ChestLocalDatastore, radiographs: dict[str, tuple[Path, Landmarks]], tmp_path: Path
) -> None:
    studies = tmp_path / "studies"
    labels = studies / "labels" / "final"
    for name in ("wrong_size", "empty", "text", "elsewhere", "no_radiograph"):
        noise_radiograph(studies / f"{name}.png", 1)
    Image.fromarray(np.ones((10, 10), np.uint8)).save(labels / "wrong_size.png")
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(labels / "empty.png")
    (labels / "text.mrk.json").write_text("no JSON")
    moved = {name: (path, landmarks + 500) for name, (path, landmarks) in radiographs.items()}
    annotate(tmp_path / "other", {"radiograph0": moved["radiograph0"]})
    (tmp_path / "other" / "labels" / "final" / "radiograph0.mrk.json").rename(labels / "elsewhere.mrk.json")
    (studies / "no_radiograph.png").write_text("no radiograph")
    (labels / "no_radiograph.mrk.json").write_text((labels / "radiograph5.mrk.json").read_text())
    result = task({**GOOD, "max_epochs": 1}, datastore)
    assert sorted(result["left_out"]) == ["elsewhere", "empty", "no_radiograph", "text", "wrong_size"]
    assert all(reason for reason in result["left_out"].values())
    assert result["films"] == 6
    assert result["after"] is not None


def test_few_labels_are_refused_with_the_number_that_is_needed(task: FineTune, tmp_path: Path) -> None:
    from label.images.folder_datastore import ChestLocalDatastore

    studies = tmp_path / "few"
    studies.mkdir()
    noise_radiograph(studies / "radiograph.png", 0)
    result = task({}, ChestLocalDatastore(studies))
    assert not result["published"]
    assert result["message"].startswith("there are 0 usable labels, and a training needs 4")
    assert task.store.current().number == 0


@pytest.mark.parametrize(
    "setting",
    [
        {"max_epochs": 0},
        {"max_epochs": 10**400},
        {"learning_rate": "fast"},
        {"learning_rate": float("nan")},
        {"val_split": 2},
        {"start_from": "elsewhere"},
    ],
)
def test_a_setting_of_no_use_is_refused_by_its_name(
    task: FineTune, datastore: ChestLocalDatastore, setting: dict[str, Any]
) -> None:
    result = task(setting, datastore)
    assert not result["published"]
    assert next(iter(setting)) in result["message"]


def test_the_settings_that_a_client_sends_back_unchanged_are_the_defaults() -> None:
    from label.tasks.training_settings import TrainingSettings

    assert TrainingSettings.of(TrainingSettings().as_config()) == TrainingSettings()
    assert TrainingSettings.of({"model": "chest_landmarks", "start_from": "shipped"}).start_from == "shipped"


def test_radiographs_that_were_learned_from_are_never_held_out_later(
    task: FineTune, datastore: ChestLocalDatastore, radiographs: dict[str, tuple[Path, Landmarks]]
) -> None:
    assert task(GOOD, datastore)["published"]
    (record,) = task.store.history()
    second = task({**GOOD, "val_split": 0.5}, datastore)
    assert second["held_out"] == len(record["held_out_films"])


def test_replayed_radiographs_are_mixed_in(task: FineTune, datastore: ChestLocalDatastore, landmark_data: Path) -> None:
    task.replay = landmark_data
    result = task({**GOOD, "replay_films": 3}, datastore)
    assert result["replayed"] == 3
    assert result["after"] is not None
    training = task.store.history()[-1]["training"] if result["published"] else None
    assert training is None or training["settings"]["training_images"] == result["learned"] + 3


def test_what_a_killed_training_left_is_removed_and_a_running_one_is_left_alone(
    task: FineTune, datastore: ChestLocalDatastore
) -> None:
    from filelock import FileLock

    stale = task.store.folder / ".training-stale"
    (stale / "run").mkdir(parents=True)
    (stale / "settings.json").write_text('{"max_epochs": 40}')
    (stale / "run" / "training_record.json").write_text('{"epochs": 7}')
    assert "running" not in task.stats()
    with FileLock(str(task.store.folder / ".training.lock")):
        assert (task.stats()["epoch"], task.stats()["total_epochs"], task.stats()["running"]) == (7, 40, True)
    task({**GOOD, "max_epochs": 1}, datastore)
    assert not stale.exists()


@given(names=st.sets(st.text("abcdef", min_size=1), min_size=4, max_size=30), fraction=st.floats(0, 0.5))
def test_more_radiographs_never_move_a_learned_radiograph_to_those_held_out(names: set[str], fraction: float) -> None:
    from label.tasks.training_radiographs import TrainingRadiograph, hold_out

    radiographs = [TrainingRadiograph(name, Path(name), np.zeros((120, 2), np.float32)) for name in sorted(names)]
    learn, held_out = hold_out(radiographs, fraction, ())
    assert {radiograph.image_id for radiograph in learn} | {radiograph.image_id for radiograph in held_out} == names
    assert 1 <= len(held_out) <= len(radiographs) // 2
    more = [*radiographs, *(TrainingRadiograph(f"new{n}", Path("x"), radiographs[0].landmarks) for n in range(5))]
    later_learn, later_held_out = hold_out(more, fraction, {radiograph.digest for radiograph in learn})
    assert {radiograph.image_id for radiograph in learn} <= {radiograph.image_id for radiograph in later_learn}
    assert later_held_out
