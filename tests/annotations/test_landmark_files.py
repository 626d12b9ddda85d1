"""Landmarks in arrays, tables and the folders of the published data set."""

from __future__ import annotations

import csv
import io
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from monai_chexmask_u.anatomy import HEART, NODE_IDS, ORGANS
from monai_chexmask_u.annotations.landmark_files import read_arrays, write_arrays
from monai_chexmask_u.data import landmark_datalist
from monai_chexmask_u.geometry import Frame

LANDMARKS = np.random.default_rng(0).uniform(0, 1024, (2, 120, 2))
SIZES = {"a": (1024, 1024), "b": (300, 500)}  # columns and rows

Rows = list[dict[str, Any]]


def images(folder: Path) -> None:
    (folder / "images").mkdir(parents=True)
    for name, size in SIZES.items():
        Image.new("L", size, 1).save(folder / "images" / f"{name}.png")


def rows(name: str, points: NDArray[np.float64]) -> Rows:
    return [{"name": name, "id": node, "x": x, "y": y} for node, (x, y) in zip(NODE_IDS, points.tolist(), strict=True)]


def table(folder: Path, lines: Rows, *, columns: tuple[str, ...] = ("name", "id", "x", "y")) -> Path:
    images(folder)
    with (folder / "landmarks.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(lines)
    return folder / "landmarks.csv"


def organ_folders(folder: Path, inside: str = ".") -> Path:
    """The published layout; returns the folder that holds RL, LL and H."""
    images(folder)
    for organ in ORGANS:
        place = folder / inside / organ.prefix
        place.mkdir(parents=True)
        for name, points in zip(SIZES, LANDMARKS, strict=True):
            np.save(place / f"{name}.npy", points[organ.nodes])
    return folder / inside


def refused(folder: Path, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        landmark_datalist(folder)


def test_table_gives_a_row_per_landmark_in_any_order(tmp_path: Path) -> None:
    lines = [*rows("b", LANDMARKS[1]), *rows("a", LANDMARKS[0])]
    shuffled = [lines[index] for index in [0, *np.random.default_rng(1).permutation(np.arange(1, len(lines)))]]
    table(tmp_path, [line | {"reader": "1"} for line in shuffled], columns=("reader", "y", "x", "id", "name"))
    items = landmark_datalist(tmp_path)
    assert [item["name"] for item in items] == ["b", "a"]
    assert [item["image"] for item in items] == [str(tmp_path / "images" / name) for name in ("b.png", "a.png")]
    for item, points in zip(items, LANDMARKS[::-1], strict=True):
        assert item["label"].dtype == np.float32
        np.testing.assert_allclose(item["label"], points, rtol=1e-6)


def test_table_of_lungs_has_no_heart(tmp_path: Path) -> None:
    table(tmp_path, [*rows("a", LANDMARKS[0])[: HEART.first_node], *rows("b", LANDMARKS[1])])
    lungs, whole = landmark_datalist(tmp_path)
    np.testing.assert_allclose(lungs["label"][: HEART.first_node], LANDMARKS[0, : HEART.first_node], rtol=1e-6)
    assert np.isnan(lungs["label"][HEART.nodes]).all()
    assert np.isfinite(whole["label"]).all()


def test_table_of_a_spreadsheet_may_start_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = table(tmp_path, rows("a", LANDMARKS[0]))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(landmark_datalist(tmp_path)) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": "H26"}, ", line 3: there is no landmark 'H26'; ids are RL00 to H25"),
        ({"id": "rl01"}, ", line 3: there is no landmark 'rl01'"),
        ({"id": "RL00"}, ", line 3: landmark RL00 of 'a' comes twice"),
        ({"x": "left"}, ", line 3: x and y must be numbers, got 'left' and "),
        ({"y": ""}, ", line 3: x and y must be numbers"),
        ({"x": "nan"}, ", line 3: x and y must be finite, got nan"),
        ({"y": "-inf"}, ", line 3: x and y must be finite"),
        ({"name": "c"}, ": image 'a' has 43 landmarks of the right lung instead of 44"),
    ],
)
def test_wrong_rows_are_named_with_their_line(tmp_path: Path, changes: dict[str, str], message: str) -> None:
    lines = rows("a", LANDMARKS[0])
    lines[1] |= changes
    path = table(tmp_path, lines)
    refused(tmp_path, f"{path}{message}")


