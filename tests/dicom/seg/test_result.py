"""The Segmentation object says where the organs are, which they are, and who says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from highdicom.color import CIELabColor
from highdicom.seg import segread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from monai_chexmask_u.anatomy import LEFT_LUNG, ORGANS, RIGHT_LUNG
from monai_chexmask_u.dicom.numbering import Numbering
from monai_chexmask_u.dicom.reading.read import read_dicom
from monai_chexmask_u.dicom.seg.result import build_segmentation
from monai_chexmask_u.dicom.source import SourceImage
from monai_chexmask_u.dicom.write import write_object
from monai_chexmask_u.geometry import fill_polygon
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation

Results = Callable[..., LandmarkSegmentation]
Radiographs = Callable[[str], Radiograph]


@pytest.fixture(scope="module")
def written(radiograph: Radiograph, result: LandmarkSegmentation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("seg") / "dx.seg.dcm"
    write_object("seg", result, SourceImage(radiograph), path, Numbering())
    return path


def test_validator_finds_no_error(
    source_name: str,
    radiograph_of: Radiographs,
    result_for: Results,
    dciodvfy: Callable[[Path], list[str]],
    tmp_path: Path,
) -> None:
    radiograph = radiograph_of(source_name)
    write_object("seg", result_for(radiograph), SourceImage(radiograph), tmp_path / "x.seg.dcm", Numbering())
    assert dciodvfy(tmp_path / "x.seg.dcm") == []


def test_validator_notices_a_missing_algorithm(
    written: Path, dciodvfy: Callable[[Path], list[str]], tmp_path: Path
) -> None:
    broken = pydicom.dcmread(written)
    del broken.SegmentSequence[0].SegmentAlgorithmName
    broken.save_as(tmp_path / "broken.dcm")
    assert any("SegmentAlgorithmName" in error for error in dciodvfy(tmp_path / "broken.dcm"))


def test_real_radiograph_with_spacing_of_zero(
    chest_cr: Path, result_for: Results, dciodvfy: Callable[[Path], list[str]], tmp_path: Path
) -> None:
    radiograph = read_dicom(chest_cr)
    result = result_for(radiograph)
    write_object("seg", result, SourceImage(radiograph), tmp_path / "x.seg.dcm", Numbering())
    assert dciodvfy(tmp_path / "x.seg.dcm") == []
    np.testing.assert_array_equal(read_masks(tmp_path / "x.seg.dcm", radiograph), expected_masks(result))


def test_masks_are_the_filled_contours_and_may_overlap(
    written: Path, radiograph: Radiograph, result: LandmarkSegmentation
) -> None:
    masks = read_masks(written, radiograph)
    np.testing.assert_array_equal(masks, expected_masks(result))
    assert (masks[..., 1] & masks[..., 2]).any()  # the phantom's heart lies over its left lung


def test_right_lung_is_coded_right_and_lies_where_its_landmarks_are(
    written: Path, radiograph: Radiograph, result: LandmarkSegmentation
) -> None:
    masks = read_masks(written, radiograph)
    for segment, (organ, laterality, left_of_middle) in enumerate(
        ((RIGHT_LUNG, "Right", True), (LEFT_LUNG, "Left", False))
    ):
        description = pydicom.dcmread(written).SegmentSequence[segment]
        structure = description.SegmentedPropertyTypeCodeSequence[0]
        assert description.SegmentNumber == segment + 1
        assert description.SegmentLabel == organ.title
        assert structure.CodeMeaning == "Lung"
        assert structure.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == laterality
        center_x = np.nonzero(masks[..., segment])[1].mean()
        np.testing.assert_allclose(center_x, result.contour(organ)[:, 0].mean(), atol=1)
        assert (center_x < radiograph.shape[1] / 2) == left_of_middle


def test_segments_are_binary_and_have_the_colors_of_their_organs(written: Path) -> None:
    dataset = pydicom.dcmread(written)
    assert (dataset.SegmentationType, dataset.BitsAllocated, dataset.NumberOfFrames) == ("BINARY", 1, 3)
    for organ, segment in zip(ORGANS, dataset.SegmentSequence, strict=True):
        color = CIELabColor.from_dicom_value(segment.RecommendedDisplayCIELabValue).to_rgb()
        np.testing.assert_allclose(color, organ.color, atol=1)
        assert segment.AnatomicRegionSequence[0].CodeMeaning == "Chest"


def test_heart_has_no_side(written: Path) -> None:
    structure = pydicom.dcmread(written).SegmentSequence[2].SegmentedPropertyTypeCodeSequence[0]
    assert structure.CodeMeaning == "Heart"
    assert "SegmentedPropertyTypeModifierCodeSequence" not in structure


def test_segments_name_algorithm_verdict_and_decisions(written: Path) -> None:
    for segment in pydicom.dcmread(written).SegmentSequence:
        algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
        assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("hybridgnet", "1.2.3")
        assert segment.SegmentAlgorithmType == "AUTOMATIC"
        assert algorithm.AlgorithmParameters.split(",") == [
            f"weights_sha256={'ab' * 32}",
            "samples=50",
            "verdict=review",
            "reasons=not_calibrated latent_uncertainty_high",
            "notes=photometric_inverted orientation_assumed",
        ]


def test_series_shows_the_verdict(written: Path) -> None:
    assert pydicom.dcmread(written).SeriesDescription == "Lungs and heart (review)"


def test_codes_have_the_meanings_of_the_standard(
    written: Path, wrong_codes: Callable[[Dataset], set[tuple[str, str, str]]]
) -> None:
    assert wrong_codes(pydicom.dcmread(written)) == set()


def test_source_with_calibrated_spacing_can_be_read_back(
    radiograph_of: Radiographs, result_for: Results, dciodvfy: Callable[[Path], list[str]], tmp_path: Path
) -> None:
    radiograph = radiograph_of("dx")
    radiograph.header.PixelSpacing = [0.1, 0.1]
    result = result_for(radiograph)
    write_object("seg", result, SourceImage(radiograph), tmp_path / "x.seg.dcm", Numbering())
    np.testing.assert_array_equal(read_masks(tmp_path / "x.seg.dcm", radiograph), expected_masks(result))
    assert dciodvfy(tmp_path / "x.seg.dcm") == []


def test_organ_outside_the_image_keeps_its_empty_frame(radiograph: Radiograph, result: LandmarkSegmentation) -> None:
    landmarks = result.landmarks.copy()
    landmarks[LEFT_LUNG.nodes, 0] += 10_000
    built = build_segmentation(replace(result, landmarks=landmarks), SourceImage(radiograph), Numbering())
    frames = [frame.any() for frame in built.pixel_array]
    assert frames == [True, False, True]


def test_japanese_name_is_kept_as_utf8(radiograph_of: Radiographs, result_for: Results, tmp_path: Path) -> None:
    radiograph = radiograph_of("japanese")
    write_object("seg", result_for(radiograph), SourceImage(radiograph), tmp_path / "x.seg.dcm", Numbering())
    dataset = pydicom.dcmread(tmp_path / "x.seg.dcm")
    assert dataset.SpecificCharacterSet == "ISO_IR 192"
    assert str(dataset.PatientName) == "Yamada^Tarou=山田^太郎=やまだ^たろう"
    assert dataset.StudyDescription == "胸部正面"


def test_bad_header_values_are_not_copied(radiograph_of: Radiographs, result_for: Results) -> None:
    radiograph = radiograph_of("bad_header")
    built = build_segmentation(result_for(radiograph), SourceImage(radiograph), Numbering())
    for keyword in ("PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "ReferringPhysicianName"):
        assert not built[keyword].value
    assert built.ReferencedStudySequence[0].ReferencedSOPInstanceUID == "1.2.3"
    assert not [element for element in built.iterall() if element.tag.is_private]


def test_patient_orientation_is_that_of_the_source(radiograph_of: Radiographs, result_for: Results) -> None:
    for name, orientation in (("dx", ["L", "F"]), ("bad_header", [])):
        radiograph = radiograph_of(name)
        built = build_segmentation(result_for(radiograph), SourceImage(radiograph), Numbering())
        assert list(built.PatientOrientation or []) == orientation


def test_every_file_is_a_new_instance_of_a_new_series(radiograph: Radiograph, result: LandmarkSegmentation) -> None:
    first, second = (build_segmentation(result, SourceImage(radiograph), Numbering()) for _ in range(2))
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert first.SeriesInstanceUID != second.SeriesInstanceUID
    assert first.StudyInstanceUID == radiograph.header.StudyInstanceUID


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda header: None, "no DICOM outputs can be made of"),
        (lambda header: without(header, "StudyInstanceUID"), "has no StudyInstanceUID"),
        (lambda header: with_rows(header, 7), "header must be of the image"),
    ],
)
def test_unusable_header_is_refused(
    change: Callable[[Any], Any], message: str, radiograph_of: Radiographs, result_for: Results
) -> None:
    radiograph = radiograph_of("dx")
    with pytest.raises(ValueError, match=message):
        build_segmentation(
            result_for(radiograph), SourceImage(replace(radiograph, header=change(radiograph.header))), Numbering()
        )


def test_result_of_another_image_is_refused(radiograph: Radiograph, result: LandmarkSegmentation) -> None:
    with pytest.raises(ValueError, match="must be of one image"):
        build_segmentation(replace(result, shape=(7, 9)), SourceImage(radiograph), Numbering())


def read_masks(path: Path, radiograph: Radiograph) -> Any:
    pixels = segread(path).get_pixels_by_source_instance([radiograph.header.SOPInstanceUID], combine_segments=False)
    return pixels[0].astype(bool)


def expected_masks(result: LandmarkSegmentation) -> Any:
    return np.stack([fill_polygon(result.contour(organ), result.shape) for organ in ORGANS], axis=-1)


def without(header: Dataset, keyword: str) -> Dataset:
    delattr(header, keyword)
    return header


def with_rows(header: Dataset, rows: int) -> Dataset:
    header.Rows = rows
    return header


@pytest.mark.parametrize("kind", ["seg", "seg-fractional", "seg-labelmap", "seg-viewer"])
def test_reproducible_objects_differ_in_their_times_alone(
    radiograph: Radiograph, result: LandmarkSegmentation, tmp_path: Path, kind: str
) -> None:
    read = []
    for name in ("first", "second"):
        path = tmp_path / f"{name}.dcm"
        write_object(kind, result, SourceImage(radiograph), path, Numbering(reproducible=True))
        read.append(pydicom.dcmread(path))
    first, second = ([element for element in dataset.iterall() if not is_time_or_sequence(element)] for dataset in read)
    assert first == second


def is_time_or_sequence(element: DataElement) -> bool:
    """Sequences are compared by what is in them."""
    return element.VR in ("DA", "TM", "DT", "SQ")
