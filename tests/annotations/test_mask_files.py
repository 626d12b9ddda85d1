from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian
from support.samples.dicom import make_dx, save
from support.samples.segmentations import make_radiograph, make_segmentation

from monai_chexmask_u.anatomy import HEART, LEFT_LUNG, ORGANS, RIGHT_LUNG
from monai_chexmask_u.annotations.mask_files import read_masks
from monai_chexmask_u.annotations.slicer_plane import slicer_plane
from monai_chexmask_u.dicom.numbering import Numbering
from monai_chexmask_u.dicom.source import SourceImage
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.reading import read_radiograph

SHAPE = (250, 200)


@pytest.fixture
def radiograph(tmp_path: Path) -> Radiograph:
    """A DICOM image whose pixels are no squares, so that a swapped axis shows."""
    return read_radiograph(save(make_dx(rows=SHAPE[0], columns=SHAPE[1], spacing=(0.3, 0.2)), tmp_path / "chest.dcm"))


@pytest.fixture
def labels(radiograph: Radiograph) -> NDArray[np.uint8]:
    return make_segmentation(radiograph).label_mask()


def assert_equals(masks: Any, labels: NDArray[np.uint8]) -> None:
    assert set(masks) == set(ORGANS)
    for organ in ORGANS:
        np.testing.assert_array_equal(masks[organ], labels == organ.label)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_an_image_is_taken_pixel_by_pixel(
    radiograph: Radiograph, labels: NDArray[np.uint8], tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"mask{suffix}"
    Image.fromarray(labels).save(path)
    assert_equals(read_masks(path, radiograph), labels)


def test_other_values_are_read_as_the_labels_say(radiograph: Radiograph, tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    labels = make_segmentation(radiograph).label_mask()
    Image.fromarray(np.array([0, 50, 100, 255], np.uint8)[labels]).save(path)
    with pytest.raises(ValueError, match=r"mask\.png: value 50 is no label; known are 0 background, 1 right lung"):
        read_masks(path, radiograph)
    assert_equals(read_masks(path, radiograph, labels={50: RIGHT_LUNG, 100: LEFT_LUNG, 255: HEART}), labels)


@pytest.mark.parametrize(
    ("name", "cause"),
    [("small.png", "10x10 pixels, the image 250x200"), ("color.png", "one channel"), ("empty.png", "nothing in")],
)
def test_unusable_images_are_refused_by_name(radiograph: Radiograph, tmp_path: Path, name: str, cause: str) -> None:
    images = {
        "small.png": np.ones((10, 10), np.uint8),
        "color.png": np.ones((*SHAPE, 3), np.uint8),
        "empty.png": np.zeros(SHAPE, np.uint8),
    }
    Image.fromarray(images[name]).save(tmp_path / name)
    with pytest.raises(ValueError, match=f"{name}.*{cause}"):
        read_masks(tmp_path / name, radiograph)


@pytest.mark.parametrize("name", ["text.png", "mask.jpg", "seg.dcm", "mask.nrrd"])
def test_files_that_are_something_else_are_refused_by_name(radiograph: Radiograph, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("no mask")
    if name.endswith("nrrd"):
        pytest.importorskip("SimpleITK", reason="volumes need SimpleITK")
    with pytest.raises(ValueError, match=name):
        read_masks(tmp_path / name, radiograph)


def write_volume(labels: NDArray[Any], path: Path, radiograph: Radiograph, **texts: str) -> Any:
    """Write a mask as 3D Slicer and MONAI do, at the image's place in space, and return it."""
    SimpleITK = pytest.importorskip("SimpleITK", reason="volumes need SimpleITK")
    plane = slicer_plane(radiograph)
    image = SimpleITK.GetImageFromArray(labels[None], isVector=labels.ndim == 3)
    spacing = [float(np.linalg.norm(step)) for step in (plane.column_step, plane.row_step)]
    image.SetSpacing((*spacing, 1.0))
    image.SetOrigin(plane.origin)
    columns = np.stack([np.array(plane.column_step) / spacing[0], np.array(plane.row_step) / spacing[1]], axis=1)
    image.SetDirection(np.column_stack([columns, np.cross(columns[:, 0], columns[:, 1])]).ravel().tolist())
    for key, text in texts.items():
        image.SetMetaData(key, text)
    SimpleITK.WriteImage(image, str(path))
    return image


@pytest.mark.parametrize("suffix", [".nrrd", ".nii", ".nii.gz", ".mha"])
def test_a_volume_is_laid_on_the_image(
    radiograph: Radiograph, labels: NDArray[np.uint8], tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"mask{suffix}"
    write_volume(labels, path, radiograph)
    assert_equals(read_masks(path, radiograph), labels)


def test_a_volume_with_other_axes_or_a_part_of_the_image_is_laid_on_it(
    radiograph: Radiograph, labels: NDArray[np.uint8], tmp_path: Path
) -> None:
    image = write_volume(labels, tmp_path / "mask.nrrd", radiograph)
    import SimpleITK

    flipped = SimpleITK.Flip(image, (True, False, False))
    assert not np.array_equal(SimpleITK.GetArrayFromImage(flipped)[0], labels)
    permuted = SimpleITK.PermuteAxes(image, (1, 0, 2))
    cropped = image[10:190, 20:240, :]
    for name, other in (("flipped", flipped), ("permuted", permuted), ("cropped", cropped)):
        path = tmp_path / f"{name}.nrrd"
        SimpleITK.WriteImage(other, str(path))
        assert_equals(read_masks(path, radiograph), labels)


def test_a_volume_that_says_nothing_of_space_is_taken_pixel_by_pixel(
    radiograph: Radiograph, labels: NDArray[np.uint8], tmp_path: Path
) -> None:
    SimpleITK = pytest.importorskip("SimpleITK", reason="volumes need SimpleITK")
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(labels), str(tmp_path / "mask.nrrd"))
    assert_equals(read_masks(tmp_path / "mask.nrrd", radiograph), labels)


def test_a_volume_beside_the_image_is_refused(
    radiograph: Radiograph, labels: NDArray[np.uint8], tmp_path: Path
) -> None:
    image = write_volume(labels, tmp_path / "mask.nrrd", radiograph)
    import SimpleITK

    for origin in ((12.0, 0.0, 0.0), (0.0, 0.0, 40.0)):
        image.SetOrigin(origin)
        SimpleITK.WriteImage(image, str(tmp_path / "mask.nrrd"))
        with pytest.raises(ValueError, match=r"mask\.nrrd: the mask does not lie on the image"):
            read_masks(tmp_path / "mask.nrrd", radiograph)


def test_segments_are_known_by_their_names(radiograph: Radiograph, labels: NDArray[np.uint8], tmp_path: Path) -> None:
    """3D Slicer numbers segments as they are drawn, and puts those that overlap into layers of their own."""
    layers = np.stack([(labels == 3) * 1 + (labels == 1) * 2, (labels == 2) * 1], axis=-1).astype(np.uint8)
    names = {"0": ("Heart", "0", "1"), "1": ("right_lung", "0", "2"), "2": ("Left lung", "1", "1")}
    texts = {
        f"Segment{number}_{key}": text
        for number, values in names.items()
        for key, text in zip(("Name", "Layer", "LabelValue"), values, strict=True)
    }
    path = tmp_path / "Segmentation.seg.nrrd"
    write_volume(layers, path, radiograph, **texts)
    assert_equals(read_masks(path, radiograph), labels)
    write_volume(layers, path, radiograph, **{**texts, "Segment2_Name": "Spleen"})
    with pytest.raises(ValueError, match="segment 'Spleen' is none of Right lung"):
        read_masks(path, radiograph)


@pytest.mark.parametrize("kind", ["seg", "seg-fractional", "seg-labelmap"])
def test_dicom_segmentations_of_this_project_are_read(radiograph: Radiograph, tmp_path: Path, kind: str) -> None:
    from monai_chexmask_u.dicom.write import write_object

    result = make_segmentation(radiograph)
    result = replace(result, samples=np.repeat(result.landmarks[None].astype(np.float32), 3, axis=0))
    path = tmp_path / "x.seg.dcm"
    write_object(kind, result, SourceImage(radiograph), path, Numbering())
    masks = read_masks(path, radiograph)
    if kind == "seg-labelmap":
        assert_equals(masks, result.label_mask())
    else:
        for organ in ORGANS:
            assert (masks[organ] ^ result.mask(organ)).sum() <= 2  # samples are float32


def test_a_dicom_segmentation_that_would_fill_the_memory_is_refused(
    radiograph: Radiograph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from monai_chexmask_u.dicom.write import write_object

    path = tmp_path / "a.dcm"
    write_object("seg", make_segmentation(radiograph), SourceImage(radiograph), path, Numbering())
    deflated = dcmread(path)
    deflated.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    deflated.save_as(path)
    read_masks(path, radiograph)
    monkeypatch.setattr("monai_chexmask_u.dicom.reading.read.MAX_BYTES", 10_000)
    with pytest.raises(ValueError, match=r"a\.dcm: cannot be read"):
        read_masks(path, radiograph)


def test_a_dicom_segmentation_of_many_segments_is_refused(radiograph: Radiograph, tmp_path: Path) -> None:
    from monai_chexmask_u.dicom.write import write_object

    path = tmp_path / "a.dcm"
    write_object("seg", make_segmentation(radiograph), SourceImage(radiograph), path, Numbering())
    many = dcmread(path)
    for number in range(4, 40):
        segment = copy.deepcopy(many.SegmentSequence[0])
        segment.SegmentNumber = number
        many.SegmentSequence.append(segment)
    many.save_as(path)
    with pytest.raises(ValueError, match=r"39 segments show"):
        read_masks(path, radiograph)


def test_a_dicom_segmentation_of_another_image_is_refused(radiograph: Radiograph, tmp_path: Path) -> None:
    from monai_chexmask_u.dicom.write import write_object

    write_object("seg", make_segmentation(radiograph), SourceImage(radiograph), tmp_path / "x.seg.dcm", Numbering())
    other = read_radiograph(save(make_dx(rows=SHAPE[0], columns=SHAPE[1], seed=1), tmp_path / "other.dcm"))
    with pytest.raises(ValueError, match=r"x\.seg\.dcm: this segmentation is of another image"):
        read_masks(tmp_path / "x.seg.dcm", other)
    with pytest.raises(ValueError, match=r"chest\.dcm: cannot be read as a DICOM segmentation"):
        read_masks(tmp_path / "chest.dcm", radiograph)
    with pytest.raises(ValueError, match="is of another image"):
        read_masks(tmp_path / "x.seg.dcm", make_radiograph(*SHAPE))
