"""Read a data set: lazily, by columns and row groups, as Arrow, pandas, polars, rows, or arrays.

The files are plain Parquet; any other reader does as well. What is here knows which shards count, and gives vectors
their shapes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray

from monai_chexmask_u.anatomy import NODE_COUNT, ORGANS, Organ
from monai_chexmask_u.dataset.folder import DatasetError, read_manifest
from monai_chexmask_u.dataset.schema import SCHEMA, column_names, mask_column
from monai_chexmask_u.dataset.selection import Selection, check_columns
from monai_chexmask_u.geometry import run_length_decode

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

__all__ = [
    "covariance_of",
    "dataset_files",
    "filter_of",
    "iter_batches",
    "iter_rows",
    "label_mask_of",
    "landmarks_of",
    "mask_of",
    "open_dataset",
    "read_arrow",
    "read_pandas",
    "rows_of_batch",
    "scan_polars",
    "vectors",
]

BATCH_ROWS: Final = 500

Floats = NDArray[np.float64]
Where: TypeAlias = Selection | pc.Expression | None


def dataset_files(path: Path) -> list[Path]:
    """Return the Parquet files of a data set: the shards that its manifest names, or the one file.

    Raises:
        DatasetError: if it is no data set, or a shard is missing.
    """
    if path.is_file():
        return [path]
    files = [path / shard.file for shard in read_manifest(path).shards if shard.file is not None]
    for file in files:
        if not file.is_file():
            raise DatasetError(f"{file}: this shard is missing; copy the data set again")
    return files


def open_dataset(path: str | Path) -> ds.Dataset:
    """Open a data set without reading its rows.

    Args:
        path: its folder, or one of its ``.parquet`` files.

    Raises:
        DatasetError: if it is no data set, or a file of it is missing or broken.

    Example:
        ``open_dataset("cxr").to_table(columns=["image_id", "score"], filter=pyarrow.compute.field("score") < 5)``
    """
    path = Path(path)
    files = dataset_files(path)
    if not files:
        return ds.dataset(SCHEMA.empty_table())
    try:
        options = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
        form = ds.ParquetFileFormat(default_fragment_scan_options=options)
        data = ds.dataset([str(file) for file in files], format=form)
    except (pa.ArrowInvalid, OSError) as error:
        raise DatasetError(f"{path}: a Parquet file of it cannot be read; copy the data set again") from error
    if not {field.name for field in SCHEMA if not field.nullable} <= set(data.schema.names):
        raise DatasetError(f"{path}: not a data set of this project; give a folder that `dataset` made")
    # Files of earlier versions lack some columns, which are empty then.
    return data.replace_schema(SCHEMA.with_metadata(data.schema.metadata))


def filter_of(data: ds.Dataset, where: Where) -> pc.Expression | None:
    """Return a filter for Arrow.

    Raises:
        DatasetError: if a selection is about a column that is missing or empty.
    """
    if isinstance(where, Selection):
        check_columns(data, where.columns)
        return where.expression
    return where


def read_arrow(path: str | Path, *, columns: Sequence[str] | None = None, where: Where = None) -> pa.Table:
    """Read rows as an Arrow table.

    Args:
        path: folder of the data set, or a ``.parquet`` file of it.
        columns: names; all by default.
        where: which rows, all by default. Row groups whose statistics rule them out are not read.

    Raises:
        DatasetError: if it is no data set, or a selection is about a column that is empty.
        ValueError: if there is no such column.
    """
    data = open_dataset(path)
    names, expression = column_names(columns), filter_of(data, where)
    with _naming_damage(path):
        return data.to_table(columns=names, filter=expression)


def read_pandas(path: str | Path, *, columns: Sequence[str] | None = None, where: Where = None) -> pd.DataFrame:
    """Read rows as a pandas data frame; see `read_arrow`. Vectors become arrays, one a cell."""
    return read_arrow(path, columns=columns, where=where).to_pandas()


def scan_polars(path: str | Path) -> pl.LazyFrame:
    """Return a lazy polars frame, which reads what a query needs when it is collected.

    Raises:
        DatasetError: if it is no data set.
    """
    import polars as pl

    files = dataset_files(Path(path))
    empty = pl.DataFrame(SCHEMA.empty_table())
    return pl.scan_parquet(files, schema=empty.schema, missing_columns="insert") if files else empty.lazy()


def iter_batches(
    path: str | Path, *, columns: Sequence[str] | None = None, where: Where = None, batch_rows: int = BATCH_ROWS
) -> Iterator[pa.RecordBatch]:
    """Yield rows in batches, in order; no more than a few batches are in memory.

    Args:
        path: folder of the data set, or a ``.parquet`` file of it.
        columns: names; all by default.
        where: which rows, all by default.
        batch_rows: greatest number of rows of a batch.

    Raises:
        DatasetError: as `read_arrow` does.
        ValueError: if there is no such column.
    """
    data = open_dataset(path)
    scanner = data.scanner(
        columns=column_names(columns),
        filter=filter_of(data, where),
        batch_size=batch_rows,
        batch_readahead=1,
        fragment_readahead=1,
        use_threads=False,
    )
    with _naming_damage(path):
        yield from (batch for batch in scanner.to_batches() if batch.num_rows)


@contextmanager
def _naming_damage(path: str | Path) -> Iterator[None]:
    """Name the data set in errors of damaged Parquet files, whose pages have checksums."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        file = re.search(r"[\w.-]+\.parquet", str(error))
        name = file[0] if file else "a file of it"
        message = f"{path}: {name} is damaged; see `chexmask-u dataset check`, and fetch it again"
        raise DatasetError(message) from error


