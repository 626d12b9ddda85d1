"""What is wrong in the released tables, found and, where a rule tells how, put right; each row says so in its notes.

The masks are the witness of height and width: their run-length code goes row by row, so that under the right width
they cover the rows and columns that the landmarks do, and under another they are sheared over the whole image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from monai_chexmask_u.anatomy import ORGANS, Organ

__all__ = ["Checked", "Runs", "check_rows", "parse_runs"]

TOLERANCE: Final = 2.0
"""Pixels that a mask may end before or after its landmarks: they were rounded or cut to whole pixels, and filled."""
TOLERANCE_OF_SIDE: Final = 0.005
"""The same as part of the longer side: narrow tips of an outline hold no pixel's center."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Runs:
    """A column of masks in run-length code.

    Attributes:
        starts: ``(run,)``, first pixel of each, counted from 0, of all rows of the table one after the other.
        lengths: ``(run,)``.
        first: ``(row + 1,)``, where the runs of each row begin.
        broken: why, of each cell that is no run-length code, by its row.
    """

    starts: Integers
    lengths: Integers
    first: Integers
    broken: dict[int, str]

    def extents(self, widths: Floats) -> Floats:
        """Return first and last column and row of each mask, and its last pixel.

        Args:
            widths: ``(row,)``, columns of each image; NaN where unknown.

        Returns:
            ``(row, 5)``: left, top, right, bottom, last pixel counted from 0; NaN where a mask is empty.
        """
        counts = np.diff(self.first)
        found = np.full((len(counts), 5), np.nan)
        filled = counts > 0
        if not filled.any():
            return found
        width = np.repeat(widths, counts)
        last = self.starts + self.lengths - 1
        with np.errstate(invalid="ignore", divide="ignore"):
            top, left = np.divmod(self.starts, width)
            bottom = np.floor_divide(last, width)
            wraps = bottom > top
            right = np.where(wraps, width - 1, last - bottom * width)
            left = np.where(wraps, 0, left)
        begin = self.first[:-1][filled]
        low, high = np.minimum.reduceat, np.maximum.reduceat
        parts = (low(left, begin), low(top, begin), high(right, begin), high(bottom, begin), high(last, begin))
        found[filled] = np.stack([part.astype(np.float64) for part in parts], axis=1)
        return found


def parse_runs(texts: pa.Array) -> Runs:
    """Read a column of masks: ``start length start length ...``, counted from 1; an empty cell is an empty mask.

    Example:
        >>> parse_runs(pa.array(["2 3", "2", ""])).broken
        {1: 'has an odd count of numbers, but a mask has pairs of start and length'}
    """
    texts = pc.fill_null(texts, "")
    parts = _pairs(texts)
    if parts is not None:
        return parts
    broken: dict[int, str] = {}
    codes = texts.to_pylist()
    for row, code in enumerate(codes):
        why = _why_broken(code)
        if why is not None:
            broken[row], codes[row] = why, ""
    repaired = _pairs(pa.array([" ".join(code.split()) for code in codes], pa.string()))
    if repaired is None:
        raise ValueError("run-length code that was checked cannot be read")
    return Runs(repaired.starts, repaired.lengths, repaired.first, broken)


