"""The presentation state draws the result on the radiograph, where it belongs and with the right gray values."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from monai_chexmask_u.anatomy import NODE_IDS, ORGANS
from monai_chexmask_u.dicom.numbering import Numbering
from monai_chexmask_u.dicom.pr.presentation_state import build_presentation_state
from monai_chexmask_u.dicom.reading.read import read_dicom
from monai_chexmask_u.dicom.source import SourceImage
from monai_chexmask_u.dicom.sr.report import build_report
from monai_chexmask_u.dicom.write import write_object
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation

Results = Callable[..., LandmarkSegmentation]
Radiographs = Callable[[str], Radiograph]


@pytest.fixture
def state(radiograph: Radiograph, result: LandmarkSegmentation) -> Dataset:
    built: Dataset = build_presentation_state(result, SourceImage(radiograph), Numbering())
    return built


def graphics(state: Dataset, layer: str) -> list[Dataset]:
    return [
        graphic
        for annotation in state.GraphicAnnotationSequence
        if annotation.GraphicLayer == layer
        for graphic in annotation.get("GraphicObjectSequence", [])
    ]


def texts(state: Dataset) -> list[str]:
    return [
        text.UnformattedTextValue
        for annotation in state.GraphicAnnotationSequence
        for text in annotation.get("TextObjectSequence", [])
    ]


def points(graphic: Dataset) -> NDArray[np.float64]:
    return np.array(graphic.GraphicData).reshape(-1, 2)


def test_validators_find_no_error(
    source_name: str,
    radiograph_of: Radiographs,
    result_for: Results,
    dciodvfy: Callable[[Path], list[str]],
    tmp_path: Path,
) -> None:
    radiograph = radiograph_of(source_name)
    write_object("pr", result_for(radiograph), SourceImage(radiograph), tmp_path / "x.pr.dcm", Numbering())
    assert dciodvfy(tmp_path / "x.pr.dcm") == []


def test_contours_are_closed_and_start_at_the_corner_of_the_image(state: Dataset, result: LandmarkSegmentation) -> None:
    for organ in ORGANS:
        (contour,) = graphics(state, organ.name.upper())
        assert (contour.GraphicType, contour.GraphicAnnotationUnits) == ("POLYLINE", "PIXEL")
        drawn = points(contour)
        np.testing.assert_allclose(drawn[:-1], result.contour(organ) + 0.5, atol=1e-4)
        np.testing.assert_array_equal(drawn[0], drawn[-1])


def test_ellipses_are_one_standard_deviation_of_the_samples(state: Dataset, result: LandmarkSegmentation) -> None:
    ellipses = graphics(state, "UNCERTAINTY")
    assert [ellipse.TrackingID for ellipse in ellipses] == list(NODE_IDS)
    for node, ellipse in enumerate(ellipses):
        assert ellipse.GraphicType == "ELLIPSE"
        first, last, left, right = points(ellipse)
        np.testing.assert_allclose((first + last) / 2, result.landmarks[node] + 0.5, atol=1e-3)
        # The half axes are the eigenvectors, so that together they are a root of the covariance.
        half_axes = np.stack([last - first, right - left]) / 2
        np.testing.assert_allclose(half_axes.T @ half_axes, result.covariance[node], rtol=1e-3, atol=1e-3)
        assert np.linalg.norm(half_axes[0]) >= np.linalg.norm(half_axes[1])


def test_calibrated_ellipses_are_those_of_the_expected_error(
    radiograph: Radiograph, result: LandmarkSegmentation
) -> None:
    error = np.broadcast_to(np.diag([36.0, 9.0]), (120, 2, 2)).copy()
    state = build_presentation_state(replace(result, error_covariance=error), SourceImage(radiograph), Numbering())
    first, last, left, right = points(graphics(state, "UNCERTAINTY")[7])
    np.testing.assert_allclose(np.abs(last - first) / 2, [6, 0], atol=1e-4)
    np.testing.assert_allclose(np.abs(right - left) / 2, [0, 3], atol=1e-4)
    descriptions = {layer.GraphicLayer: layer.GraphicLayerDescription for layer in state.GraphicLayerSequence}
    assert descriptions["UNCERTAINTY"] == "1 standard deviation of the landmarks' expected error"


def test_what_leaves_the_image_is_cut_off_at_its_border(radiograph: Radiograph, result: LandmarkSegmentation) -> None:
    rows, columns = radiograph.shape
    landmarks, covariance = result.landmarks.copy(), result.covariance.copy()
    landmarks[[0, 60]] = [[-30.0, 100.0], [columns + 5.0, rows + 5.0]]
    landmarks[100], covariance[100] = [1.0, 50.0], 400 * np.eye(2)
    state = build_presentation_state(
        replace(result, landmarks=landmarks, covariance=covariance), SourceImage(radiograph), Numbering()
    )
    for layer in ("RIGHT_LUNG", "LEFT_LUNG", "UNCERTAINTY"):
        drawn = np.concatenate([points(graphic) for graphic in graphics(state, layer)])
        assert (drawn >= 0).all()
        assert (drawn <= (columns, rows)).all()
    cut = graphics(state, "UNCERTAINTY")[100]
    assert cut.GraphicType == "POLYLINE"
    np.testing.assert_allclose(points(cut).max(axis=0), [21.5, 70.5], atol=1e-3)
    assert points(cut)[:, 0].min() == 0


def test_a_landmark_without_spread_still_has_an_ellipse(radiograph: Radiograph, result: LandmarkSegmentation) -> None:
    state = build_presentation_state(
        replace(result, covariance=np.zeros((120, 2, 2))), SourceImage(radiograph), Numbering()
    )
    first, last, *_ = points(graphics(state, "UNCERTAINTY")[0])
    assert math.dist(first, last) == pytest.approx(0.1, abs=1e-3)


def test_organs_and_verdict_are_named(state: Dataset) -> None:
    assert texts(state) == [
        "Right lung",
        "Left lung",
        "Heart",
        "AI: review. For research use only, not for diagnosis.",
    ]


def test_tracking_uids_are_those_of_the_report(
    state: Dataset, radiograph: Radiograph, result: LandmarkSegmentation
) -> None:
    report = build_report(result, SourceImage(radiograph), Numbering())
    reported = {}
    for group in report.ContentSequence[-1].ContentSequence:
        names = {item.ConceptNameCodeSequence[0].CodeValue: item for item in group.ContentSequence}
        reported[names["112039"].TextValue] = names["112040"].UID
    drawn = {
        graphic.TrackingID: graphic.TrackingUID
        for layer in (*(organ.name.upper() for organ in ORGANS), "UNCERTAINTY")
        for graphic in graphics(state, layer)
    }
    assert len(drawn) == 123
    assert drawn.items() <= reported.items()


@pytest.mark.parametrize(("name", "shape"), [("dx", "IDENTITY"), ("dx_monochrome1", "INVERSE")])
def test_gray_values_are_inverted_where_the_image_is(
    name: str, shape: str, radiograph_of: Radiographs, result_for: Results
) -> None:
    radiograph = read_dicom(radiograph_of(name).path)
    assert (
        build_presentation_state(result_for(radiograph), SourceImage(radiograph), Numbering()).PresentationLUTShape
        == shape
    )


def test_a_window_that_the_reader_ignored_is_not_passed_on(
    radiograph: Radiograph, result: LandmarkSegmentation
) -> None:
    header = deepcopy(radiograph.header)
    header.WindowWidth = 0
    ignored = replace(radiograph, header=header, notes=("window_ignored", "rescale_ignored"))
    state = build_presentation_state(result, SourceImage(ignored), Numbering())
    assert "SoftcopyVOILUTSequence" not in state
    assert "RescaleSlope" not in state


@pytest.mark.parametrize(
    ("absent", "item"),
    [
        ("WindowCenter", "SoftcopyVOILUTSequence"),
        ("WindowWidth", "SoftcopyVOILUTSequence"),
        ("RescaleIntercept", "RescaleSlope"),
        ("RescaleSlope", "RescaleIntercept"),
    ],
)
def test_half_of_a_window_or_of_a_rescale_is_not_passed_on(
    radiograph: Radiograph, result: LandmarkSegmentation, absent: str, item: str
) -> None:
    header = deepcopy(radiograph.header)
    del header[absent]
    assert item not in build_presentation_state(result, SourceImage(replace(radiograph, header=header)), Numbering())


@pytest.mark.parametrize(("unit", "kept"), [("OD", "OD"), ("", "US"), ("\a\x1b[31m", "US"), ("A" * 65, "US")])
def test_the_unit_of_a_rescale_is_passed_on_if_it_can_be(
    radiograph: Radiograph, result: LandmarkSegmentation, unit: str, kept: str
) -> None:
    header = deepcopy(radiograph.header)
    header.RescaleType = "OD"
    header["RescaleType"]._value = unit
    assert (
        build_presentation_state(result, SourceImage(replace(radiograph, header=header)), Numbering()).RescaleType
        == kept
    )


def test_the_first_window_is_the_one_that_counts(radiograph: Radiograph, result: LandmarkSegmentation) -> None:
    header = deepcopy(radiograph.header)
    header.WindowCenter, header.WindowWidth = ["8192", "2000"], ["16384", "0"]
    (item,) = build_presentation_state(
        result, SourceImage(replace(radiograph, header=header)), Numbering()
    ).SoftcopyVOILUTSequence
    assert (item.WindowCenter, item.WindowWidth) == (8192, 16384)


def test_size_of_the_pixels_is_stated(radiograph_of: Radiographs, result_for: Results) -> None:
    known, unknown = radiograph_of("non_square"), radiograph_of("cr_without_spacing")
    (area,) = build_presentation_state(
        result_for(known), SourceImage(known), Numbering()
    ).DisplayedAreaSelectionSequence
    assert area.PresentationPixelSpacing == [0.8, 0.4]
    assert "PresentationPixelAspectRatio" not in area
    (area,) = build_presentation_state(
        result_for(unknown), SourceImage(unknown), Numbering()
    ).DisplayedAreaSelectionSequence
    assert area.PresentationPixelAspectRatio == [1, 1]
    assert "PresentationPixelSpacing" not in area


def test_shape_of_the_pixels_is_stated_where_their_size_is_unknown(
    radiograph_of: Radiographs, result_for: Results
) -> None:
    high = replace(radiograph_of("cr_without_spacing"), pixel_aspect=4 / 3)
    (area,) = build_presentation_state(result_for(high), SourceImage(high), Numbering()).DisplayedAreaSelectionSequence
    assert area.PresentationPixelAspectRatio == [4, 3]
    assert "PresentationPixelSpacing" not in area


def test_it_refers_to_the_image_and_stands_in_its_study(state: Dataset, radiograph: Radiograph) -> None:
    assert state.StudyInstanceUID == radiograph.header.StudyInstanceUID
    (series,) = state.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == radiograph.header.SeriesInstanceUID
    assert series.ReferencedImageSequence[0].ReferencedSOPInstanceUID == radiograph.header.SOPInstanceUID
    assert not [element for element in state.iterall() if element.tag.is_private]


def test_real_monochrome1_radiograph(
    chest_cr: Path, result_for: Results, dciodvfy: Callable[[Path], list[str]], tmp_path: Path
) -> None:
    radiograph = read_dicom(chest_cr)
    write_object("pr", result_for(radiograph), SourceImage(radiograph), tmp_path / "x.pr.dcm", Numbering())
    assert dciodvfy(tmp_path / "x.pr.dcm") == []
    assert pydicom.dcmread(tmp_path / "x.pr.dcm").PresentationLUTShape == "INVERSE"