def iter_rows(
    path: str | Path, *, columns: Sequence[str] | None = None, where: Where = None
) -> Iterator[dict[str, Any]]:
    """Yield rows one after the other, vectors as arrays ``(number,)`` float32; see `iter_batches`."""
    for batch in iter_batches(path, columns=columns, where=where):
        yield from rows_of_batch(batch)


def rows_of_batch(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    """Yield the rows of a batch, vectors as arrays ``(number,)`` float32; what is not known is None."""
    columns = {}
    for field, column in zip(batch.schema, batch.columns, strict=True):
        if pa.types.is_fixed_size_list(field.type):
            known = column.is_valid().to_pylist()
            values = vectors(column).astype(np.float32)
            columns[field.name] = [value if valid else None for value, valid in zip(values, known, strict=True)]
        else:
            columns[field.name] = column.to_pylist()
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(columns, values, strict=True))


def vectors(column: pa.Array | pa.ChunkedArray) -> Floats:
    """Return a column of vectors as one array ``(row, number)``; NaN where a row has none."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    values = np.full((len(array), array.type.list_size), np.nan)
    known = array.is_valid().to_numpy(zero_copy_only=False)
    values[known] = array.flatten().to_numpy(zero_copy_only=False).reshape(-1, array.type.list_size)
    return values


def landmarks_of(row: Mapping[str, Any]) -> Floats:
    """Return the landmarks of a row ``(120, 2)``, (x, y) in pixels of the row's frame."""
    return np.asarray(row["landmarks"], dtype=np.float64).reshape(NODE_COUNT, 2)


def covariance_of(row: Mapping[str, Any], *, error: bool = False) -> Floats:
    """Return the covariance of each landmark of a row ``(120, 2, 2)``, in squared pixels of the row's frame.

    Args:
        row: a row with the columns of the covariance.
        error: that of the error which the calibration expects, instead of that over the samples.

    Returns:
        The covariances; off the diagonal NaN where it is not known, as in tables that were published.

    Raises:
        ValueError: if the row has no standard deviations.
    """
    names = ("error_std", "error_cov_xy") if error else ("landmarks_std", "landmarks_cov_xy")
    std, cross = (row.get(name) for name in names)
    if std is None:
        raise ValueError(f"the row has no {names[0]}; its data set was made without")
    covariance = np.full((NODE_COUNT, 2, 2), np.nan)
    variance = np.asarray(std, dtype=np.float64).reshape(NODE_COUNT, 2) ** 2
    covariance[:, 0, 0], covariance[:, 1, 1] = variance[:, 0], variance[:, 1]
    if cross is not None:
        covariance[:, 0, 1] = covariance[:, 1, 0] = cross
    return covariance


def mask_of(row: Mapping[str, Any], organ: Organ) -> NDArray[np.bool_]:
    """Return the mask of an organ ``(height, width)``.

    Raises:
        ValueError: if the row has no mask or its size is not known.
    """
    code, height, width = row.get(mask_column(organ.name)), row.get("height"), row.get("width")
    if code is None:
        raise ValueError(f"the row has no mask of the {organ.title.lower()}; its data set was made without")
    if height is None or width is None:
        raise ValueError("the height or width of the row is not known, so that its masks cannot be decoded")
    return run_length_decode(code, (height, width))


def label_mask_of(row: Mapping[str, Any]) -> NDArray[np.uint8]:
    """Return all masks as one ``(height, width)``: 0 background, then the organs' labels; the heart lies on top.

    Raises:
        ValueError: as `mask_of` does.
    """
    masks = [(organ, mask_of(row, organ)) for organ in ORGANS]
    labels = np.zeros(masks[0][1].shape, dtype=np.uint8)
    for organ, mask in masks:
        labels[mask] = organ.label
    return labels
