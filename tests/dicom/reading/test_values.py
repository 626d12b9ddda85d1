"""Which values an attribute may have."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import Tag
from pydicom.valuerep import DS, IS
from support.samples.dicom import code_item

from monai_chexmask_u.dicom.reading.values import is_valid

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

VALID = [
    ("PatientID", "LO", "x" * 64),
    ("PatientID", "LO", ""),
    ("PatientID", "LO", None),
    ("PatientID", "LO", "識別　番号"),  # with an ideographic space
    ("AccessionNumber", "SH", "x" * 16),
    ("PatientName", "PN", "A^B^C^D^E=A^B=A"),
    ("PatientName", "PN", f"{'x' * 64}={'y' * 64}"),
    ("OtherPatientNames", "PN", ["A^B", "C^D"]),
    ("PatientComments", "LT", "one\r\ntwo\\three\tfour\f"),
    ("PatientBirthDate", "DA", "20240229"),
    ("StudyTime", "TM", "23"),
    ("StudyTime", "TM", "2359"),
    ("StudyTime", "TM", "235960.123456"),
    ("PatientAge", "AS", "064Y"),
    ("PatientWeight", "DS", DS("71.50")),
    ("PatientWeight", "DS", "-1e3"),
    ("SeriesNumber", "IS", IS("12")),
    ("PatientSex", "CS", "O"),
    ("StudyInstanceUID", "UI", "1.2.840.0"),
    ("PregnancyStatus", "US", 4),
    ("LongitudinalTemporalOffsetFromEvent", "FD", 1.5),
    ("ImageType", "CS", ["A", "B"]),
    ("PixelPaddingValue", "US", 0),
    ("PixelPaddingValue", "SS", -1),
    ("ProcedureCodeSequence", "SQ", [code_item("1", "99LOCAL", "meaning")]),
]
INVALID = [
    ("PatientID", "LO", "x" * 65),
    ("PatientID", "LO", ["1", "2"]),
    ("PatientID", "LO", "1\\2"),
    ("PatientID", "LO", "1\n2"),
    ("PatientID", "LO", "1\x1b2"),
    ("PatientID", "LO", "1\x852"),
    ("PatientID", "LO", "1\ud8002"),
    ("PatientID", "LO", "1\ufffd2"),
    ("AccessionNumber", "SH", "x" * 17),
    ("PatientName", "PN", "A=B=C=D"),
    ("PatientName", "PN", "A^B^C^D^E^F"),
    ("PatientName", "PN", f"A={'x' * 65}"),
    ("PatientName", "PN", "A\n"),
    ("OtherPatientNames", "PN", ["A^B", "C\0D"]),
    ("PatientComments", "LT", "one\x07"),
    ("PatientComments", "LT", "x" * 10241),
    ("PatientBirthDate", "DA", "20230229"),
    ("PatientBirthDate", "DA", "2023"),
    ("PatientBirthDate", "DA", "2023.01.01"),
    ("PatientBirthDate", "DA", "20230101-20240101"),
    ("PatientBirthDate", "DA", "00000000"),
    ("StudyTime", "TM", "24"),
    ("StudyTime", "TM", "10:20:30"),
    ("StudyTime", "TM", "1020-1030"),
    ("StudyTime", "TM", "10.5"),
    ("PatientAge", "AS", "64"),
    ("PatientAge", "AS", "064y"),
    ("PatientWeight", "DS", "71 kg"),
    ("PatientWeight", "DS", "1,80"),
    ("PatientWeight", "DS", "1" * 17),
    ("SeriesNumber", "IS", "1.5"),
    ("PatientSex", "CS", "male"),
    ("StudyInstanceUID", "UI", "1.02"),
    ("StudyInstanceUID", "UI", "1." + "2" * 63),
    ("PregnancyStatus", "US", 70000),
    ("PregnancyStatus", "US", "1"),
    ("LongitudinalTemporalOffsetFromEvent", "FD", float("nan")),
    ("PatientID", "UN", b"1"),
    ("PatientAge", "LO", "064Y"),
    ("ProcedureCodeSequence", "SQ", [code_item("x" * 17, "99LOCAL", "meaning")]),
]


def element(keyword: str, value_representation: str, value: Any) -> DataElement:
    """An element as read from a file, without the checks of writing."""
    with config.disable_value_validation():
        made = DataElement(Tag(keyword), value_representation, None if value_representation != "SQ" else [])
        if value_representation == "SQ":
            made.value = value
        else:
            made._value = MultiValue(lambda part: part, value) if isinstance(value, list) else value
    return made


@pytest.mark.parametrize(("keyword", "value_representation", "value"), VALID)
def test_takes_what_the_standard_allows(keyword: str, value_representation: str, value: Any) -> None:
    assert is_valid(element(keyword, value_representation, value))


@pytest.mark.parametrize(("keyword", "value_representation", "value"), INVALID)
def test_refuses_what_the_standard_does_not_allow(keyword: str, value_representation: str, value: Any) -> None:
    assert not is_valid(element(keyword, value_representation, value))


def test_attributes_that_the_standard_does_not_have_are_not_valid() -> None:
    private = Dataset()
    private.private_block(0x11, "SOMEBODY", create=True).add_new(1, "LO", "text")
    assert not any(is_valid(element) for element in private)
