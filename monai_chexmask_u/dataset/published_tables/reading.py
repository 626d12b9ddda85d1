"""Read published tables as rows of the one schema, block by block: a table of 4 GB needs the memory of one block.

A row that cannot be used becomes a failure, with a code and what is wrong, and the others are read.

References:
    CheXmask, https://arxiv.org/abs/2307.03293; CheXmask-U, https://arxiv.org/abs/2512.10715
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from monai_chexmask_u.dataset.folder import DatasetError
from monai_chexmask_u.dataset.published_tables.layout import Layout, read_layout
from monai_chexmask_u.dataset.published_tables.row_parsing import rows_of
from monai_chexmask_u.dataset.published_tables.style import Style, style_of
from monai_chexmask_u.dataset.schema import FAILURE_SCHEMA, FRAMES, SCHEMA
from monai_chexmask_u.dataset.sources import Source

__all__ = ["BLOCK_BYTES", "Part", "PublishedTable"]

BLOCK_BYTES: Final = 8 << 20
"""Bytes of a table that are read at a time: some 600 rows."""


@dataclass(frozen=True, eq=False)
class Part:
    """Some rows of a table.

    Attributes:
        rows: with `SCHEMA`.
        failures: of the rows that cannot be used, with `FAILURE_SCHEMA`.
    """

    rows: pa.Table
    failures: pa.Table


class PublishedTable:
    """A published table that is read as rows of the one schema.

    Whether its coordinates are those of the images or of the published square of 1024 pixels is decided by ``frame``,
    or, where that is None, by this rule: the radiographs of ChestX-ray8 are squares of 1024 as they are (``image``);
    any other table is ``preprocessed`` if all its heights and widths are 1024, and ``image`` if none is missing and one
    differs. Everything else is an error that asks for ``frame``.

    Attributes:
        path: ``.csv`` or ``.csv.gz``.
        layout: its columns.
        frame: ``image`` or ``preprocessed``.
        style: how its numbers are written; known once the first part was read.

    Raises:
        DatasetError: if it cannot be read, is no published table, or its frame is unclear.
        ValueError: if there is no such frame or source.
    """

    def __init__(self, path: Path, *, frame: str | None = None, source: str | None = None) -> None:
        """Read the header, and the sizes too where the frame has to be found out.

        Args:
            path: ``.csv`` or ``.csv.gz``.
            frame: in which pixels its coordinates are.
            source: name of the data set that the radiographs are from, where the header does not tell.
        """
        if frame not in (None, *FRAMES):
            raise ValueError(f"there is no frame {frame!r}; it is one of {', '.join(FRAMES)}")
        self.path = path
        self.layout: Layout = read_layout(path, source=source)
        self.frame: str = frame or self._frame_by_rule()
        self.style: Style = Style()

    @property
    def source(self) -> Source | None:
        """Data set that the radiographs are from, if that is known."""
        return self.layout.source

    @property
    def settings(self) -> dict[str, Any]:
        """All that is needed to write the table again, as JSON types."""
        return {
            "table": self.path.name,
            "frame": self.frame,
            "source": None if self.source is None else self.source.name,
            "header": list(self.layout.kept),
            "dropped": list(self.layout.dropped),
            "style": asdict(self.style),
        }

    def parts(self, *, block_bytes: int = BLOCK_BYTES) -> Iterator[Part]:
        """Yield the rows, a block of the file at a time.

        Args:
            block_bytes: size of a block; no row may be longer.

        Raises:
            DatasetError: if the file ends early or is broken in a way that no row after it can be found.
        """
        found: deque[pacsv.InvalidRow] = deque()
        invalid: dict[int, pacsv.InvalidRow] = {}
        seen: set[str] = set()
        last, first = 1, True  # the header is row 1
        for cells in self._blocks(block_bytes, found):
            # Arrow reads ahead in a thread of its own, so that rows of later blocks may be among them.
            while found:
                row = found.popleft()
                invalid[row.number] = row
            numbers = _next_rows(last, len(cells["image_id"]), invalid.keys())
            if numbers and first:
                self.style, first = style_of(cells, self.layout), False
            last = numbers[-1] if numbers else last
            rows, failures = rows_of(cells, self.layout, frame=self.frame, seen=seen, numbers=numbers)
            failures += [self._failure_of(invalid.pop(number)) for number in sorted(invalid) if number < last]
            yield Part(rows, _failure_table(failures))
        rest = sorted([*invalid.values(), *found], key=lambda row: row.number)
        if rest:
            yield Part(SCHEMA.empty_table(), _failure_table([self._failure_of(row) for row in rest]))

    def _frame_by_rule(self) -> str:
        if self.source is not None and self.source.name == "chestx-ray8":
            return "image"
        roles = ("height", "width")
        if not all(role in self.layout.holds for role in roles):
            raise DatasetError(f"{self.path}: has no columns of height and width; tell the frame (--frame)")
        complete = True
        for cells in self._blocks(BLOCK_BYTES, deque(), only=roles):
            for role in roles:
                sizes = pc.utf8_trim_whitespace(cells[role])
                known = pc.is_in(sizes, pa.array(["1024", "1024.0"]))
                complete &= not pc.any(pc.is_in(pc.utf8_lower(sizes), pa.array(["", "nan"]))).as_py()
                if not pc.all(pc.or_(known, pc.is_in(pc.utf8_lower(sizes), pa.array(["", "nan"])))).as_py():
                    return "image"
        if self.source is None:
            why = "all sizes are 1024, and its radiographs' data set is unknown, so that it may be of either frame"
            raise DatasetError(f"{self.path}: {why}; tell the frame (--frame) or the data set (--source)")
        if not complete:
            raise DatasetError(f"{self.path}: sizes are missing and all others 1024; tell the frame (--frame)")
        return "preprocessed"

    def _blocks(
        self, block_bytes: int, invalid: deque[pacsv.InvalidRow], *, only: tuple[str, ...] | None = None
    ) -> Iterator[Mapping[str, pa.Array]]:
        """Yield the cells of blocks as text, by what they hold."""
        names = [str(number) for number in range(len(self.layout.header))]
        roles = {name: role for name, role in zip(names, self.layout.holds, strict=True) if role is not None}
        chosen = [name for name, role in roles.items() if only is None or role in only]

        def keep(row: pacsv.InvalidRow) -> str:
            invalid.append(row)
            return "skip"

        try:
            reader = pacsv.open_csv(
                self.path,
                read_options=pacsv.ReadOptions(
                    use_threads=False, block_size=block_bytes, column_names=names, skip_rows=1
                ),
                parse_options=pacsv.ParseOptions(newlines_in_values=True, invalid_row_handler=keep),
                convert_options=pacsv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.binary()), include_columns=chosen
                ),
            )
            for batch in reader:
                yield {roles[name]: _text(batch.column(name)) for name in chosen}
        except pa.ArrowInvalid as error:
            if "Empty CSV" in str(error):
                return
            cause = f"cannot be read as a table ({str(error).splitlines()[0].rstrip('.')}); fetch it again"
            raise DatasetError(f"{self.path}: {cause}") from error
        except (OSError, EOFError) as error:
            raise DatasetError(f"{self.path}: cannot be read to its end; fetch it again") from error

    def _failure_of(self, row: pacsv.InvalidRow) -> dict[str, str | None]:
        """Return the failure of a row that has too few or too many columns."""
        place = self.layout.place("image_id") or 0
        try:
            cells = next(csv.reader([row.text]), [])
        except csv.Error:  # of a cell that is larger than Python's limit
            cells = []
        name = f"{cells[place] if place < len(cells) else ''} (row {row.number})".strip()
        message = f"the row has {row.actual_columns} columns, but its table has {row.expected_columns}"
        return {"image_id": name, "image_path": None, "code": "columns_wrong", "message": message}


def _next_rows(last: int, count: int, skipped: Collection[int]) -> list[int]:
    """Return the numbers of the next rows of a table, of which some were skipped."""
    numbers: list[int] = []
    while len(numbers) < count:
        last += 1
        if last not in skipped:
            numbers.append(last)
    return numbers


def _text(cells: pa.Array) -> pa.Array:
    """Return cells as text; what is not UTF-8 is replaced, so that its row alone cannot be read."""
    try:
        return pc.cast(cells, pa.string())
    except pa.ArrowInvalid:
        return pa.array([cell.decode("utf-8", "replace") for cell in cells.to_pylist()], pa.string())


def _failure_table(failures: list[dict[str, str | None]]) -> pa.Table:
    return pa.Table.from_pylist(failures, schema=FAILURE_SCHEMA)
