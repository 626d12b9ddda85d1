"""The headers of the published tables: which column holds what, whatever it is called and wherever it stands.

References:
    CheXmask, https://arxiv.org/abs/2307.03293; CheXmask-U, https://arxiv.org/abs/2512.10715
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TextIO

from monai_chexmask_u.dataset.folder import DatasetError
from monai_chexmask_u.dataset.schema import mask_column
from monai_chexmask_u.dataset.sources import SOURCES, Source, source_called, source_of_column

__all__ = [
    "BORDER",
    "GENERAL_ID",
    "INDEX",
    "LAYOUTS",
    "RESTORED",
    "Layout",
    "layout_called",
    "open_table",
    "read_layout",
]

GENERAL_ID: Final = "Image ID"
INDEX: Final = "index"
"""The unnamed first column that pandas writes; it counts the rows from 0."""
BORDER: Final = "border"
"""Role of this project's own column: in it stands `RESTORED` where a border that was cut off has been put back."""
RESTORED: Final = "restored"

_HEADERS: Final = MappingProxyType(
    {
        "": INDEX,
        "Unnamed: 0": INDEX,
        GENERAL_ID: "image_id",
        **{source.id_column: "image_id" for source in SOURCES},
        "Dice RCA (Mean)": "dice_rca_mean",
        "Dice RCA (Max)": "dice_rca_max",
        "Landmarks": "landmarks",
        "Landmarks (Mean)": "landmarks",
        "Landmarks (Std)": "landmarks_std",
        "Left Lung": mask_column("left_lung"),
        "Right Lung": mask_column("right_lung"),
        "Heart": mask_column("heart"),
        "Height": "height",
        "Width": "width",
        "latents": "latent_std",
        "Border": BORDER,
    }
)
"""What each published header holds, as the column of `SCHEMA` that takes it."""


@dataclass(frozen=True)
class Layout:
    """The columns of one published table.

    Attributes:
        header: as the table has it.
        holds: the column of `SCHEMA` that each takes, `INDEX`, `BORDER`, or None for what is dropped; one per
            column of `header`.
        source: data set that the radiographs are from, as far as the header or the caller says.
    """

    header: tuple[str, ...]
    holds: tuple[str | None, ...]
    source: Source | None

    @property
    def dropped(self) -> tuple[str, ...]:
        """Columns that the table of all data sets has no place for."""
        return tuple(name for name, role in zip(self.header, self.holds, strict=True) if role is None)

    @property
    def kept(self) -> tuple[str, ...]:
        """All other columns."""
        return tuple(name for name, role in zip(self.header, self.holds, strict=True) if role is not None)

    def place(self, role: str) -> int | None:
        """Return the number of the column that holds something, or None."""
        return self.holds.index(role) if role in self.holds else None

    def title(self, role: str) -> str:
        """Return the header of the column that holds something."""
        return self.header[self.holds.index(role)]

    @property
    def may_lack_border(self) -> bool:
        """Whether such a table in original resolution is one whose radiographs had a border that was forgotten."""
        is_u = self.title("landmarks").strip() == "Landmarks (Mean)"
        return is_u and self.source is not None and self.source.crop_border

    def with_border(self) -> Layout:
        """Return the layout with the column that says that the border was put back."""
        if BORDER in self.holds:
            return self
        return Layout((*self.header, "Border"), (*self.holds, BORDER), self.source)

    @classmethod
    def of_header(cls, header: tuple[str, ...], *, source: str | None = None) -> Layout:
        """Say what each column of a header holds.

        Args:
            header: names of the columns, in order.
            source: name of the data set that the radiographs are from, by default what the column of ids is called
                after.

        Raises:
            ValueError: if ids or landmarks are missing, two columns hold the same, the source is another
                one than the header says, or there is no source of that name.
        """
        holds = tuple(_HEADERS.get(name.strip()) for name in header)
        for role in ("image_id", "landmarks"):
            names = [name for name, held in _HEADERS.items() if held == role]
            if role not in holds:
                raise ValueError(f"there is no column of {role}; it is called one of {', '.join(names)}")
        for role in {role for role in holds if role is not None}:
            names = [name for name, held in zip(header, holds, strict=True) if held == role]
            if len(names) > 1:
                raise ValueError(f"the columns {' and '.join(map(repr, names))} hold the same; remove one of them")
        ids = header[holds.index("image_id")].strip()
        named, said = source_of_column(ids), source_called(source) if source else None
        if named is not None and said not in (None, named):
            raise ValueError(f"its column of ids {ids!r} is that of {named.title}; leave the source (--source) out")
        return cls(header, holds, said or named)


_ORDER: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "chexmask": ("Dice RCA (Max)", "Dice RCA (Mean)", "Landmarks"),
        "chexmask-u": ("Dice RCA (Mean)", "Dice RCA (Max)", "Landmarks (Mean)", "Landmarks (Std)"),
    }
)
LAYOUTS: Final = tuple(_ORDER)


def layout_called(name: str, source: Source | None, *, latents: bool = False) -> Layout:
    """Return the layout of one of the two published releases.

    Args:
        name: ``chexmask`` or ``chexmask-u``.
        source: after which the column of ids is called.
        latents: add the column of latent standard deviations, which some tables of CheXmask-U have.

    Raises:
        ValueError: if there is no such layout.

    Example:
        >>> layout_called("chexmask", None).header[:3]
        ('Image ID', 'Dice RCA (Max)', 'Dice RCA (Mean)')
    """
    if name not in _ORDER:
        raise ValueError(f"there is no layout {name!r}; known are {', '.join(LAYOUTS)}")
    ids = GENERAL_ID if source is None else source.id_column
    last = ("latents",) if latents and name == "chexmask-u" else ()
    header = (ids, *_ORDER[name], "Left Lung", "Right Lung", "Heart", "Height", "Width", *last)
    return Layout.of_header(header, source=None if source is None else source.name)


@contextmanager
def open_table(path: Path, mode: str = "r") -> Iterator[TextIO]:
    """Open a table as text, compressed if its name ends with ``.gz``; ``mode`` is ``r`` or ``w``.

    What is not UTF-8 is replaced when it is read: it concerns its row alone. Neither name nor time are in a compressed
    file, so that the same rows give the same bytes.

    Raises:
        OSError: if it cannot be opened.
    """
    coding: dict[str, Any] = {"encoding": "utf-8-sig", "errors": "replace"} if mode == "r" else {"encoding": "utf-8"}
    with path.open(f"{mode}b") as file:
        compressed = path.suffix.lower() == ".gz"
        binary: Any = gzip.GzipFile("", f"{mode}b", 6, file, mtime=0) if compressed else file
        with io.TextIOWrapper(binary, newline="", **coding) as text:
            yield text


def read_layout(path: Path, *, source: str | None = None) -> Layout:
    """Read the header of a published table.

    Args:
        path: ``.csv`` or ``.csv.gz``.
        source: name of the data set that the radiographs are from, where the header does not tell.

    Raises:
        DatasetError: if it cannot be read or is no published table; the message names it and says what to do.
        ValueError: if there is no such source.
    """
    if source is not None:
        source_called(source)
    try:
        with open_table(path) as file:
            header = tuple(next(csv.reader(file), []))
        return Layout.of_header(header, source=source)
    except FileNotFoundError as error:
        raise DatasetError(f"{path}: there is no such file; check its name") from error
    except (OSError, EOFError, csv.Error) as error:
        raise DatasetError(f"{path}: cannot be read as a table; fetch it again") from error
    except ValueError as error:
        raise DatasetError(f"{path}: no published table: {error}") from error
