"""Training and evaluation with the bundle's configurations, on four tiny images."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("ignite", reason="the bundle's engines need pytorch-ignite")

from monai_chexmask_u.files.checksum import sha256_of
from monai_chexmask_u.model import default_bundle
from monai_chexmask_u.networks import HybridGNet
from monai_chexmask_u.networks.checkpoints import is_complete, read_checkpoint, write_checkpoint
from monai_chexmask_u.workflows import EngineError, evaluate, train

CONFIGS = default_bundle() / "configs"
SMALL: dict[str, Any] = {"image_size": 64, "val_interval": 1, "num_workers": 0, "amp": False}


def record_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "training_record.json").read_text())
    return content


@pytest.fixture(scope="module")
def kept() -> dict[str, Path]:
    return {}


@pytest.fixture
def trained(landmark_data: Path, kept: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two epochs, trained once, since the images are the same in every test; which must not change the folder."""
    if not kept:
        folder = tmp_path_factory.mktemp("trained")
        train([landmark_data], folder, epochs=2, **SMALL)
        kept["folder"] = folder
    return kept["folder"]


def test_two_epochs_leave_checkpoints_weights_tensorboard_and_a_record(trained: Path) -> None:
    assert read_checkpoint(trained / "best.pt").image_size == 64
    assert {path.name for path in trained.glob("checkpoint*")} == {"checkpoint_epoch=1.pt", "checkpoint_epoch=2.pt"}
    assert list(trained.glob("events.out.tfevents.*"))
    record = record_of(trained)
    assert (record["epochs"], record["steps"], record["sessions"]) == (2, 2, 1)
    assert record["settings"]["training_images"] == record["settings"]["validation_images"] == 4
    assert record["best"]["metric"] == "val_mse_px1024"


