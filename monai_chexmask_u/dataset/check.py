"""Check that a data set is whole, and that every byte is as it was written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.dataset.folder import FAILURES, Manifest, Shard, read_manifest
from monai_chexmask_u.dataset.schema import FAILURE_SCHEMA, is_complete_or_earlier, mask_column
from monai_chexmask_u.files.checksum import sha256_of

__all__ = ["Problem", "check_dataset"]


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with a data set: the file below its folder, and one sentence."""

    file: str
    message: str


def check_dataset(folder: Path, *, masks: bool = False) -> Iterator[Problem]:
    """Check a data set: every file's checksum, every radiograph once, every landmark finite.

    Args:
        folder: of the data set.
        masks: also decode every mask, which takes most of the time.

    Yields:
        What is wrong, file by file; nothing if nothing is.

    Raises:
        DatasetError: if the folder has no manifest, or a damaged one.
    """
    manifest = read_manifest(folder)
    if not manifest.finished:
        done = manifest.rows + manifest.failure_count
        message = (
            f"unfinished: {done} of {manifest.radiographs} radiographs are done; give the command that builds it again"
        )
        yield Problem("manifest.json", message)
    elif manifest.radiographs is not None and manifest.rows + manifest.failure_count != manifest.radiographs:
        yield Problem("manifest.json", f"its shards have other than its {manifest.radiographs} radiographs")
    identifiers: list[pa.ChunkedArray] = []
    for shard in manifest.shards:
        if shard.file is not None:
            yield from _check_shard(folder, shard, identifiers, masks=masks)
    yield from _check_failures(folder, manifest, identifiers)
    yield from _strays(folder, manifest)
    yield from _repeated(identifiers)


def _check_shard(folder: Path, shard: Shard, identifiers: list[pa.ChunkedArray], *, masks: bool) -> Iterator[Problem]:
    name = str(shard.file)
    table = yield from _read(folder / name, name, shard.sha256, is_complete_or_earlier)
    if table is None:
        return
    if len(table) != shard.rows:
        yield Problem(name, f"has {len(table)} rows instead of {shard.rows}")
    identifiers.append(table["image_id"])
    points = table["landmarks"].combine_chunks()
    if points.null_count or not np.isfinite(points.flatten().to_numpy(zero_copy_only=False)).all():
        yield Problem(name, "has rows whose landmarks are missing or not finite")
    if masks:
        yield from _check_masks(name, table)


def _check_failures(folder: Path, manifest: Manifest, identifiers: list[pa.ChunkedArray]) -> Iterator[Problem]:
    if not manifest.finished:
        return
    table = yield from _read(folder / FAILURES, FAILURES, manifest.failures, FAILURE_SCHEMA.equals)
    if table is None:
        return
    identifiers.append(table["image_id"])
    if len(table) != manifest.failure_count:
        yield Problem(FAILURES, f"has {len(table)} rows instead of {manifest.failure_count}")


def _read(path: Path, name: str, sha256: str | None, is_known: Callable[[pa.Schema], bool]) -> Any:
    """Yield what is wrong with a file, and return its table, or None where there is none to look at."""
    if not path.is_file():
        yield Problem(name, "is missing; fetch it again, or build the data set again")
        return None
    if sha256_of(path) != sha256:
        yield Problem(name, "is not as it was written (SHA-256); fetch it again, or build the data set again")
        return None
    table = pq.read_table(path)
    if not is_known(table.schema):
        yield Problem(name, "has other columns than those of this version")
        return None
    return table


def _check_masks(name: str, table: pa.Table) -> Iterator[Problem]:
    columns = [mask_column(organ.name) for organ in ORGANS]
    for row in table.select(["image_id", "height", "width", *columns]).to_pylist():
        for column in columns:
            if row[column] is not None and not _fits(row[column], row["height"], row["width"]):
                yield Problem(name, f"{row['image_id']}: its {column} is no run-length code, or leaves the image")


def _fits(code: str, height: int | None, width: int | None) -> bool:
    try:
        numbers = np.array(code.split(), dtype=np.int64)
    except ValueError:
        return False
    if numbers.size % 2:
        return False
    starts, lengths = numbers[::2], numbers[1::2]
    last = height * width if height and width else np.inf
    return bool((starts >= 1).all() and (lengths >= 1).all() and (starts + lengths - 1 <= last).all())


def _strays(folder: Path, manifest: Manifest) -> Iterator[Problem]:
    known = {shard.file for shard in manifest.shards}
    for path in sorted((folder / "data").glob("*.parquet")):
        name = path.relative_to(folder).as_posix()
        if name not in known:
            yield Problem(name, "does not belong to the data set, but readers of the folder would read it; remove it")


def _repeated(identifiers: list[pa.ChunkedArray]) -> Iterator[Problem]:
    if not identifiers:
        return
    counts = pc.value_counts(pa.chunked_array([chunk for each in identifiers for chunk in each.chunks]))
    repeated = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    if len(repeated):
        yield Problem("data", f"{len(repeated)} radiographs come more than once, such as {repeated[0]}")
