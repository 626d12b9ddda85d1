"""What is taken over from the source, and how outputs are linked."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydicom.multival import MultiValue

from monai_chexmask_u.dicom.source import TrackingIds, source_header
from monai_chexmask_u.radiograph import Radiograph

Radiographs = Callable[[str], Radiograph]


def test_tracking_uids_depend_on_image_and_weights() -> None:
    uids = {TrackingIds(image, weights).uid("heart") for image in ("1.2.3", "1.2.4") for weights in ("a", "b")}
    assert len(uids) == 4
    assert TrackingIds("1.2.3", "a").uid("heart") in uids


def test_good_values_are_kept(radiograph_of: Radiographs) -> None:
    radiograph = radiograph_of("dx")
    header = source_header(radiograph)
    for keyword in ("PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "ImagerPixelSpacing"):
        assert header[keyword].value == radiograph.header[keyword].value


def test_absent_values_are_empty_and_bad_ones_are_removed(radiograph_of: Radiographs) -> None:
    header = source_header(radiograph_of("bad_header"))
    for keyword in ("PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "ReferringPhysicianName"):
        assert not header[keyword].value
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "PatientOrientation"):
        assert keyword not in header
    assert header.PatientName == "SECRET"


@pytest.mark.parametrize("orientation", [["R", ""], ["", "F"], "R"])
def test_half_an_orientation_is_removed(radiograph_of: Radiographs, orientation: list[str] | str) -> None:
    radiograph = radiograph_of("dx")
    radiograph.header.PatientOrientation = orientation
    assert "PatientOrientation" not in source_header(radiograph)


@pytest.mark.parametrize(("keyword", "longest"), [("PatientID", 64), ("AccessionNumber", 16), ("StudyID", 16)])
def test_identifiers_too_long_or_in_the_plural_are_emptied(
    radiograph_of: Radiographs, keyword: str, longest: int
) -> None:
    for value, is_kept in (("1" * longest, True), ("1" * (longest + 1), False), (["1", "2"], False)):
        radiograph = radiograph_of("dx")
        setattr(radiograph.header, keyword, "1")
        radiograph.header[keyword]._value = MultiValue(str, value) if isinstance(value, list) else value
        assert bool(source_header(radiograph)[keyword].value) == is_kept


@pytest.mark.parametrize(
    ("keyword", "value", "is_kept"),
    [
        *(("PatientAge", "064Y", True), ("PatientAge", "64", False), ("PatientAge", ["064Y", "065Y"], False)),
        *(("PatientWeight", "71.5", True), ("PatientWeight", "71 kg", False), ("PatientSize", "1,80", False)),
    ],
)
def test_age_size_and_weight_that_are_none_are_removed(
    radiograph_of: Radiographs, keyword: str, value: str | list[str], is_kept: bool
) -> None:
    radiograph = radiograph_of("dx")
    setattr(radiograph.header, keyword, None)
    radiograph.header[keyword]._value = MultiValue(str, value) if isinstance(value, list) else value
    assert (keyword in source_header(radiograph)) == is_kept


def test_header_of_the_reader_is_left_as_it_was(radiograph_of: Radiographs) -> None:
    radiograph = radiograph_of("bad_header")
    source_header(radiograph)
    assert radiograph.header.PatientSex == "MALE"
    assert [element for element in radiograph.header if element.tag.is_private]
