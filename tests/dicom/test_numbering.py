"""Series and instances of the outputs: one series per study and kind, unique or reproducible UIDs."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from pydicom.dataset import Dataset

from monai_chexmask_u.dicom.numbering import SERIES_NUMBERS, Numbering
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation, Origin


@pytest.fixture
def headers(radiograph: Radiograph) -> list[Dataset]:
    """Two images of a study, one of another study, and one of another patient whose header names the first study."""
    first, second, other_study, other_patient = (deepcopy(radiograph.header) for _ in range(4))
    for number, header in enumerate((second, other_study, other_patient), start=1):
        header.SOPInstanceUID = f"1.2.3.{number}"
    other_study.StudyInstanceUID = "1.2.4"
    other_patient.PatientID = "SOMEBODY-ELSE"
    return [first, second, other_study, other_patient]


def test_images_of_a_study_share_a_series_and_are_counted(result: LandmarkSegmentation, headers: list[Dataset]) -> None:
    numbering = Numbering()
    first, second, other_study, other_patient = (numbering.place("seg", result, header) for header in headers)
    assert first.series_uid == second.series_uid
    assert [place.instance_number for place in (first, second)] == [1, 2]
    assert len({place.series_uid for place in (first, other_study, other_patient)}) == 3
    assert [place.instance_number for place in (other_study, other_patient)] == [1, 1]
    assert len({place.instance_uid for place in (first, second, other_study, other_patient)}) == 4


def test_every_kind_has_a_series_of_its_own(result: LandmarkSegmentation, headers: list[Dataset]) -> None:
    numbering = Numbering()
    places = [numbering.place(kind, result, headers[0]) for kind in SERIES_NUMBERS]
    assert len({place.series_uid for place in places}) == len(SERIES_NUMBERS)
    assert len({place.series_number for place in places}) == len(SERIES_NUMBERS)
    assert len({place.instance_uid for place in places}) == len(SERIES_NUMBERS)
    assert {place.instance_number for place in places} == {1}


def test_uids_are_new_in_every_run(result: LandmarkSegmentation, headers: list[Dataset]) -> None:
    first, second = (Numbering().place("seg", result, headers[0]) for _ in range(2))
    assert first.series_uid != second.series_uid
    assert first.instance_uid != second.instance_uid


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (lambda result: result, True),
        (lambda result: replace(result, landmarks=result.landmarks + 1e-9), False),
        (lambda result: replace(result, model=replace(result.model, sha256="ef" * 32)), False),
        (lambda result: replace(result, model=replace(result.model, calibration_sha256="01" * 32)), False),
        (lambda result: replace(result, sample_count=51), False),
    ],
)
def test_reproducible_uids_follow_from_image_model_and_result(
    change: Callable[[Any], Any], same: bool, result: LandmarkSegmentation, headers: list[Dataset]
) -> None:
    first = Numbering(reproducible=True).place("sr", result, headers[0])
    second = Numbering(reproducible=True).place("sr", change(result), headers[0])
    assert (first.instance_uid == second.instance_uid) == same


def test_reproducible_uids_follow_from_what_a_result_was_computed_from_and_not_from_how_it_was_rounded(
    result: LandmarkSegmentation, headers: list[Dataset]
) -> None:
    def uid(origin: str, shift: float) -> str:
        landmarks = result.landmarks + shift
        computed = replace(result, landmarks=landmarks, origin=Origin(origin, landmarks.copy()))
        return Numbering(reproducible=True).place("sr", computed, headers[0]).instance_uid

    assert uid("ab" * 32, 0) == uid("ab" * 32, 6e-5)
    assert uid("ab" * 32, 0) != uid("cd" * 32, 0)


def test_reproducible_uids_follow_from_the_patient_and_the_contents(
    result: LandmarkSegmentation, headers: list[Dataset]
) -> None:
    corrected = deepcopy(headers[0])
    corrected.PatientID = "SYN-0001-CORRECTED"
    uids = {
        Numbering(reproducible=True).place("sr", result, header, *contents).instance_uid
        for header, contents in ((headers[0], ()), (corrected, ()), (headers[0], ("1.2.3",)), (headers[0], ()))
    }
    assert len(uids) == 3


@pytest.mark.parametrize("keyword", ["PatientName", "PatientBirthDate", "IssuerOfPatientID"])
def test_patients_without_identifiers_are_told_apart_by_what_there_is(
    keyword: str, result: LandmarkSegmentation, headers: list[Dataset]
) -> None:
    first, second = headers[0], deepcopy(headers[0])
    first.PatientID = second.PatientID = ""
    setattr(second, keyword, "19991231" if keyword == "PatientBirthDate" else "Somebody^Else")
    numbering = Numbering()
    assert numbering.place("seg", result, first).series_uid != numbering.place("seg", result, second).series_uid


def test_what_is_written_is_kept_by_image_without_its_contents(headers: list[Dataset]) -> None:
    numbering = Numbering()
    numbering.keep(headers[0], headers[1])
    (kept,) = numbering.written(headers[0])
    assert kept.SOPInstanceUID == headers[1].SOPInstanceUID
    assert "PatientName" not in kept
    other_patient = deepcopy(headers[0])
    other_patient.PatientID = "SOMEBODY-ELSE"
    assert numbering.written(headers[1]) == numbering.written(other_patient) == []
