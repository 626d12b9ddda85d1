from __future__ import annotations

import hashlib
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.samples.collections import (
    dicom_radiograph,
    jpeg_radiograph,
    png_radiograph,
    write_files,
    write_tar,
    write_zip,
)

from monai_chexmask_u.dataset.building.listing import list_radiographs
from monai_chexmask_u.dataset.building.radiograph_files import RadiographFile
from monai_chexmask_u.radiograph import RadiographError
from monai_chexmask_u.reading import read_radiograph

CONTENT = {"png": png_radiograph(), "jpeg": jpeg_radiograph(), "dicom": dicom_radiograph()}
NAMES = {"png": "Doe_Jane.png", "jpeg": "Doe_Jane.jpg", "dicom": "Doe_Jane"}
SILENT = ("orientation_assumed", "view_unknown", "spacing_unknown")


def radiograph_in(form: str, folder: Path, name: str, content: bytes) -> RadiographFile:
    if form == "folder":
        write_files(folder, {name: content})
    elif form == "zip":
        write_zip(folder / "radiographs.zip", {"a.png": png_radiograph(9), name: content})
    else:
        write_tar(folder / "radiographs.tar", {"a.png": png_radiograph(9), name: content})
    (item,) = (item for item in list_radiographs(folder).radiographs if item.image_id.endswith(name))
    return item


def refusal(item: RadiographFile) -> str:
    with pytest.raises(RadiographError) as refused:
        item.read()
    assert "Doe" not in str(refused.value)
    return refused.value.code


@pytest.mark.parametrize("form", ["folder", "zip", "tar"])
@pytest.mark.parametrize("kind", CONTENT)
def test_a_radiograph_is_the_same_wherever_it_lies(kind: str, form: str, tmp_path: Path) -> None:
    (tmp_path / "collection").mkdir()
    item = radiograph_in(form, tmp_path / "collection", NAMES[kind], CONTENT[kind])
    radiograph = item.read()
    plain = read_radiograph(write_files(tmp_path, {NAMES[kind]: CONTENT[kind]}) / NAMES[kind])
    np.testing.assert_array_equal(radiograph.pixels, plain.pixels)
    assert radiograph.path == Path(item.image_path)
    assert radiograph.header == plain.header
    assert replace(radiograph, pixels=plain.pixels, path=plain.path, header=None) == replace(plain, header=None)
    assert radiograph.sha256 == hashlib.sha256(CONTENT[kind]).hexdigest()


@pytest.mark.parametrize("form", ["folder", "zip", "tar"])
def test_the_suffix_tells_what_the_content_does_not(form: str, tmp_path: Path) -> None:
    assert refusal(radiograph_in(form, tmp_path, "Doe_Jane.IMG", b"\1" * 5000)) == "truncated"  # not "not_an_image"
    assert refusal(radiograph_in(form, tmp_path, "Doe_Jane.png", b"\1" * 5000)) == "not_an_image"


@pytest.mark.parametrize("form", ["zip", "tar"])
def test_a_name_that_no_file_could_have_is_read(form: str, tmp_path: Path) -> None:
    item = radiograph_in(form, tmp_path, "a." + "x" * 300, dicom_radiograph())
    np.testing.assert_array_equal(item.read().pixels, read_radiograph_of(dicom_radiograph(), tmp_path))


def read_radiograph_of(content: bytes, folder: Path) -> object:
    (folder / "plain").write_bytes(content)
    return read_radiograph(folder / "plain").pixels


@pytest.mark.parametrize("form", ["folder", "zip", "tar"])
def test_a_radiograph_that_is_gone_is_not_found(form: str, tmp_path: Path) -> None:
    item = radiograph_in(form, tmp_path, "Doe_Jane.png", png_radiograph())
    item.file.unlink()
    assert refusal(item) == "not_found"


@pytest.mark.parametrize("form", ["folder", "zip", "tar"])
def test_a_radiograph_whose_file_was_cut_is_truncated(form: str, tmp_path: Path) -> None:
    item = radiograph_in(form, tmp_path, "Doe_Jane.png", png_radiograph())
    length = (item.member.offset if item.member else 0) + 300
    item.file.write_bytes(item.file.read_bytes()[:length])
    assert refusal(item) == "truncated"


def test_an_empty_radiograph_is_truncated(tmp_path: Path) -> None:
    assert refusal(radiograph_in("zip", tmp_path, "Doe_Jane.png", b"")) == "truncated"


def test_a_folder_in_the_place_of_a_radiograph_is_not_readable(tmp_path: Path) -> None:
    assert refusal(RadiographFile("a", "a", tmp_path)) == "not_readable"


def test_the_view_of_a_table_is_taken_where_the_file_says_nothing(tmp_path: Path) -> None:
    item = radiograph_in("folder", tmp_path, "a.png", png_radiograph())
    radiograph = replace(item, view="AP").read()
    assert radiograph.view == "AP"
    assert set(radiograph.notes) == {"view_from_table", *SILENT} - {"view_unknown"}
    assert item.read().view is None
    assert item.read().notes == SILENT


def test_the_view_of_the_header_goes_before_that_of_a_table(tmp_path: Path) -> None:
    item = radiograph_in("folder", tmp_path, "a.dcm", dicom_radiograph())
    radiograph = replace(item, view="AP").read()
    assert radiograph.view == "PA"
    assert "view_from_table" not in radiograph.notes


def test_radiographs_reach_other_processes(tmp_path: Path) -> None:
    item = radiograph_in("zip", tmp_path, "a.png", png_radiograph())
    assert pickle.loads(pickle.dumps(item)) == item
