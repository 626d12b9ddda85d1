"""What is taken over from the source, and how outputs are linked."""

from __future__ import annotations

from collections.abc import Callable

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


def test_header_of_the_reader_is_left_as_it_was(radiograph_of: Radiographs) -> None:
    radiograph = radiograph_of("bad_header")
    source_header(radiograph)
    assert radiograph.header.PatientSex == "MALE"
    assert [element for element in radiograph.header if element.tag.is_private]
