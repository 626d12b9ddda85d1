"""Cases on identifiers: UIDs, values that violate their representation, private and unknown attributes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from pydicom.dataset import Dataset, FileDataset
from pydicom.multival import MultiValue
from pydicom.uid import ImplicitVRLittleEndian
from support.cases.case import Case, changed, shows_phantom
from support.samples.dicom import code_item

from monai_chexmask_u.dicom.source import SourceImage
from monai_chexmask_u.radiograph import Radiograph

__all__ = ["IDENTITY", "copied"]

IDENTITY: Final[list[Case]] = []
uids = partial(changed, IDENTITY, "UIDs")
identity = partial(changed, IDENTITY, "Patient and study")
private = partial(changed, IDENTITY, "Private and unknown attributes")


def copied(**expected: Any) -> Callable[[Radiograph], bool]:
    """A judge of what outputs copy; None stands for an attribute that is empty or absent."""

    def judge(radiograph: Radiograph) -> bool:
        header = SourceImage(radiograph).header
        values = {keyword: header.get(keyword) or None for keyword in expected}
        return shows_phantom(radiograph) and values == expected and header.SpecificCharacterSet == "ISO_IR 192"

    return judge


@uids("read, and no DICOM outputs, which must lie in the study", notes=("uid_missing",))
def no_study_uid(dataset: FileDataset) -> None:
    """No StudyInstanceUID."""
    del dataset.StudyInstanceUID


@uids("read, and no DICOM outputs, which must refer to it", notes=("uid_missing",))
def two_instance_uids(dataset: FileDataset) -> None:
    """Two values in SOPInstanceUID."""
    dataset["SOPInstanceUID"]._value = MultiValue(str, ["1.2.3", "1.2.4"])


@uids("read, and no DICOM outputs, which must refer to it", notes=("uid_missing",))
def malformed_series_uid(dataset: FileDataset) -> None:
    """SeriesInstanceUID 1.2.3..4."""
    dataset["SeriesInstanceUID"]._value = "1.2.3..4"


@uids("read, and no DICOM outputs: a UID is never mended", notes=("uid_missing",))
def uid_with_leading_zero(dataset: FileDataset) -> None:
    """StudyInstanceUID 1.2.03."""
    dataset["StudyInstanceUID"]._value = "1.2.03"


@identity(
    "copied as they are", is_right=copied(PatientID="SYN-0001", AccessionNumber="A1", PatientSex="O", PatientAge="064Y")
)
def good_identity(dataset: FileDataset) -> None:
    """Valid identifiers."""
    dataset.PatientAge = "064Y"


@identity("empty in outputs", is_right=copied(PatientID=None, StudyID=None, StudyDate=None, AccessionNumber="A1"))
def no_identity(dataset: FileDataset) -> None:
    """No PatientID, StudyID and StudyDate."""
    del dataset.PatientID, dataset.StudyID, dataset.StudyDate


@identity(
    "left empty: another ID would be another patient's",
    notes=("identifier_invalid:patient_id",),
    is_right=copied(PatientID=None, AccessionNumber="A1", PatientName="Synthetic^Chest"),
)
def long_patient_id(dataset: FileDataset) -> None:
    """PatientID of 65 characters."""
    dataset["PatientID"]._value = "1" * 65


@identity("left empty", notes=("identifier_invalid:patient_id",), is_right=copied(PatientID=None))
def two_patient_ids(dataset: FileDataset) -> None:
    r"""PatientID with a backslash, which makes two of it."""
    dataset["PatientID"]._value = MultiValue(str, ["A", "B"])


@identity("left empty", notes=("identifier_invalid:accession_number",), is_right=copied(AccessionNumber=None))
def long_accession_number(dataset: FileDataset) -> None:
    """AccessionNumber of 17 characters."""
    dataset["AccessionNumber"]._value = "1" * 17


@identity(
    "left empty",
    notes=("identifier_invalid:patient_id", "identifier_invalid:study_id"),
    is_right=copied(PatientID=None, StudyID=None),
)
def control_characters(dataset: FileDataset) -> None:
    """Line break in PatientID, bell in StudyID."""
    dataset["PatientID"]._value, dataset["StudyID"]._value = "12\n34", "1\a"


@identity(
    "left empty",
    notes=("identifier_invalid:patient_birth_date", "identifier_invalid:patient_sex", "identifier_invalid:study_time"),
    is_right=copied(PatientBirthDate=None, PatientSex=None, StudyTime=None, StudyDate="20260102"),
)
def dates_and_sex_in_words(dataset: FileDataset) -> None:
    """PatientBirthDate 31 February, PatientSex MALE, StudyTime 25:00."""
    dataset["PatientBirthDate"]._value, dataset["PatientSex"]._value = "19700231", "MALE"
    dataset["StudyTime"]._value = "250000"


@identity(
    "left empty",
    notes=("identifier_invalid:patient_name", "identifier_invalid:referring_physician_name"),
    is_right=copied(PatientName=None, ReferringPhysicianName=None),
)
def names_in_the_plural(dataset: FileDataset) -> None:
    """PatientName of six components, two ReferringPhysicianNames."""
    dataset.PatientName, dataset.ReferringPhysicianName = "A^B^C^D^E^F", ["A^B", "C^D"]


@identity(
    "left out",
    notes=("not_copied:patient_age", "not_copied:patient_weight"),
    is_right=copied(PatientAge=None, PatientWeight=None, PatientSize=1.8),
)
def age_and_weight_in_words(dataset: FileDataset) -> None:
    """PatientAge 64, PatientWeight 71 kg."""
    dataset.PatientSize, dataset.PatientAge, dataset.PatientWeight = "1.80", "", None
    dataset["PatientAge"]._value, dataset["PatientWeight"]._value = "64", "71 kg"


def _keeps_one_reference(radiograph: Radiograph) -> bool:
    kept = [item.ReferencedSOPInstanceUID for item in SourceImage(radiograph).header.ReferencedStudySequence]
    return kept == ["1.2.3"] and shows_phantom(radiograph)


@identity("the whole items are copied", notes=("not_copied:referenced_study_sequence",), is_right=_keeps_one_reference)
def half_a_reference(dataset: FileDataset) -> None:
    """ReferencedStudySequence of three items: whole, without an instance, with a malformed UID."""
    dataset.ReferencedStudySequence = [Dataset(), Dataset(), Dataset()]
    for item, uid in zip(dataset.ReferencedStudySequence, ("1.2.3", None, "1.02"), strict=True):
        item.ReferencedSOPClassUID = "1.2.840.10008.3.1.2.3.1"
        if uid:
            item.ReferencedSOPInstanceUID = uid


@identity(
    "left out",
    notes=("not_copied:other_patient_ids_sequence", "not_copied:procedure_code_sequence"),
    is_right=copied(OtherPatientIDsSequence=None, ProcedureCodeSequence=None),
)
def sequences_without_content(dataset: FileDataset) -> None:
    """OtherPatientIDsSequence without an ID, ProcedureCodeSequence with a meaning too long."""
    dataset.OtherPatientIDsSequence = [Dataset()]
    dataset.ProcedureCodeSequence = [code_item("1", "99LOCAL", "x" * 65)]


def _has_no_private_attributes(radiograph: Radiograph) -> bool:
    return shows_phantom(radiograph) and not any(element.tag.is_private for element in SourceImage(radiograph).header)


@private("read past, never copied", is_right=_has_no_private_attributes)
def private_creator(dataset: FileDataset) -> None:
    """Private attributes, one of them a sequence."""
    block = dataset.private_block(0x11, "SOMEBODY", create=True)
    block.add_new(1, "LO", "private text")
    block.add_new(2, "SQ", [Dataset()])


@private("read past")
def unknown_private_type(dataset: FileDataset) -> None:
    """Private attribute of the type UN."""
    dataset.private_block(0x11, "SOMEBODY", create=True).add_new(1, "UN", b"\1\2\3\4")


@private("its type is that of the standard", is_right=copied(PatientID="SYN-0001"))
def known_attribute_as_un(dataset: FileDataset) -> None:
    """Rows and PatientID of the type UN."""
    dataset["Rows"].VR = "UN"
    dataset["Rows"]._value = (500).to_bytes(2, "little")
    dataset["PatientID"].VR = "UN"
    dataset["PatientID"]._value = b"SYN-0001"


@private("its types are those of the standard")
def implicit_types(dataset: FileDataset) -> None:
    """Implicit VR Little Endian."""
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    dataset.set_original_encoding(True, True)
