from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import pytest
from ignite.engine import Engine, Events

from monai_chexmask_u import __version__
from monai_chexmask_u.handlers import TrainingRecord, training_record


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    stopped = Clock()
    monkeypatch.setattr(time, "monotonic", stopped)
    return stopped


def train(
    folder: Path,
    clock: Clock,
    metrics: list[float],
    *,
    resume: bool = False,
    settings: dict[str, Any] | None = None,
    seconds: float = 10,
) -> list[dict[str, Any]]:
    """Train for one epoch per metric of the validation, the best of which is the lowest; return the records."""
    records, first = [], 1
    validator = Engine(lambda engine, batch: None)
    validator.state.best_metric, validator.state.best_metric_epoch = -1, -1  # as MONAI's evaluator starts
    validator.state.key_metric_name = "val_mse_px1024"
    record = TrainingRecord(str(folder), validator, settings or {}, resume=resume)
    clock.now += 500  # until the training starts, which is not its time
    trainer = Engine(lambda engine, batch: None)
    if resume:
        first = read(folder)["epochs"] + 1
        trainer.load_state_dict({"epoch": first - 1, "max_epochs": first - 1 + len(metrics), "epoch_length": 3})

    def validate(engine: Engine) -> None:
        clock.now += seconds
        state, metric = validator.state, metrics[engine.state.epoch - first]
        if not math.isnan(metric) and (state.best_metric_epoch == -1 or metric < state.best_metric):
            state.best_metric, state.best_metric_epoch = metric, engine.state.epoch

    trainer.add_event_handler(Events.EPOCH_COMPLETED, validate)
    record.attach(trainer)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda _: records.append(read(folder)))
    trainer.run([0, 0, 0], max_epochs=first - 1 + len(metrics), epoch_length=3)
    return records


def read(folder: Path) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    text = (folder / "training_record.json").read_text(encoding="utf-8")
    record: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return record


def test_every_epoch_leaves_a_record_of_how_far_the_training_is(tmp_path: Path, clock: Clock) -> None:
    records = train(tmp_path / "new" / "run", clock, [5.0, 7.0, 4.0])
    assert [record["epochs"] for record in records] == [1, 2, 3]
    assert [record["steps"] for record in records] == [3, 6, 9]
    assert [record["seconds"] for record in records] == [10, 20, 30]
    assert [record["sessions"] for record in records] == [1, 1, 1]
    best = [(record["best"]["value"], record["best"]["epoch"]) for record in records]
    assert best == [(5.0, 1), (5.0, 1), (4.0, 3)]
    assert records[0]["best"]["metric"] == "val_mse_px1024"
    assert [path.name for path in (tmp_path / "new" / "run").iterdir()] == ["training_record.json"]


def test_record_names_software_device_and_settings(tmp_path: Path, clock: Clock) -> None:
    settings = {"seed": 0, "kl_weight": [1e-5, 1e-3], "initial_weights_sha256": None, "data": Path("/data")}
    (record,) = train(tmp_path, clock, [1.0], settings=settings)
    assert record["settings"] == settings | {"data": "/data"}
    assert record["software"]["monai-chexmask-u"] == __version__
    assert set(record["software"]) == {"monai-chexmask-u", "commit", "torch", "monai", "python"}
    assert record["device"]
    assert record["finished"].endswith("+00:00")


def test_record_names_the_commit_that_the_training_started_from(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = iter(["abc", "def"])
    monkeypatch.setattr(training_record, "commit", lambda: next(commits))
    assert [record["software"]["commit"] for record in train(tmp_path, clock, [1.0, 2.0])] == ["abc", "abc"]


def test_without_git_there_is_no_commit(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert train(tmp_path, clock, [1.0])[0]["software"]["commit"] is None


def test_before_the_first_validation_there_is_no_best(tmp_path: Path, clock: Clock) -> None:
    records = train(tmp_path, clock, [math.nan, 3.0])
    assert [record["best"] and record["best"]["epoch"] for record in records] == [None, 2]


def test_a_metric_that_diverged_is_no_best_and_no_broken_json(tmp_path: Path, clock: Clock) -> None:
    records = train(tmp_path, clock, [math.inf, 3.0])
    assert [record["best"] and record["best"]["value"] for record in records] == [None, 3.0]


def test_a_resumed_training_adds_its_time_and_counts_as_a_session(tmp_path: Path, clock: Clock) -> None:
    train(tmp_path, clock, [5.0, 4.0])
    records = train(tmp_path, clock, [3.0, 2.0], resume=True, seconds=7)
    assert [record["epochs"] for record in records] == [3, 4]
    assert [record["seconds"] for record in records] == [27, 34]
    assert [record["sessions"] for record in records] == [2, 2]
    assert (records[1]["best"]["value"], records[1]["best"]["epoch"]) == (2.0, 4)
    assert train(tmp_path, clock, [1.0], resume=True)[0]["sessions"] == 3


def test_a_resumed_training_keeps_an_earlier_better_best(tmp_path: Path, clock: Clock) -> None:
    train(tmp_path, clock, [5.0, 2.0])
    records = train(tmp_path, clock, [3.0, 1.0], resume=True)
    assert [(record["best"]["value"], record["best"]["epoch"]) for record in records] == [(2.0, 2), (1.0, 4)]


def test_a_new_training_in_an_old_folder_starts_anew(tmp_path: Path, clock: Clock) -> None:
    train(tmp_path, clock, [1.0, 1.0])
    (record,) = train(tmp_path, clock, [5.0])
    assert (record["sessions"], record["seconds"], record["best"]["value"]) == (1, 10, 5.0)


def test_resuming_without_a_record_is_a_first_session(tmp_path: Path, clock: Clock) -> None:
    record = TrainingRecord(str(tmp_path), Engine(lambda engine, batch: None), {}, resume=True)
    trainer = Engine(lambda engine, batch: None)
    record.attach(trainer)
    trainer.run([0], max_epochs=1)
    assert (read(tmp_path)["sessions"], read(tmp_path)["best"]) == (1, None)


def test_a_training_is_not_resumed_with_other_batches_or_rates(tmp_path: Path, clock: Clock) -> None:
    train(tmp_path, clock, [1.0], settings={"batch_size": 4, "epochs": 1})
    train(tmp_path, clock, [1.0], resume=True, settings={"batch_size": 4, "epochs": 9})
    with pytest.raises(ValueError, match="has batch_size 4, not 2"):
        train(tmp_path, clock, [1.0], resume=True, settings={"batch_size": 2})
