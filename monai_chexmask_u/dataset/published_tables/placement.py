"""Rows of a published table and their radiographs: sizes that were missing, and landmarks placed on them as stored.

Rows in the published square go to their radiograph with the border that was cut off of it. So do the rows of
CheXmask-U's tables in original resolution whose radiograph has such a border, because they were placed as if it had
none.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from monai_chexmask_u.anatomy import NODE_COUNT, ORGANS
from monai_chexmask_u.dataset.building.radiograph_files import RadiographFile
from monai_chexmask_u.dataset.building.radiograph_index import RadiographIndex
from monai_chexmask_u.dataset.folder import DatasetError
from monai_chexmask_u.dataset.published_tables.frame import PUBLISHED_SIDE, PublishedFrame, undo_chexmask_u
from monai_chexmask_u.dataset.schema import mask_column, rows_table
from monai_chexmask_u.geometry import content_box, fill_polygon, polygon_area, run_length_encode
from monai_chexmask_u.radiograph import RadiographError

__all__ = ["Measured", "Unreadable", "measure_radiograph", "measuring", "place_rows"]

Row = dict[str, Any]
MeasureAll = Callable[[Sequence[RadiographFile | None]], list["Measured | Unreadable | None"]]


@dataclass(frozen=True)
class Measured:
    """What a radiograph says of its row.

    Attributes:
        frame: rows and columns, and what the published preprocessing showed of them.
        columns: of the row, as far as the radiograph says what they hold.
        notes: of its reading.
    """

    frame: PublishedFrame
    columns: Mapping[str, Any]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Unreadable:
    """Why a radiograph cannot be used; unlike the error it passes between processes."""

    code: str
    message: str


def measure_radiograph(file: RadiographFile | None, *, crop_border: bool) -> Measured | Unreadable | None:
    """Read a radiograph for its size and border.

    Args:
        file: None gives None.
        crop_border: the preprocessing of its source cut off the black border.

    Returns:
        What it says, or why it cannot be read.
    """
    if file is None:
        return None
    try:
        radiograph = file.read()
    except RadiographError as error:
        return Unreadable(error.code, str(error))
    whole = PublishedFrame.whole(radiograph.shape)
    frame = PublishedFrame(whole.shape, content_box(radiograph.pixels)) if crop_border else whole
    spacing, crop = radiograph.spacing_mm, frame.crop
    columns = {
        "image_path": file.image_path,
        "image_sha256": radiograph.sha256,
        "view": radiograph.view,
        "spacing_row_mm": spacing[0] if spacing else None,
        "spacing_column_mm": spacing[1] if spacing else None,
        "crop_top": crop.top,
        "crop_left": crop.left,
        "crop_height": crop.height,
        "crop_width": crop.width,
    }
    return Measured(frame, columns, radiograph.notes)


@contextmanager
def measuring(*, crop_border: bool, workers: int) -> Iterator[MeasureAll]:
    """Hand out a function that measures radiographs, in several processes if there is more than one worker.

    Raises:
        DatasetError: if such a process was ended.
    """
    measure = partial(measure_radiograph, crop_border=crop_border)
    if workers <= 1:
        yield lambda files: [measure(file) for file in files]
        return
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            yield lambda files: list(pool.map(measure, files, chunksize=8))
    except BrokenProcessPool as error:
        raise DatasetError(
            "a process that reads radiographs was ended, maybe for its memory; use fewer --workers"
        ) from error


def place_rows(rows: pa.Table, index: RadiographIndex, measure: MeasureAll) -> tuple[pa.Table, list[Row]]:
    """Bring rows and radiographs together.

    Args:
        rows: with `SCHEMA`.
        index: where the radiographs are.
        measure: from `measuring`.

    Returns:
        The rows, and the failures of those that cannot be placed because their radiograph is missing or cannot be read.
    """
    listed: list[Row] = rows.to_pylist()
    files = [index.find(row["image_id"], image_path=row["image_path"], source=row["source"]) for row in listed]
    placed: list[Row] = []
    failures: list[Row] = []
    for row, file, measured in zip(listed, files, measure(files), strict=True):
        if isinstance(measured, Measured):
            placed.append(_placed(row, measured))
        elif row["frame"] == "image":
            note = "image_not_found" if measured is None else "image_not_readable"
            placed.append({**row, "notes": sorted({*row["notes"], note})})
        else:
            path = None if file is None else file.image_path
            why = measured or Unreadable("image_not_found", "it is not in the folder of images")
            message = f"cannot be placed on its radiograph: {why.message}"
            failures.append({"image_id": row["image_id"], "image_path": path, "code": why.code, "message": message})
    return rows_table(placed), failures


def _placed(row: Row, measured: Measured) -> Row:
    frame, notes = measured.frame, {*row["notes"], *measured.notes}
    row = {**row, **measured.columns}
    if row["frame"] == "preprocessed":
        row |= _on_radiograph(row, frame, np.asarray(row["landmarks"]), frame.scale)
        notes = notes - _OF_THE_FRAME | {"placed_on_image"}
    elif row["height"] is None or row["width"] is None:
        sizes = frame.shape
        row |= {"height": sizes[0], "width": sizes[1]}
        notes = notes - _OF_THE_SIZE | {"size_from_image"}
    elif (row["height"], row["width"]) != frame.shape:
        notes = notes | {"image_size_differs"}
    elif "border_not_restored" in notes:
        notes = notes - {"border_not_restored"}
        if frame != PublishedFrame.whole(frame.shape):
            square = undo_chexmask_u(np.reshape(row["landmarks"], (-1, 2)), frame.shape)
            row |= _on_radiograph(row, frame, square, frame.scale * max(frame.shape) / PUBLISHED_SIDE)
            notes |= {"placed_on_image"}
    return {**row, "notes": sorted(notes)}


_OF_THE_SIZE = {"height_unknown", "width_unknown"}
_OF_THE_FRAME = {*_OF_THE_SIZE, "height_width_swapped", "mask_differs", "outside_image"}


def _on_radiograph(row: Row, frame: PublishedFrame, square: NDArray[Any], std_scale: float) -> Row:
    """Return the columns that change when a row goes from the published square to its radiograph.

    Args:
        row: as it was.
        frame: of its radiograph.
        square: landmarks in pixels of the published square.
        std_scale: pixels in which its standard deviations are, per pixel of the radiograph.
    """
    points = frame.to_image(square.reshape(NODE_COUNT, 2))
    changed: Row = {
        "frame": "image",
        "height": frame.shape[0],
        "width": frame.shape[1],
        "landmarks": points.astype(np.float32).ravel(),
    }
    for organ in ORGANS:
        outline = points[organ.nodes]
        changed[f"{organ.name}_area_px"] = float(polygon_area(outline))
        uncertainty = row[f"{organ.name}_uncertainty_px"]
        changed[f"{organ.name}_uncertainty_px"] = None if uncertainty is None else uncertainty / std_scale
        if row[mask_column(organ.name)] is not None:
            changed[mask_column(organ.name)] = run_length_encode(fill_polygon(outline, frame.shape))
    if row["landmarks_std"] is not None:
        changed["landmarks_std"] = np.asarray(row["landmarks_std"], dtype=np.float32) / np.float32(std_scale)
    return changed
