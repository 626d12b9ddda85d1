from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.samples.dicom import make_dx, save
from support.samples.segmentations import make_segmentation
from typer.testing import CliRunner

pytest.importorskip("skimage", reason="tracing masks needs scikit-image")

from monai_chexmask_u.anatomy import HEART, LEFT_LUNG, RIGHT_LUNG
from monai_chexmask_u.annotations.mask_conversion import pair_masks, parse_labels
from monai_chexmask_u.cli import app
from monai_chexmask_u.data import landmark_datalist
from monai_chexmask_u.files.faults import NotWrittenError
from monai_chexmask_u.files.folder_lock import folder_lock
from monai_chexmask_u.geometry import fill_polygon
from monai_chexmask_u.reading import read_radiograph


@pytest.fixture
def radiographs(tmp_path: Path) -> Path:
    """Three radiographs with masks: as it is, stored mirrored, and a mask of nothing."""
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    for number, name in enumerate(("plain", "mirrored", "empty")):
        dataset = make_dx(rows=250, columns=200, seed=number)
        if name == "mirrored":
            dataset.PatientOrientation = ["R", "F"]
        radiograph = read_radiograph(save(dataset, tmp_path / "images" / f"{name}.dcm"))
        labels = make_segmentation(radiograph).label_mask() * (name != "empty")
        Image.fromarray(labels[:, ::-1] if name == "mirrored" else labels).save(tmp_path / "masks" / f"{name}.png")
    return tmp_path


def convert(radiographs: Path, *options: str) -> tuple[int, str]:
    folders = [
        "--images",
        str(radiographs / "images"),
        "--masks",
        str(radiographs / "masks"),
        "-o",
        str(radiographs / "set"),
    ]
    done = CliRunner().invoke(app, ["landmarks", *folders, *options])
    return done.exit_code, done.output


def test_masks_become_a_data_set_and_a_bad_one_stops_nothing(radiographs: Path) -> None:
    code, text = convert(radiographs)
    assert code == 1
    assert "empty.dcm: empty.png: there is nothing in this mask" in text
    assert "2 of 3 masks became landmarks" in text
    items = {item["name"]: item for item in landmark_datalist(radiographs / "set")}
    assert set(items) == {"plain", "mirrored"}
    for name, item in items.items():
        with Image.open(radiographs / "masks" / f"{name}.png") as image:
            labels = np.asarray(image)
        for organ in (RIGHT_LUNG, LEFT_LUNG, HEART):
            filled = fill_polygon(item["label"][organ.nodes], labels.shape)
            true = labels == organ.label
            assert 2 * (filled & true).sum() / (filled.sum() + true.sum()) > 0.95, (name, organ.name)
    mirrored, plain = items["mirrored"]["label"], items["plain"]["label"]
    np.testing.assert_allclose(199 - mirrored[:, 0], plain[:, 0], atol=1.5)


def test_a_mask_without_a_radiograph_stops_everything_before_it_starts(radiographs: Path) -> None:
    (radiographs / "images" / "plain.dcm").unlink()
    code, text = convert(radiographs)
    assert code == 2
    assert "there is no radiograph plain in" in text
    assert not (radiographs / "set").exists()


def test_two_masks_of_one_radiograph_are_refused(radiographs: Path) -> None:
    (radiographs / "masks" / "plain.seg.nrrd").write_bytes(b"")
    with pytest.raises(ValueError, match="a mask of the same radiograph"):
        pair_masks(radiographs / "images", radiographs / "masks")


def test_labels_are_read_from_a_text() -> None:
    assert parse_labels("5=heart, 6=left_lung") == {5: HEART, 6: LEFT_LUNG}
    for text in ("heart", "0=heart", "1=spleen", "1=heart,1=left_lung"):
        with pytest.raises(ValueError, match="is no label: they are like 1=right_lung"):
            parse_labels(text)


def test_radiographs_are_not_replaced_by_their_copies(radiographs: Path) -> None:
    options = ["--images", str(radiographs / "images"), "--masks", str(radiographs / "masks"), "-o", str(radiographs)]
    done = CliRunner().invoke(app, ["landmarks", *options])
    assert done.exit_code == 2
    assert "choose another folder" in done.output


def test_two_radiographs_of_one_name_are_refused(radiographs: Path) -> None:
    (radiographs / "images" / "other").mkdir()
    (radiographs / "images" / "other" / "plain.png").write_bytes((radiographs / "masks" / "plain.png").read_bytes())
    with pytest.raises(ValueError, match=r"has the same name, and plain\.png may be of either radiograph"):
        pair_masks(radiographs / "images", radiographs / "masks")


def test_landmarks_of_an_earlier_set_never_stand_beside_other_radiographs(
    radiographs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert(radiographs)
    assert (radiographs / "set" / "landmarks.npz").exists()

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("monai_chexmask_u.annotations.mask_conversion.write_arrays", stop)
    convert(radiographs)
    assert not (radiographs / "set" / "landmarks.npz").exists()


def test_a_radiograph_does_not_join_another_one_of_its_name(radiographs: Path) -> None:
    convert(radiographs)
    (radiographs / "set" / "images" / "plain.dcm").rename(radiographs / "set" / "images" / "Plain.png")
    code, text = convert(radiographs)
    assert code == 1
    assert "Plain.png has the name of this radiograph already; choose another folder" in text


def test_a_folder_that_another_process_writes_into_is_left_to_it(radiographs: Path) -> None:
    (radiographs / "set").mkdir()
    with folder_lock(radiographs / "set"):
        code, text = convert(radiographs)
    assert code == 2
    assert "writes into this folder since" in text


def test_radiographs_of_others_in_the_data_set_are_not_replaced(radiographs: Path) -> None:
    (radiographs / "set" / "images").mkdir(parents=True)
    (radiographs / "set" / "images" / "plain.dcm").write_bytes(b"mine")
    (radiographs / "set" / "landmarks.npz").write_bytes(b"mine, too")
    (radiographs / "masks" / "mirrored.png").unlink()
    code, text = convert(radiographs)
    assert code == 1
    assert "plain.dcm is another file of this name: move it away" in text
    assert (radiographs / "set" / "images" / "plain.dcm").read_bytes() == b"mine"
    assert (radiographs / "set" / "landmarks.npz").read_bytes() == b"mine, too"


def test_the_same_radiographs_may_be_converted_again(radiographs: Path) -> None:
    assert [convert(radiographs)[0] for _ in range(2)] == [1, 1]
    assert len(landmark_datalist(radiographs / "set")) == 2


def test_a_data_set_that_cannot_be_written_is_reported_in_one_line(
    radiographs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (radiographs / "set").mkdir()
    (radiographs / "set" / "images").touch()
    code, text = convert(radiographs)
    assert (code, len(text.splitlines())) == (2, 1)
    assert "images: results cannot be written here (File exists); choose another folder" in text
    (radiographs / "set" / "images").unlink()

    def fill(path: Path, *_: object) -> None:
        raise NotWrittenError(OSError(28, "No space left on device"), path)

    monkeypatch.setattr("monai_chexmask_u.annotations.mask_conversion.write_arrays", fill)
    code, text = convert(radiographs)
    assert code == 2
    assert "landmarks.npz: this file cannot be written (the disk is full: No space left on device)" in text
