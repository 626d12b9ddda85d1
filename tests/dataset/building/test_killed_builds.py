"""Builds are killed at any moment; the table that comes out in the end is the same."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.samples.builds import build_in_process, radiographs_of, shard_bytes, write_radiographs

from monai_chexmask_u.dataset.building.work import Recipe
from monai_chexmask_u.dataset.check import check_dataset
from monai_chexmask_u.dataset.folder import read_manifest

pytestmark = pytest.mark.slow

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}


def test_a_build_that_is_killed_ten_times_at_random_gives_the_same_table(tmp_path: Path, tiny_bundle: Path) -> None:
    images = write_radiographs(tmp_path / "radiographs", 60, broken=[7, 8, 41])
    output, whole = tmp_path / "out", tmp_path / "whole"
    program = Path(__file__).parents[2] / "support" / "processes" / "killed_builds.py"
    command = [sys.executable, str(program), str(images), str(output), str(tiny_bundle), "10", "1"]
    killed = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    build_whole(images, whole, tiny_bundle)
    lines = [line.split() for line in killed.stdout.splitlines()]
    shards = [int(count) for count, _ in lines]
    assert [how for _, how in lines] == ["killed"] * 10
    assert shards == sorted(shards)
    assert 5 < shards[-1] < 30, "the kills must come while shards are written"
    assert shard_bytes(output) == shard_bytes(whole)
    assert read_manifest(output).shards == read_manifest(whole).shards
    assert list(check_dataset(output)) == []
    rows = pq.read_table(output / "data")["image_id"].to_pylist()
    failures = pq.read_table(output / "failures.parquet")["image_id"].to_pylist()
    assert sorted(rows + failures) == [path.name for path in sorted(images.iterdir())]


def build_whole(images: Path, output: Path, model: Path) -> None:
    recipe = Recipe(64, model, samples=4)
    build_in_process(output, radiographs_of(images), recipe, radiographs_per_shard=2, batch_size=4)


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="looks for processes in /proc")
def test_the_command_is_killed_with_its_workers_and_continues(tmp_path: Path, tiny_bundle: Path) -> None:
    images, output = write_radiographs(tmp_path / "radiographs", 40), tmp_path / "out"
    command = [sys.executable, "-m", "monai_chexmask_u", "dataset", "build", "--images", str(images), "-o", str(output)]
    command += ["--model", str(tiny_bundle), "--samples", "4", "--films-per-shard", "2", "--device", "cpu"]
    process = subprocess.Popen([*command, "--workers", "2"], env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    wait_for_shards(process, output)
    time.sleep(random.Random(0).uniform(0, 0.1))
    workers = descendants(process.pid)
    assert len(workers) >= 3, "a process that forks, and two that work"
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for_the_end_of(workers)
    done = len(read_manifest(output).shards)
    assert 0 < done < 20
    again = subprocess.run([*command, "--workers", "1"], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert f"{2 * done} of 40 radiographs are done already" in again.stderr
    build_whole(images, tmp_path / "whole", tiny_bundle)
    assert shard_bytes(output) == shard_bytes(tmp_path / "whole")


def wait_for_shards(process: subprocess.Popen[bytes], output: Path) -> None:
    deadline = time.monotonic() + 120
    while not (output / "manifest.json").is_file() or not read_manifest(output).shards:
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail("the build wrote no shard")
        time.sleep(0.02)


def descendants(process: int) -> list[int]:
    """Return the processes that a process has started, and theirs."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return []
    return [number for child in map(int, children) for number in (child, *descendants(child))]


def wait_for_the_end_of(processes: list[int]) -> None:
    deadline = time.monotonic() + 60
    while any(is_alive(number) for number in processes):
        if time.monotonic() > deadline:
            pytest.fail("processes of a killed build live on")
        time.sleep(0.1)


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
