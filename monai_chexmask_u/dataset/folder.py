"""The folder of a data set: shards in Parquet, a manifest of those that are finished, and what could not be read.

``data/part-00000.parquet`` ...   the rows
``failures.parquet``              radiographs without a row, and why
``manifest.json``                 what made them, and every file's rows, size and SHA-256

A shard counts once the manifest names it. The manifest is written after the shard, and every file whole or not at all,
so that a build that is killed at any moment has lost no row that counts and doubles none.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from monai_chexmask_u.dataset.schema import FAILURE_SCHEMA, SCHEMA
from monai_chexmask_u.files.atomic import atomic_path
from monai_chexmask_u.files.checksum import sha256_of

__all__ = [
    "FAILURES",
    "MANIFEST",
    "ROW_GROUP_ROWS",
    "DatasetError",
    "Manifest",
    "Shard",
    "finish",
    "intact",
    "read_manifest",
    "remove_leftovers",
    "write_manifest",
    "write_shard",
]

MANIFEST: Final = "manifest.json"
FAILURES: Final = "failures.parquet"
FORMAT: Final = "chexmask-u-dataset/1"
ROW_GROUP_ROWS: Final = 500
"""Rows that a reader has to take at a time: some 5 MB."""


class DatasetError(ValueError):
    """A folder is no data set, or a broken one; the message names it and says what to do."""


@dataclass(frozen=True)
class Shard:
    """A finished shard.

    Attributes:
        number: its place in the data set.
        file: below the folder; None if none of its radiographs has a row.
        rows: number of rows.
        failures: number of radiographs without one.
        bytes: size of the file.
        sha256: of the file.
    """

    number: int
    file: str | None
    rows: int
    failures: int
    bytes: int
    sha256: str | None


@dataclass(frozen=True)
class Manifest:
    """What a data set consists of.

    Attributes:
        kind: ``built`` or ``converted``.
        settings: all that the rows depend on, as JSON types.
        radiographs: how many radiographs were to be segmented, or rows converted; None while that is not known.
        shards: finished ones, by number.
        finished: whether there will be no more.
        failures: SHA-256 of ``failures.parquet`` once finished.
        software: versions that made it.
    """

    kind: str
    settings: Mapping[str, Any]
    radiographs: int | None = None
    shards: tuple[Shard, ...] = ()
    finished: bool = False
    failures: str | None = None
    software: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows of the finished shards."""
        return sum(shard.rows for shard in self.shards)

    @property
    def failure_count(self) -> int:
        """Radiographs without a row, of the finished shards."""
        return sum(shard.failures for shard in self.shards)

    def with_shard(self, shard: Shard) -> Manifest:
        """Return the manifest with one more shard."""
        others = [each for each in self.shards if each.number != shard.number]
        return replace(self, shards=tuple(sorted([*others, shard], key=lambda each: each.number)))


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a data set.

    Raises:
        DatasetError: if there is none, or it is broken.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise DatasetError(f"{folder}: no data set (there is no {MANIFEST}); give a folder that `dataset` made")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("format") != FORMAT or content.pop("sha256") != _digest(content):
            raise ValueError("another format, or changed")
        content["shards"] = tuple(Shard(**shard) for shard in content["shards"])
        content["radiographs"] = content.pop("films")
        return Manifest(**content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"{path}: not the manifest of a data set, or damaged; fetch it again, or build into another folder"
        raise DatasetError(message) from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, whole or not at all, so that it is there after a power failure too."""
    # The format calls radiographs films.
    content = {"films" if name == "radiographs" else name: value for name, value in asdict(manifest).items()}
    content = {"format": FORMAT, **content, "sha256": _digest(content)}
    with atomic_path(folder / MANIFEST) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        _sync(temporary)


def write_shard(folder: Path, number: int, rows: pa.Table, failures: pa.Table) -> Shard:
    """Write the rows of a shard and what failed of it.

    Args:
        folder: of the data set.
        number: of the shard.
        rows: with `SCHEMA`.
        failures: with `FAILURE_SCHEMA`.

    Returns:
        What the manifest has to say of it.

    Raises:
        OSError: if a file cannot be written.
    """
    if len(failures):
        path = _failure_part(folder, number)
        path.parent.mkdir(exist_ok=True)
        _write(path, failures.cast(FAILURE_SCHEMA))
    if not len(rows) and number > 0:  # the first one is always there, so that readers find the columns
        return Shard(number, None, 0, len(failures), 0, None)
    path = folder / "data" / f"part-{number:05d}.parquet"
    path.parent.mkdir(exist_ok=True)
    _write(path, rows.cast(SCHEMA.with_metadata(rows.schema.metadata or SCHEMA.metadata)))
    name = path.relative_to(folder).as_posix()
    return Shard(number, name, len(rows), len(failures), path.stat().st_size, sha256_of(path))


def finish(folder: Path, manifest: Manifest) -> Manifest:
    """Join what failed to one file, and mark the data set as finished.

    Raises:
        OSError: if a file cannot be read or written.
    """
    parts = [_failure_part(folder, shard.number) for shard in manifest.shards if shard.failures]
    table = pa.concat_tables(
        [pq.read_table(part, schema=FAILURE_SCHEMA) for part in parts] or [FAILURE_SCHEMA.empty_table()]
    )
    _write(folder / FAILURES, table)
    done = replace(manifest, finished=True, failures=sha256_of(folder / FAILURES))
    write_manifest(folder, done)
    remove_leftovers(folder, done)
    return done


def intact(folder: Path, manifest: Manifest) -> Manifest:
    """Return a manifest without the shards that are damaged or incomplete, so that they are built again.

    What failed of a finished data set stands in one file; where that has to be made anew, so have its shards.
    """
    whole = tuple(shard for shard in manifest.shards if _is_whole(folder, shard))
    joined = manifest.finished and _has(folder / FAILURES, manifest.failures)
    if joined and whole == manifest.shards:
        return manifest
    kept = tuple(shard for shard in whole if not shard.failures or _failure_part(folder, shard.number).is_file())
    return replace(manifest, shards=kept, finished=False, failures=None)


def _is_whole(folder: Path, shard: Shard) -> bool:
    return shard.file is None or _has(folder / shard.file, shard.sha256)


def _has(path: Path, sha256: str | None) -> bool:
    return path.is_file() and sha256_of(path) == sha256


def remove_leftovers(folder: Path, manifest: Manifest) -> None:
    """Remove what a build that was killed left behind: half-written files, and shards that the manifest lacks."""
    kept = {folder / shard.file for shard in manifest.shards if shard.file}
    for path in (*folder.glob(".partial-*"), *folder.glob("*/.partial-*")):
        path.unlink(missing_ok=True)
    for path in (folder / "data").glob("part-*.parquet"):
        if path not in kept:
            path.unlink()
    numbers = set() if manifest.finished else {shard.number for shard in manifest.shards}
    for path in (folder / "failures").glob("part-*.parquet"):
        if path not in {_failure_part(folder, number) for number in numbers}:
            path.unlink()
    if manifest.finished and (folder / "failures").is_dir():
        (folder / "failures").rmdir()


def _digest(content: Mapping[str, Any]) -> str:
    """Return a checksum of the manifest itself."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _failure_part(folder: Path, number: int) -> Path:
    return folder / "failures" / f"part-{number:05d}.parquet"


def _write(path: Path, table: pa.Table) -> None:
    """Write Parquet, the same bytes for the same rows."""
    with atomic_path(path) as temporary:
        pq.write_table(
            table,
            temporary,
            compression="zstd",
            compression_level=6,
            row_group_size=ROW_GROUP_ROWS,
            use_dictionary=_repeated(table.schema),
            write_page_checksum=True,
        )
        _sync(temporary)


def _repeated(schema: pa.Schema) -> Sequence[str]:
    """Return the columns of text that repeats; dictionaries of masks or identifiers would be as large as themselves."""
    unique = ("image_id", "image_path", "image_sha256", "message")
    return [
        name
        for name in schema.names
        if pa.types.is_string(schema.field(name).type) and name not in unique and not name.endswith("_mask")
    ]


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
