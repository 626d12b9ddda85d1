"""What outputs copy about patient and study."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from highdicom import SOPClass
from pydicom import config, dcmread
from pydicom._dicom_dict import DicomDictionary
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from support.samples.dicom import code_item, make_dx, save

from monai_chexmask_u.dicom.numbering import Numbering
from monai_chexmask_u.dicom.reading.identity import (
    COPIED,
    IDENTIFIERS,
    SEQUENCES,
    TRIAL,
    TRIAL_MAY_BE_EMPTY,
    clean_identity,
)
from monai_chexmask_u.dicom.reading.read import read_dicom
from monai_chexmask_u.dicom.seg.result import build_segmentation
from monai_chexmask_u.dicom.source import SourceImage
from monai_chexmask_u.dicom.sr.report import build_report
from monai_chexmask_u.segmentation import LandmarkSegmentation

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
Results = Callable[..., LandmarkSegmentation]

GOOD = {
    **{"AS": "064Y", "CS": "YES", "DA": "20200101", "DS": "1.5", "FD": 1.0, "LO": "text", "LT": "text", "PN": "A^B"},
    **{"SH": "text", "ST": "text", "TM": "101010", "UC": "text", "UI": "1.2.3", "US": 1, "UT": "text"},
}
BAD: dict[str, Any] = {
    **dict.fromkeys(GOOD, "a\x07b"),
    **{"US": 60000, "FD": float("inf"), "PN": "A^B^C^D^E^F"},
}


def item(**values: Any) -> Dataset:
    made = Dataset()
    with config.disable_value_validation():
        for keyword, value in values.items():
            setattr(made, keyword, value)
    return made


REFERENCE = {"ReferencedSOPClassUID": "1.2.840.10008.3.1.2.3.1", "ReferencedSOPInstanceUID": "1.2.3"}
CODE = code_item("1", "99LOCAL", "meaning")
GOOD_ITEMS = {
    **{keyword: CODE for keyword in SEQUENCES if keyword.endswith("CodeSequence")},
    **{keyword: item(LocalNamespaceEntityID="name") for keyword in SEQUENCES if keyword.startswith("Issuer")},
    **{
        keyword: item(PersonIdentificationCodeSequence=[CODE], InstitutionName="name")
        for keyword in SEQUENCES
        if keyword.endswith("IdentificationSequence")
    },
    **dict.fromkeys(("ReferencedStudySequence", "ReferencedPatientSequence"), item(**REFERENCE)),
    "OtherPatientIDsSequence": item(PatientID="1", TypeOfPatientID="TEXT"),
}
GOOD_VALUES = {"PatientSex": "F", "TypeOfPatientID": "TEXT", "PatientIdentityRemoved": "YES"}


def fill(header: Dataset, keyword: str, good: bool) -> None:
    """Give an attribute a value that is good, or one that violates its type."""
    kind = dictionary_VR(keyword)
    with config.disable_value_validation():
        if kind == "SQ":
            setattr(header, keyword, [GOOD_ITEMS[keyword]] if good else [item(CodeMeaning="x" * 65)])
        elif good or kind == "PN":
            setattr(header, keyword, GOOD_VALUES.get(keyword, GOOD[kind]) if good else BAD[kind])
        else:
            setattr(header, keyword, "")
            header[keyword]._value = BAD[kind]


def header_with(**values: Any) -> Dataset:
    header = make_dx(rows=64, columns=64)
    with config.disable_value_validation():
        for keyword, value in values.items():
            setattr(header, keyword, value)
    return header


def test_every_sequence_that_is_copied_has_a_good_example_here() -> None:
    assert set(GOOD_ITEMS) == set(SEQUENCES)


def _every_attribute() -> Iterator[tuple[str, str]]:
    for tag, (kind, *_) in DicomDictionary.items():
        if tag >> 16 in (0x0008, 0x0010, 0x0012, 0x0032, 0x0038, 0x0040):
            yield keyword_for_tag(tag), kind


class Copy(Dataset):
    """Takes over what highdicom's objects do."""

    _copy_attribute = SOPClass._copy_attribute
    _copy_root_attributes_of_module = SOPClass._copy_root_attributes_of_module


