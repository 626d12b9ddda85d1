"""DICOM files on the disk, as far as sending them needs to know them."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pydicom
from pydicom.errors import InvalidDicomError

from monai_chexmask_u.dicom.archive.outbox_mark import TARGET, is_outbox
from monai_chexmask_u.dicom.quiet import no_warnings

__all__ = ["DicomFile", "find_dicom_files", "is_uid", "read_dicom_file"]

_UID: Final = re.compile(r"[0-9][0-9.]{0,63}")
# Structured reports have the storage classes below this one (PS3.6, annex A).
_REPORTS: Final = "1.2.840.10008.5.1.4.1.1.88."
_WANTED: Final = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID"]


@dataclass(frozen=True)
class DicomFile:
    """A DICOM object in a file (PS3.10)."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    transfer_syntax_uid: str

    @property
    def is_report(self) -> bool:
        """Tell whether it is a structured report, which refers to other objects."""
        return self.sop_class_uid.startswith(_REPORTS)


def read_dicom_file(path: Path) -> DicomFile:
    """Return what a DICOM file holds; its pixels are not read.

    Raises:
        ValueError: if it is none, lacks what identifies an object, or says two things of it.
        OSError: if it cannot be read.
    """
    uids = _read_uids(path)
    if not all(is_uid(uid) for uid in uids):
        raise ValueError(f"{path}: this DICOM file lacks what identifies an object: UIDs and its transfer syntax")
    sop_class, sop_instance, study, transfer_syntax, *stated = uids
    if stated != [sop_class, sop_instance]:
        raise ValueError(f"{path}: the meta header of this DICOM file names another object than the file holds")
    return DicomFile(path, sop_class, sop_instance, study, transfer_syntax)


def find_dicom_files(inputs: Iterable[Path], *, leave_out: Path) -> list[Path]:
    """Return files as given, and the DICOM files in folders and below in sorted order.

    Hidden files are left out, and so are outboxes, unless one is searched itself: what was refused may be sent again.
    What claims to be DICOM in a folder and is no object, such as a DICOMDIR, is left out with a warning.

    Raises:
        ValueError: if one of the inputs does not exist.
    """
    found: dict[Path, None] = {}
    for path in inputs:
        if path.is_dir():
            found.update((entry, None) for entry in _inside(path, leave_out))
        elif path.is_file():
            found[path] = None
        else:
            raise ValueError(f"there is no file or folder {path}; check its name")
    return list(found)


def is_uid(text: str) -> bool:
    """Tell whether a text can be a UID: up to 64 digits and dots (PS3.5, 9.1), so that it is safe as a file's name.

    UIDs with components that start with 0 are wrong, but there are archives full of them.
    """
    return _UID.fullmatch(text) is not None


@no_warnings()
def _read_uids(path: Path) -> list[str]:
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=[*_WANTED])
        meta = header.file_meta
        stated = (meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID)
        return [str(header.get(keyword) or "") for keyword in _WANTED] + [str(uid) for uid in stated]
    except (InvalidDicomError, EOFError):
        raise ValueError(f"{path}: this is no DICOM file") from None
    except OSError:
        raise
    except Exception:  # of many kinds, in broken files; their texts may quote the header
        raise ValueError(f"{path}: this DICOM file is broken") from None


def _inside(folder: Path, leave_out: Path) -> Iterator[Path]:
    outbox = leave_out.resolve()
    asked_for = folder.resolve().is_relative_to(outbox)
    others = [mark.parent for mark in folder.rglob(TARGET) if mark.parent != folder and is_outbox(mark.parent)]
    for path in sorted(folder.rglob("*")):
        if any(path.is_relative_to(other) for other in others):
            continue
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and (asked_for or not path.resolve().is_relative_to(outbox)) and _is_object(path):
            yield path


def _is_object(path: Path) -> bool:
    """Tell whether this is a file to send; what cannot be read may be one, which its delivery will tell."""
    try:
        if not path.is_file() or not _claims_to_be_dicom(path):
            return False
        read_dicom_file(path)
    except OSError:
        return True
    except ValueError as error:
        logging.getLogger(__name__).warning("%s; it is left out", error)
        return False
    return True


def _claims_to_be_dicom(path: Path) -> bool:
    if path.suffix.lower() == ".dcm" or path.name.upper() == "DICOMDIR":
        return True
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"
