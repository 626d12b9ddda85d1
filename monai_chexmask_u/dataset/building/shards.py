"""The shards of a build, one after the other, each written once all of its radiographs are done.

A build that was stopped, in whatever way, continues where it was when the same is asked for again.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from filelock import FileLock, Timeout

from monai_chexmask_u import __version__
from monai_chexmask_u.dataset.building.radiograph_files import RadiographFile
from monai_chexmask_u.dataset.building.work import Chunk, Finished, Recipe
from monai_chexmask_u.dataset.folder import (
    MANIFEST,
    DatasetError,
    Manifest,
    Shard,
    finish,
    intact,
    read_manifest,
    remove_leftovers,
    write_manifest,
    write_shard,
)
from monai_chexmask_u.provenance import commit, software
from monai_chexmask_u.segmentation import ModelIdentity

__all__ = ["build_settings", "build_shards", "claim_folder", "pending_radiographs"]

Engine = Callable[[Iterable[Chunk]], Iterator[Finished]]


def build_settings(
    recipe: Recipe,
    radiographs: Sequence[RadiographFile],
    identity: ModelIdentity,
    *,
    films_per_shard: int,
    rca: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return all that the shards depend on, as it stands in the manifest.

    Args:
        recipe: of the rows.
        radiographs: all of them.
        identity: of the model.
        films_per_shard: radiographs of a shard.
        rca: settings of reverse classification accuracy, or None.
    """
    listed = hashlib.sha256("\n".join(f"{item.image_id}\t{item.image_path}" for item in radiographs).encode())
    settings = {
        "version": __version__,
        "model": asdict(identity),
        "image_size": recipe.image_size,
        "samples": recipe.samples,
        "seed": recipe.seed,
        "source": recipe.source,
        "crop_border": recipe.crop_border,
        "masks": recipe.masks,
        "device": recipe.device.partition(":")[0],
        # They round differently, and so do not give the same bytes.
        "torch": torch.__version__,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "films": listed.hexdigest(),
        "films_per_shard": films_per_shard,
        "rca": dict(rca) if rca else None,
    }
    copied: dict[str, Any] = json.loads(json.dumps(settings))
    return copied


@contextmanager
def claim_folder(
    folder: Path, settings: Mapping[str, Any], radiograph_count: int, *, retry_failed: bool = False
) -> Iterator[Manifest]:
    """Take hold of a folder for one build, and return what is there of it.

    Args:
        folder: exists already.
        settings: from `build_settings`.
        radiograph_count: number of radiographs.
        retry_failed: do shards with failures again.

    Yields:
        The manifest, whose shards are done.

    Raises:
        DatasetError: if another build works in the folder, or it holds a data set of other settings.
        OSError: if it cannot be written to.
    """
    try:
        with FileLock(folder / ".build.lock", timeout=0):
            manifest = _manifest(folder, settings, radiograph_count)
            if retry_failed and manifest.failure_count:
                healthy = tuple(shard for shard in manifest.shards if not shard.failures)
                manifest = replace(manifest, shards=healthy, finished=False, failures=None)
                write_manifest(folder, manifest)
            remove_leftovers(folder, manifest)
            yield manifest
    except Timeout as error:
        raise DatasetError(f"{folder}: another build is at work here; wait for it, or choose another folder") from error


def _manifest(folder: Path, settings: Mapping[str, Any], radiograph_count: int) -> Manifest:
    if not (folder / MANIFEST).is_file():
        if any(folder.glob("data/*.parquet")):
            raise DatasetError(f"{folder}: has shards, but no {MANIFEST}; choose another folder with -o")
        manifest = Manifest("built", settings, radiograph_count, software=software(commit()))
        write_manifest(folder, manifest)
        return manifest
    manifest = read_manifest(folder)
    if manifest.kind != "built":
        raise DatasetError(f"{folder}: holds a data set that was not built but {manifest.kind}; choose another folder")
    for name, wanted in settings.items():
        there = manifest.settings.get(name)
        if there != wanted:
            short = all(isinstance(value, int | float | str | None) for value in (there, wanted)) and name != "films"
            values = f" ({there} there, {wanted} now)" if short else ""
            what = "radiographs" if name == "films" else name
            raise DatasetError(f"{folder}: holds a data set with other {what}{values}; choose another folder with -o")
    return intact(folder, manifest)


def pending_radiographs(
    radiographs: Sequence[RadiographFile], manifest: Manifest
) -> list[tuple[int, Sequence[RadiographFile]]]:
    """Return the shards that are not done yet: number and radiographs."""
    size = int(manifest.settings["films_per_shard"])
    done = {shard.number for shard in manifest.shards}
    shards = enumerate(radiographs[first : first + size] for first in range(0, len(radiographs), size))
    return [(number, part) for number, part in shards if number not in done]


def build_shards(
    folder: Path,
    manifest: Manifest,
    pending: Iterable[tuple[int, Sequence[RadiographFile]]],
    engine: Engine,
    *,
    batch_size: int,
    progress: Callable[[Finished], None],
    shard_done: Callable[[Shard], None],
) -> Manifest:
    """Do what is pending.

    Args:
        folder: of the data set.
        manifest: from `claim_folder`.
        pending: from `pending_radiographs`.
        engine: maps the work over chunks, and returns them in their order.
        batch_size: radiographs of a chunk; the rows do not depend on it.
        progress: called with each chunk.
        shard_done: called with each shard, once it counts.

    Returns:
        The manifest of the finished data set.

    Raises:
        OSError: if a file cannot be written; what is finished stays, and the build can continue later.
    """
    chunks = (
        Chunk(number, place, tuple(radiographs[first : first + batch_size]))
        for number, radiographs in pending
        for place, first in enumerate(range(0, len(radiographs), batch_size))
    )
    for number, finished in itertools.groupby(engine(chunks), key=lambda each: each.chunk.shard):
        rows, failures = [], []
        for chunk in finished:
            rows.append(chunk.rows)
            failures.append(chunk.failures)
            progress(chunk)
        # In one piece, so that the file does not depend on the size of the chunks.
        shard = write_shard(folder, number, *(pa.concat_tables(each).combine_chunks() for each in (rows, failures)))
        manifest = manifest.with_shard(shard)
        write_manifest(folder, manifest)
        shard_done(shard)
    return manifest if manifest.finished else finish(folder, manifest)
