"""Lists and tables about radiographs: their paths and ids, and the views that public data sets tell in tables."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TextIO

from monai_chexmask_u.dataset.sources import Source

__all__ = [
    "ID_COLUMNS",
    "PATH_COLUMNS",
    "TABLE_SUFFIXES",
    "list_lines",
    "manifest_rows",
    "read_views",
    "table_columns",
    "table_rows",
    "tables_above",
]

PATH_COLUMNS: Final = ("path", "file", "filename", "image", "image_path")
ID_COLUMNS: Final = ("image_id", "id")
"""How the columns of a manifest are called, unless an option names them; letter case does not matter."""

TABLE_SUFFIXES: Final = (".csv", ".csv.gz", ".parquet")

FOLDERS_ABOVE: Final = 5
"""Folders in which a table is looked for: that of a MIMIC study is four below that of the table."""


def list_lines(path: Path) -> Iterator[str]:
    """Yield the paths in a text file, one per line; blank lines and those that start with ``#`` are passed over.

    Raises:
        ValueError: if it is no text in UTF-8.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            for line in file:
                if line.strip() and not line.lstrip().startswith("#"):
                    yield line.strip()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: no text in UTF-8; save the list as UTF-8") from error


def manifest_rows(
    path: Path, *, path_column: str | None = None, id_column: str | None = None
) -> Iterator[tuple[str, str | None]]:
    """Yield the paths and ids that a table holds; the id is None where it has no column of ids.

    Args:
        path: a CSV (also ``.csv.gz``) or Parquet file.
        path_column: name of the column of paths; by default the first of `PATH_COLUMNS` that there is.
        id_column: name of the column of ids; by default the first of `ID_COLUMNS` that there is.

    Raises:
        ValueError: if it is no such table or has no such column.
    """
    columns = table_columns(path)
    paths = _chosen(columns, path_column, PATH_COLUMNS)
    ids = _chosen(columns, id_column, ID_COLUMNS)
    missing = (path_column or "path") if paths is None else id_column if ids is None else None
    if missing:
        raise ValueError(f"{path}: there is no column {missing!r}; its columns are {', '.join(columns)}")
    for row in table_rows(path, [name for name in (paths, ids) if name is not None]):
        yield row[0], row[1] if ids is not None else None


def table_columns(path: Path) -> list[str]:
    """Return the names of a table's columns.

    Raises:
        ValueError: if it is neither CSV nor Parquet.
    """
    if path.suffix.lower() == ".parquet":
        names: list[str] = _parquet(path).schema_arrow.names
        return names
    return next(_csv_rows(path), [])


def table_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield the rows of some columns, as text; what is missing is empty.

    Raises:
        ValueError: if it is neither CSV nor Parquet, or broken, or has no such column.
    """
    if path.suffix.lower() == ".parquet":
        file = _parquet(path)
        try:
            for batch in file.iter_batches(columns=list(columns)):
                for row in batch.select(list(columns)).to_pylist():
                    yield tuple("" if row[name] is None else str(row[name]) for name in columns)
        except (OSError, KeyError) as error:
            raise ValueError(f"{path}: the Parquet file is broken; write it again") from error
        return
    rows = _csv_rows(path)
    header = next(rows, [])
    places = [header.index(name) for name in columns]
    for row in rows:
        if row:
            yield tuple(row[place].strip() if place < len(row) else "" for place in places)


def tables_above(place: Path, source: Source) -> list[Path]:
    """Return the view tables in the nearest folder that has any, from a folder upwards.

    Args:
        place: the folder to begin with.
        source: whose tables are looked for.
    """
    for folder in [place, *place.parents][:FOLDERS_ABOVE]:
        found = [folder / name for name in source.view_tables if (folder / name).is_file()]
        if found:
            return found
    return []


def read_views(tables: Iterable[Path], source: Source) -> dict[str, str] | None:
    """Return the views that tables tell, as they call them, by bare ids; None if none of the tables has its columns.

    Raises:
        ValueError: if a table is broken.
    """
    views: dict[str, str] = {}
    usable = [table for table in sorted(tables) if set(source.view_columns) <= set(table_columns(table))]
    names: dict[str, str] = {}  # each of the few names is kept once
    for table in usable:
        for item, view in table_rows(table, source.view_columns):
            views[source.bare(source.id_of(item) or item)] = names.setdefault(view, view)
    return views if usable else None


def _chosen(columns: list[str], wanted: str | None, defaults: Sequence[str]) -> str | None:
    """Return the name of a column, or None if there is none."""
    if wanted is not None:
        return wanted if wanted in columns else None
    by_lower = {name.lower(): name for name in reversed(columns)}
    return next((by_lower[name] for name in defaults if name in by_lower), None)


def _csv_rows(path: Path) -> Iterator[list[str]]:
    """Yield the rows of a CSV file, the header first."""
    try:
        with _text(path) as file:
            yield from csv.reader(file)
    except (UnicodeDecodeError, csv.Error, EOFError, gzip.BadGzipFile) as error:
        raise ValueError(f"{path}: no CSV table in UTF-8, or a broken one; write it again") from error


def _text(path: Path) -> TextIO:
    if path.suffix.lower() == ".gz":
        return io.TextIOWrapper(gzip.open(path), encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _parquet(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path}: no Parquet file, or a broken one; write it again") from error
