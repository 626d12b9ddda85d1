"""Who is a child by the header."""

from __future__ import annotations

import pytest
from support.samples.headers import changed, examine_changed

from monai_chexmask_u.dicom.reading.age import is_child


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        ("000D", True),
        ("030D", True),
        ("104W", True),
        ("011M", True),
        ("191M", True),
        ("015Y", True),
        ("016Y", False),
        ("192M", False),
        ("064Y", False),
        ("64", False),
        ("1Y", False),
        ("999Y", False),
        ("", False),
    ],
)
def test_the_age_is_read_with_its_unit(age: str, expected: bool) -> None:
    assert is_child(changed(PatientAge=age, PatientBirthDate="")) is expected


@pytest.mark.parametrize(
    ("birth", "day", "expected"),
    [
        ("20120101", "20260102", True),
        ("20100101", "20260102", False),
        ("20270101", "20260102", False),
        ("18000101", "20260102", False),
        ("20120231", "20260102", False),
        ("2012", "20260102", False),
        ("20120101", "", False),
    ],
)
def test_without_an_age_the_dates_tell_it(birth: str, day: str, expected: bool) -> None:
    dates = dict.fromkeys(("AcquisitionDate", "ContentDate", "StudyDate"), day)
    assert is_child(changed(PatientAge="", PatientBirthDate=birth, **dates)) is expected


def test_the_age_counts_before_the_dates() -> None:
    assert not is_child(changed(PatientAge="040Y", PatientBirthDate="20120101"))
    assert is_child(changed(PatientAge="004Y", PatientBirthDate="19700101"))


def test_a_child_is_noted() -> None:
    assert "child" in examine_changed(PatientAge="007Y").notes
    assert "child" not in examine_changed(PatientAge="047Y").notes
