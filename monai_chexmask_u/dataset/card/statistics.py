"""What a data set's card says in numbers; the rows are read once, batch by batch."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from monai_chexmask_u.anatomy import NODE_COUNT
from monai_chexmask_u.dataset.access import dataset_files
from monai_chexmask_u.dataset.folder import FAILURES, DatasetError, Manifest

__all__ = ["BINS_PX1024", "CardStatistics", "gather"]

_SIDE: Final = 1024
BINS_PX1024: Final = np.concatenate([np.arange(0, 60, 2.0), [np.inf]])
"""Borders of the histograms of node uncertainty, in pixels of a 1024-pixel image; the last one holds all beyond."""

_SCALARS: Final = (
    "score",
    "total_px1024",
    "predictive_px1024",
    "latent_uncertainty",
    "cardiothoracic_ratio",
    "dice_rca_mean",
    "dice_rca_max",
)
_CATEGORIES: Final = ("source", "frame", "view", "verdict")
_LISTS: Final = ("reasons", "notes")
_GEOMETRY: Final = ("landmarks", "height", "width", "crop_top", "crop_left", "crop_height", "crop_width")


@dataclass
class CardStatistics:
    """Counts and distributions of a data set.

    Attributes:
        rows: number of radiographs.
        categories: counts by column and value.
        scalars: all values of a column, ``(row,)``, NaN where there is none.
        verdicts: of the rows, in their order.
        failures: count, and a message, by code.
        node_counts: ``(120, bin)``, radiographs by node and uncertainty, see `BINS_PX1024`.
        uncertainty: name of the column that it is of.
        shape: ``(120, 2)``, mean landmarks, in pixels of 1024.
    """

    rows: int = 0
    categories: dict[str, Counter[str]] = field(default_factory=dict)
    scalars: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    verdicts: NDArray[np.str_] = field(default_factory=lambda: np.empty(0, dtype=np.str_))
    failures: dict[str, tuple[int, str]] = field(default_factory=dict)
    node_counts: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros((NODE_COUNT, len(BINS_PX1024) - 1), dtype=np.int64)
    )
    uncertainty: str = "landmarks_std"
    shape: NDArray[np.float64] = field(default_factory=lambda: np.zeros((NODE_COUNT, 2)))


def gather(folder: Path, manifest: Manifest) -> CardStatistics:
    """Read a data set for its card.

    Raises:
        DatasetError: if a file of it is missing.
        OSError: if one cannot be read.
    """
    found = CardStatistics(categories={name: Counter() for name in (*_CATEGORIES, *_LISTS)})
    files = dataset_files(folder)
    has_error = bool(files) and pq.read_table(files[0], columns=["error_std"])["error_std"].null_count == 0
    found.uncertainty = "error_std" if has_error else "landmarks_std"
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in (*_SCALARS, "verdict")}
    columns = [*_SCALARS, *_CATEGORIES, *_LISTS, *_GEOMETRY, found.uncertainty]
    shapes = np.zeros((NODE_COUNT, 2))
    for file in files:
        for batch in pq.ParquetFile(file, page_checksum_verification=True).iter_batches(columns=columns):
            _count(found, batch)
            for name in _SCALARS:
                parts[name].append(_numbers(batch[name]))
            parts["verdict"].append(np.array([str(value or "") for value in batch["verdict"].to_pylist()]))
            shapes += _nodes(found, batch)
    found.scalars = {name: np.concatenate(parts[name] or [np.empty(0)]) for name in _SCALARS}
    found.verdicts = np.concatenate(parts["verdict"] or [found.verdicts])
    found.shape = shapes / max(found.rows, 1)
    if manifest.finished:
        if not (folder / FAILURES).is_file():
            raise DatasetError(f"{folder / FAILURES}: is missing; give the command that made the data set again")
        found.failures = _failures(pq.read_table(folder / FAILURES))
    return found


def _count(found: CardStatistics, batch: pa.RecordBatch) -> None:
    found.rows += len(batch)
    for name in _CATEGORIES:
        found.categories[name].update(value or "unknown" for value in batch[name].to_pylist())
    for name in _LISTS:
        found.categories[name].update(value for values in batch[name].to_pylist() for value in values or ())


def _nodes(found: CardStatistics, batch: pa.RecordBatch) -> NDArray[np.float64]:
    """Count the nodes of a batch by their uncertainty; return the sum of its shapes in pixels of 1024."""
    height, width = _numbers(batch["crop_height"]), _numbers(batch["crop_width"])
    height = np.where(np.isnan(height), _numbers(batch["height"]), height)
    width = np.where(np.isnan(width), _numbers(batch["width"]), width)
    top, left = np.nan_to_num(_numbers(batch["crop_top"])), np.nan_to_num(_numbers(batch["crop_left"]))
    scale = _SIDE / np.fmax(height, width)
    scale = np.where(np.isfinite(scale), scale, 1.0)[:, None, None]
    spread = _pairs(batch[found.uncertainty])
    if spread is not None:
        uncertainty = (spread * scale).mean(axis=2)
        for node in range(NODE_COUNT):
            found.node_counts[node] += np.histogram(uncertainty[:, node], BINS_PX1024)[0]
    points = _pairs(batch["landmarks"])
    if points is None:
        return np.zeros((NODE_COUNT, 2))
    # The part that the network saw lies centered in its square.
    pad = (np.fmax(height, width)[:, None] - np.stack([width, height], axis=1)) / 2
    start = np.nan_to_num(np.stack([left, top], axis=1) - pad)
    total: NDArray[np.float64] = ((points - start[:, None, :]) * scale).sum(axis=0)
    return total


def _pairs(column: pa.Array) -> NDArray[np.float64] | None:
    """Return ``(row, 120, 2)``, or None where a row has none."""
    if column.null_count or not len(column):
        return None
    values: NDArray[np.float64] = column.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
    return values.reshape(len(column), NODE_COUNT, 2)


def _numbers(column: pa.Array) -> NDArray[np.float64]:
    numbers: NDArray[np.float64] = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return numbers


def _failures(table: pa.Table) -> dict[str, tuple[int, str]]:
    counts = Counter(table["code"].to_pylist())
    messages = dict(zip(table["code"].to_pylist(), table["message"].to_pylist(), strict=True))
    return {code: (count, messages[code]) for code, count in counts.most_common()}