def _pairs(texts: pa.Array) -> Runs | None:
    """Return the runs if all cells are run-length code, which Arrow reads at once; else None."""
    parts = pc.split_pattern(texts, " ")
    counts = pc.if_else(pc.equal(texts, ""), 0, pc.list_value_length(parts)).to_numpy(zero_copy_only=False)
    flat = pc.list_flatten(parts)
    flat = flat.filter(pc.not_equal(flat, ""))
    if (counts % 2).any() or len(flat) != counts.sum():
        return None
    try:
        numbers = pc.cast(flat, pa.int64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return None
    if numbers.size and numbers.min() < 1:
        return None
    return Runs(numbers[::2] - 1, numbers[1::2], np.concatenate([[0], np.cumsum(counts // 2)]), {})


def _why_broken(code: str) -> str | None:
    parts = code.split()
    if not all(part.isascii() and part.isdigit() and 0 < int(part) < 2**62 for part in parts):
        return "holds something that is no pixel number"
    return "has an odd count of numbers, but a mask has pairs of start and length" if len(parts) % 2 else None


@dataclass(frozen=True, eq=False)
class Checked:
    """Sizes after the check, and what it found.

    Attributes:
        heights: ``(row,)``; NaN where unknown.
        widths: likewise.
        notes: of each row.
    """

    heights: Floats
    widths: Floats
    notes: list[list[str]]


def check_rows(
    landmarks: Floats,
    heights: Floats,
    widths: Floats,
    masks: Mapping[Organ, Runs],
    *,
    rca_mean: Floats | None = None,
    rca_max: Floats | None = None,
    printed: Flags | None = None,
    border_lost: Flags | None = None,
) -> Checked:
    """Check the rows of a table against themselves, and turn height and width round where they were swapped.

    Args:
        landmarks: ``(row, 120, 2)``, (x, y) in pixels.
        heights: ``(row,)``; NaN where unknown.
        widths: likewise.
        masks: of the organs that the table has masks of.
        rca_mean: ``(row,)``.
        rca_max: likewise.
        printed: which landmarks NumPy had printed.
        border_lost: of which rows a border may have been cut off and forgotten on the way back.
    """
    rows = len(landmarks)
    checked = np.zeros(rows, dtype=bool)
    for runs in masks.values():
        checked |= np.diff(runs.first) > 0
    fits = _fits(landmarks, heights, widths, masks)
    swapped = ~fits & (heights != widths) & checked & _fits(landmarks, widths, heights, masks)
    differs = ~fits & ~swapped & checked & ~np.isnan(widths)  # a row without any mask is one without masks
    heights, widths = np.where(swapped, widths, heights), np.where(swapped, heights, widths)
    with np.errstate(invalid="ignore"):
        outside = (landmarks < -0.5).any(axis=(1, 2)) | (landmarks[..., 0] > widths[:, None] - 0.5).any(axis=1)
        outside |= (landmarks[..., 1] > heights[:, None] - 0.5).any(axis=1)
        crossed = np.zeros(rows, dtype=bool) if rca_mean is None or rca_max is None else rca_max < rca_mean
    found = {
        "border_not_restored": np.zeros(rows, dtype=bool) if border_lost is None else border_lost,
        "height_unknown": np.isnan(heights),
        "height_width_swapped": swapped,
        "landmarks_printed": np.zeros(rows, dtype=bool) if printed is None else printed,
        "mask_differs": differs,
        "outside_image": outside,
        "rca_inconsistent": crossed,
        "width_unknown": np.isnan(widths),
    }
    return Checked(heights, widths, _notes_of(found, rows))


def _notes_of(found: Mapping[str, Flags], rows: int) -> list[list[str]]:
    notes: list[list[str]] = [[] for _ in range(rows)]
    for note, flags in found.items():
        for row in np.flatnonzero(flags):
            notes[row].append(note)
    return notes


def _fits(landmarks: Floats, heights: Floats, widths: Floats, masks: Mapping[Organ, Runs]) -> Flags:
    """Return which rows' masks cover the columns and rows that their landmarks do."""
    fits = np.ones(len(landmarks), dtype=bool)
    side = np.fmax(np.fmax(heights, widths), 1.0)
    tolerance = (TOLERANCE + TOLERANCE_OF_SIDE * side)[:, None]
    limits = np.stack([widths, heights], axis=1) - 1
    for organ in ORGANS:
        if organ not in masks:
            continue
        extents = masks[organ].extents(widths)
        low, high = (bound(landmarks[:, organ.nodes], axis=1) for bound in (np.min, np.max))
        visible = ~((high < 0) | (low > np.nan_to_num(limits, nan=np.inf))).any(axis=1)
        # What lies outside the image was not drawn.
        expected = [np.fmin(np.fmax(bound, 0), limits) for bound in (low, high)]
        with np.errstate(invalid="ignore"):
            near = (np.abs(extents[:, :4] - np.concatenate(expected, axis=1)) <= tolerance).all(axis=1)
            near &= ~(extents[:, 4] >= heights * widths)
        empty = np.isnan(extents[:, 4])
        fits &= np.where(visible, near, empty | near)
    return fits
