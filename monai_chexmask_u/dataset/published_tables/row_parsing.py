"""From the cells of a published table to rows of the one schema: each column parsed and checked, the rest derived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from monai_chexmask_u.anatomy import NODE_COUNT, ORGANS, Organ
from monai_chexmask_u.dataset.published_tables.cell_text import (
    Numbers,
    Scalars,
    parse_numbers,
    parse_scalars,
)
from monai_chexmask_u.dataset.published_tables.defects import Checked, Runs, check_rows, parse_runs
from monai_chexmask_u.dataset.published_tables.frame import PUBLISHED_SIDE
from monai_chexmask_u.dataset.published_tables.layout import BORDER, RESTORED, Layout
from monai_chexmask_u.dataset.published_tables.style import radiograph_id
from monai_chexmask_u.dataset.schema import SCHEMA, mask_column
from monai_chexmask_u.geometry import polygon_area

__all__ = ["LATENT_SIZE", "rows_of", "spread_columns"]

LATENT_SIZE: Final = 64
LARGEST_SIZE: Final = 1_000_000
"""Rows or columns above which a number cannot be one of pixels."""

Failures = list[dict[str, str | None]]
Cells = Mapping[str, pa.Array]


def rows_of(
    cells: Cells, layout: Layout, *, frame: str, seen: set[str], numbers: Sequence[int]
) -> tuple[pa.Table, Failures]:
    """Turn cells into rows of the schema.

    Args:
        cells: columns of text, by what they hold.
        layout: of the table.
        frame: in which pixels its coordinates are.
        seen: ids of earlier rows, usable or not; those of these rows are added.
        numbers: of the rows in their table, which distinguish failures whose id is missing or not new.

    Returns:
        The rows that can be used, and the failures of the others.
    """
    landmarks = parse_numbers(cells["landmarks"], 2 * NODE_COUNT)
    std = _numbers(cells, "landmarks_std", 2 * NODE_COUNT)
    latents = _numbers(cells, "latent_std", LATENT_SIZE)
    scalars = {name: parse_scalars(cells[name]) for name in _SCALARS if name in cells}
    masks = {organ: parse_runs(cells[mask_column(organ.name)]) for organ in ORGANS if mask_column(organ.name) in cells}
    ids = [radiograph_id(name.strip(), layout.source) for name in pc.fill_null(cells["image_id"], "").to_pylist()]
    broken = _broken(layout, ids, landmarks, std, latents, scalars, masks, frame)
    names = _told_apart(ids, layout, seen, numbers, broken)
    forgotten = np.full(len(ids), frame == "image" and layout.may_lack_border)
    if BORDER in cells:
        forgotten &= np.array([cell != RESTORED for cell in cells[BORDER].to_pylist()], dtype=bool)
    checked = _checked(
        landmarks, scalars, masks, side=PUBLISHED_SIDE if frame != "image" else None, forgotten=forgotten
    )
    columns = _columns(cells, ids, landmarks, std, latents, scalars, checked)
    columns["frame"] = pa.repeat(frame, len(ids))
    columns["source"] = pa.repeat(layout.source.title, len(ids)) if layout.source is not None else None
    kept = np.ones(len(ids), dtype=bool)
    kept[list(broken)] = False
    table = _table(columns, len(ids)).filter(pa.array(kept))
    failures: Failures = [
        {"image_id": names[row], "image_path": None, "code": code, "message": message}
        for row, (code, message) in sorted(broken.items())
    ]
    return table, failures


_RCA: Final = ("dice_rca_mean", "dice_rca_max")
_SIZES: Final = ("height", "width")
_SCALARS: Final = (*_RCA, *_SIZES)


def _broken(
    layout: Layout,
    ids: Sequence[str],
    landmarks: Numbers,
    std: Numbers | None,
    latents: Numbers | None,
    scalars: Mapping[str, Scalars],
    masks: Mapping[Organ, Runs],
    frame: str,
) -> dict[int, tuple[str, str]]:
    """Return code and message of each row with a cell that cannot be used."""
    missing = dict.fromkeys(np.flatnonzero(~landmarks.present).tolist(), "is empty")
    sizes = {name: scalars[name].broken | _odd_sizes(scalars[name].values, frame) for name in _SIZES if name in scalars}
    return _reasons(
        layout,
        [
            ("image_id", "id_missing", {row: "is empty" for row, name in enumerate(ids) if not name}),
            ("landmarks", "landmarks_broken", missing | landmarks.broken),
            *(("landmarks_std", "std_broken", each.broken) for each in (std,) if each is not None),
            *(("latent_std", "latents_broken", each.broken) for each in (latents,) if each is not None),
            *((name, "size_broken", why) for name, why in sizes.items()),
            *((name, "rca_broken", scalars[name].broken) for name in _RCA if name in scalars),
            *((mask_column(organ.name), "mask_broken", runs.broken) for organ, runs in masks.items()),
        ],
    )


def _told_apart(
    ids: Sequence[str], layout: Layout, seen: set[str], numbers: Sequence[int], broken: dict[int, tuple[str, str]]
) -> list[str]:
    """Return a name for each row, with its number where the id does not tell; ids that came before are broken rows."""
    names = list(ids)
    for row, name in enumerate(ids):
        if not name or name in seen:
            names[row] = f"{name} (row {numbers[row]})".strip()
            same = f"an earlier row of the table has the same {layout.title('image_id')!r}"
            broken.setdefault(row, ("id_twice", same))
        seen.add(name)
    return names


def spread_columns(std: NDArray[np.float64], scale: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return the uncertainties that follow from the landmarks' standard deviations, by column.

    Args:
        std: ``(row, 120, 2)`` of x and y, in pixels.
        scale: ``(row,)``, pixels of the published square of 1024 per pixel.
    """
    nodes = std.mean(axis=2)
    predictive = nodes.mean(axis=1) * scale
    each = {f"{organ.name}_uncertainty_px": nodes[:, organ.nodes].mean(axis=1) for organ in ORGANS}
    return {**each, "predictive_px1024": predictive, "score": predictive}


