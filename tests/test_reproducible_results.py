"""A real radiograph gives the same numbers and the same identifiers with any number of threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from support.processes.deploy_sdk import NEEDS_SDK

# What is promised; between one and two threads 0.00012 pixels were seen.
SAME_PX = 0.01
OBJECTS = ("seg", "pr", "sr")


def run(door: str, source: Path, output: Path, threads: int) -> Path:
    """Segment in a process of its own, and return the folder of the results."""
    formats = ",".join(("json", *OBJECTS))
    if door == "app":
        command = [sys.executable, "app", "-i", str(source.parent), "-o", str(output), "--write", formats]
    else:
        command = [sys.executable, "-m", "monai_chexmask_u", "segment", str(source), "-o", str(output)]
        command += ["--write", formats, "--device", "cpu"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HOLOSCAN")}
    environment |= {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    environment |= {"CUDA_VISIBLE_DEVICES": ""}  # the numbers of a CPU
    done = subprocess.run(
        [*command, "--reproducible-uids"], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return output


def identifiers(folder: Path) -> dict[str, tuple[str, str]]:
    """Return the UIDs of each object, by the ending of its file."""
    headers = {path.name.split(".", 1)[1]: pydicom.dcmread(path) for path in folder.glob("*.dcm")}
    return {name: (header.SOPInstanceUID, header.SeriesInstanceUID) for name, header in headers.items()}


def numbers(folder: Path) -> dict[str, np.ndarray]:
    (file,) = (path for path in folder.glob("*.json") if path.name != "run.json")
    landmarks: list[dict[str, Any]] = json.loads(file.read_text())["landmarks"]
    return {name: np.array([landmark[name] for landmark in landmarks], float) for name in ("x", "y", "radius90")}


@pytest.fixture
def source(chest_cr: Path, tmp_path: Path) -> Path:
    """A real radiograph, alone in a folder."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "chest.dcm").write_bytes(chest_cr.read_bytes())
    return tmp_path / "in" / "chest.dcm"


@pytest.mark.slow
@pytest.mark.parametrize("door", ["segment", pytest.param("app", marks=[pytest.mark.deploy, NEEDS_SDK])])
def test_one_and_two_threads_give_the_same_numbers_and_identifiers(
    door: str, source: Path, tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)
    one, two = (run(door, source, tmp_path / str(threads), threads) for threads in (1, 2))
    assert len(identifiers(one)) == len(OBJECTS)
    assert identifiers(one) == identifiers(two)
    found, expected = numbers(two), numbers(one)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=0, atol=SAME_PX)
