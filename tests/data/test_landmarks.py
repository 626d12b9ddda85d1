from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monai_chexmask_u.data import landmark_datalist

LANDMARKS = np.random.default_rng(0).uniform(0, 1024, (2, 120, 2))


def data_set(folder: Path, **changes: Any) -> Path:
    """A folder with two (empty) images and their landmarks."""
    (folder / "images").mkdir()
    for name in ("b.png", "a.jpg", ".hidden.png"):
        (folder / "images" / name).touch()
    arrays = {"names": np.array(["a", "b"]), "landmarks": LANDMARKS} | changes
    np.savez(folder / "landmarks.npz", **arrays)
    return folder


@pytest.mark.parametrize("kind", [Path, str])
def test_lists_images_in_the_order_of_the_landmarks(tmp_path: Path, kind: Any) -> None:
    items = landmark_datalist(kind(data_set(tmp_path)))
    assert [item["name"] for item in items] == ["a", "b"]
    assert [item["image"] for item in items] == [str(tmp_path / "images" / name) for name in ("a.jpg", "b.png")]
    for item, landmarks in zip(items, LANDMARKS, strict=True):
        assert item["label"].dtype == np.float32
        np.testing.assert_allclose(item["label"], landmarks, rtol=1e-6)


def refused(folder: Path, names: str) -> None:
    with pytest.raises(ValueError, match=re.escape(names)):
        landmark_datalist(folder)


def test_missing_file_is_named(tmp_path: Path) -> None:
    refused(tmp_path, str(tmp_path / "landmarks.npz"))


@pytest.mark.parametrize("content", [b"", b"PK\3\4 and no more", b"no archive", b"\x93NUMPY"])
def test_broken_file_is_named(tmp_path: Path, content: bytes) -> None:
    data_set(tmp_path)
    (tmp_path / "landmarks.npz").write_bytes(content)
    refused(tmp_path, str(tmp_path / "landmarks.npz"))


def test_file_cut_short_is_named(tmp_path: Path) -> None:
    table = data_set(tmp_path) / "landmarks.npz"
    table.write_bytes(table.read_bytes()[:-500])
    refused(tmp_path, str(table))


def test_lone_array_in_place_of_an_archive_is_named(tmp_path: Path) -> None:
    with (data_set(tmp_path) / "landmarks.npz").open("wb") as stream:
        np.save(stream, LANDMARKS)
    refused(tmp_path, str(tmp_path / "landmarks.npz"))


@pytest.mark.parametrize("absent", ["names", "landmarks"])
def test_archive_without_an_array_is_named(tmp_path: Path, absent: str) -> None:
    arrays: dict[str, Any] = {"names": np.array(["a", "b"]), "landmarks": LANDMARKS}
    del arrays[absent]
    data_set(tmp_path)
    np.savez(tmp_path / "landmarks.npz", **arrays)
    refused(tmp_path, "landmarks.npz")


@pytest.mark.parametrize(
    "changes",
    [
        {"landmarks": LANDMARKS[:, :94]},
        {"landmarks": LANDMARKS[:1]},
        {"landmarks": LANDMARKS.reshape(2, 240)},
        {"landmarks": np.where(np.arange(120)[:, None] == 7, np.nan, LANDMARKS)},
        {"landmarks": np.array([None, None])},
        {"landmarks": np.array(["x", "y"])},
        {"names": np.array("a")},
    ],
)
def test_wrong_arrays_are_refused_with_the_file(tmp_path: Path, changes: dict[str, Any]) -> None:
    refused(data_set(tmp_path, **changes), str(tmp_path / "landmarks.npz"))


def test_missing_images_are_named(tmp_path: Path) -> None:
    data_set(tmp_path)
    (tmp_path / "images" / "b.png").unlink()
    with pytest.raises(ValueError, match=r"1 images of landmarks\.npz are missing, e\.g\. \['b'\]") as error:
        landmark_datalist(tmp_path)
    assert str(tmp_path / "images") in str(error.value)


def test_jsrt_validation_set_has_21_images(shared_data: Path) -> None:
    items = landmark_datalist(shared_data / "jsrt" / "val")
    assert len(items) == 21
    assert all(Path(item["image"]).is_file() for item in items)
    assert all(0 <= item["label"].min() <= item["label"].max() < 1024 for item in items)
