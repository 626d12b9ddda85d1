"""Tables in the forms of the published ones, made in code; masks are drawn by Pillow, and coded by NumPy alone."""

from __future__ import annotations

import csv
import functools
import gzip
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw
from support.samples.dicom import phantom_landmarks

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.dataset.published_tables.frame import PublishedFrame

__all__ = [
    "PublishedRow",
    "as_json",
    "chexmask_header",
    "chexmask_u_header",
    "chexmask_u_way_back",
    "chexmask_way_back",
    "drawn_mask",
    "elided",
    "make_rows",
    "printed",
    "row_major_code",
    "table_text",
    "write_table",
]

OUTLINES = 8
"""Different outlines among the rows of a table; drawing masks takes the time."""

ID_FORMS: dict[str, Callable[[int], str]] = {
    "Image Index": lambda number: f"{number:08d}_000.png",
    "Path": lambda number: f"train/patient{number:05d}/study1/view1_frontal",
    "dicom_id": lambda number: f"{number:08x}-00000000-00000000-00000000-00000000",
    "ImageID": lambda number: f"{number}_2009.png",
    "image_id": lambda number: f"{number:032x}",
    "Image ID": lambda number: f"radiograph{number}",
}


@dataclass(frozen=True, eq=False)
class PublishedRow:
    """A row of a published table, as numbers."""

    image_id: str
    height: int
    width: int
    landmarks: NDArray[np.int64]
    std: NDArray[np.float64]
    latents: NDArray[np.float64]
    rca_mean: float
    rca_max: float
    cells: dict[str, str] = field(default_factory=dict)
    """Cells that stand in the table instead of what the numbers say."""

    def with_cells(self, **cells: str) -> PublishedRow:
        """Return the row with other cells; underscores stand for blanks."""
        return replace(self, cells={**self.cells, **{name.replace("_", " "): text for name, text in cells.items()}})


def make_rows(
    count: int, *, id_column: str = "dicom_id", shape: tuple[int, int] = (1024, 1024), seed: int = 0
) -> list[PublishedRow]:
    """Make rows whose landmarks lie inside images of a shape."""
    random = np.random.default_rng(seed)
    outlines = [
        phantom_landmarks(*shape) + random.normal(0, 1.5 * max(shape) / 1024, (120, 2)) for _ in range(OUTLINES)
    ]
    rows = []
    for number in range(count):
        points = outlines[number % OUTLINES]
        mean = round(float(random.uniform(0.6, 0.9)), 10)
        rows.append(
            PublishedRow(
                ID_FORMS[id_column](number + 1),
                *shape,
                np.rint(points).astype(np.int64),
                np.round(random.gamma(4, 1.0, (120, 2)), 2),
                np.round(random.uniform(0.2, 1.0, 64), 4),
                mean,
                mean + float(random.uniform(0, 0.05)),
            )
        )
    return rows


def drawn_mask(points: NDArray[np.int64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Draw a polygon with its border."""
    image = Image.new("1", (shape[1], shape[0]))
    ImageDraw.Draw(image).polygon([(x, y) for x, y in points.tolist()], fill=1, outline=1)
    return np.asarray(image, dtype=bool)


def row_major_code(mask: NDArray[np.bool_]) -> str:
    """Code a mask: ``start length ...``, row by row, counted from 1."""
    padded = np.concatenate([[0], mask.reshape(-1).astype(np.int8), [0]])
    starts, ends = np.flatnonzero(np.diff(padded) == 1), np.flatnonzero(np.diff(padded) == -1)
    return " ".join(f"{start + 1} {end - start}" for start, end in zip(starts, ends, strict=True))


def chexmask_u_header(id_column: str = "dicom_id", *, latents: bool = False) -> list[str]:
    """Return the columns of a table of CheXmask-U."""
    middle = ["Dice RCA (Mean)", "Dice RCA (Max)", "Landmarks (Mean)", "Landmarks (Std)"]
    last = ["Left Lung", "Right Lung", "Heart", "Height", "Width"]
    return [id_column, *middle, *last, *(["latents"] if latents else [])]


def chexmask_header(id_column: str = "Image ID") -> list[str]:
    """Return the columns of a table of CheXmask."""
    last = ["Left Lung", "Right Lung", "Heart", "Height", "Width"]
    return [id_column, "Dice RCA (Max)", "Dice RCA (Mean)", "Landmarks", *last]


def cells_of(row: PublishedRow, number: int) -> dict[str, str]:
    """Return the cells of a row, by all headers that they may have."""
    landmarks = ",".join(str(value) for value in row.landmarks.ravel())
    cells = {
        **dict.fromkeys(ID_FORMS, row.image_id),
        "": str(number),
        "Dice RCA (Mean)": repr(row.rca_mean),
        "Dice RCA (Max)": repr(row.rca_max),
        "Landmarks": landmarks,
        "Landmarks (Mean)": landmarks,
        "Landmarks (Std)": ",".join(f"{value:.2f}" for value in row.std.ravel()),
        "Height": str(row.height),
        "Width": str(row.width),
        "latents": ",".join(f"{value:.4f}" for value in row.latents),
    }
    for organ in ORGANS:
        outline = tuple(map(tuple, row.landmarks[organ.nodes].tolist()))
        cells[organ.title.title()] = _code_of(outline, (row.height, row.width))
    return cells | row.cells


@functools.lru_cache(maxsize=200)
def _code_of(outline: tuple[tuple[int, int], ...], shape: tuple[int, int]) -> str:
    return row_major_code(drawn_mask(np.array(outline), shape))


def table_text(rows: Sequence[PublishedRow], header: Sequence[str]) -> str:
    """Return a table as pandas writes one."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for number, row in enumerate(rows):
        cells = cells_of(row, number)
        writer.writerow([cells[name] for name in header])
    return text.getvalue()


def write_table(path: Path, rows: Sequence[PublishedRow], header: Sequence[str]) -> Path:
    """Write a table, compressed if its name ends with .gz."""
    content = table_text(rows, header).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def printed(points: NDArray[np.int64]) -> str:
    """Return what NumPy prints of landmarks: brackets, blanks, line ends."""
    with np.printoptions(threshold=10_000):
        return str(points)


def elided(points: NDArray[np.int64]) -> str:
    """Return what NumPy prints of landmarks if there are too many for it."""
    with np.printoptions(threshold=10):
        return str(points)


def as_json(points: NDArray[np.int64]) -> str:
    """Return landmarks as the data dictionary says."""
    return json.dumps(points.tolist())


SQUARE = 1024


def chexmask_way_back(points: ArrayLike, frame: PublishedFrame) -> NDArray[np.float64]:
    """Go back as CheXmask did: with the border, without the half of a pixel."""
    crop, longer = frame.crop, max(frame.crop.height, frame.crop.width)
    added = np.array([(longer - crop.width) // 2, (longer - crop.height) // 2])
    back: NDArray[np.float64] = np.asarray(points) / SQUARE * longer - added + np.array([crop.left, crop.top])
    return back


def chexmask_u_way_back(points: ArrayLike, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Go back as CheXmask-U did: as if no border had been cut off."""
    scale = SQUARE / max(shape)
    added = np.array([(SQUARE - round(shape[1] * scale)) // 2, (SQUARE - round(shape[0] * scale)) // 2])
    back: NDArray[np.float64] = (np.asarray(points) - added) / scale
    return back
