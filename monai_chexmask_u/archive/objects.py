"""DICOM files on the disk, as far as sending and fetching them needs to know them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset

from monai_chexmask_u.archive.object_header import NoDicomFile, read_header
from monai_chexmask_u.archive.regular_file import NoRegularFile
from monai_chexmask_u.dicom.reading.quiet import no_warnings

__all__ = ["DicomFile", "is_uid", "read_dicom_file"]

_UID: Final = re.compile(r"(?=.{1,64}\Z)[0-9]+(\.[0-9]+)*")
# Structured reports have the storage classes below this one (PS3.6, annex A).
_REPORTS: Final = "1.2.840.10008.5.1.4.1.1.88."
_UIDS: Final = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID"]
_TEXTS: Final = ["SeriesInstanceUID", "Modality", "AccessionNumber", "PatientID", "IssuerOfPatientID"]


@dataclass(frozen=True)
class DicomFile:
    """A DICOM object in a file (PS3.10). What tells of the patient is shown nowhere."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    transfer_syntax_uid: str
    series_instance_uid: str = ""
    modality: str = ""
    accession_number: str = field(default="", repr=False)
    patient_id: str = field(default="", repr=False)
    issuer_of_patient_id: str = field(default="", repr=False)

    @property
    def is_report(self) -> bool:
        """Tell whether it is a structured report, which refers to other objects."""
        return self.sop_class_uid.startswith(_REPORTS)


def read_dicom_file(path: Path, *, follow_links: bool = True, whole: bool = False) -> DicomFile:
    """Return what a DICOM file holds; its pixels are not read.

    Args:
        path: the file.
        follow_links: whether it may be a link to one.
        whole: see that what identifies it does not come again later in the file, as something else.

    Raises:
        ValueError: if it is none, lacks what identifies an object, or says two things of it.
        OSError: if it cannot be read.
    """
    uids, stated, texts = _read(path, follow_links, whole)
    if not all(is_uid(uid) for uid in (*uids, stated[0])):
        raise ValueError(f"{path}: this DICOM file lacks what identifies an object: UIDs and its transfer syntax")
    sop_class, sop_instance, study = uids
    transfer_syntax, *of_meta = stated
    if of_meta != [sop_class, sop_instance]:
        raise ValueError(f"{path}: the meta header of this DICOM file names another object than the file holds")
    return DicomFile(path, sop_class, sop_instance, study, transfer_syntax, *texts)


def is_uid(text: str) -> bool:
    """Tell whether a text can be a UID: up to 64 digits and dots (PS3.5, 9.1), so that it is safe as a file's name.

    UIDs with components that start with 0 are wrong, but there are archives full of them.
    """
    return _UID.fullmatch(text) is not None


@no_warnings()
def _read(path: Path, follow_links: bool, whole: bool) -> tuple[list[str], list[str], list[str]]:
    """Return the UIDs of an object, what the meta information says of them, and the texts beside them."""
    try:
        meta, header = read_header(path, [*_UIDS, *_TEXTS], follow_links=follow_links, whole=whole)
        stated = (meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID)
        uids = [str(header.get(keyword) or "") for keyword in _UIDS]
        return uids, [str(uid) for uid in stated], [_text(header, keyword) for keyword in _TEXTS]
    except (NoRegularFile, NoDicomFile):
        raise
    except Exception as error:  # of many kinds, in broken files; their texts may quote the header
        if isinstance(error, OSError) and error.errno is not None:  # pydicom's own have no number
            raise
        raise ValueError(f"{path}: this DICOM file is broken") from None


def _text(header: Dataset, keyword: str) -> str:
    """Return a value without the spaces around it; several values in one are as they stand in the file."""
    try:
        return str(header.get(keyword) or "").strip()
    except Exception:  # in a character set that the file does not name rightly
        return "?"
