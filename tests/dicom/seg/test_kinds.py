"""Segmentations of other kinds: probabilities, a label map, and the copy with an invented geometry for viewers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from highdicom.seg import segread
from pydicom.uid import RLELossless
from support.judges.dcmqi_segmentations import dcmqi_segmentation
from support.judges.iod import iod_tables
from support.judges.programs import is_installed

from monai_chexmask_u.anatomy import HEART, ORGANS
from monai_chexmask_u.dicom.numbering import Numbering
from monai_chexmask_u.dicom.reading.read import read_dicom
from monai_chexmask_u.dicom.seg.result import (
    build_fractional_segmentation,
    build_segmentation,
    build_viewer_segmentation,
)
from monai_chexmask_u.dicom.source import SourceImage
from monai_chexmask_u.dicom.write import write_object
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation

Results = Callable[..., LandmarkSegmentation]
Radiographs = Callable[[str], Radiograph]


@pytest.fixture(params=["seg-fractional", "seg-labelmap", "seg-viewer"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_validators_find_no_error(
    kind: str,
    source_name: str,
    radiograph_of: Radiographs,
    result_for: Results,
    dciodvfy: Callable[[Path], list[str]],
    tmp_path: Path,
) -> None:
    radiograph, path = radiograph_of(source_name), tmp_path / "x.dcm"
    write_object(kind, result_for(radiograph), SourceImage(radiograph), path, Numbering())
    assert iod_tables(path) == []
    if kind != "seg-labelmap":  # which dciodvfy does not know
        assert dciodvfy(path) == []


def test_probabilities_are_the_shares_of_the_samples(
    radiograph: Radiograph, result: LandmarkSegmentation, tmp_path: Path
) -> None:
    write_object("seg-fractional", result, SourceImage(radiograph), tmp_path / "x.dcm", Numbering())
    read = segread(tmp_path / "x.dcm")
    assert (read.SegmentationFractionalType, read.MaximumFractionalValue) == ("PROBABILITY", 255)
    frames = read.get_pixels_by_source_instance(
        [radiograph.header.SOPInstanceUID], combine_segments=False, rescale_fractional=True
    )[0]
    for organ in ORGANS:
        share = result.membership(organ)
        assert 0 < ((share > 0) & (share < 1)).mean() < 0.5
        np.testing.assert_allclose(frames[..., organ.label - 1], share, atol=0.5 / 255 + 1e-6)


def test_probabilities_need_the_samples(radiograph: Radiograph, result: LandmarkSegmentation) -> None:
    with pytest.raises(ValueError, match="needs the samples"):
        build_fractional_segmentation(replace(result, samples=None), SourceImage(radiograph), Numbering())


def test_label_map_holds_one_organ_per_pixel(
    radiograph: Radiograph, result: LandmarkSegmentation, tmp_path: Path
) -> None:
    write_object("seg-labelmap", result, SourceImage(radiograph), tmp_path / "x.dcm", Numbering())
    labels = pydicom.dcmread(tmp_path / "x.dcm").pixel_array
    np.testing.assert_array_equal(labels, result.label_mask())
    assert (labels[result.mask(HEART)] == HEART.label).all()


@pytest.mark.skipif(not is_installed("segimage2itkimage"), reason="dcmqi is not installed")
@pytest.mark.parametrize("name", ["non_square", "cr_without_spacing"])
def test_dcmqi_reads_the_copy_for_viewers_bit_for_bit(
    name: str, radiograph_of: Radiographs, result_for: Results, tmp_path: Path
) -> None:
    radiograph = radiograph_of(name)
    result = result_for(radiograph)
    write_object("seg-viewer", result, SourceImage(radiograph), tmp_path / "x.dcm", Numbering())
    assert dcmqi_segmentation(tmp_path / "x.dcm", {organ.title: result.mask(organ) for organ in ORGANS}) == []


def test_copy_for_viewers_says_that_its_geometry_is_invented(
    radiograph: Radiograph, result: LandmarkSegmentation
) -> None:
    source, numbering = SourceImage(radiograph), Numbering()
    copy, original = (build(result, source, numbering) for build in (build_viewer_segmentation, build_segmentation))
    assert "invented" in copy.SeriesDescription
    assert "invented" in copy.ContentDescription
    assert copy.PixelData == original.PixelData
    assert (copy.SOPInstanceUID, copy.SeriesInstanceUID) != (original.SOPInstanceUID, original.SeriesInstanceUID)
    assert copy.file_meta.MediaStorageSOPInstanceUID == copy.SOPInstanceUID
    assert "FrameOfReferenceUID" not in original


@pytest.mark.parametrize(
    ("mirrored", "upside_down", "orientation"),
    [
        (False, False, [1, 0, 0, 0, 0, -1]),
        (True, False, [-1, 0, 0, 0, 0, -1]),
        (False, True, [1, 0, 0, 0, 0, 1]),
        (True, True, [-1, 0, 0, 0, 0, 1]),
    ],
)
def test_invented_geometry_has_the_patient_the_right_way_around(
    mirrored: bool,
    upside_down: bool,
    orientation: list[int],
    radiograph: Radiograph,
    result: LandmarkSegmentation,
) -> None:
    turned = replace(radiograph, mirrored=mirrored, upside_down=upside_down)
    built = build_viewer_segmentation(result, SourceImage(turned), Numbering())
    (plane,) = built.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence
    # Along a row to the patient's left (x), down a column to the feet (-z), unless the radiograph is turned over.
    assert plane.ImageOrientationPatient == orientation


def test_segments_have_the_same_tracking_uids_in_all_kinds(
    kind: str, radiograph: Radiograph, result: LandmarkSegmentation, tmp_path: Path
) -> None:
    write_object(kind, result, SourceImage(radiograph), tmp_path / "x.dcm", Numbering())
    expected = {
        segment.SegmentNumber: segment.TrackingUID
        for segment in build_segmentation(result, SourceImage(radiograph), Numbering()).SegmentSequence
    }
    read = pydicom.dcmread(tmp_path / "x.dcm")
    assert {s.SegmentNumber: s.TrackingUID for s in read.SegmentSequence if s.SegmentNumber} == expected


@pytest.mark.parametrize("kind", ["seg-fractional", "seg-labelmap"])
def test_a_size_that_ends_the_process_in_the_encoder_of_gdcm_is_compressed(
    kind: str, result_for: Results, chest_cr: Path, tmp_path: Path
) -> None:
    radiograph = read_dicom(chest_cr)  # 1955 rows, 1841 columns
    write_object(kind, result_for(radiograph), SourceImage(radiograph), tmp_path / "x.dcm", Numbering())
    read = pydicom.dcmread(tmp_path / "x.dcm")
    assert read.file_meta.TransferSyntaxUID == RLELossless
    assert read.pixel_array.any()
