"""Whose image one is, and whether two files that name one image hold the same."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import numpy as np

from monai_chexmask_u.radiograph import Radiograph, RadiographError

__all__ = ["ImageRegister", "is_same_image", "patient_of"]

# What a hospital tells patients apart by; one identifier alone may be missing, or be given by two hospitals.
PATIENT: Final = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate")


def patient_of(header: Any) -> str:
    """Return a text that is the same for images of one patient, and another one for any other patient's."""
    return "\n".join(str(header.get(keyword) or "") for keyword in PATIENT)


def is_same_image(first: Radiograph, second: Radiograph) -> bool:
    """Tell whether two radiographs with one SOP Instance UID are copies of one image: study, patient and pixels."""
    return _fingerprint(first) == _fingerprint(second)


class ImageRegister:
    """Keeps which images a run has seen, so that none is done twice, and no two are taken for one."""

    def __init__(self) -> None:
        """Start empty."""
        self._seen: dict[str, str] = {}

    def add(self, radiograph: Radiograph) -> None:
        """Note an image; a picture without a DICOM header has no identity and is not noted.

        Raises:
            RadiographError: ``duplicate`` for a copy, ``conflicting_identifiers`` for another image with the same
                SOP Instance UID.
        """
        if radiograph.header is None:
            return
        uid, fingerprint = str(radiograph.header.SOPInstanceUID), _fingerprint(radiograph)
        if uid not in self._seen:
            self._seen[uid] = fingerprint
        elif self._seen[uid] == fingerprint:
            raise RadiographError("duplicate", "this is a copy of an image that is done already")
        else:
            message = "another image of this run has this SOP Instance UID: use the results of neither, find out why"
            raise RadiographError("conflicting_identifiers", message)


def _fingerprint(radiograph: Radiograph) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(radiograph.pixels).tobytes())
    digest.update(f"{radiograph.header.get('StudyInstanceUID')}\n{patient_of(radiograph.header)}".encode())
    return digest.hexdigest()
