"""Builds that are killed: `python killed_builds.py IMAGES OUTPUT MODEL KILLS SEED` prints how many shards each had."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

from support.samples.builds import build_in_process, radiographs_of

from monai_chexmask_u.dataset.building.work import Recipe
from monai_chexmask_u.dataset.folder import read_manifest

PATIENCE_S = 60


def build(images: Path, output: Path, model: Path) -> None:
    build_in_process(
        output, radiographs_of(images), Recipe(64, model, samples=4), radiographs_per_shard=2, batch_size=1
    )


def shards(output: Path) -> int:
    return len(read_manifest(output).shards) if (output / "manifest.json").is_file() else 0


def wait_for_a_shard(output: Path, before: int) -> None:
    """Wait until a build has done one more shard, however fast the machine is."""
    start = time.monotonic()
    while shards(output) == before and time.monotonic() - start < PATIENCE_S:
        time.sleep(0.002)


def main() -> None:
    images, output, model = map(Path, sys.argv[1:4])
    kills, chance = int(sys.argv[4]), random.Random(int(sys.argv[5]))
    output.mkdir(exist_ok=True)
    for number in range(kills):
        before = shards(output)
        child = os.fork()  # all that is slow to import is there already
        if child == 0:
            build(images, output, model)
            os._exit(0)
        if number % 3:  # while it works, else while it starts
            wait_for_a_shard(output, before)
        time.sleep(chance.uniform(0, 0.1))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        print(shards(output), "killed" if os.WIFSIGNALED(status) else "finished", flush=True)
    build(images, output, model)


if __name__ == "__main__":
    main()
