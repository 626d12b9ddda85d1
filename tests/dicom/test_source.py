"""What is taken over from the source, and how outputs are linked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from monai_chexmask_u.dicom.source import SourceImage, TrackingIds
from monai_chexmask_u.radiograph import Radiograph

Radiographs = Callable[[str], Radiograph]
JAPANESE_NAME = "Yamada^Tarou=山田^太郎=やまだ^たろう"  # of the fixture's source
JAPANESE_TEXT = "胸部正面"


def test_tracking_uids_depend_on_image_and_weights() -> None:
    uids = {TrackingIds(image, weights).uid("heart") for image in ("1.2.3", "1.2.4") for weights in ("a", "b")}
    assert len(uids) == 4
    assert TrackingIds("1.2.3", "a").uid("heart") in uids


def test_good_values_are_kept(radiograph_of: Radiographs) -> None:
    radiograph = radiograph_of("dx")
    header = SourceImage(radiograph).header
    for keyword in ("PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "ImagerPixelSpacing"):
        assert header[keyword].value == radiograph.header[keyword].value


def test_absent_values_are_empty_and_bad_ones_are_removed(radiograph_of: Radiographs) -> None:
    header = SourceImage(radiograph_of("bad_header")).header
    for keyword in ("PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "ReferringPhysicianName"):
        assert not header[keyword].value
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "PatientOrientation"):
        assert keyword not in header
    assert header.PatientName == "SECRET"


@pytest.mark.parametrize("orientation", [["R", ""], ["", "F"], "R", ["1", "2"], ["LEFT", "FOOT"], ["L", "F", "F"]])
def test_an_orientation_that_is_none_is_removed(radiograph_of: Radiographs, orientation: list[str] | str) -> None:
    radiograph = radiograph_of("dx")
    radiograph.header.PatientOrientation = orientation
    assert "PatientOrientation" not in SourceImage(radiograph).header


@pytest.mark.parametrize("keyword", ["ImagerPixelSpacing", "PatientOrientation"])
def test_values_of_another_type_than_the_attribute_has_are_removed(radiograph_of: Radiographs, keyword: str) -> None:
    radiograph = radiograph_of("dx")
    radiograph.header.add_new(keyword, "LO", ["0.2", "0.2"] if "Spacing" in keyword else ["L", "F"])
    assert keyword not in SourceImage(radiograph).header


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"])
def test_identifiers_have_their_type_whatever_the_file_says(radiograph_of: Radiographs, keyword: str) -> None:
    radiograph = radiograph_of("dx")
    value = radiograph.header[keyword].value
    radiograph.header.add_new(keyword, "LT", str(value))
    element = SourceImage(radiograph).header[keyword]
    assert (element.VR, element.value) == ("UI", value)


def test_the_character_set_is_named_whatever_the_type_of_the_one_there_was(radiograph_of: Radiographs) -> None:
    radiograph = radiograph_of("dx")
    radiograph.header.add_new("SpecificCharacterSet", "LT", "ISO_IR 192")
    element = SourceImage(radiograph).header["SpecificCharacterSet"]
    assert (element.VR, element.value) == ("CS", "ISO_IR 192")


@pytest.mark.parametrize(("keyword", "longest"), [("PatientID", 64), ("AccessionNumber", 16), ("StudyID", 16)])
def test_identifiers_too_long_or_in_the_plural_are_emptied(
    radiograph_of: Radiographs, keyword: str, longest: int
) -> None:
    for value, is_kept in (("1" * longest, True), ("1" * (longest + 1), False), (["1", "2"], False)):
        radiograph = radiograph_of("dx")
        setattr(radiograph.header, keyword, "1")
        radiograph.header[keyword]._value = MultiValue(str, value) if isinstance(value, list) else value
        assert bool(SourceImage(radiograph).header[keyword].value) == is_kept


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
    assert (keyword in SourceImage(radiograph).header) == is_kept


def test_header_of_the_reader_is_left_as_it_was(radiograph_of: Radiographs) -> None:
    radiograph = radiograph_of("bad_header")
    SourceImage(radiograph)
    assert radiograph.header.PatientSex == "MALE"
    assert [element for element in radiograph.header if element.tag.is_private]


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
@pytest.mark.parametrize(
    ("keyword", "value"),
    [("Manufacturer", "a\x07b"), ("ContentDate", "20260231"), ("LossyImageCompression", ""), ("WindowWidth", "wide")],
)
def test_values_of_the_image_that_are_none_are_removed(radiograph_of: Radiographs, keyword: str, value: str) -> None:
    radiograph = radiograph_of("dx")
    setattr(radiograph.header, keyword, None)
    radiograph.header[keyword]._value = value
    assert keyword not in SourceImage(radiograph).header


@pytest.mark.parametrize(("source", "modality"), [("dx", "DX"), ("cr_without_spacing", "CR")])
def test_a_modality_that_is_missing_follows_from_the_class(
    radiograph_of: Radiographs, source: str, modality: str
) -> None:
    radiograph = radiograph_of(source)
    del radiograph.header.Modality
    assert SourceImage(radiograph).header.Modality == modality


def test_text_is_written_as_it_was_read(radiograph_of: Radiographs) -> None:
    header = SourceImage(radiograph_of("japanese")).header
    assert header.SpecificCharacterSet == "ISO_IR 192"
    file = BytesIO()
    header.save_as(file, enforce_file_format=True)
    written = dcmread(BytesIO(file.getvalue()))
    assert (written.PatientName, written.StudyDescription) == (JAPANESE_NAME, JAPANESE_TEXT)


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_text_of_an_undeclared_character_set_is_left_out(radiograph_of: Radiographs) -> None:
    radiograph = radiograph_of("dx")
    item = Dataset()
    item.SpecificCharacterSet, item.PatientID, item.TypeOfPatientID = "ISO_IR 144", "Люк", "TEXT"
    dataset = dcmread(radiograph.path)
    dataset.SpecificCharacterSet, dataset.PatientName = "ISO_IR 100", "Müller"
    dataset.OtherPatientIDsSequence = [item]
    file = BytesIO()
    dataset.save_as(file)
    header = dcmread(BytesIO(file.getvalue().replace(b"ISO_IR 100", b"ISO_IR 999")), stop_before_pixels=True)
    cleaned = SourceImage(replace(radiograph, header=header)).header
    assert cleaned.PatientName is None
    (kept,) = cleaned.OtherPatientIDsSequence
    assert kept.PatientID == "Люк"
    assert "SpecificCharacterSet" not in kept
