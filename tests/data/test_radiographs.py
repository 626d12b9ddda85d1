from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.samples.dicom import make_dx, save

from monai_chexmask_u.data import radiograph_datalist
from monai_chexmask_u.data.radiographs import dicom_datalist
from monai_chexmask_u.radiograph import RadiographError


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