@pytest.mark.parametrize("absent", ["name", "id", "x", "y"])
def test_missing_column_is_named(tmp_path: Path, absent: str) -> None:
    columns = tuple(column for column in ("name", "id", "x", "y") if column != absent)
    path = table(tmp_path, rows("a", LANDMARKS[0]), columns=columns)
    refused(tmp_path, f"{path}: column '{absent}' is missing; name, id, x and y are needed")


def test_table_without_rows_and_table_of_missing_images_are_refused(tmp_path: Path) -> None:
    path = table(tmp_path / "empty", [])
    refused(tmp_path / "empty", f"{path}: there are no landmarks in it")
    table(tmp_path / "missing", rows("c", LANDMARKS[0]))
    refused(tmp_path / "missing", "1 images of landmarks.csv are missing, e.g. ['c']")


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfen\0a\0m\0e\0", b"name,id,x,y\na,RL00,\0,1\n", b"name,id,x,y\na\xe9,RL00"]
)
def test_broken_table_is_named(tmp_path: Path, content: bytes) -> None:
    images(tmp_path)
    (tmp_path / "landmarks.csv").write_bytes(content)
    refused(tmp_path, str(tmp_path / "landmarks.csv"))


@pytest.mark.parametrize("inside", [".", "landmarks", "Landmarks"])
def test_published_folders_are_found(tmp_path: Path, inside: str) -> None:
    organ_folders(tmp_path, inside)
    square, tall = landmark_datalist(tmp_path)
    assert (square["name"], square["image"]) == ("a", str(tmp_path / "images" / "a.png"))
    assert square["label"].dtype == np.float32
    np.testing.assert_allclose(square["label"], LANDMARKS[0], rtol=0, atol=1e-3)
    # 300 x 500 pixels fill the height of the square, and are centered in it: 205 pixels are left on each side.
    scale = 1024 / 500
    expected = (LANDMARKS[1] + 0.5 - (205, 0)) / scale - 0.5
    np.testing.assert_allclose(tall["label"], expected, rtol=0, atol=0.3)  # 614.4 columns become 614


@given(columns=st.integers(50, 1500), rows=st.integers(50, 1500))
def test_points_of_an_image_come_back_from_the_square(
    tmp_path_factory: pytest.TempPathFactory, columns: int, rows: int
) -> None:
    folder = tmp_path_factory.mktemp("square")
    points = np.random.default_rng(columns).uniform(0, (columns, rows), (120, 2))
    (folder / "images").mkdir()
    Image.new("1", (columns, rows)).save(folder / "images" / "a.png")
    published = Frame.fit((rows, columns), 1024).to_network(points) * 1024
    for organ in ORGANS:
        (folder / organ.prefix).mkdir()
        np.save(folder / organ.prefix / "a.npy", published[organ.nodes])
    np.testing.assert_allclose(landmark_datalist(folder)[0]["label"], points, rtol=0, atol=1e-3)


def test_published_folders_may_lack_hearts(tmp_path: Path) -> None:
    folder = organ_folders(tmp_path)
    (folder / "H" / "a.npy").unlink()
    lungs, whole = landmark_datalist(tmp_path)
    assert np.isnan(lungs["label"][HEART.nodes]).all()
    assert np.isfinite(lungs["label"][: HEART.first_node]).all()
    assert np.isfinite(whole["label"]).all()
    (folder / "H" / "b.npy").unlink()
    (folder / "H").rmdir()
    assert all(np.isnan(item["label"][HEART.nodes]).all() for item in landmark_datalist(tmp_path))


@pytest.mark.parametrize(
    ("absent", "message"),
    [
        ("LL", "LL/a.npy: is missing, while {folder}/RL/a.npy is there; an image needs both lungs"),
        ("RL", "LL/a.npy: has no counterpart in {folder}/RL; an image needs both lungs"),
    ],
)
def test_one_lung_alone_is_refused(tmp_path: Path, absent: str, message: str) -> None:
    folder = organ_folders(tmp_path)
    (folder / absent / "a.npy").unlink()
    refused(tmp_path, f"{folder}/{message.format(folder=folder)}")


