"""Write a data set, built or converted, as a table in the form of the published ones."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from monai_chexmask_u.anatomy import NODE_COUNT, ORGANS
from monai_chexmask_u.dataset.access import filter_of, iter_batches, open_dataset, read_arrow, rows_of_batch
from monai_chexmask_u.dataset.folder import DatasetError, read_manifest
from monai_chexmask_u.dataset.published_tables.cell_text import (
    format_decimals,
    format_landmarks,
    format_scalar,
    format_size,
)
from monai_chexmask_u.dataset.published_tables.convert import SETTINGS_KEY
from monai_chexmask_u.dataset.published_tables.frame import PUBLISHED_SIDE, PublishedFrame
from monai_chexmask_u.dataset.published_tables.layout import BORDER, INDEX, RESTORED, Layout, layout_called, open_table
from monai_chexmask_u.dataset.published_tables.style import PLAIN_ID, Style, published_id
from monai_chexmask_u.dataset.schema import FRAMES, mask_column
from monai_chexmask_u.dataset.selection import Selection
from monai_chexmask_u.dataset.sources import Source, source_called
from monai_chexmask_u.files.atomic import atomic_path
from monai_chexmask_u.geometry import Box, fill_polygon, run_length_encode

__all__ = ["write_published"]

Row = dict[str, Any]
_CROP = ("crop_top", "crop_left", "crop_height", "crop_width")


@dataclass(frozen=True)
class _Form:
    """How a table is to be written."""

    layout: Layout
    style: Style
    frame: str | None


def write_published(
    path: Path,
    output: Path,
    *,
    layout: str | None = None,
    frame: str | None = None,
    source: str | None = None,
    where: Selection | None = None,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Write a data set as a table in the form of the published ones.

    A data set that was converted is written with the header and in the style of the table that it came from, so that a
    clean table comes back byte for byte.

    Args:
        path: folder of a data set, or a ``.parquet`` file of one.
        output: ``.csv``, or ``.csv.gz`` to compress it.
        layout: ``chexmask`` or ``chexmask-u``; by default that of the table that it came from, or CheXmask-U's.
        frame: ``preprocessed`` to write coordinates in the published square of 1024 pixels; by default as the rows are.
        source: take only radiographs of this data set.
        where: which rows to take, all by default.
        progress: called with the number of rows that were written.

    Returns:
        The number of rows.

    Raises:
        DatasetError: if it is no data set, is unfinished, has radiographs of several sources, or the frame cannot be
            reached.
        ValueError: if there is no such layout, frame or source.
        OSError: if the table cannot be written.
    """
    if frame not in (None, *FRAMES):
        raise ValueError(f"there is no frame {frame!r}; it is one of {', '.join(FRAMES)}")
    _check_finished(path)
    data = open_dataset(path)
    expression = filter_of(data, where)
    if source is not None:
        only = pc.field("source") == source_called(source).title
        expression = only if expression is None else expression & only
    form = _form_of(path, layout, frame, _one_source(path, expression))
    columns = sorted({"image_id", "frame", "height", "width", "landmarks", "notes", *_CROP, *_columns_of(form.layout)})
    count = 0
    with atomic_path(output) as temporary, open_table(temporary, "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(form.layout.header)
        for batch in iter_batches(path, columns=columns, where=expression):
            for row in rows_of_batch(batch):
                writer.writerow(_cells(row, count, form))
                count += 1
            if progress is not None:
                progress(batch.num_rows)
    return count


def _check_finished(path: Path) -> None:
    """Refuse a part of a data set, which its table would not show to be one."""
    if path.is_dir() and not (manifest := read_manifest(path)).finished:
        done = f"{manifest.rows + manifest.failure_count} of {manifest.radiographs} radiographs are done"
        raise DatasetError(f"{path}: unfinished, {done}; give the command that builds it again, then convert")


def _columns_of(layout: Layout) -> Iterator[str]:
    return (role for role in layout.holds if role not in (None, INDEX, BORDER))


def _one_source(path: Path, expression: pc.Expression | None) -> Source | None:
    """Return the data set that all radiographs are from, or None if that is not known."""
    titles = read_arrow(path, columns=["source"], where=expression)["source"].unique().to_pylist()
    if len(titles) > 1:
        names = ", ".join(str(title) for title in titles)
        raise DatasetError(
            f"{path}: published tables have the radiographs of one source, these have {names}; use --source"
        )
    return source_called(titles[0]) if titles and titles[0] is not None else None


def _settings(path: Path) -> Mapping[str, Any]:
    """Return the settings of the conversion that made a data set, if one did."""
    if path.is_dir():
        manifest = read_manifest(path)
        return manifest.settings if manifest.kind == "converted" else {}
    text = (open_dataset(path).schema.metadata or {}).get(SETTINGS_KEY.encode())
    return json.loads(text) if text is not None else {}


def _form_of(path: Path, layout: str | None, frame: str | None, source: Source | None) -> _Form:
    settings = _settings(path)
    written = frame or settings.get("frame", "image")
    placed = frame or ("image" if settings.get("placed_on_images") else written)
    moved = settings.get("placed_on_images", False) or written != settings.get("frame", written)
    if layout is None and settings.get("header"):
        style = Style(**settings["style"])
        if moved:
            style = Style(std_is_fixed=style.std_is_fixed, latents_are_fixed=style.latents_are_fixed)
        came = Layout.of_header(tuple(settings["header"]), source=settings["source"])
        return _Form(_bordered(came, placed) if moved else came, style, frame)
    filled = next(iter_batches(path, columns=["latent_std"], where=pc.field("latent_std").is_valid()), None)
    # CheXpert's preprocessed table alone lacks the suffix that the names of its radiographs end with.
    bare = written == "preprocessed" and source is not None and source.name == "chexpert"
    style = Style(ids="bare" if bare else PLAIN_ID)
    made = layout_called(layout or "chexmask-u", source, latents=filled is not None)
    return _Form(_bordered(made, placed), style, frame)


def _bordered(layout: Layout, frame: str) -> Layout:
    """Return a layout that says of borders what a published table of the same radiographs would have got wrong."""
    return layout.with_border() if frame == "image" and layout.may_lack_border else layout


def _cells(row: Row, number: int, form: _Form) -> list[str]:
    """Return the cells of a row."""
    style = form.style
    row = _in_frame(row, form.frame)
    cells: dict[str, str] = {
        INDEX: str(number),
        BORDER: "" if "border_not_restored" in (row["notes"] or ()) else RESTORED,
        "image_id": published_id(row["image_id"], form.layout.source, style.ids),
        "landmarks": format_landmarks(row["landmarks"], whole=style.landmarks_are_whole),
        "height": format_size(row["height"], decimal=style.sizes_are_decimal),
        "width": format_size(row["width"], decimal=style.sizes_are_decimal),
    }
    for name, decimals, fixed in (("landmarks_std", 2, style.std_is_fixed), ("latent_std", 4, style.latents_are_fixed)):
        if row.get(name) is not None:
            cells[name] = format_decimals(np.asarray(row[name], dtype=np.float64), decimals, fixed=fixed)
    for name in ("dice_rca_mean", "dice_rca_max"):
        cells[name] = format_scalar(row.get(name))
    cells |= {mask_column(organ.name): row.get(mask_column(organ.name)) or "" for organ in ORGANS}
    return [cells.get(role or "", "") for role in form.layout.holds]


def _in_frame(row: Row, frame: str | None) -> Row:
    """Return a row in another frame, its masks redrawn."""
    if frame is None or row["frame"] == frame:
        return row
    if frame == "image":
        raise DatasetError("the rows are in the published square; convert the table again with --images to place them")
    crop = [row[name] for name in _CROP]
    if None in (*crop, row["height"], row["width"]):
        raise DatasetError("the rows do not tell which part of each radiograph the network saw; leave --frame out")
    square = PublishedFrame((row["height"], row["width"]), Box(*crop))
    points = square.to_preprocessed(np.reshape(row["landmarks"], (NODE_COUNT, 2)))
    changed: Row = {"height": PUBLISHED_SIDE, "width": PUBLISHED_SIDE, "landmarks": points.ravel()}
    for organ in ORGANS:
        if row.get(mask_column(organ.name)) is not None:
            mask = fill_polygon(points[organ.nodes], (PUBLISHED_SIDE, PUBLISHED_SIDE))
            changed[mask_column(organ.name)] = run_length_encode(mask)
    if row.get("landmarks_std") is not None:
        changed["landmarks_std"] = row["landmarks_std"] * square.scale
    return {**row, **changed}