def test_all_that_highdicom_copies_is_known_here() -> None:
    header = make_dx(rows=64, columns=64)
    for keyword, kind in _every_attribute():
        if keyword not in header:
            setattr(header, keyword, [CODE] if kind == "SQ" else GOOD.get(kind))
    clean_identity(header)
    copy = Copy()
    SOPClass.copy_patient_and_study_information(copy, header)
    SOPClass.copy_specimen_information(copy, header)
    copied = {element.keyword for element in copy}
    assert copied <= COPIED | {"StudyInstanceUID"}
    assert {"PatientID", "StudyDescription", "ProcedureCodeSequence"} <= copied


def test_good_values_are_kept_and_bad_ones_are_not() -> None:
    keywords = sorted(COPIED - {*TRIAL, *TRIAL_MAY_BE_EMPTY, "PatientIdentityRemoved"})
    assert len(keywords) > 50
    assert [keyword for keyword in keywords if not is_kept_if_good(keyword)] == []
    assert [keyword for keyword in keywords if not is_left_out_if_bad(keyword)] == []


def is_kept_if_good(keyword: str) -> bool:
    header = make_dx(rows=64, columns=64)
    fill(header, keyword, good=True)
    expected = header[keyword].value
    return clean_identity(header) == [] and header[keyword].value == expected


def is_left_out_if_bad(keyword: str) -> bool:
    header = make_dx(rows=64, columns=64)
    fill(header, keyword, good=False)
    kind = "identifier_invalid" if keyword in IDENTIFIERS else "not_copied"
    notes = [note.replace("_", "") for note in clean_identity(header)]
    is_there = keyword in header
    told = notes == [f"{kind}:{keyword.lower()}".replace("_", "")]
    return told and is_there == (keyword in IDENTIFIERS) and not header.get(keyword)


@pytest.mark.parametrize("good", [True, False])
def test_outputs_are_valid_whatever_the_source_says(
    tmp_path: Path, result_for: Results, dciodvfy: Callable[[Path], list[str]], good: bool
) -> None:
    dataset = make_dx(rows=64, columns=64)
    for keyword in COPIED:
        fill(dataset, keyword, good)
    with config.disable_value_validation():
        radiograph = read_dicom(save(dataset, tmp_path / "source.dcm"))
    about_identity = [note for note in radiograph.notes if ":" in note]
    assert len(about_identity) == (0 if good else len(COPIED))
    for build in (build_segmentation, build_report):
        built = build(result_for(radiograph), SourceImage(radiograph), Numbering())
        path = tmp_path / "output.dcm"
        built.save_as(path, enforce_file_format=True)
        assert dciodvfy(path) == []
        written = {element.keyword for element in dcmread(path) if element.keyword in COPIED}
        assert written == (COPIED if good else set(IDENTIFIERS))


@pytest.mark.parametrize(
    ("keyword", "broken"),
    [
        ("ProcedureCodeSequence", item(CodeValue="1", CodingSchemeDesignator="99LOCAL")),
        ("ProcedureCodeSequence", item(CodeMeaning="meaning", CodingSchemeDesignator="99LOCAL")),
        ("ProcedureCodeSequence", item(CodeMeaning="meaning", CodeValue="1")),
        ("ReferencedStudySequence", item(ReferencedSOPClassUID="1.2.3")),
        ("ReferencedStudySequence", item(**{**REFERENCE, "ReferencedSOPInstanceUID": "1.02"})),
        ("ReferencedPatientSequence", item()),
        ("OtherPatientIDsSequence", item(PatientID="1")),
        ("OtherPatientIDsSequence", item(PatientID="x" * 65, TypeOfPatientID="TEXT")),
        ("IssuerOfAccessionNumberSequence", item(UniversalEntityID="1.2.3")),
        ("ReferringPhysicianIdentificationSequence", item(PersonIdentificationCodeSequence=[CODE])),
        (
            "ReferringPhysicianIdentificationSequence",
            item(PersonIdentificationCodeSequence=[item(CodeValue="1")], InstitutionName="name"),
        ),
    ],
)
def test_of_a_sequence_whole_items_are_kept(keyword: str, broken: Dataset) -> None:
    header = header_with(**{keyword: [GOOD_ITEMS[keyword], broken]})
    (note,) = clean_identity(header)
    assert note.startswith("not_copied:")
    assert list(header[keyword].value) == [GOOD_ITEMS[keyword]]