def test_resumed_training_continues_at_its_epoch_and_keeps_the_best(
    landmark_data: Path, trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    # As if the first epochs had been far better than any later one: it must not take the place of the best.
    best = torch.load(tmp_path / "best.pt", weights_only=True)
    best["checkpointer"]["_saved"] = [(-1.0, "best.pt")]
    torch.save(best, tmp_path / "best.pt")
    record = record_of(tmp_path)
    record["best"]["value"] = 1.0
    (tmp_path / "training_record.json").write_text(json.dumps(record))
    before = sha256_of(tmp_path / "best.pt")
    train([landmark_data], tmp_path, epochs=3, resume=True, **SMALL)
    assert torch.load(tmp_path / "checkpoint_epoch=3.pt", weights_only=True)["trainer"]["iteration"] == 3
    assert (record_of(tmp_path)["epochs"], record_of(tmp_path)["sessions"]) == (3, 2)
    assert record_of(tmp_path)["best"] == record["best"]
    assert sha256_of(tmp_path / "best.pt") == before


def test_killed_training_resumes_from_its_last_whole_checkpoint(landmark_data: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "monai_chexmask_u", "train", "--data", str(landmark_data), "-o", str(tmp_path)]
    command += [word for name, value in SMALL.items() for word in ("--set", f"{name}={json.dumps(value)}")]
    process = subprocess.Popen([*command, "--epochs", "500"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("checkpoint_epoch=*.pt"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    reached = max(int(path.stem.partition("=")[2]) for path in tmp_path.glob("checkpoint_epoch=*.pt"))
    train([landmark_data], tmp_path, epochs=reached + 1, resume=True, **SMALL)
    assert record_of(tmp_path)["epochs"] == reached + 1
    assert (tmp_path / f"checkpoint_epoch={reached + 1}.pt").is_file()


def test_early_stopping_ends_a_training_that_gets_no_better(landmark_data: Path, tmp_path: Path) -> None:
    train([landmark_data], tmp_path, epochs=30, early_stopping=2, learning_rate=0.0, latent_learning_rate=0.0, **SMALL)
    assert record_of(tmp_path)["epochs"] == 3


def test_sets_of_lungs_train_beside_sets_of_lungs_and_heart(landmark_data: Path, tmp_path: Path) -> None:
    lungs = tmp_path / "lungs" / "train"
    lungs.mkdir(parents=True)
    (lungs / "images").symlink_to(landmark_data / "train" / "images")
    with np.load(landmark_data / "train" / "landmarks.npz") as arrays:
        names, landmarks = arrays["names"], arrays["landmarks"].copy()
    landmarks[:, 94:] = np.nan
    np.savez(lungs / "landmarks.npz", names=names, landmarks=landmarks)
    train([landmark_data, lungs.parent], tmp_path / "runs", epochs=1, **(SMALL | {"amp": True}))
    record = record_of(tmp_path / "runs")
    assert record["settings"]["training_images"] == 8
    assert record["settings"]["mixed_precision"] is True
    assert np.isfinite(record["best"]["value"])


def test_training_twice_with_one_seed_gives_the_same_weights(
    landmark_data: Path, trained: Path, tmp_path: Path
) -> None:
    train([landmark_data], tmp_path, epochs=2, **SMALL)
    first, second = (read_checkpoint(folder / "final.pt").state_dict() for folder in (trained, tmp_path))
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=0, atol=0)


def test_training_starts_from_the_weights_of_a_smaller_image(
    landmark_data: Path, trained: Path, tmp_path: Path
) -> None:
    start = trained / "best.pt"
    frozen = {"learning_rate": 0.0, "latent_learning_rate": 0.0, "image_size": 96, "initial_weights": str(start)}
    train([landmark_data], tmp_path, epochs=1, **(SMALL | frozen))
    small, large = (read_checkpoint(folder / "best.pt") for folder in (trained, tmp_path))
    assert large.image_size == 96
    torch.testing.assert_close(large.decoder.state_dict(), small.decoder.state_dict(), rtol=0, atol=1e-6)


def test_training_keeps_the_bound_of_the_weights_that_it_starts_from(landmark_data: Path, tmp_path: Path) -> None:
    start = tmp_path / "start.pt"
    torch.manual_seed(0)
    write_checkpoint(HybridGNet(64, refinements=3, bounded_variance=True), start)
    train([landmark_data], tmp_path / "runs", epochs=1, initial_weights=str(start), **SMALL)
    assert read_checkpoint(tmp_path / "runs" / "best.pt").bounded_variance


def test_two_processes_train_one_network(landmark_data: Path, tmp_path: Path) -> None:
    pairs = [f"--{name}={json.dumps(value).capitalize()}" for name, value in SMALL.items()]
    files = [str(CONFIGS / name) for name in ("train.json", "multi_gpu_train.json")]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    command += ["-m", "monai.bundle", "run", "--config_file", str(files), "--bundle_root", str(default_bundle())]
    command += ["--dataset_dir", str(landmark_data), "--ckpt_dir", str(tmp_path), "--epochs", "2", *pairs]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([*command, "--batch_size", "1"], capture_output=True, env=environment, text=True)
    # torch sometimes aborts a process while Python ends, after all work is done and saved; nothing else is excused.
    assert done.returncode == 0 or "terminate called without an active exception" in done.stdout + done.stderr
    assert is_complete(tmp_path / "final.pt")
    assert record_of(tmp_path)["steps"] == 4  # two of four images each, two epochs
    assert read_checkpoint(tmp_path / "best.pt").image_size == 64


def test_the_configuration_of_truthful_spread_trains_a_bounded_network(landmark_data: Path, tmp_path: Path) -> None:
    pytest.importorskip("cv2", reason="views of radiographs are made with OpenCV")
    settings = SMALL | {"batch_size": 2, "samples": 2, "code_size": 8}
    pairs = [f"--{name}={json.dumps(value).capitalize()}" for name, value in settings.items()]
    files = [str(CONFIGS / name) for name in ("train.json", "train_posterior.json")]
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(files)]
    command += ["--bundle_root", str(default_bundle()), "--dataset_dir", str(landmark_data)]
    command += ["--ckpt_dir", str(tmp_path), "--epochs", "1", *pairs]
    done = subprocess.run(command, capture_output=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert record_of(tmp_path)["settings"]["samples"] == 2
    network = read_checkpoint(tmp_path / "best.pt")
    assert network.bounded_variance
    assert network.encode(torch.rand(1, 1, 64, 64))[1].max() <= 0


def test_evaluation_writes_a_row_per_image_and_a_summary(landmark_data: Path, trained: Path, tmp_path: Path) -> None:
    evaluate(landmark_data / "val", tmp_path / "eval", trained / "best.pt", spacing_mm=0.35)
    with (tmp_path / "eval" / "per_image.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["image"] for row in rows] == [f"val{number}.png" for number in range(4)]
    summary = json.loads((tmp_path / "eval" / "summary.json").read_text())
    assert summary["weights_sha256"] == sha256_of(trained / "best.pt")
    mean = np.mean([float(row["mse"]) for row in rows])
    assert summary["metrics"]["mse"]["mean"] == pytest.approx(mean, rel=1e-4)
    assert float(rows[0]["distance_mm"]) == pytest.approx(0.35 * float(rows[0]["distance_px1024"]), rel=1e-4)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"image_size": 100}, "divisible by 32"),
        ({"imgae_size": 64}, "no entry 'imgae_size'"),
        ({"resume": True}, "no complete checkpoint"),
        ({"initial_weights": "nowhere.pt"}, "nowhere.pt"),
        ({"dataset_dir": "elsewhere"}, "dataset_dir follows from --data"),
        ({"learning_rate": 1e30, "batch_size": 1}, "diverged"),
    ],
)
def test_unusable_settings_are_refused(
    landmark_data: Path, tmp_path: Path, settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(EngineError, match=words):
        train([landmark_data], tmp_path, epochs=1, **(SMALL | settings))


def test_landmarks_of_another_image_are_refused_with_the_image(landmark_data: Path, tmp_path: Path) -> None:
    table = landmark_data / "train" / "landmarks.npz"
    with np.load(table) as arrays:
        names, landmarks = arrays["names"], arrays["landmarks"] * 4
    np.savez(table, names=names, landmarks=landmarks)
    with pytest.raises(EngineError, match=r"train0\.png: landmarks lie up to \d+ pixels outside"):
        train([landmark_data], tmp_path, epochs=1, **SMALL)


def test_a_broken_image_is_named(landmark_data: Path, tmp_path: Path) -> None:
    image = landmark_data / "train" / "images" / "train2.png"
    image.write_bytes(image.read_bytes()[:200])
    with pytest.raises(EngineError, match=r"train2\.png: the image ends early"):
        train([landmark_data], tmp_path, epochs=1, **SMALL)


def test_one_epoch_leaves_weights_and_can_be_resumed(landmark_data: Path, tmp_path: Path) -> None:
    longer_interval = SMALL | {"val_interval": "$min(5, @epochs)"}
    train([landmark_data], tmp_path, epochs=1, **longer_interval)
    (tmp_path / "best.pt").write_bytes((tmp_path / "best.pt").read_bytes()[:1000])  # as if killed while writing it
    train([landmark_data], tmp_path, epochs=2, resume=True, **longer_interval)
    assert record_of(tmp_path)["epochs"] == 2


def test_a_missing_extra_is_named(landmark_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monai_chexmask_u.workflows.find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r"the package ignite is missing.*\[bundle\]"):
        train([landmark_data], tmp_path, epochs=1, **SMALL)


def test_lack_of_memory_is_said_with_advice(landmark_data: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="memory ran out; use a smaller batch"):
        train([landmark_data], tmp_path, epochs=1, **(SMALL | {"network_def#latent_size": 1 << 40}))
