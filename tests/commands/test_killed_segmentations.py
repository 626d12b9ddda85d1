"""A run that is killed at any moment leaves nothing mixed, broken or half, and the next run leaves nothing over."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from PIL import Image
from support.processes.killed_segmentations import Segmentations
from support.samples.dicom import make_dx, save

pytestmark = pytest.mark.slow

IMAGES = [f"radiograph{number}" for number in range(4)]
KILLS = int(os.environ.get("KILLS", "8"))  # a few in the suite
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGINT)


@pytest.fixture(scope="module")
def segmentations(tiny_bundle: Path) -> Iterator[Segmentations]:
    with Segmentations(tiny_bundle) as runs:
        yield runs


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two patients whose images have the same names."""
    folder = tmp_path_factory.mktemp("studies")
    for patient in "AB":
        (folder / patient).mkdir()
        for name in IMAGES:
            dataset = make_dx(rows=80, columns=64)
            dataset.PatientID = patient
            save(dataset, folder / patient / f"{name}.dcm")
    return folder


def patients_of(folder: Path, name: str) -> set[str]:
    """Whose results lie under a name; every file must be whole."""
    patients = set()
    for path in folder.glob(f"{name}.*"):
        if path.suffix == ".json":
            patients.add(Path(json.loads(path.read_text())["image"]["path"]).parent.name)
        elif path.suffix == ".dcm":
            patients.add(pydicom.dcmread(path).PatientID)
        else:
            with Image.open(path) as image:
                image.load()
    return patients


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_killed_runs_leave_nothing_mixed_broken_or_over(
    segmentations: Segmentations, studies: Path, tmp_path: Path
) -> None:
    folder, randomness = tmp_path / "out", random.Random(0)
    options = ("-o", folder, "--samples", "2", "--device", "cpu", "--write")
    begin = time.monotonic()
    assert segmentations.run("segment", studies / "A", *options, "json,png,seg") == 0
    duration = time.monotonic() - begin
    ends = []
    for number in range(KILLS):
        patient, formats = "BA"[number % 2], ("json,seg", "json,png,seg", "png")[number % 3]
        sent = SIGNALS[number % len(SIGNALS)]
        code = segmentations.run(
            "segment", studies / patient, *options, formats, kill=sent, after=randomness.uniform(0, 1.1 * duration)
        )
        ends.append(code)
        assert code in (0, -sent, 128 + sent)  # it may have ended before, or not begun to listen
        assert all(len(patients_of(folder, name)) <= 1 for name in IMAGES)
        if code == 128 + sent:
            assert hidden(folder) == []
    assert any(code != 0 for code in ends)  # how many are hit depends on what else the machine does
    assert segmentations.run("segment", studies / "B", *options, "json,seg") == 0
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        f"{name}{suffix}" for name in IMAGES for suffix in (".json", ".seg.dcm")
    )
    assert all(patients_of(folder, name) == {"B"} for name in IMAGES)


def test_two_runs_at_once_into_one_folder_do_one_patient(
    segmentations: Segmentations, tiny_bundle: Path, studies: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    options = ("-o", folder, "--samples", "2", "--device", "cpu", "--write", "json,seg")
    with Segmentations(tiny_bundle) as others:
        segmentations.start("segment", studies / "A", *options)
        others.start("segment", studies / "B", *options)
        codes = {"A": segmentations.wait(), "B": others.wait()}
    assert sorted(codes.values()) == [0, 2]
    (done,) = (patient for patient, code in codes.items() if code == 0)
    assert all(patients_of(folder, name) == {done} for name in IMAGES)
    assert hidden(folder) == []
