from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.samples.dicom import make_dx, save

from monai_chexmask_u.archive.objects import read_dicom_file
from monai_chexmask_u.archive.outbox import Outbox
from monai_chexmask_u.radiograph import RadiographError
from monai_chexmask_u.reading import list_inputs, read_radiograph

GRAY = np.random.default_rng(0).integers(0, 256, (72, 64), dtype=np.uint8)


def png(path: Path) -> Path:
    Image.fromarray(GRAY).save(path, format="PNG")
    return path


@pytest.mark.parametrize("name", ["image.dcm", "image", "image.png", "1.2.840.17"])
def test_content_and_not_the_name_makes_a_dicom_file(tmp_path: Path, name: str) -> None:
    assert read_radiograph(save(make_dx(rows=64, columns=64), tmp_path / name)).view == "PA"


def test_a_file_that_is_both_dicom_and_tiff_is_dicom(tmp_path: Path) -> None:
    dataset = make_dx(rows=64, columns=64)
    dataset.preamble = b"II*\0" + b"\0" * 124  # the standard allows a TIFF header in front (PS3.10, 7.1)
    assert read_radiograph(save(dataset, tmp_path / "image.tif")).view == "PA"


@pytest.mark.parametrize("name", ["image.dcm", "image"])
def test_content_and_not_the_name_makes_an_image_file(tmp_path: Path, name: str) -> None:
    assert read_radiograph(png(tmp_path / name)).shape == GRAY.shape


def test_folders_are_searched_for_radiographs(tmp_path: Path) -> None:
    (tmp_path / "b" / "deep").mkdir(parents=True)
    (tmp_path / ".hidden").mkdir()
    dataset = make_dx(rows=64, columns=64)
    wanted = ["1.2.840.17", "a.PNG", "b/chest", "b/deep/c.dcm", "b/deep/d.tiff", "b/scan.IMA", "z.jpeg"]
    for name in [
        "1.2.840.17",
        "b/chest",
        "b/deep/c.dcm",
        "DICOMDIR",
        ".hidden/a.dcm",
        ".b.dcm",
        "b/scan.IMA",
        "z.seg.dcm",
        "b/z.sr.dcm",
    ]:
        save(dataset, tmp_path / name)
    for name in [
        "a.PNG",
        "b/deep/d.tiff",
        "z.jpeg",
        "notes.txt",
        "b/report.pdf",
        "README",
        "1.2.3",
        "z.overlay.png",
        "z.mask.png",
    ]:
        (tmp_path / name).write_bytes(b"whatever")
    assert [path.relative_to(tmp_path).as_posix() for path in list_inputs([tmp_path])] == wanted


def test_outboxes_are_no_input_unless_they_are_searched_themselves(tmp_path: Path) -> None:
    radiograph = save(make_dx(rows=64, columns=64), tmp_path / "chest.dcm")
    outbox = tmp_path / "results" / "outbox"
    Outbox(outbox).add([read_dicom_file(radiograph)], "PACS@host:104")
    save(make_dx(rows=64, columns=64), outbox / "refused" / "1.2.3.dcm")
    assert list_inputs([tmp_path]) == [radiograph]
    assert len(list_inputs([outbox])) == 2


def test_named_files_are_taken_as_they_are_and_once(tmp_path: Path) -> None:
    odd, chest = tmp_path / "odd.xyz", tmp_path / "chest.png"
    odd.write_bytes(b"?")
    chest.write_bytes(b"?")
    assert list_inputs([odd, tmp_path, chest]) == [odd, chest]


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "in", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (elsewhere / "chest.png").write_bytes(b"?")
    (folder / "circle").symlink_to(folder)
    (folder / "first").symlink_to(elsewhere)
    (folder / "second").symlink_to(elsewhere)
    (tmp_path / "given").symlink_to(folder)
    assert list_inputs([folder]) == [folder / "first" / "chest.png"]
    assert list_inputs([tmp_path / "given"]) == [tmp_path / "given" / "first" / "chest.png"]


def test_empty_folder_gives_nothing(tmp_path: Path) -> None:
    assert list_inputs([tmp_path]) == []


def test_missing_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RadiographError) as refused:
        list_inputs([tmp_path, tmp_path / "absent"])
    assert refused.value.code == "not_found"
