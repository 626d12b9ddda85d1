"""Builds that are killed: `python killed_builds.py IMAGES OUTPUT MODEL KILLS SEED` prints how many shards each had."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

from support.samples.datasets import Silent, in_process, radiographs_of

from monai_chexmask_u.dataset.building.build import build, build_settings, pending_radiographs, start
from monai_chexmask_u.dataset.building.work import Recipe
from monai_chexmask_u.dataset.folder import read_manifest
from monai_chexmask_u.segmentation import ModelIdentity


def build_once(images: Path, output: Path, model: Path) -> None:
    radiographs, recipe, observer = radiographs_of(images), Recipe(64, model, samples=4), Silent()
    settings = build_settings(recipe, radiographs, ModelIdentity("tiny", "1", "0" * 64), films_per_shard=2, rca=None)
    with start(output, settings, len(radiographs)) as manifest:
        pending = pending_radiographs(radiographs, manifest)
        engine = in_process(recipe)
        build(
            output,
            manifest,
            pending,
            engine,
            batch_size=1,
            progress=observer.chunk_done,
            shard_done=observer.shard_done,
        )


def main() -> None:
    images, output, model = map(Path, sys.argv[1:4])
    kills, chance = int(sys.argv[4]), random.Random(int(sys.argv[5]))
    output.mkdir(exist_ok=True)
    for _ in range(kills):
        child = os.fork()  # all that is slow to import is there already
        if child == 0:
            build_once(images, output, model)
            os._exit(0)
        time.sleep(chance.uniform(0.05, 0.4))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        done = len(read_manifest(output).shards) if (output / "manifest.json").is_file() else 0
        print(done, "killed" if os.WIFSIGNALED(status) else "finished", flush=True)
    build_once(images, output, model)


if __name__ == "__main__":
    main()
