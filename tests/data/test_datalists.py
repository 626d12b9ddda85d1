from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.samples.dicom import make_dx, save

from monai_chexmask_u.anatomy import HEART
from monai_chexmask_u.data import dicom_datalist, landmark_datalist, radiograph_datalist
from monai_chexmask_u.radiograph import RadiographError

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


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return Path.touch, (self.proof,)


def approx_item(item: dict[str, Any]) -> dict[str, Any]:
    """An item to compare others with: two arrays have no single truth."""
    return item | {"label": pytest.approx(item["label"], rel=0, abs=0)}


def refused(folder: Path | list[Path], names: str) -> None:
    with pytest.raises(ValueError, match=re.escape(names)):
        landmark_datalist(folder)


def test_images_may_lie_in_a_capitalized_folder(tmp_path: Path) -> None:
    data_set(tmp_path)
    (tmp_path / "images").rename(tmp_path / "Images")
    assert [Path(item["image"]).parent.name for item in landmark_datalist(tmp_path)] == ["Images", "Images"]


def test_unknown_heart_stays_unknown(tmp_path: Path) -> None:
    lungs = LANDMARKS.copy()
    lungs[1, HEART.nodes] = np.nan
    whole, partial = landmark_datalist(data_set(tmp_path, landmarks=lungs))
    assert np.isfinite(whole["label"]).all()
    np.testing.assert_allclose(partial["label"], lungs[1], rtol=1e-6)


def test_several_folders_give_one_list_in_their_order(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("second", "first")]
    for folder in folders:
        folder.mkdir()
        data_set(folder)
    items = landmark_datalist([str(folders[0]), folders[1]])
    assert items[:2] == [approx_item(item) for item in landmark_datalist(folders[0])]
    assert [Path(item["image"]).parents[1].name for item in items] == ["second", "second", "first", "first"]
    assert landmark_datalist(folders[:1]) == [approx_item(item) for item in items[:2]]
    assert landmark_datalist([]) == []
    (folders[1] / "images" / "a.jpg").unlink()
    refused(folders, str(folders[1] / "images"))


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        (["train", "val"], "no landmarks here, but folders train, val; give one of them"),
        (["test"], "no landmarks here, but folders test; give one of them"),
        (["images"], "no landmarks.npz, landmarks.csv or folders RL, LL and H with landmarks here"),
        ([], "no landmarks.npz, landmarks.csv or folders RL, LL and H with landmarks here"),
    ],
)
def test_folder_without_landmarks_is_named_with_what_to_do(tmp_path: Path, inner: list[str], message: str) -> None:
    for name in inner:
        (tmp_path / name).mkdir()
    refused(tmp_path, f"{tmp_path}: {message}")


def test_missing_folder_is_named(tmp_path: Path) -> None:
    refused(tmp_path / "none", f"{tmp_path / 'none'}: there is no such folder")


def test_set_of_no_images_is_refused(tmp_path: Path) -> None:
    empty = {"names": np.array([], dtype=str), "landmarks": np.zeros((0, 120, 2))}
    refused(data_set(tmp_path, **empty), f"{tmp_path / 'landmarks.npz'}: there are no landmarks in it")


def test_names_that_come_twice_are_named(tmp_path: Path) -> None:
    data_set(tmp_path, names=np.array(["a", "a"]))
    refused(tmp_path, f"{tmp_path / 'landmarks.npz'}: names must differ, but ['a'] come more than once")


@pytest.mark.parametrize(
    ("unknown", "fault"),
    [
        (HEART.first_node, "has 25 landmarks of the heart instead of 26"),
        (slice(1, 44), "has 1 landmarks of the right lung instead of 44"),
        (slice(None), "has no landmarks"),
    ],
)
def test_incomplete_organs_are_named_with_their_image(tmp_path: Path, unknown: Any, fault: str) -> None:
    landmarks = LANDMARKS.copy()
    landmarks[1, unknown] = np.nan
    refused(data_set(tmp_path, landmarks=landmarks), f"{tmp_path / 'landmarks.npz'}: image 'b' {fault}")


