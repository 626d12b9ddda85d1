"""What outputs say of patient and study: values of their source that are fit to be copied, and no others."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from monai_chexmask_u.dicom.reading.values import is_valid, values_of

__all__ = ["IDENTIFIERS", "clean_identity"]

# Type 2 in every output: there, and empty where nothing is known. By them an archive tells whose an object is.
IDENTIFIERS: Final = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    *("AccessionNumber", "StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName"),
)
# Type 3, each of them valid by itself.
OPTIONAL: Final = frozenset(
    {
        *("IssuerOfPatientID", "TypeOfPatientID", "OtherPatientNames", "PatientBirthTime", "QualityControlSubject"),
        *("PatientAge", "PatientSize", "PatientWeight", "PatientState", "PregnancyStatus", "SmokingStatus"),
        *("Occupation", "MedicalAlerts", "Allergies", "AdditionalPatientHistory", "PatientComments"),
        *("AdmittingDiagnosesDescription", "AdmissionID", "ServiceEpisodeID", "ServiceEpisodeDescription"),
        *("ReasonForVisit", "StudyDescription", "RequestingService", "ConsultingPhysicianName", "PhysiciansOfRecord"),
        *("NameOfPhysiciansReadingStudy", "PatientIdentityRemoved", "DeidentificationMethod"),
    }
)
# What a trial's subject must have, and what of it may be empty (PS3.3, C.7.1.3).
TRIAL: Final = ("ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialSubjectID")
TRIAL_MAY_BE_EMPTY: Final = ("ClinicalTrialProtocolName", "ClinicalTrialSiteID", "ClinicalTrialSiteName")
ENUMERATED: Final = {
    "PatientSex": ("M", "F", "O"),
    "SmokingStatus": ("YES", "NO", "UNKNOWN"),
    "PregnancyStatus": (1, 2, 3, 4),
    **dict.fromkeys(("QualityControlSubject", "PatientIdentityRemoved"), ("YES", "NO")),
}


def _has(item: Dataset, *keywords: str) -> bool:
    return all(item.get(keyword) for keyword in keywords)


def _is_code(item: Dataset) -> bool:
    has_scheme = _has(item, "CodingSchemeDesignator") and (_has(item, "CodeValue") or _has(item, "LongCodeValue"))
    return _has(item, "CodeMeaning") and (has_scheme or _has(item, "URNCodeValue"))


def _is_issuer(item: Dataset) -> bool:
    return _has(item, "LocalNamespaceEntityID") or _has(item, "UniversalEntityID", "UniversalEntityIDType")


def _is_person(item: Dataset) -> bool:
    has_institution = _has(item, "InstitutionName") or _has(item, "InstitutionCodeSequence")
    return _has(item, "PersonIdentificationCodeSequence") and has_institution


def _is_reference(item: Dataset) -> bool:
    return _has(item, "ReferencedSOPClassUID", "ReferencedSOPInstanceUID")


def _is_identifier(item: Dataset) -> bool:
    return _has(item, "PatientID", "TypeOfPatientID")


# Sequences, and whether one of their items has what it must have.
SEQUENCES: Final[dict[str, Callable[[Dataset], bool]]] = {
    "OtherPatientIDsSequence": _is_identifier,
    **dict.fromkeys(("ReferencedPatientSequence", "ReferencedStudySequence"), _is_reference),
    **dict.fromkeys(
        (f"IssuerOf{what}Sequence" for what in ("AccessionNumber", "AdmissionID", "ServiceEpisodeID")), _is_issuer
    ),
    **dict.fromkeys(
        (
            *("ReferringPhysicianIdentificationSequence", "ConsultingPhysicianIdentificationSequence"),
            *("PhysiciansOfRecordIdentificationSequence", "PhysiciansReadingStudyIdentificationSequence"),
        ),
        _is_person,
    ),
    **dict.fromkeys(
        (
            *("ProcedureCodeSequence", "RequestingServiceCodeSequence", "ReasonForPerformedProcedureCodeSequence"),
            *("AdmittingDiagnosesCodeSequence", "PatientSizeCodeSequence", "ReasonForVisitCodeSequence"),
            "DeidentificationMethodCodeSequence",
        ),
        _is_code,
    ),
}
COPIED: Final = frozenset({*IDENTIFIERS, *OPTIONAL, *TRIAL, *TRIAL_MAY_BE_EMPTY, *SEQUENCES})


def clean_identity(header: Dataset) -> list[str]:
    """Leave in a header only what other objects may copy from it.

    Private attributes go, and those on patient, trial, visit and specimen that no output needs. A value that violates
    its value representation is never mended, because another identifier would be another patient's: it is removed, or
    emptied where every object must have the attribute. Of a sequence the items stay that are valid.

    Args:
        header: its text is decoded, or will be as `settle_character_sets` has settled; it is changed.

    Returns:
        Notes on what was good for nothing: ``identifier_invalid:patient_id`` and the like for what every object has,
        ``not_copied:patient_age`` and the like for others. They name attributes, never values.
    """
    header.remove_private_tags()
    dropped = []
    for tag in list(header.keys()):
        keyword = keyword_for_tag(tag)
        if keyword in COPIED:
            dropped += [] if _is_fit(header, tag, keyword) else [keyword]
        elif _is_about_somebody(tag):
            del header[tag]
    dropped += _drop_incomplete(header)
    _add_empty(header, IDENTIFIERS)
    return [_note(keyword) for keyword in dropped]


def _is_about_somebody(tag: BaseTag) -> bool:
    """Say whether an attribute is one of a patient, a trial, a requested procedure, a visit or a specimen."""
    return tag.group in (0x0010, 0x0012, 0x0032, 0x0038) or 0x0040_0500 <= tag < 0x0040_0700


def _is_fit(header: Dataset, tag: BaseTag, keyword: str) -> bool:
    """Say whether an element is fit to be copied as it is; of one that is not, leave what is fit."""
    try:
        element = header[tag]
        items = [item for item in element.value if _is_whole(item, keyword)] if keyword in SEQUENCES else []
        is_fit = len(items) == len(element.value) if keyword in SEQUENCES else _is_possible(element, keyword)
    except Exception:  # pydicom converts on access, and what a damaged element raises depends on its type
        items, is_fit = [], False
    if items:
        element.value = items
    elif keyword in SEQUENCES or not is_fit:
        del header[tag]
    return is_fit


def _is_possible(element: DataElement, keyword: str) -> bool:
    return is_valid(element) and all(value in ENUMERATED.get(keyword, (value,)) for value in values_of(element))


def _is_whole(item: Dataset, keyword: str) -> bool:
    """Say whether an item of a sequence is valid, and has what it must have; its text will be in UTF-8."""
    item.pop("SpecificCharacterSet", None)
    for child in item:
        rule = _is_code if child.keyword.endswith("CodeSequence") else SEQUENCES.get(child.keyword)
        if not is_valid(child) or (child.VR == "SQ" and rule and not all(map(rule, child.value))):
            return False
    return SEQUENCES[keyword](item)


def _drop_incomplete(header: Dataset) -> list[str]:
    """Remove what is valid only together with what is not there; return the keywords."""
    dropped = []
    methods = ("DeidentificationMethod", "DeidentificationMethodCodeSequence")
    if header.get("PatientIdentityRemoved") == "YES" and not any(header.get(method) for method in methods):
        dropped.append("PatientIdentityRemoved")
    if _has(header, *TRIAL):
        _add_empty(header, TRIAL_MAY_BE_EMPTY)
    else:
        dropped += [keyword for keyword in (*TRIAL, *TRIAL_MAY_BE_EMPTY) if keyword in header]
    for keyword in dropped:
        delattr(header, keyword)
    return dropped


def _add_empty(header: Dataset, keywords: tuple[str, ...]) -> None:
    for keyword in keywords:
        if keyword not in header:
            setattr(header, keyword, None)


def _note(keyword: str) -> str:
    name = re.sub("(?<=[a-z])(?=[A-Z])", "_", keyword).lower()
    return f"identifier_invalid:{name}" if keyword in IDENTIFIERS else f"not_copied:{name}"
