"""Convert a published table to a data set: typed, compressed, and there whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import pyarrow as pa

from monai_chexmask_u.dataset.building.radiograph_index import RadiographIndex
from monai_chexmask_u.dataset.folder import DatasetError, Manifest, finish, write_manifest, write_shard
from monai_chexmask_u.dataset.published_tables.placement import measuring, place_rows
from monai_chexmask_u.dataset.published_tables.reading import BLOCK_BYTES, Part, PublishedTable
from monai_chexmask_u.dataset.schema import FAILURE_SCHEMA, SCHEMA
from monai_chexmask_u.dataset.selection import Selection
from monai_chexmask_u.provenance import commit, software

__all__ = ["ROWS_PER_SHARD", "SETTINGS_KEY", "convert_table"]

ROWS_PER_SHARD: Final = 5000
SETTINGS_KEY: Final = "chexmask-u-settings"
"""Where each Parquet file has the settings of the manifest, so that it can be understood alone."""


def convert_table(
    path: Path,
    folder: Path,
    *,
    frame: str | None = None,
    source: str | None = None,
    images: Path | None = None,
    where: Selection | None = None,
    workers: int = 1,
    rows_per_shard: int = ROWS_PER_SHARD,
    block_bytes: int = BLOCK_BYTES,
    progress: Callable[[int], None] | None = None,
) -> Manifest:
    """Convert a published table to a data set.

    Args:
        path: ``.csv`` or ``.csv.gz`` of CheXmask or CheXmask-U.
        folder: of the data set; must be empty or not be there.
        frame: in which pixels its coordinates are; by default by the rule of `PublishedTable`.
        source: name of the data set that the radiographs are from, where the header does not tell.
        images: the radiographs; each is read once, and landmarks in the published square are placed on it.
        where: which rows to take, all by default.
        workers: processes that read radiographs.
        rows_per_shard: rows of each Parquet file.
        block_bytes: of the table that are in memory at a time.
        progress: called with the number of rows that were done.

    Returns:
        The manifest of the data set.

    Raises:
        DatasetError: if the table cannot be read, its frame is unclear, a filter's column is missing, or the folder is
            not empty.
        RadiographError: if the folder of images is not there.
        ValueError: if there is no such frame or source.
        OSError: if the folder cannot be written.
    """
    table = PublishedTable(path, frame=frame, source=source)
    where = where or Selection()
    _check_filter(table, where)
    parts = table.parts(block_bytes=block_bytes)
    if images is not None:
        parts = _placed(parts, images, table, workers)
    with new_folder(folder) as made:
        manifest = Manifest("converted", {}, software=software(commit()))
        radiographs = 0
        chosen = _shards(_with_values(parts, where, path), where, rows_per_shard, progress)
        for number, part in enumerate(chosen):
            settings = {**table.settings, "placed_on_images": images is not None, "selection": where.settings}
            metadata = {**(SCHEMA.metadata or {}), SETTINGS_KEY: json.dumps(settings)}
            shard = write_shard(made, number, part.rows.replace_schema_metadata(metadata), part.failures)
            radiographs += shard.rows + shard.failures
            manifest = replace(manifest.with_shard(shard), settings=settings, radiographs=radiographs)
            write_manifest(made, manifest)
        return finish(made, manifest)


def _check_filter(table: PublishedTable, where: Selection) -> None:
    """See that the table has what a filter needs, before the work begins."""
    needs = {name: name for name in ("dice_rca_mean", "dice_rca_max")}
    needs |= {name: "landmarks_std" for name in where.columns if name == "score" or name.endswith("_uncertainty_px")}
    for name in where.columns:
        if name == "source" and table.source is not None:
            continue
        if needs.get(name) not in table.layout.holds:
            raise DatasetError(f"{table.path}: has nothing to choose rows by {name}; leave this filter out")


def _with_values(parts: Iterator[Part], where: Selection, path: Path) -> Iterator[Part]:
    """Yield parts; refuse in the end if a column that rows are chosen by was empty in every row."""
    empty = set(where.columns)
    for part in parts:
        empty -= {name for name in empty if part.rows[name].null_count < len(part.rows)}
        yield part
    if empty:
        raise DatasetError(f"{path}: has no value of {min(empty)} to choose rows by; leave this filter out")


def _placed(parts: Iterator[Part], images: Path, table: PublishedTable, workers: int) -> Iterator[Part]:
    """Yield parts whose rows were placed on their radiographs."""
    index = RadiographIndex(images)
    crop_border = table.source is not None and table.source.crop_border
    with measuring(crop_border=crop_border, workers=workers) as measure:
        for part in parts:
            rows, failures = place_rows(part.rows, index, measure)
            more = pa.Table.from_pylist(failures, schema=FAILURE_SCHEMA)
            yield Part(rows, pa.concat_tables([part.failures, more]))


def _shards(
    parts: Iterator[Part], where: Selection, rows_per_shard: int, progress: Callable[[int], None] | None
) -> Iterator[Part]:
    """Yield the rows that were chosen, as many at a time as a shard has; at least one part, be it empty."""
    rows, failures = SCHEMA.empty_table(), FAILURE_SCHEMA.empty_table()
    yielded = False
    for part in parts:
        if progress is not None:
            progress(len(part.rows) + len(part.failures))
        chosen = part.rows if where.expression is None else part.rows.filter(where.expression)
        rows, failures = pa.concat_tables([rows, chosen]), pa.concat_tables([failures, part.failures])
        while len(rows) >= rows_per_shard:
            yield Part(rows.slice(0, rows_per_shard).combine_chunks(), failures)
            rows, failures, yielded = rows.slice(rows_per_shard), FAILURE_SCHEMA.empty_table(), True
    if len(rows) or len(failures) or not yielded:
        yield Part(rows.combine_chunks(), failures)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Hand out a temporary folder beside a target, and move it there once the block ends without an error.

    Raises:
        DatasetError: if the target is there and not an empty folder.
        OSError: if the folder cannot be made.
    """
    folder = folder.resolve()
    if folder.is_mount():
        raise DatasetError(f"{folder}: is a mount point, which no folder can be moved to; choose one below it with -o")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DatasetError(f"{folder}: is there and not empty, and nothing is replaced; choose another folder with -o")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".partial-of-{folder.name}-", dir=folder.parent))
    except OSError as error:
        cause = f"results cannot be written here ({error.strerror}); choose another folder with -o"
        raise OSError(f"{folder}: {cause}") from error
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o777 & ~umask)  # mkdtemp makes folders that only their owner can read
        if folder.exists():
            folder.rmdir()
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
