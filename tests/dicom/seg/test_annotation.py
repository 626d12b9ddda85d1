"""What a person outlined is a Segmentation that says so, and is told from what a model made."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from highdicom.seg import segread
from numpy.typing import NDArray
from support import judges

from monai_chexmask_u.anatomy import HEART, LEFT_LUNG, ORGANS, RIGHT_LUNG, Organ
from monai_chexmask_u.dicom.numbering import Numbering
from monai_chexmask_u.dicom.seg.annotation import annotation_facts, build_annotation, write_annotation
from monai_chexmask_u.dicom.seg.result import build_segmentation
from monai_chexmask_u.dicom.source import SourceImage
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation

Masks = dict[Organ, NDArray[np.bool_]]


@pytest.fixture
def masks(result: LandmarkSegmentation) -> Masks:
    return {organ: result.mask(organ) for organ in ORGANS}


@pytest.mark.parametrize("algorithm_type", ["MANUAL", "SEMIAUTOMATIC"])
@pytest.mark.parametrize("organs", [ORGANS, (RIGHT_LUNG, LEFT_LUNG), (HEART,)])
def test_annotation_holds_the_masks_and_satisfies_the_judges(
    organs: tuple[Organ, ...], algorithm_type: Any, masks: Masks, radiograph: Radiograph, tmp_path: Path
) -> None:
    path = tmp_path / "label.dcm"
    series = write_annotation({o: masks[o] for o in organs}, radiograph, path, algorithm_type=algorithm_type)
    read = segread(path)
    pixels = read.get_pixels_by_source_instance([radiograph.header.SOPInstanceUID])
    assert str(read.SeriesInstanceUID) == series
    assert [read.get_segment_description(number).segment_label for number in read.segment_numbers] == [
        organ.title for organ in organs
    ]
    for number, organ in enumerate(organs):
        assert masks[organ].any()
        np.testing.assert_array_equal(pixels[0, ..., number] != 0, masks[organ])
    for judge in judges.judges_of(path):
        if judges.is_available(judge):
            assert not judge(path)


def test_dcmqi_reads_the_masks(masks: Masks, radiograph: Radiograph, tmp_path: Path) -> None:
    if not judges.is_available(judges.dcmqi_segmentation):
        pytest.skip("dcmqi is not installed")
    path = tmp_path / "label.dcm"
    write_annotation(masks, radiograph, path, algorithm_type="MANUAL")
    assert not judges.dcmqi_segmentation(path, {organ.title: mask for organ, mask in masks.items()})


def test_a_manual_label_names_no_algorithm(masks: Masks, radiograph: Radiograph) -> None:
    manual = build_annotation(masks, SourceImage(radiograph), algorithm_type="MANUAL")
    corrected = build_annotation(masks, SourceImage(radiograph), algorithm_type="SEMIAUTOMATIC")
    for item in manual.SegmentSequence:
        assert item.SegmentAlgorithmType == "MANUAL"
        assert "SegmentAlgorithmName" not in item
    assert {item.SegmentAlgorithmName for item in corrected.SegmentSequence} == {"monai-chexmask-u"}


def test_two_annotations_of_one_image_are_two_series(masks: Masks, radiograph: Radiograph) -> None:
    first, second = (build_annotation(masks, SourceImage(radiograph), algorithm_type="MANUAL") for _ in range(2))
    assert first.SeriesInstanceUID != second.SeriesInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID


def test_masks_of_another_size_and_none_at_all_are_refused(masks: Masks, radiograph: Radiograph) -> None:
    with pytest.raises(ValueError, match="not of the image's size"):
        build_annotation({HEART: masks[HEART][:-1]}, SourceImage(radiograph), algorithm_type="MANUAL")
    with pytest.raises(ValueError, match="at least one organ"):
        build_annotation({}, SourceImage(radiograph), algorithm_type="MANUAL")


def test_an_annotation_is_told_by_its_metadata(masks: Masks, radiograph: Radiograph) -> None:
    facts = annotation_facts([metadata(build_annotation(masks, SourceImage(radiograph), algorithm_type="MANUAL"))])
    assert facts is not None
    assert facts.image_uid == radiograph.header.SOPInstanceUID
    assert facts.image_series_uid == radiograph.header.SeriesInstanceUID
    assert facts.written[:8].isdigit()


def test_what_a_model_made_is_no_annotation(masks: Masks, result: LandmarkSegmentation, radiograph: Radiograph) -> None:
    assert annotation_facts([metadata(build_segmentation(result, SourceImage(radiograph), Numbering()))]) is None
    mixed = build_annotation(masks, SourceImage(radiograph), algorithm_type="SEMIAUTOMATIC")
    mixed.SegmentSequence[1].SegmentAlgorithmType = "AUTOMATIC"
    assert annotation_facts([metadata(mixed)]) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda dataset: dataset.__delattr__("SegmentSequence"),
        lambda dataset: dataset.__delattr__("ReferencedSeriesSequence"),
        lambda dataset: dataset.SegmentSequence[0].__delattr__("SegmentedPropertyTypeCodeSequence"),
        lambda dataset: dataset.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].__setattr__("CodeValue", "1"),
    ],
)
def test_other_segmentations_are_no_annotations(
    damage: Callable[[pydicom.Dataset], None], masks: Masks, radiograph: Radiograph
) -> None:
    dataset = build_annotation(masks, SourceImage(radiograph), algorithm_type="MANUAL")
    damage(dataset)
    assert annotation_facts([metadata(dataset)]) is None
    assert annotation_facts([]) is None
    assert annotation_facts([{"00620002": "no DICOM JSON"}]) is None


def metadata(dataset: pydicom.Dataset) -> dict[str, Any]:
    """Return the header in DICOM JSON, as an archive gives it."""
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    file.seek(0)
    stored = pydicom.dcmread(file, stop_before_pixels=True)
    item: dict[str, Any] = json.loads(stored.to_json())
    return item
