"""Small builds: phantoms in a folder, ones that end the process that reads them, engines in this process."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from support.samples.dicom import chest_phantom

from monai_chexmask_u.dataset.building.radiograph_files import RadiographFile
from monai_chexmask_u.dataset.building.run import BuildOptions, build_dataset
from monai_chexmask_u.dataset.building.shards import build_settings, build_shards, claim_folder, pending_radiographs
from monai_chexmask_u.dataset.building.work import Chunk, Finished, RadiographWork, Recipe
from monai_chexmask_u.dataset.folder import Manifest, Shard
from monai_chexmask_u.model import load_model

__all__ = [
    "DeadlyPath",
    "Silent",
    "build_here",
    "build_in_process",
    "end_process",
    "in_process",
    "radiographs_of",
    "shard_bytes",
    "write_radiographs",
]


class DeadlyPath(type(Path())):  # type: ignore[misc]
    """A path whose file ends the process that opens it, as a decoder does that a damaged radiograph crashes."""

    def stat(self, *arguments: Any, **named: Any) -> Any:
        """Look whether it is a regular file: the first that a reader does with it."""
        os.kill(os.getpid(), signal.SIGKILL)


class Silent:
    """An observer that counts."""

    def __init__(self) -> None:
        self.done = self.shards = 0
        self.before: Manifest | None = None
        self.left_out: Mapping[str, int] = {}
        self.notes: Sequence[str] = ()

    def listed(self, radiographs: int, left_out: Mapping[str, int], notes: Sequence[str]) -> None:
        self.left_out, self.notes = left_out, notes

    def started(self, manifest: Manifest) -> None:
        self.before = manifest

    def chunk_done(self, chunk: Finished) -> None:
        self.done += len(chunk.rows) + len(chunk.failures)

    def shard_done(self, shard: Shard) -> None:
        self.shards += 1


def end_process(chunk: Chunk) -> None:
    """End the process that works on a chunk, for no fault of a radiograph."""
    os.kill(os.getpid(), signal.SIGKILL)


def write_radiographs(folder: Path, count: int, *, broken: Iterable[int] = ()) -> Path:
    """Write phantom radiographs ``radiograph000.png`` ...; broken ones end early."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        pixels = (chest_phantom(70 + number % 3, 64, seed=number) * 255).astype(np.uint8)
        path = folder / f"radiograph{number:03d}.png"
        Image.fromarray(pixels).save(path)
        if number in broken:
            path.write_bytes(path.read_bytes()[:90])
    return folder


def radiographs_of(folder: Path) -> tuple[RadiographFile, ...]:
    return tuple(RadiographFile(path.name, path.name, path) for path in sorted(folder.glob("*.png")))


def in_process(recipe: Recipe) -> Any:
    """Return an engine that works in this process."""

    def engine(chunks: Iterable[Chunk]) -> Iterator[Finished]:
        return map(RadiographWork(recipe), chunks)

    return engine


def build_in_process(
    folder: Path,
    radiographs: tuple[RadiographFile, ...],
    recipe: Recipe,
    *,
    radiographs_per_shard: int,
    batch_size: int,
) -> Manifest:
    """Build in this process, which starts no other: what `build_here` builds, in a fraction of the time."""
    folder.mkdir(exist_ok=True)
    identity = load_model(recipe.model).identity
    settings = build_settings(recipe, radiographs, identity, films_per_shard=radiographs_per_shard, rca=None)
    with claim_folder(folder, settings, len(radiographs)) as manifest:
        return build_shards(
            folder,
            manifest,
            pending_radiographs(radiographs, manifest),
            in_process(recipe),
            batch_size=batch_size,
            progress=lambda _: None,
            shard_done=lambda _: None,
        )


def build_here(images: Path, output: Path, model: Path | None, **changes: Any) -> tuple[Manifest, Silent]:
    """Build with one worker process."""
    observer = Silent()
    options = BuildOptions(images, output, model=model, samples=4, films_per_shard=4, batch_size=2, device="cpu")
    return build_dataset(replace(options, **changes), observer), observer


def shard_bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted([*folder.glob("data/*"), folder / "failures.parquet"])}