def test_other_ways_of_saying_it_are_whole() -> None:
    urn = item(URNCodeValue="urn:1", CodeMeaning="meaning")
    long_code = item(LongCodeValue="x" * 20, CodingSchemeDesignator="99LOCAL", CodeMeaning="meaning")
    issuer = item(UniversalEntityID="1.2.3", UniversalEntityIDType="ISO")
    person = item(PersonIdentificationCodeSequence=[urn], InstitutionCodeSequence=[long_code])
    header = header_with(
        ProcedureCodeSequence=[urn, long_code],
        IssuerOfAdmissionIDSequence=[issuer],
        ConsultingPhysicianIdentificationSequence=[person],
    )
    assert clean_identity(header) == []
    assert len(header.ProcedureCodeSequence) == 2


def test_empty_sequences_go_without_a_note() -> None:
    header = header_with(ProcedureCodeSequence=[])
    assert clean_identity(header) == []
    assert "ProcedureCodeSequence" not in header


def test_removed_identity_needs_a_method() -> None:
    assert clean_identity(header_with(PatientIdentityRemoved="YES")) == ["not_copied:patient_identity_removed"]
    for values in ({"DeidentificationMethod": "by hand"}, {"DeidentificationMethodCodeSequence": [CODE]}):
        header = header_with(PatientIdentityRemoved="YES", **values)
        assert clean_identity(header) == []
        assert header.PatientIdentityRemoved == "YES"
    assert clean_identity(header_with(PatientIdentityRemoved="NO")) == []


def test_a_trial_is_kept_whole_or_not_at_all() -> None:
    whole = header_with(ClinicalTrialSponsorName="S", ClinicalTrialProtocolID="P", ClinicalTrialSubjectID="1")
    assert clean_identity(whole) == []
    assert all(keyword in whole for keyword in (*TRIAL, *TRIAL_MAY_BE_EMPTY))
    part = header_with(ClinicalTrialSponsorName="S", ClinicalTrialProtocolID="x" * 65, ClinicalTrialSubjectID="1")
    assert set(clean_identity(part)) == {
        "not_copied:clinical_trial_protocol_id",
        "not_copied:clinical_trial_sponsor_name",
        "not_copied:clinical_trial_subject_id",
    }
    assert not [element for element in part if element.tag.group == 0x0012]


@pytest.mark.parametrize(
    ("keyword", "value"), [("PatientSex", "M"), ("PatientSex", "O"), ("SmokingStatus", "NO"), ("PregnancyStatus", 4)]
)
def test_values_of_an_enumeration_are_kept(keyword: str, value: Any) -> None:
    assert clean_identity(header_with(**{keyword: value})) == []


@pytest.mark.parametrize(
    ("keyword", "value"), [("PatientSex", "U"), ("SmokingStatus", "MAYBE"), ("PregnancyStatus", 5)]
)
def test_others_are_not(keyword: str, value: Any) -> None:
    assert len(clean_identity(header_with(**{keyword: value}))) == 1


def test_two_values_where_one_is_allowed_are_none() -> None:
    header = make_dx(rows=64, columns=64)
    header["PatientID"]._value = MultiValue(str, ["1", "2"])
    assert clean_identity(header) == ["identifier_invalid:patient_id"]
    assert header.PatientID is None


def test_private_attributes_and_those_of_animals_go_without_a_note() -> None:
    header = header_with(PatientSpeciesDescription="Homo sapiens", PatientBreedDescription="", ContainerIdentifier="1")
    header.private_block(0x11, "SOMEBODY", create=True).add_new(1, "LO", "text")
    assert clean_identity(header) == []
    assert not [element for element in header if element.tag.is_private]
    assert not {"PatientSpeciesDescription", "PatientBreedDescription", "ContainerIdentifier"} & set(header.dir())