def _numbers(cells: Cells, name: str, count: int) -> Numbers | None:
    return parse_numbers(cells[name], count) if name in cells else None


def _odd_sizes(values: NDArray[np.float64], frame: str) -> dict[int, str]:
    """Return what is wrong with heights or widths, by row; one that is not known is not wrong."""
    with np.errstate(invalid="ignore"):
        odd = ~np.isnan(values) & ((values < 1) | (values != np.rint(values)) | (values > LARGEST_SIZE))
        other = ~np.isnan(values) & ~odd & (frame == "preprocessed") & (values != PUBLISHED_SIDE)
    wrong = f"is not {PUBLISHED_SIDE}, the side of the published square; use the frame image"
    return dict.fromkeys(np.flatnonzero(odd).tolist(), "is no number of pixels") | dict.fromkeys(
        np.flatnonzero(other).tolist(), wrong
    )


def _reasons(layout: Layout, columns: list[tuple[str, str, dict[int, str]]]) -> dict[int, tuple[str, str]]:
    """Return code and message of the first reason of each broken row."""
    reasons: dict[int, tuple[str, str]] = {}
    for role, code, broken in columns:
        for row, why in broken.items():
            reasons.setdefault(row, (code, f"{layout.title(role)!r} {why}"))
    return reasons


def _checked(
    landmarks: Numbers,
    scalars: Mapping[str, Scalars],
    masks: Mapping[Organ, Runs],
    *,
    side: float | None,
    forgotten: NDArray[np.bool_],
) -> Checked:
    """Check the rows; a table without sizes has those of the published square, if it is in that frame."""

    def values(name: str, default: float | None = None) -> NDArray[np.float64]:
        rows = len(landmarks.present)
        return scalars[name].values if name in scalars else np.full(rows, np.nan if default is None else default)

    return check_rows(
        landmarks.values.reshape(-1, NODE_COUNT, 2),
        values("height", side),
        values("width", side),
        masks,
        rca_mean=values("dice_rca_mean"),
        rca_max=values("dice_rca_max"),
        printed=landmarks.printed,
        border_lost=forgotten,
    )


def _columns(
    cells: Cells,
    ids: list[str],
    landmarks: Numbers,
    std: Numbers | None,
    latents: Numbers | None,
    scalars: Mapping[str, Scalars],
    checked: Checked,
) -> dict[str, Any]:
    points = landmarks.values.reshape(-1, NODE_COUNT, 2)
    columns: dict[str, Any] = {
        "image_id": pa.array(ids, pa.string()),
        "notes": pa.array(checked.notes, SCHEMA.field("notes").type),
        "landmarks": _lists(landmarks, "landmarks"),
        "height": _integers(checked.heights),
        "width": _integers(checked.widths),
    }
    for organ in ORGANS:
        columns[f"{organ.name}_area_px"] = _floats(polygon_area(points[:, organ.nodes]))
    columns |= _masks(cells)
    if std is not None:
        columns["landmarks_std"] = _lists(std, "landmarks_std")
        scale = PUBLISHED_SIDE / np.fmax(checked.heights, checked.widths)
        spread = spread_columns(std.values.reshape(-1, NODE_COUNT, 2), scale)
        columns |= {name: _floats(values) for name, values in spread.items()}
    if latents is not None:
        columns["latent_std"] = _lists(latents, "latent_std")
        columns["latent_uncertainty"] = _floats(latents.values.mean(axis=1))
    return columns | {name: _floats(scalars[name].values) for name in _RCA if name in scalars}


def _masks(cells: Cells) -> dict[str, Any]:
    """Return the columns of masks: empty where an organ is missing, null in rows without any mask."""
    codes = {
        name: pc.fill_null(cells[name], "") for name in map(mask_column, (o.name for o in ORGANS)) if name in cells
    }
    there = np.zeros(len(cells["landmarks"]), dtype=bool)
    for code in codes.values():
        there |= np.array(pc.not_equal(code, ""), dtype=bool)
    return {name: pc.if_else(pa.array(there), code, None) for name, code in codes.items()}


def _floats(values: NDArray[np.float64]) -> pa.Array:
    return pa.array(values, pa.float64(), mask=np.isnan(values))


def _integers(values: NDArray[np.float64]) -> pa.Array:
    unknown = ~np.isfinite(values) | (np.abs(values) > LARGEST_SIZE)
    return pa.array(np.where(unknown, 0, values).astype(np.int32), pa.int32(), mask=unknown)


def _lists(numbers: Numbers, name: str) -> pa.Array:
    """Return a column of vectors, null where a cell is empty."""
    type_ = SCHEMA.field(name).type
    values = pa.array(numbers.values.astype(np.float32).ravel())
    empty = pa.array(~numbers.present)
    if pa.types.is_fixed_size_list(type_):
        return pa.FixedSizeListArray.from_arrays(values, type=type_, mask=empty)
    count = numbers.values.shape[1]
    offsets = pa.array(np.arange(len(numbers.present) + 1, dtype=np.int32) * count)
    return pa.ListArray.from_arrays(offsets, values, type=type_, mask=empty)


def _table(columns: Mapping[str, Any], rows: int) -> pa.Table:
    """Return a table with all columns of the schema, null where there is nothing."""
    arrays = [
        columns[field.name] if columns.get(field.name) is not None else pa.nulls(rows, field.type) for field in SCHEMA
    ]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)
