"""The report says where every landmark is, how sure that is, and whether the result may be used."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from highdicom import sr
from pydicom.dataset import Dataset

from monai_chexmask_u.anatomy import HEART, LEFT_LUNG, NODE_IDS, ORGANS, RIGHT_LUNG, Organ
from monai_chexmask_u.dicom.numbering import Numbering
from monai_chexmask_u.dicom.reading.read import read_dicom
from monai_chexmask_u.dicom.seg.result import build_segmentation
from monai_chexmask_u.dicom.source import SourceImage
from monai_chexmask_u.dicom.sr.measurements import to_scoord
from monai_chexmask_u.dicom.sr.report import build_report
from monai_chexmask_u.dicom.write import write_object
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import Estimate, LandmarkSegmentation, Reliability

Results = Callable[..., LandmarkSegmentation]
Radiographs = Callable[[str], Radiograph]

REASONS = ("upside_down", "image_quality", "high_uncertainty:right_lung")
CLIPPED_NODE = NODE_IDS.index("LL17")


@pytest.fixture(scope="module")
def radiograph(radiograph_of: Radiographs) -> Radiograph:
    return radiograph_of("non_square")


@pytest.fixture(scope="module")
def result(radiograph: Radiograph, result_for: Results) -> LandmarkSegmentation:
    """A calibrated result with three reasons, one landmark of which lies outside the image."""
    plain = result_for(radiograph)
    landmarks = plain.landmarks.copy()
    landmarks[CLIPPED_NODE, 0] = radiograph.shape[1] + 12.0
    radius = np.linspace(3, 9, len(landmarks))
    radius[0] = np.inf
    model, reliability = replace(plain.model, calibration_sha256="cd" * 32), Reliability("review", REASONS)
    calibrated = replace(plain, radius90=radius, total_px1024=8.5, scores={"combined": 1.25}, model=model)
    return replace(calibrated, landmarks=landmarks, reliability=reliability)


@pytest.fixture(scope="module")
def written(radiograph: Radiograph, result: LandmarkSegmentation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sr") / "x.sr.dcm"
    write_object("sr", result, SourceImage(radiograph), path, Numbering())
    return path


@pytest.fixture(scope="module")
def content(written: Path) -> Any:
    """The report as highdicom reads it."""
    return sr.srread(written).content


@pytest.fixture(scope="module")
def groups(content: Any) -> dict[str, Any]:
    """Its groups on organs and landmarks, by tracking identifier."""
    return {group.tracking_identifier: group for group in content.get_planar_roi_measurement_groups()}


@pytest.fixture(scope="module")
def written_source(
    source_name: str, radiograph_of: Radiographs, result_for: Results, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    radiograph = radiograph_of(source_name)
    path = tmp_path_factory.mktemp("sr") / f"{source_name}.sr.dcm"
    write_object("sr", result_for(radiograph), SourceImage(radiograph), path, Numbering())
    return path


def test_validator_finds_no_error(written_source: Path, dciodvfy: Callable[[Path], list[str]]) -> None:
    assert dciodvfy(written_source) == []


def test_dcmtk_reads_the_report(written_source: Path, dsrdump: Callable[[Path], tuple[int, str]]) -> None:
    code, text = dsrdump(written_source)
    assert code == 0
    assert "Completion Flag     : COMPLETE" in text
    assert "Verification Flag   : UNVERIFIED" in text
    assert '"Quality Assessment")=(111236,DCM,' in text
    in_mm = written_source.name.startswith(("dx", "non_square"))
    assert ('(,,"Area")' in text) == ("(mm,UCUM" in text) == in_mm


def test_full_report_passes_both_readers(
    written: Path, dciodvfy: Callable[[Path], list[str]], dsrdump: Callable[[Path], tuple[int, str]]
) -> None:
    assert dciodvfy(written) == []
    code, text = dsrdump(written)
    assert (code, text.count("(POLYLINE,"), text.count("(POINT,")) == (0, 3, 120)


def test_codes_have_the_meanings_of_the_standard(
    written: Path, wrong_codes: Callable[[Dataset], set[tuple[str, str, str]]]
) -> None:
    dataset = pydicom.dcmread(written)
    assert wrong_codes(dataset) == set()
    dataset.ConceptNameCodeSequence[0].CodeMeaning = "Basic Diagnostic Imaging Report"
    assert wrong_codes(dataset) == {("DCM", "126000", "Basic Diagnostic Imaging Report")}


def test_validators_notice_a_broken_report(
    written: Path,
    dciodvfy: Callable[[Path], list[str]],
    dsrdump: Callable[[Path], tuple[int, str]],
    tmp_path: Path,
) -> None:
    broken = pydicom.dcmread(written)
    group = broken.ContentSequence[-1].ContentSequence[-1]
    region = next(item for item in group.ContentSequence if item.ValueType == "SCOORD")
    del region.GraphicType
    broken.save_as(tmp_path / "broken.dcm")
    assert any("GraphicType" in error for error in dciodvfy(tmp_path / "broken.dcm"))
    assert dsrdump(tmp_path / "broken.dcm")[0] != 0


def test_real_radiograph_with_spacing_of_zero(
    chest_cr: Path,
    result_for: Results,
    dciodvfy: Callable[[Path], list[str]],
    dsrdump: Callable[[Path], tuple[int, str]],
    tmp_path: Path,
) -> None:
    radiograph = read_dicom(chest_cr)
    write_object("sr", result_for(radiograph), SourceImage(radiograph), tmp_path / "x.sr.dcm", Numbering())
    assert dciodvfy(tmp_path / "x.sr.dcm") == []
    code, text = dsrdump(tmp_path / "x.sr.dcm")
    assert (code, "(mm" in text) == (0, False)


def test_landmarks_come_back_with_position_and_spread(groups: dict[str, Any], result: LandmarkSegmentation) -> None:
    for node, name in enumerate(NODE_IDS):
        group = groups[name]
        if node != CLIPPED_NODE:
            # float32 in the file; half a pixel between its frame and ours.
            np.testing.assert_allclose(group.roi.value[0] - 0.5, result.landmarks[node], rtol=0, atol=1e-4)
        x, y = (numbers(group, f"Spatial Displacement {axis} Component")[0] for axis in "XY")
        np.testing.assert_allclose([x, y], result.std[node], rtol=5e-6)
        assert result.distance_mm is not None
        np.testing.assert_allclose(numbers(group, "Distance")[0], result.distance_mm[node], rtol=5e-6)


def test_every_number_has_its_unit_and_derivation(groups: dict[str, Any]) -> None:
    expected = [
        ("Spatial Displacement X Component", "{pixels}", "Standard Deviation"),
        ("Spatial Displacement Y Component", "{pixels}", "Standard Deviation"),
        ("Distance", "mm", "Root Mean Square"),
        ("Radius that holds the true landmark with 90 % probability", "{pixels}", None),
    ]
    assert [labels(number) for number in groups["H25"].get_measurements()] == expected
    assert [labels(number) for number in groups["Heart"].get_measurements()] == [
        ("Area", "mm2", None),
        ("Predictive uncertainty of landmarks", "{pixels}", "Mean"),
        ("Predictive uncertainty of landmarks", "{pixels}", "Maximum"),
    ]


def test_infinite_radius_is_left_out(groups: dict[str, Any], result: LandmarkSegmentation) -> None:
    name = "Radius that holds the true landmark with 90 % probability"
    assert numbers(groups["RL00"], name) == []
    assert result.radius90 is not None
    np.testing.assert_allclose(numbers(groups["RL01"], name)[0], result.radius90[1], rtol=5e-6)


@pytest.mark.parametrize("organ", ORGANS)
def test_organs_are_closed_contours_with_area_and_uncertainty(
    organ: Organ, groups: dict[str, Any], result: LandmarkSegmentation
) -> None:
    group = groups[organ.title]
    points = group.roi.value
    assert group.roi.graphic_type.value == "POLYLINE"
    assert len(points) == organ.node_count + 1
    np.testing.assert_array_equal(points[0], points[-1])
    inside, _ = to_scoord(result.contour(organ), result.shape)
    np.testing.assert_array_equal(points[:-1], inside)
    np.testing.assert_allclose(numbers(group, "Area")[0], result.area_px(organ) * 0.8 * 0.4, rtol=5e-6)
    spread = result.node_uncertainty[organ.nodes]
    np.testing.assert_allclose(
        numbers(group, "Predictive uncertainty of landmarks"), [spread.mean(), spread.max()], rtol=5e-6
    )


def test_lungs_have_the_side_of_the_patient(groups: dict[str, Any]) -> None:
    for organ, structure, side in ((RIGHT_LUNG, "Lung", "Right"), (LEFT_LUNG, "Lung", "Left"), (HEART, "Heart", None)):
        for name in (organ.title, NODE_IDS[organ.first_node], f"{organ.prefix}{organ.node_count - 1:02d}"):
            site = groups[name].finding_sites[0]
            assert site.value.meaning == structure
            assert (site.laterality.meaning if site.laterality else None) == side
    middle = 200  # of 400 columns; the patient's right is on the left of the image
    assert groups["Right lung"].roi.value[:, 0].max() < middle < groups["Left lung"].roi.value[:, 0].min()


def test_clipped_landmark_and_its_organ_say_so(groups: dict[str, Any]) -> None:
    np.testing.assert_allclose(groups["LL17"].roi.value[0][0], 400)  # the image's right border
    clipped = {name for name, group in groups.items() if "Clipped to image" in evaluations(group).values()}
    assert clipped == {"LL17", "Left lung"}


def test_tracking_uids_link_report_and_segmentation(
    groups: dict[str, Any], result: LandmarkSegmentation, radiograph: Radiograph
) -> None:
    segments = build_segmentation(result, SourceImage(radiograph), Numbering()).SegmentSequence
    uids = {segment.SegmentLabel: segment.TrackingUID for segment in segments}
    assert uids == {organ.title: groups[organ.title].tracking_uid for organ in ORGANS}
    assert len({group.tracking_uid for group in groups.values()}) == 123


def test_image_group_has_ratio_uncertainty_verdict_and_decisions(content: Any, result: LandmarkSegmentation) -> None:
    (group,) = content.get_image_measurement_groups()
    values = {number.name.meaning: (number.value, number.unit.value) for number in group.get_measurements()}
    assert values == {
        "Cardiothoracic ratio": (float(f"{result.cardiothoracic_ratio.value:.6g}"), "{ratio}"),
        "Predictive uncertainty in a 1024-pixel image": (4.24242, "{pixels}"),
        "Latent uncertainty": (0.314159, "1"),
        "Total uncertainty in a 1024-pixel image": (8.5, "{pixels}"),
        "How foreign the image is to the network, higher is more": (1.25, "1"),
    }
    assert [(item.name.meaning, item.value.value) for item in qualitative(group)] == [
        ("Quality Assessment", "111236"),
        ("Reliability verdict", "review"),
        *(("Reliability reason", reason) for reason in REASONS),
        ("Decision on reading the image", "photometric_inverted"),
        ("Decision on reading the image", "orientation_assumed"),
    ]


def test_ratio_is_a_mean_with_its_spread_over_the_samples(
    written: Path, dsrdump: Callable[[Path], tuple[int, str]]
) -> None:
    lines = dsrdump(written)[1].splitlines()
    ratio = next(number for number, line in enumerate(lines) if "Cardiothoracic ratio" in line)
    assert '<has concept mod CODE:(,,"Derivation")=(373098007,SCT,"Mean")>' in lines[ratio + 1]
    assert '<has properties NUM:(,,"Standard deviation of population")="0.0123457"' in lines[ratio + 2]
    assert '"50 Monte Carlo samples"' in lines[ratio + 3]


def test_intervals_of_ratio_and_areas_are_percentiles(
    radiograph: Radiograph, result: LandmarkSegmentation, tmp_path: Path, dsrdump: Callable[[Path], tuple[int, str]]
) -> None:
    calibrated = replace(
        result,
        cardiothoracic_ratio=Estimate(0.45, 0.001, (0.41, 0.49)),
        area_interval90_px=((1000.0, 1100.0), (2000.0, 2200.0), (3000.0, 3300.0)),
    )
    path = tmp_path / "report.dcm"
    build_report(calibrated, SourceImage(radiograph), Numbering()).save_as(path)
    lines = dsrdump(path)[1].splitlines()
    ratio = next(number for number, line in enumerate(lines) if "Cardiothoracic ratio" in line)
    ends = [
        re.search(r'"(\w+ Percentile Value Of Population)"\)="([\d.]+)"', line, re.IGNORECASE) for line in lines[ratio:]
    ]
    found = [(end[1][:4].strip().lower(), float(end[2])) for end in ends if end]
    unit = float(np.prod(result.spacing_mm or ()))
    expected = [("5th", 0.41), ("95th", 0.49)]
    for low, high in calibrated.area_interval90_px or ():
        expected += [("5th", low * unit), ("95th", high * unit)]
    assert [name for name, _ in found] == [name for name, _ in expected]
    np.testing.assert_allclose([value for _, value in found], [value for _, value in expected], rtol=1e-5)


def test_report_without_ratio_is_partial(radiograph: Radiograph, result: LandmarkSegmentation) -> None:
    without_ratio = replace(result, cardiothoracic_ratio=Estimate(float("nan"), float("nan")))
    report = build_report(without_ratio, SourceImage(radiograph), Numbering())
    assert report.CompletionFlag == "PARTIAL"
    assert "Cardiothoracic" in report.CompletionFlagDescription
    (group,) = sr.MeasurementReport.from_sequence([report]).get_image_measurement_groups()
    assert numbers(group, "Latent uncertainty") != []
    assert numbers(group, "Cardiothoracic ratio") == []


def test_image_file_is_refused(radiograph: Radiograph, result: LandmarkSegmentation) -> None:
    image = replace(radiograph, header=None, path=Path("folder/chest.png"))
    with pytest.raises(ValueError, match=r"no DICOM outputs can be made of chest\.png"):
        build_report(result, SourceImage(image), Numbering())


def test_result_of_another_image_is_refused(radiograph: Radiograph, result: LandmarkSegmentation) -> None:
    with pytest.raises(ValueError, match="must be of one image"):
        build_report(replace(result, shape=(7, 9)), SourceImage(radiograph), Numbering())


def test_nothing_private_is_copied_and_names_are_kept(written_source: Path) -> None:
    dataset = pydicom.dcmread(written_source)
    assert not [element for element in dataset.iterall() if element.tag.is_private]
    if "japanese" in written_source.name:
        assert str(dataset.PatientName) == "Yamada^Tarou=山田^太郎=やまだ^たろう"


def numbers(group: Any, name: str) -> list[float]:
    return [float(number.value) for number in group.get_measurements() if number.name.meaning == name]


def labels(number: Any) -> tuple[str, str, str | None]:
    return number.name.meaning, number.unit.value, number.derivation.meaning if number.derivation else None


def evaluations(group: Any) -> dict[str, str]:
    return {item.name.meaning: item.value.meaning for item in qualitative(group)}


def qualitative(group: Any) -> list[Any]:
    """Return the evaluations without the algorithm's family, which highdicom counts among them."""
    return [item for item in group.get_qualitative_evaluations() if item.name.meaning != "Algorithm Family"]
