"""Ways to break a good DICOM object, each of which some judge must notice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from pydicom.dataset import Dataset
from support.judges import (
    code_meanings,
    dciodvfy,
    dcmpschk,
    dcmqi_report,
    dcmqi_segmentation,
    dsrdump,
    gray_values,
    iod_tables,
    itkwasm_presentation,
    itkwasm_report,
    measurement_differences,
    polarity,
    sr_templates,
)
from support.samples.dicom import code_item

__all__ = ["DEFECTS", "Defect"]

Defect = Callable[[Dataset], None]


def last_group(report: Dataset) -> Dataset:
    """Return the measurement group of the last landmark."""
    group: Dataset = report.ContentSequence[-1].ContentSequence[-1]
    return group


def items(report: Dataset, value_type: str) -> list[Dataset]:
    """Return the items of a type in that group."""
    return [item for item in last_group(report).ContentSequence if item.ValueType == value_type]


def coordinates_without_type(report: Dataset) -> None:
    del items(report, "SCOORD")[0].GraphicType


def coordinates_without_image(report: Dataset) -> None:
    del items(report, "SCOORD")[0].ContentSequence


def coordinates_of_odd_count(report: Dataset) -> None:
    items(report, "SCOORD")[0].GraphicData = [1.0, 2.0, 3.0]


def coordinates_of_two_points(report: Dataset) -> None:
    items(report, "SCOORD")[0].GraphicData = [1.0, 2.0, 3.0, 4.0]


def number_inferred_from_nothing(report: Dataset) -> None:
    items(report, "NUM")[0].RelationshipType = "INFERRED FROM"


def number_without_value(report: Dataset) -> None:
    del items(report, "NUM")[0].MeasuredValueSequence


def number_of_another_value(report: Dataset) -> None:
    items(report, "NUM")[0].MeasuredValueSequence[0].NumericValue = 1.25


def number_of_another_name(report: Dataset) -> None:
    number = items(report, "NUM")[1]
    number.ConceptNameCodeSequence = [code_item("110822", "DCM", "Spatial Displacement X Component")]


def derivation_of_another_group(report: Dataset) -> None:
    number = items(report, "NUM")[0]
    number.ContentSequence[0].ConceptCodeSequence = [code_item("113061", "DCM", "Standard Deviation")]


def identifier_of_another_landmark(report: Dataset) -> None:
    items(report, "TEXT")[0].TextValue = "Heart"


def group_without_identifier(report: Dataset) -> None:
    group = last_group(report)
    group.ContentSequence = [item for item in group.ContentSequence if item.ValueType != "TEXT"]


def group_without_template(report: Dataset) -> None:
    del last_group(report).ContentTemplateSequence


def code_of_another_meaning(dataset: Dataset) -> None:
    """123109 is Manual Processing; 123110 is what the words say."""
    for item in dataset.iterall():
        if item.keyword == "CodeValue" and item.value == "123110":
            item.value = "123109"


def without_completion_flag(report: Dataset) -> None:
    del report.CompletionFlag


def with_rows(dataset: Dataset) -> None:
    dataset.Rows = 5


def without_segment(segmentation: Dataset) -> None:
    del segmentation.SegmentSequence[-1]


def without_segment_label(segmentation: Dataset) -> None:
    del segmentation.SegmentSequence[-1].SegmentLabel


def with_empty_segment_label(segmentation: Dataset) -> None:
    segmentation.SegmentSequence[-1].SegmentLabel = ""


def without_algorithm_name(segmentation: Dataset) -> None:
    del segmentation.SegmentSequence[0].SegmentAlgorithmName


def without_last_pixels(segmentation: Dataset) -> None:
    segmentation.PixelData = segmentation.PixelData[:-1000]


def with_another_pixel(segmentation: Dataset) -> None:
    bits = np.unpackbits(np.frombuffer(segmentation.PixelData, np.uint8), bitorder="little")
    bits[1234] ^= 1
    segmentation.PixelData = np.packbits(bits, bitorder="little").tobytes()


def with_date_of_letters(dataset: Dataset) -> None:
    dataset["ContentDate"]._value = "yesterday"


def without_displayed_area(state: Dataset) -> None:
    del state.DisplayedAreaSelectionSequence


def drawn_on_another_layer(state: Dataset) -> None:
    state.GraphicAnnotationSequence[0].GraphicLayer = "OTHER"


def with_fewer_points(state: Dataset) -> None:
    state.GraphicAnnotationSequence[0].GraphicObjectSequence[0].NumberOfGraphicPoints = 3


def without_points(state: Dataset) -> None:
    del state.GraphicAnnotationSequence[0].GraphicObjectSequence[0].GraphicData


def of_another_image(state: Dataset) -> None:
    for annotation in state.GraphicAnnotationSequence:
        annotation.ReferencedImageSequence[0].ReferencedSOPInstanceUID = "1.2.3"


def shown_as_stored(state: Dataset) -> None:
    """Low values are bright in the image; shown as they are, they come out dark."""
    state.PresentationLUTShape = "IDENTITY"


def with_narrow_window(state: Dataset) -> None:
    """Half of the gray values come out black or white."""
    (window,) = state.SoftcopyVOILUTSequence
    window.WindowWidth = window.WindowWidth / 2


# Which kind of object each breaks, and the judges that must notice, with words of what they say.
DEFECTS: Final[tuple[tuple[str, Defect, Mapping[Callable[..., Any], str]], ...]] = (
    (
        "sr",
        coordinates_without_type,
        {
            dciodvfy: "GraphicType",
            dcmqi_report: "SCOORD",
            dsrdump: "SCOORD",
            itkwasm_report: "cannot read",
            sr_templates: "None of 2 numbers",
        },
    ),
    ("sr", coordinates_without_image, {dciodvfy: "expected IMAGE", sr_templates: "IMAGE"}),
    ("sr", coordinates_of_odd_count, {dciodvfy: "GraphicData", dsrdump: "SCOORD", sr_templates: "POINT of 3 numbers"}),
    ("sr", coordinates_of_two_points, {dciodvfy: "GraphicData", sr_templates: "POINT of 4 numbers"}),
    (
        "sr",
        number_inferred_from_nothing,
        {
            dcmqi_report: "inferred from NUM",
            dsrdump: "inferred from NUM",
            itkwasm_report: "cannot read",
            sr_templates: "no row for INFERRED FROM NUM",
        },
    ),
    ("sr", number_without_value, {dciodvfy: "MeasuredValue", dsrdump: "NUM", sr_templates: "no value"}),
    ("sr", number_of_another_value, {measurement_differences: "H25: Spatial Displacement X Component is 1.25"}),
    ("sr", number_of_another_name, {measurement_differences: "H25: "}),
    ("sr", derivation_of_another_group, {sr_templates: "context group 7464"}),
    ("sr", identifier_of_another_landmark, {dcmqi_report: "'Heart'", measurement_differences: "no group 'H25'"}),
    ("sr", group_without_identifier, {sr_templates: "112039 DCM"}),
    ("sr", group_without_template, {sr_templates: "no row for CONTAINS CONTAINER"}),
    ("sr", code_of_another_meaning, {code_meanings: '(123109, DCM, "Artificial Intelligence")'}),
    ("sr", without_completion_flag, {dciodvfy: "CompletionFlag", iod_tables: "CompletionFlag of type 1 is missing"}),
    ("sr", with_rows, {iod_tables: "Rows is not of this object"}),
    ("seg", without_segment, {dciodvfy: "ReferencedSegmentNumber", dcmqi_segmentation: "fails"}),
    ("seg", without_segment_label, {dciodvfy: "SegmentLabel", iod_tables: "SegmentLabel of type 1 is missing"}),
    ("seg", without_algorithm_name, {dciodvfy: "SegmentAlgorithmName"}),
    ("seg", without_last_pixels, {dciodvfy: "PixelData", dcmqi_segmentation: "fails"}),
    ("seg", with_another_pixel, {dcmqi_segmentation: "mask of 'Right lung' differs"}),
    ("seg", with_date_of_letters, {dciodvfy: "ContentDate"}),
    ("seg", code_of_another_meaning, {code_meanings: '(123109, DCM, "Artificial Intelligence")'}),
    ("seg-labelmap", without_segment, {dcmqi_segmentation: "segments ['Right lung', 'Left lung'] instead of"}),
    ("seg-labelmap", without_segment_label, {iod_tables: "SegmentSequence/SegmentLabel of type 1 is missing"}),
    ("seg-labelmap", with_empty_segment_label, {iod_tables: "SegmentSequence/SegmentLabel of type 1 is empty"}),
    ("seg-labelmap", with_date_of_letters, {dciodvfy: "ContentDate"}),
    ("seg-labelmap", code_of_another_meaning, {code_meanings: '(123109, DCM, "Artificial Intelligence")'}),
    (
        "pr",
        without_displayed_area,
        {
            dciodvfy: "DisplayedArea",
            dcmpschk: "displayedAreaSelection",
            iod_tables: "DisplayedAreaSelectionSequence of type 1 is missing",
            itkwasm_presentation: "cannot apply",
            polarity: "shows nothing",
        },
    ),
    ("pr", drawn_on_another_layer, {itkwasm_presentation: "layer 'OTHER' is not drawn"}),
    ("pr", with_fewer_points, {itkwasm_presentation: "other shapes or points"}),
    ("pr", without_points, {dciodvfy: "GraphicData", iod_tables: "GraphicData", itkwasm_presentation: "other shapes"}),
    ("pr", of_another_image, {itkwasm_presentation: "texts () instead of ('Heart',)"}),
    ("pr", shown_as_stored, {polarity: "what must be bright", gray_values: "gray values that differ"}),
    ("pr", with_narrow_window, {gray_values: "gray values that differ"}),
)
