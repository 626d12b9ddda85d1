"""The text of the published tables' cells: numbers in every form in which they were released, and back.

Landmarks are ``x1,y1,x2,y2,...`` in most tables. The data dictionary of CheXmask calls them a JSON array, and some of
its tables hold what NumPy prints of an array. Whatever the form, the numbers are those of one row, in order.

References:
    CheXmask, https://arxiv.org/abs/2307.03293; CheXmask-U, https://arxiv.org/abs/2512.10715
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = [
    "Numbers",
    "Scalars",
    "decimals_are_fixed",
    "format_decimals",
    "format_landmarks",
    "format_scalar",
    "format_size",
    "parse_numbers",
    "parse_scalars",
]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_BRACKETS: Final = str.maketrans("[](),", "     ")
_MISSING: Final = frozenset({"", "nan", "none", "null"})


@dataclass(frozen=True, eq=False)
class Numbers:
    """The numbers of a column whose cells hold many each.

    Attributes:
        values: ``(row, number)``; NaN where a cell is empty or broken.
        present: ``(row,)``, the cell holds numbers.
        printed: ``(row,)``, they were in the form in which NumPy prints an array.
        broken: why, of each cell that holds something else, by its row.
    """

    values: Floats
    present: Flags
    printed: Flags
    broken: dict[int, str]


@dataclass(frozen=True, eq=False)
class Scalars:
    """The numbers of a column whose cells hold one each.

    Attributes:
        values: ``(row,)``; NaN where a cell is empty, says NaN, or is broken.
        broken: why, of each cell that is no number, by its row.
    """

    values: Floats
    broken: dict[int, str]


def parse_numbers(texts: pa.Array, count: int) -> Numbers:
    """Read a column whose cells hold the same count of numbers each.

    Args:
        texts: cells as text: flat and separated by commas, a JSON array (nested or flat), or a printed NumPy array.
        count: of numbers in a cell.

    Example:
        >>> parse_numbers(pa.array(["1,2,3,4", "[[1, 2], [3, 4]]", "[[ 1  2] [ 3  4]]"]), 4).values.tolist()
        [[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0]]
    """
    plain = _parse_plain(texts, count)
    if plain is not None:
        rows = np.ones(len(texts), dtype=bool)
        return Numbers(plain, rows, ~rows, {})
    values = np.full((len(texts), count), np.nan)
    present, printed = np.zeros(len(texts), dtype=bool), np.zeros(len(texts), dtype=bool)
    broken: dict[int, str] = {}
    for row, text in enumerate(texts.to_pylist()):
        if text is None or text.strip().lower() in _MISSING:
            continue
        try:
            values[row] = _parse_cell(text, count)
        except ValueError as error:
            broken[row] = str(error)
        else:
            present[row], printed[row] = True, "," not in text
    return Numbers(values, present, printed, broken)


def _parse_plain(texts: pa.Array, count: int) -> Floats | None:
    """Return the numbers if every cell is in the usual form, which Arrow reads at once; else None."""
    parts = pc.split_pattern(texts, ",")
    if not pc.all(pc.equal(pc.list_value_length(parts), count), skip_nulls=False, min_count=0).as_py():
        return None
    try:
        values: Floats = pc.cast(parts.flatten(), pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return None
    return values.reshape(len(texts), count) if np.isfinite(values).all() else None


def _parse_cell(text: str, count: int) -> Floats:
    if "..." in text:
        raise ValueError("was printed with its middle left out (...), so that its numbers are lost")
    if text.count("[") != text.count("]"):
        raise ValueError("has brackets that do not match; it was cut off")
    parts = text.translate(_BRACKETS).split()
    if len(parts) != count:
        raise ValueError(f"has {len(parts)} numbers, but {count} were expected")
    try:
        values = np.array([float(part) for part in parts])
    except ValueError as error:
        raise ValueError("holds something that is no number") from error
    if not np.isfinite(values).all():
        raise ValueError("holds numbers that are not finite")
    return values


def parse_scalars(texts: pa.Array) -> Scalars:
    """Read a column of one number a cell; an empty cell is NaN.

    Example:
        >>> parse_scalars(pa.array(["0.5", "", "nan", "x"])).broken
        {3: 'is no number'}
    """
    try:
        return Scalars(pc.cast(texts, pa.float64()).to_numpy(zero_copy_only=False), {})
    except pa.ArrowInvalid:
        pass
    values, broken = np.full(len(texts), np.nan), {}
    for row, text in enumerate(texts.to_pylist()):
        if text is None or text.strip().lower() in _MISSING:
            continue
        try:
            values[row] = float(text)
        except ValueError:
            broken[row] = "is no number"
    return Scalars(values, broken)


def decimals_are_fixed(text: str, decimals: int) -> bool:
    """Return whether all numbers of a cell have so many decimals, zeros at their end among them.

    Example:
        >>> decimals_are_fixed("1.50,2.25", 2), decimals_are_fixed("1.5,2.25", 2)
        (True, False)
    """
    parts = text.translate(_BRACKETS).split()
    return bool(parts) and all(len(part.rpartition(".")[2]) == decimals and "." in part for part in parts)


def format_landmarks(values: Floats, *, whole: bool = True) -> str:
    """Write the coordinates of one row as upstream does: rounded to whole pixels, halves to the even one.

    Args:
        values: ``(number,)``.
        whole: round; otherwise single precision is kept, for the few tables that have fractions.

    Example:
        >>> format_landmarks(np.array([1.4, 2.5, 3.5]))
        '1,2,4'
    """
    if whole:
        return ",".join(map(str, np.rint(values).astype(np.int64).tolist()))
    return ",".join(np.format_float_positional(value, trim="-") for value in values.astype(np.float32))


def format_decimals(values: Floats, decimals: int, *, fixed: bool = True) -> str:
    """Write numbers with two or four decimals, as upstream does with standard deviations.

    Args:
        values: ``(number,)``.
        decimals: to keep.
        fixed: keep zeros at the end too.

    Example:
        >>> format_decimals(np.array([1.5, 2.256]), 2), format_decimals(np.array([1.5, 2.256]), 2, fixed=False)
        ('1.50,2.26', '1.5,2.26')
    """
    if fixed:
        return ",".join([f"%.{decimals}f"] * len(values)) % tuple(values.tolist())
    return ",".join(repr(round(value, decimals)) for value in values.tolist())


def format_scalar(value: float | None) -> str:
    """Write a number with all its digits; nothing for one that is not known.

    Example:
        >>> format_scalar(0.8417634289), format_scalar(None)
        ('0.8417634289', '')
    """
    return "" if value is None or np.isnan(value) else repr(float(value))


def format_size(value: int | None, *, decimal: bool = False) -> str:
    """Write rows or columns; tables in which one of them was unknown have a decimal point in all.

    Example:
        >>> format_size(1024), format_size(1024, decimal=True), format_size(None)
        ('1024', '1024.0', '')
    """
    if value is None:
        return ""
    return f"{value}.0" if decimal else str(value)