def test_code_in_an_archive_is_not_run(tmp_path: Path) -> None:
    names = np.empty(2, dtype=object)
    names[:] = [Touch(tmp_path / "proof"), "b"]
    refused(data_set(tmp_path, names=names), str(tmp_path / "landmarks.npz"))
    assert not (tmp_path / "proof").exists()


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


@pytest.fixture
def chest(tmp_path: Path) -> Path:
    path = tmp_path / "a" / "chest.png"
    path.parent.mkdir()
    Image.fromarray(np.arange(4096).reshape(64, 64).astype(np.uint8)).save(path)
    return path


def test_lists_all_radiographs_with_names_of_their_own(tmp_path: Path, chest: Path) -> None:
    (tmp_path / "b").mkdir()
    other = tmp_path / "b" / "chest.png"
    other.write_bytes(chest.read_bytes())
    dicom = save(make_dx(rows=64, columns=64), tmp_path / "radiograph.dcm")
    items = radiograph_datalist(str(tmp_path))
    assert [item["image"] for item in items] == [str(chest), str(other), str(dicom)]
    assert [item["name"] for item in items] == ["a_chest.png", "b_chest.png", "radiograph"]


def test_a_single_file_is_fine(chest: Path) -> None:
    assert radiograph_datalist(chest) == [{"image": str(chest), "name": "chest"}]


def test_unusable_images_are_logged_with_their_reason_and_left_out(
    tmp_path: Path, chest: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = tmp_path / "text.png"
    text.write_bytes(b"no image")
    lateral = make_dx(rows=64, columns=64)
    lateral.ViewPosition = "LL"
    del lateral.ViewCodeSequence
    save(lateral, tmp_path / "lateral.dcm")
    with caplog.at_level(logging.WARNING):
        assert [item["name"] for item in radiograph_datalist(tmp_path)] == ["chest"]
    assert len(caplog.messages) == 2
    for message, path, code in zip(
        sorted(caplog.messages), [tmp_path / "lateral.dcm", text], ["not_frontal", "not_an_image"], strict=True
    ):
        assert message.startswith(f"{path} is left out: ")
        assert message.endswith(f"[{code}]")
        assert "Synthetic" not in message


@pytest.mark.parametrize("broken", [True, False])
def test_a_folder_without_usable_radiographs_is_refused(tmp_path: Path, broken: bool) -> None:
    if broken:
        (tmp_path / "text.png").write_bytes(b"no image")
    with pytest.raises(RadiographError, match="no usable radiograph") as refused:
        radiograph_datalist(tmp_path)
    assert refused.value.code == "no_input"
    assert str(tmp_path) in str(refused.value)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RadiographError, match="absent") as refused:
        radiograph_datalist(tmp_path / "absent")
    assert refused.value.code == "not_found"


@pytest.mark.parametrize("datalist", [radiograph_datalist, dicom_datalist])
def test_of_images_with_one_identifier_a_copy_is_left_out_and_different_ones_are_all(
    tmp_path: Path, datalist: Callable[[Path], list[dict[str, str]]], caplog: pytest.LogCaptureFixture
) -> None:
    good, first, second = (make_dx(rows=64, columns=64, seed=seed) for seed in range(3))
    second.SOPInstanceUID = second.file_meta.MediaStorageSOPInstanceUID = first.SOPInstanceUID
    for name, image in (("1", first), ("2", good), ("3", second), ("4", good)):
        save(image, tmp_path / f"{name}.dcm")
    with caplog.at_level(logging.WARNING):
        assert [item["name"] for item in datalist(tmp_path)] == ["2"]
    assert [message[-25:] for message in caplog.messages].count("[conflicting_identifiers]") == 2
    assert caplog.messages[-1].endswith("[duplicate]")