def test_missing_and_unreadable_images_are_named(tmp_path: Path) -> None:
    folder = organ_folders(tmp_path)
    (tmp_path / "images" / "a.png").write_bytes(b"no image")
    refused(tmp_path, f"{tmp_path}/images/a.png: its size cannot be read")
    (tmp_path / "images" / "a.png").unlink()
    refused(tmp_path, f"{folder}/RL/a.npy: there is no image of this name in images/")


def test_folders_without_files_are_refused(tmp_path: Path) -> None:
    for organ in ORGANS:
        (tmp_path / organ.prefix).mkdir()
    refused(tmp_path, f"{tmp_path}: there are no landmarks in it")


@pytest.mark.parametrize("organ", ORGANS, ids=lambda organ: organ.name)
@pytest.mark.parametrize(
    "points",
    [LANDMARKS[0, :30], LANDMARKS[0, :26, 0], np.full((26, 2), np.nan), np.zeros((0, 2))],
    ids=["count", "flat", "nan", "empty"],
)
def test_wrong_arrays_are_named(tmp_path: Path, organ: Any, points: NDArray[np.float64]) -> None:
    path = organ_folders(tmp_path) / organ.prefix / "b.npy"
    np.save(path, points)
    message = f"{path}: expected {organ.node_count} landmarks (x, y), all finite, got an array of shape {points.shape}"
    refused(tmp_path, message)


def archive() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, landmarks=LANDMARKS[0, :44])
    return stream.getvalue()


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"no array", b"PK\3\4 and no more", archive(), None])
def test_broken_arrays_are_named(tmp_path: Path, content: bytes | None) -> None:
    path = organ_folders(tmp_path) / "RL" / "a.npy"
    path.write_bytes(path.read_bytes()[:-10] if content is None else content)
    refused(tmp_path, f"{path}: cannot be read as an array of landmarks")


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return Path.touch, (self.proof,)


def test_code_in_an_array_is_not_run(tmp_path: Path) -> None:
    path, proof = organ_folders(tmp_path) / "H" / "a.npy", tmp_path / "proof"
    lone = np.empty(1, dtype=object)
    lone[0] = Touch(proof)
    for content in (lone, None):
        if content is None:
            path.write_bytes(pickle.dumps(Touch(proof)))
        else:
            np.save(path, content, allow_pickle=True)
        refused(tmp_path, f"{path}: cannot be read as an array of landmarks")
        assert not proof.exists()


def test_arrays_win_over_tables_and_tables_over_folders(tmp_path: Path) -> None:
    organ_folders(tmp_path)
    table(tmp_path / "other", rows("a", LANDMARKS[1]))
    (tmp_path / "other" / "landmarks.csv").rename(tmp_path / "landmarks.csv")
    assert len(landmark_datalist(tmp_path)) == 1
    np.savez(tmp_path / "landmarks.npz", names=["b", "a"], landmarks=LANDMARKS)
    assert [item["name"] for item in landmark_datalist(tmp_path)] == ["b", "a"]


def test_written_landmarks_are_read_back_in_their_order_with_unknown_organs(tmp_path: Path) -> None:
    lungs_only = LANDMARKS[1].copy()
    lungs_only[HEART.nodes] = np.nan
    write_arrays(tmp_path / "landmarks.npz", {"b": LANDMARKS[0], "a": lungs_only})
    found = read_arrays(tmp_path / "landmarks.npz")
    assert list(found) == ["b", "a"]
    np.testing.assert_array_equal(found["b"], LANDMARKS[0].astype(np.float32))
    np.testing.assert_array_equal(found["a"], lungs_only.astype(np.float32))
    assert [path.name for path in tmp_path.iterdir()] == ["landmarks.npz"]


def test_what_could_not_be_read_is_not_written_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "landmarks.npz"
    write_arrays(path, {"a": LANDMARKS[0]})
    before = path.read_bytes()
    torn = LANDMARKS[0].copy()
    torn[3] = np.nan
    with pytest.raises(ValueError, match="image 'a' has 43 landmarks of the right lung instead of 44"):
        write_arrays(path, {"a": torn})
    with pytest.raises(ValueError, match="there are no landmarks to write"):
        write_arrays(path, {})
    assert path.read_bytes() == before
