"""Each measurement group says what it measured, and leaves out or refuses what could not be measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from highdicom import sr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from monai_chexmask_u.dicom.source import SourceImage, TrackingIds
from monai_chexmask_u.dicom.sr.measurements import image_group, node_group, to_scoord
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import Estimate, LandmarkSegmentation, Reliability

Results = Callable[..., LandmarkSegmentation]
Radiographs = Callable[[str], Radiograph]


@pytest.mark.parametrize(("verdict", "quality"), [("accept", "111237"), ("review", "111236"), ("reject", "111235")])
def test_only_an_accepted_result_meets_the_standard(
    verdict: Any, quality: str, radiograph: Radiograph, result: LandmarkSegmentation
) -> None:
    plain = replace(radiograph, notes=())
    group = image_group_of(replace(result, reliability=Reliability(verdict, ())), plain)
    coded = {item.name.meaning: item.value.value for item in qualitative(group)}
    assert coded == {"Quality Assessment": quality, "Reliability verdict": verdict}


def test_ratio_without_spread_is_still_reported(radiograph: Radiograph, result: LandmarkSegmentation) -> None:
    group = image_group_of(replace(result, cardiothoracic_ratio=Estimate(0.5, float("nan"))), radiograph)
    assert numbers(group, "Cardiothoracic ratio") == [0.5]


@pytest.mark.parametrize("attribute", ["latent_uncertainty", "predictive_px1024"])
def test_uncertainty_that_is_no_number_is_refused(
    attribute: str, radiograph: Radiograph, result: LandmarkSegmentation
) -> None:
    broken: Any = {attribute: float("nan")}
    with pytest.raises(ValueError, match="must be finite"):
        image_group_of(replace(result, **broken), radiograph)


@pytest.mark.parametrize(
    ("reason", "meaning"),
    [
        ("not_calibrated", "The model is not calibrated"),
        ("not_frontal_chest", "Not like a frontal chest radiograph"),
        ("upside_down", "Seems to be upside down"),
        ("turned_sideways", "Seems to be turned sideways"),
        ("mirrored", "Seems to be mirrored"),
        ("inverted", "Seems to have inverted gray levels"),
        ("implausible_shape", "The outlines have an implausible shape"),
        ("image_quality", "Too little contrast or too much saturation"),
        ("high_uncertainty:right_lung", "High uncertainty of the right lung"),
        ("high_uncertainty:left_lung", "High uncertainty of the left lung"),
        ("high_uncertainty:heart", "High uncertainty of the heart"),
        ("something_new:of_later", "Something new of later"),
    ],
)
def test_reasons_are_codes_with_words(
    reason: str, meaning: str, radiograph: Radiograph, result: LandmarkSegmentation
) -> None:
    plain = replace(radiograph, notes=())
    (item,) = qualitative(image_group_of(replace(result, reliability=Reliability("reject", (reason,))), plain))[2:]
    assert (item.name.meaning, item.value.meaning, item.value.value) == ("Reliability reason", meaning, reason)
    assert item.value.scheme_designator == "99CHEXMASKU"


def test_calibrated_result_has_total_uncertainty_and_score(
    radiograph: Radiograph, result: LandmarkSegmentation
) -> None:
    names = ("Total uncertainty in a 1024-pixel image", "How foreign the image is to the network, higher is more")
    calibrated = replace(result, total_px1024=12.3456789, scores={"foreign": 5.0, "combined": -0.25})
    group = image_group_of(calibrated, radiograph)
    assert [numbers(group, name) for name in names] == [[12.3457], [-0.25]]
    units = {item.name.meaning: item.unit.value for item in group.get_measurements()}
    assert [units[name] for name in names] == ["{pixels}", "1"]
    plain = image_group_of(result, radiograph)
    assert [numbers(plain, name) for name in names] == [[], []]


@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf")])
def test_score_that_is_no_number_is_left_out(
    score: float, radiograph: Radiograph, result: LandmarkSegmentation
) -> None:
    group = image_group_of(replace(result, total_px1024=1.0, scores={"combined": score}), radiograph)
    assert len(group.get_measurements()) == 4


def test_algorithm_names_weights_and_calibration(radiograph: Radiograph, result: LandmarkSegmentation) -> None:
    plain = ["weights_sha256=" + "ab" * 32, "samples=50"]
    assert parameters(image_group_of(result, radiograph)) == plain
    calibrated = replace(result, model=replace(result.model, calibration_sha256="cd" * 32))
    assert parameters(image_group_of(calibrated, radiograph)) == [*plain, "calibration_sha256=" + "cd" * 32]


def test_uncalibrated_result_has_no_radius(radiograph: Radiograph, result: LandmarkSegmentation) -> None:
    header = SourceImage(radiograph).header
    image = sr.SourceImageForRegion.from_source_image(header)
    group = node_group(5, replace(result, spacing_mm=None), image, TrackingIds.of(result, header))
    assert [number.name.meaning for number in group.get_measurements()] == [
        "Spatial Displacement X Component",
        "Spatial Displacement Y Component",
    ]


@given(
    points=arrays(np.float64, (5, 2), elements=st.floats(-1e6, 1e6)), rows=st.integers(1, 9), columns=st.integers(1, 9)
)
def test_scoord_stays_in_the_image_and_tells_when_it_clips(points: Any, rows: int, columns: int) -> None:
    inside, clipped = to_scoord(points, (rows, columns))
    assert inside.min() >= 0
    assert inside[:, 0].max() <= columns
    assert inside[:, 1].max() <= rows
    assert clipped or np.allclose(inside, points + 0.5, rtol=0, atol=1e-6)


def image_group_of(result: LandmarkSegmentation, radiograph: Radiograph) -> Any:
    header = SourceImage(radiograph).header
    return image_group(result, radiograph.notes, header, TrackingIds.of(result, header))


def numbers(group: Any, name: str) -> list[float]:
    return [float(number.value) for number in group.get_measurements() if number.name.meaning == name]


def parameters(group: Any) -> list[str]:
    """Return the algorithm's parameters."""
    content = group[0].ContentSequence
    return [item.TextValue for item in content if item.ConceptNameCodeSequence[0].CodeMeaning == "Algorithm Parameters"]


def qualitative(group: Any) -> list[Any]:
    """Return the evaluations without the algorithm's family, which highdicom counts among them."""
    return [item for item in group.get_qualitative_evaluations() if item.name.meaning != "Algorithm Family"]
