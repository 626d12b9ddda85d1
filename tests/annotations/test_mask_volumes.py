"""Masks in files that know where they lie in space, written by ITK and by 3D Slicer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.samples.dicom import make_dx, save
from support.samples.segmentations import make_radiograph, make_segmentation

from monai_chexmask_u.anatomy import HEART, LEFT_LUNG, ORGANS, RIGHT_LUNG
from monai_chexmask_u.annotations.mask_files import read_masks
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.reading import read_radiograph

sitk = pytest.importorskip("SimpleITK")


@pytest.fixture(scope="module")
def dx(tmp_path_factory: pytest.TempPathFactory) -> Radiograph:
    """An image whose pixels are no squares, so that a mix-up of axes shows."""
    dataset = make_dx()
    dataset.ImagerPixelSpacing = [0.2, 0.1]
    return read_radiograph(save(dataset, tmp_path_factory.mktemp("dx") / "image.dcm"))


def volume(radiograph: Radiograph) -> Any:
    """The label image as one slice, where ITK puts the DICOM file."""
    image = sitk.GetImageFromArray(make_segmentation(radiograph).label_mask()[None])
    image.CopyInformation(sitk.ReadImage(str(radiograph.path)))
    return image


def check(path: Path, radiograph: Radiograph) -> None:
    labels = make_segmentation(radiograph).label_mask()
    masks = read_masks(path, radiograph)
    assert set(masks) == set(ORGANS)
    for organ in ORGANS:
        np.testing.assert_array_equal(masks[organ], labels == organ.label)


@pytest.mark.parametrize("suffix", [".nrrd", ".nii", ".nii.gz", ".mha"])
def test_a_mask_in_the_place_of_the_image_lies_on_its_pixels(dx: Radiograph, tmp_path: Path, suffix: str) -> None:
    sitk.WriteImage(volume(dx), str(tmp_path / f"a{suffix}"))
    check(tmp_path / f"a{suffix}", dx)


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz"])
def test_turned_axes_and_cut_borders_are_followed(dx: Radiograph, tmp_path: Path, suffix: str) -> None:
    whole = volume(dx)
    rows, columns = np.nonzero(sitk.GetArrayFromImage(whole)[0])
    part = whole[int(columns.min()) : int(columns.max()) + 1, int(rows.min()) : int(rows.max()) + 1, :]
    for number, changed in enumerate((part, sitk.Flip(part, [True, False, False]), sitk.PermuteAxes(part, [1, 0, 2]))):
        path = tmp_path / f"{number}{suffix}"
        sitk.WriteImage(changed, str(path))
        assert sitk.ReadImage(str(path)).GetSize() != whole.GetSize()
        check(path, dx)


def test_a_file_without_a_place_of_its_own_is_taken_pixel_by_pixel(dx: Radiograph, tmp_path: Path) -> None:
    labels = make_segmentation(dx).label_mask()
    sitk.WriteImage(sitk.GetImageFromArray(labels), str(tmp_path / "a.nrrd"))
    check(tmp_path / "a.nrrd", dx)
    sitk.WriteImage(sitk.GetImageFromArray(labels[:, 1:]), str(tmp_path / "b.nrrd"))
    refused(tmp_path / "b.nrrd", "the mask does not lie on the image", dx)
    nibabel = pytest.importorskip("nibabel")
    for name, array in (("c.nii.gz", labels.T), ("d.nii.gz", labels.T[..., None])):
        nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), tmp_path / name)
        check(tmp_path / name, dx)


def refused(path: Path, message: str, radiograph: Radiograph) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        read_masks(path, radiograph)
    assert str(caught.value).startswith(path.name)


def test_masks_that_do_not_lie_on_the_image_are_refused(dx: Radiograph, tmp_path: Path) -> None:
    changes = {"coarse": ("SetSpacing", (0.2, 0.4, 1.0)), "behind": ("SetOrigin", (0.0, 0.0, 5.0))}
    changes["beyond"] = ("SetOrigin", (100.0, 0.0, 0.0))
    for name, (method, value) in changes.items():
        image = volume(dx)
        getattr(image, method)(value)
        sitk.WriteImage(image, str(tmp_path / f"{name}.nrrd"))
        refused(tmp_path / f"{name}.nrrd", "the mask does not lie on the image", dx)
    sitk.WriteImage(sitk.Cast(volume(dx), sitk.sitkFloat32) / 2, str(tmp_path / "half.nrrd"))
    refused(tmp_path / "half.nrrd", "whole numbers", dx)
    (tmp_path / "torn.nrrd").write_bytes((tmp_path / "beyond.nrrd").read_bytes()[:200])
    refused(tmp_path / "torn.nrrd", "cannot be read as a volume", dx)


def layered(radiograph: Radiograph, names: tuple[str, ...]) -> Any:
    """Segments in two layers as Slicer lays them when they overlap: the lungs in one, the heart in the other."""
    result = make_segmentation(radiograph)
    lungs = np.zeros(radiograph.shape, dtype=np.uint8)
    lungs[result.mask(RIGHT_LUNG)], lungs[result.mask(LEFT_LUNG)] = 1, 2
    both = np.stack([lungs, result.mask(HEART)], axis=-1)[None]
    image = sitk.GetImageFromArray(both.astype(np.uint8), isVector=True)
    image.CopyInformation(sitk.ReadImage(str(radiograph.path)))
    for number, (name, value, layer) in enumerate(zip(names, (1, 2, 1), (0, 0, 1), strict=True)):
        entries = {"Name": name, "LabelValue": str(value), "Layer": str(layer)}
        for key, text in entries.items():
            image.SetMetaData(f"Segment{number}_{key}", text)
    return image


@pytest.mark.parametrize("field", ["data file", "DataFile", " data file", "Data  file", "datafile "])
def test_values_of_another_file_are_not_read(dx: Radiograph, tmp_path: Path, field: str) -> None:
    (tmp_path / "letter.raw").write_bytes(b"Dear Ms Example, " * 100_000)
    head = f"NRRD0004\ntype: uint8\ndimension: 2\nsizes: {dx.shape[1]} {dx.shape[0]}\nencoding: raw\n"
    (tmp_path / "a.nrrd").write_text(f"{head}{field}: {tmp_path / 'letter.raw'}\n\n")
    with pytest.raises(ValueError, match=r"another file|cannot be read"):
        read_masks(tmp_path / "a.nrrd", dx)


def test_the_name_tells_the_format(dx: Radiograph, tmp_path: Path) -> None:
    sitk.WriteImage(volume(dx), str(tmp_path / "a.mha"))
    for name in ("b.nii", "b.nii.gz", "b.nrrd"):
        (tmp_path / "a.mha").replace(tmp_path / name)
        with pytest.raises(ValueError, match=r"another file|cannot be read"):
            read_masks(tmp_path / name, dx)
        (tmp_path / name).replace(tmp_path / "a.mha")


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz"])
def test_a_file_that_would_fill_the_memory_is_refused_by_its_header(
    dx: Radiograph, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    sitk.WriteImage(sitk.Image(8193, 8192, sitk.sitkUInt8), str(path), useCompression=True)
    assert path.stat().st_size < 2**20
    refused(path, "it has more than 67,108,864 values", dx)


def test_overlapping_segments_come_from_their_layers_by_name(dx: Radiograph, tmp_path: Path) -> None:
    sitk.WriteImage(layered(dx, ("right_lung", "Left lung", "HEART")), str(tmp_path / "a.seg.nrrd"))
    masks = read_masks(tmp_path / "a.seg.nrrd", dx)
    result = make_segmentation(dx)
    assert set(masks) == set(ORGANS)
    np.testing.assert_array_equal(masks[HEART], result.mask(HEART))
    np.testing.assert_array_equal(masks[LEFT_LUNG], result.mask(LEFT_LUNG))
    np.testing.assert_array_equal(masks[RIGHT_LUNG], result.mask(RIGHT_LUNG) & ~result.mask(LEFT_LUNG))


def test_segments_that_cannot_be_distinguished_are_refused(dx: Radiograph, tmp_path: Path) -> None:
    sitk.WriteImage(layered(dx, ("Right lung", "Left lung", "Segment_3")), str(tmp_path / "a.seg.nrrd"))
    refused(tmp_path / "a.seg.nrrd", "segment 'Segment_3' is none of Right lung, Left lung and Heart", dx)
    sitk.WriteImage(layered(dx, ("Heart", "Left lung", "Heart")), str(tmp_path / "b.seg.nrrd"))
    refused(tmp_path / "b.seg.nrrd", "two segments are called Heart", dx)
    for name, entry, text, message in (
        ("c", "Layer", "7", "segment 'Heart' lies in a layer that is not in the file"),
        ("d", "LabelValue", "two", "its entry Segment2_LabelValue is no whole number"),
    ):
        image = layered(dx, ("Right lung", "Left lung", "Heart"))
        image.SetMetaData(f"Segment2_{entry}", text)
        sitk.WriteImage(image, str(tmp_path / f"{name}.seg.nrrd"))
        refused(tmp_path / f"{name}.seg.nrrd", message, dx)


def test_a_image_lies_where_itk_puts_it(tmp_path: Path) -> None:
    radiograph = make_radiograph()
    labels = make_segmentation(radiograph).label_mask()
    for suffix in (".nrrd", ".nii.gz"):
        sitk.WriteImage(sitk.GetImageFromArray(labels[None]), str(tmp_path / f"a{suffix}"))
        check(tmp_path / f"a{suffix}", radiograph)
