"""The files that landmarks come in: arrays, tables, and the folders of the published landmark data set."""

from __future__ import annotations

import csv
import zipfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from monai_chexmask_u.anatomy import NODE_COUNT, NODE_IDS, ORGANS
from monai_chexmask_u.files.atomic import atomic_path
from monai_chexmask_u.geometry import Frame

__all__ = ["read_arrays", "read_organ_folders", "read_table", "write_arrays"]

Landmarks = dict[str, NDArray[np.float32]]

# The published folders give coordinates in a square of this side, whatever the image's size.
FOLDER_FRAME: Final = 1024


def read_arrays(path: Path) -> Landmarks:
    """Read ``landmarks.npz``.

    Args:
        path: an archive of ``names`` and ``landmarks`` ``(image, 120, 2)``; NaN where an organ is not outlined.

    Returns:
        Landmarks ``(120, 2)`` by name, in the order of the file.

    Raises:
        ValueError: if the file is missing or broken, a shape is wrong, a name comes twice or an organ is incomplete.
    """
    try:
        with np.load(path) as arrays:
            names, landmarks = [str(name) for name in arrays["names"]], arrays["landmarks"].astype(np.float32)
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: cannot be read as arrays 'names' and 'landmarks' ({error})") from error
    if landmarks.shape != (len(names), NODE_COUNT, 2):
        raise ValueError(f"{path}: landmarks must have shape ({len(names)}, {NODE_COUNT}, 2), got {landmarks.shape}")
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise ValueError(f"{path}: names must differ, but {twice[:3]} come more than once")
    found = dict(zip(names, landmarks, strict=True))
    for name, points in found.items():
        _check_whole_organs(points, f"{path}: image {name!r}")
    return found


def write_arrays(path: Path, landmarks: Mapping[str, NDArray[np.floating]]) -> None:
    """Write ``landmarks.npz``, which `read_arrays` reads.

    Args:
        path: of the file; it is written whole or not at all.
        landmarks: ``(120, 2)`` by the image's name, in pixels of each image; NaN where an organ is not outlined.

    Raises:
        ValueError: if there are none, a shape is wrong, or an organ is incomplete.
        OSError: if the file cannot be written.
    """
    if not landmarks:
        raise ValueError(f"{path}: there are no landmarks to write")
    arrays = {name: np.asarray(points, dtype=np.float32) for name, points in landmarks.items()}
    for name, points in arrays.items():
        if points.shape != (NODE_COUNT, 2):
            raise ValueError(f"{path}: image {name!r} must have landmarks ({NODE_COUNT}, 2), got {points.shape}")
        _check_whole_organs(points, f"{path}: image {name!r}")
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, names=np.array(list(arrays)), landmarks=np.stack(list(arrays.values())))


def read_table(path: Path) -> Landmarks:
    """Read ``landmarks.csv``: columns ``name``, ``id``, ``x`` and ``y``, other columns are ignored.

    Returns:
        Landmarks ``(120, 2)`` by name, in the order of their first rows.

    Raises:
        ValueError: if the file is no table in UTF-8, a column is missing, an id is unknown or comes twice, a number is
            none, or an organ is incomplete; it names the line.
    """
    found: Landmarks = {}
    nodes = {node_id: node for node, node_id in enumerate(NODE_IDS)}
    for line, row in _rows(path):
        place = f"{path}, line {line}"
        points = found.setdefault(row["name"], np.full((NODE_COUNT, 2), np.nan, dtype=np.float32))
        node = nodes.get(row["id"])
        if node is None:
            raise ValueError(f"{place}: there is no landmark {row['id']!r}; ids are RL00 to H25")
        if np.isfinite(points[node]).any():
            raise ValueError(f"{place}: landmark {row['id']} of {row['name']!r} comes twice")
        points[node] = _coordinates(row, place)
    for name, points in found.items():
        _check_whole_organs(points, f"{path}: image {name!r}")
    return found


def read_organ_folders(folder: Path, images: Mapping[str, Path]) -> Landmarks:
    """Read the folders ``RL``, ``LL`` and, if it is there, ``H`` of the published landmark data set.

    Args:
        folder: holds them; each has one ``NAME.npy`` ``(node, 2)`` per image, in the square of 1024 pixels.
        images: where the images lie, by name; their sizes tell the map from that square.

    Returns:
        Landmarks ``(120, 2)`` in pixels of each image, by name; a file in ``H`` may be missing.

    Raises:
        ValueError: if an image has one lung only, or a file is broken or has another number of landmarks.
    """
    found: Landmarks = {}
    for path in sorted((folder / "RL").glob("*.npy")):
        if path.stem not in images:
            raise ValueError(f"{path}: there is no image of this name in images/")
        points = np.full((NODE_COUNT, 2), np.nan)
        for organ in ORGANS:
            file = folder / organ.prefix / path.name
            if file.is_file():
                points[organ.nodes] = _organ_array(file, organ.node_count)
            elif organ.prefix != "H":
                raise ValueError(f"{file}: is missing, while {path} is there; an image needs both lungs")
        found[path.stem] = _frame_of(images[path.stem]).to_image(points / FOLDER_FRAME).astype(np.float32)
    others = [path for organ in ("LL", "H") for path in sorted((folder / organ).glob("*.npy"))]
    unpaired = [path for path in others if path.stem not in found]
    if unpaired:
        raise ValueError(f"{unpaired[0]}: has no counterpart in {folder / 'RL'}; an image needs both lungs")
    return found


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Return the rows of a table with the numbers of their lines."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            absent = [column for column in ("name", "id", "x", "y") if column not in (reader.fieldnames or [])]
            rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: cannot be read as a table in UTF-8 ({error})") from error
    if absent:
        raise ValueError(f"{path}: column {absent[0]!r} is missing; name, id, x and y are needed")
    return rows


def _organ_array(path: Path, count: int) -> NDArray[np.float64]:
    try:
        points: NDArray[np.float64] = np.load(path).astype(np.float64)
    except (OSError, EOFError, AttributeError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: cannot be read as an array of landmarks ({error})") from error
    if points.shape != (count, 2) or not np.isfinite(points).all():
        raise ValueError(f"{path}: expected {count} landmarks (x, y), all finite, got an array of shape {points.shape}")
    return points


def _frame_of(image: Path) -> Frame:
    try:
        with Image.open(image) as opened:
            return Frame.fit((opened.height, opened.width), FOLDER_FRAME)
    except (OSError, ValueError) as error:
        raise ValueError(f"{image}: its size cannot be read; the published data set has PNG images") from error


def _coordinates(row: Mapping[str, str], place: str) -> tuple[float, float]:
    try:
        x, y = float(row["x"]), float(row["y"])
    except (TypeError, ValueError) as error:
        raise ValueError(f"{place}: x and y must be numbers, got {row['x']!r} and {row['y']!r}") from error
    if not np.isfinite([x, y]).all():
        raise ValueError(f"{place}: x and y must be finite, got {row['x']} and {row['y']}")
    return x, y


def _check_whole_organs(points: NDArray[np.float32], owner: str) -> None:
    """Refuse an organ of which some landmarks are known and others not, and an image without any."""
    known = np.asarray(np.isfinite(points).all(axis=1))
    if not known.any():
        raise ValueError(f"{owner} has no landmarks")
    for organ in ORGANS:
        count = int(known[organ.nodes].sum())
        if count not in (0, organ.node_count):
            raise ValueError(
                f"{owner} has {count} landmarks of the {organ.title.lower()} instead of {organ.node_count}"
            )
