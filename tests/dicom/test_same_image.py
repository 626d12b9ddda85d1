"""Of images that differ, but have one identifier, none is done; of copies, one is."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian
from support.samples.dicom import make_dx, save

from monai_chexmask_u.dicom import same_image
from monai_chexmask_u.dicom.reading.read import read_dicom
from monai_chexmask_u.dicom.same_image import ImageRegister, image_key, register_images
from monai_chexmask_u.radiograph import RadiographError
from monai_chexmask_u.reading import read_radiograph

ROOT = "1.2.826.0.1.3680043.8.498.1"


def radiograph(path: Path, *, seed: int = 0, patient: str = "A", uid: str = ROOT, deflated: bool = False) -> Path:
    dataset = make_dx(rows=80, columns=64, seed=seed)
    dataset.PatientID = patient
    dataset.StudyInstanceUID = "1.2.3"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(uid)
    if deflated:
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return save(dataset, path)


def refusals(paths: list[Path]) -> list[str | None]:
    """What becomes of each file."""
    register, found = register_images(paths), list[str | None]()
    for path in paths:
        try:
            register.check(image_key(read_radiograph(path)), path)
            found.append(None)
        except RadiographError as error:
            found.append(error.code)
    return found


def test_different_images_are_refused_all_whatever_their_place(tmp_path: Path) -> None:
    paths = [
        radiograph(tmp_path / "1.dcm"),
        radiograph(tmp_path / "2.dcm", uid=f"{ROOT}.2"),
        radiograph(tmp_path / "3.dcm", seed=1),
        radiograph(tmp_path / "4.dcm", patient="B"),
    ]
    conflict = "conflicting_identifiers"
    assert refusals(paths) == [conflict, None, conflict, conflict]
    assert refusals(paths[::-1]) == [conflict, conflict, None, conflict]


def test_a_copy_is_refused_and_the_first_is_done(tmp_path: Path) -> None:
    paths = [
        radiograph(tmp_path / "1.dcm"),
        radiograph(tmp_path / "2.dcm"),
        radiograph(tmp_path / "3.dcm", deflated=True),
    ]
    assert refusals(paths) == [None, "duplicate", "duplicate"]
    assert refusals([paths[0], paths[0]]) == [None, "duplicate"]


def test_a_copy_among_different_images_is_refused_too(tmp_path: Path) -> None:
    paths = [radiograph(tmp_path / "1.dcm"), radiograph(tmp_path / "2.dcm"), radiograph(tmp_path / "3.dcm", seed=1)]
    assert refusals(paths) == ["conflicting_identifiers"] * 3


@pytest.mark.parametrize("kind", ["shape", "spacing", "view", "side"])
def test_the_same_pixels_that_lie_otherwise_are_another_image(tmp_path: Path, kind: str) -> None:
    first, second = radiograph(tmp_path / "1.dcm"), radiograph(tmp_path / "2.dcm")
    dataset = pydicom.dcmread(second)
    if kind == "shape":
        dataset.Rows, dataset.Columns = dataset.Columns, dataset.Rows
    elif kind == "spacing":
        dataset.ImagerPixelSpacing = [0.2, 0.2]
    elif kind == "view":
        dataset.ViewCodeSequence[0].CodeValue = "399348003"
        dataset.ViewCodeSequence[0].CodeMeaning = "antero-posterior"
    elif kind == "side":
        dataset.PatientOrientation = ["R", "F"]
    dataset.save_as(second)
    assert refusals([first, second]) == ["conflicting_identifiers"] * 2


def test_a_second_identifier_further_on_in_a_file_does_not_hide_that_it_conflicts(tmp_path: Path) -> None:
    hiding, plain = radiograph(tmp_path / "1.dcm"), radiograph(tmp_path / "2.dcm", seed=1)
    content = hiding.read_bytes()
    uid = ROOT.encode() + b"\0" * (len(ROOT) % 2)
    element = b"\x08\0\x18\0UI" + len(uid).to_bytes(2, "little") + uid
    other = element.replace(uid, uid.replace(b"1.2.826", b"1.2.827"))
    place = content.index(b"\x28\0\x02\0US")  # behind all of the group of identifiers
    hiding.write_bytes(content[:place].replace(element, other) + element + content[place:])
    assert str(pydicom.dcmread(hiding).SOPInstanceUID) == ROOT
    assert refusals([hiding, plain]) == ["changed", None]


@pytest.mark.parametrize("kind", ["deflated", "long header", "without preamble", "big header first"])
def test_an_identifier_is_found_in_any_kind_of_file(tmp_path: Path, kind: str) -> None:
    first, second = radiograph(tmp_path / "1.dcm"), radiograph(tmp_path / "2.dcm", seed=1, deflated=kind == "deflated")
    dataset = pydicom.dcmread(second)
    if kind == "long header":
        dataset.file_meta.add_new(0x00020100, "UI", ROOT)
        dataset.file_meta.add_new(0x00020102, "OB", bytes(20_000))
        dataset.save_as(second)
    elif kind == "without preamble":
        content = second.read_bytes()
        second.write_bytes(content[132:])
    elif kind == "big header first":
        dataset.ImageType = ["DERIVED", *["A" * 16] * 900]
        dataset.save_as(second)
    assert refusals([first, second]) == ["conflicting_identifiers"] * 2


def test_only_images_that_share_an_identifier_are_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [radiograph(tmp_path / f"{number}.dcm", uid=f"{ROOT}.{number}") for number in range(4)]
    paths.append(radiograph(tmp_path / "copy.dcm", uid=f"{ROOT}.2"))
    read: list[str] = []

    def spy(path: Path) -> object:
        read.append(path.name)
        return read_dicom(path)

    monkeypatch.setattr(same_image, "read_dicom", spy)
    register_images(paths)
    assert read == ["2.dcm", "copy.dcm"]


def test_what_cannot_be_read_disturbs_nothing(tmp_path: Path) -> None:
    good, broken = radiograph(tmp_path / "1.dcm"), radiograph(tmp_path / "2.dcm", seed=1)
    broken.write_bytes(broken.read_bytes()[:-1000])
    (tmp_path / "3.dcm").write_bytes(bytes(128) + b"DICM" + b"\xff" * 100)
    (tmp_path / "4.png").write_bytes(b"")
    register = register_images([good, broken, tmp_path / "3.dcm", tmp_path / "4.png", tmp_path / "absent"])
    register.check(image_key(read_radiograph(good)))


def test_an_image_that_took_the_identifier_of_another_one_meanwhile_is_refused(tmp_path: Path) -> None:
    first, second = radiograph(tmp_path / "1.dcm"), radiograph(tmp_path / "2.dcm", uid=f"{ROOT}.2")
    register = register_images([first, second])
    register.check(image_key(read_radiograph(first)))
    radiograph(second, seed=1)
    with pytest.raises(RadiographError, match="different images have this SOP Instance UID"):
        register.check(image_key(read_radiograph(second)))


def test_an_image_file_has_no_identity() -> None:
    register = ImageRegister()
    for _ in range(2):
        register.note(None)
        register.check(None)
