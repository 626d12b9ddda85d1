"""Whether the objects that come are those of the study that was asked for, and all of one patient."""

from __future__ import annotations

from collections.abc import Collection

from monai_chexmask_u.archive.failures import ObjectNotGiven
from monai_chexmask_u.archive.objects import DicomFile
from monai_chexmask_u.archive.query import FoundStudy
from monai_chexmask_u.archive.settings import DicomwebArchive

__all__ = ["PatientsDiffer", "StudyCheck"]


class PatientsDiffer(ObjectNotGiven):
    """The objects are of several patients, and the archive has not said whose study it is: none can be trusted."""


class StudyCheck:
    """Looks at each object of a fetch; messages name the object, and nothing of the patient.

    The patient is the one whom the archive named when the study was looked for, else that of the first object.

    Args:
        archive: where they come from.
        study: that was asked for.
        modalities: that were asked for.
    """

    def __init__(self, archive: DicomwebArchive, study: FoundStudy, modalities: Collection[str]) -> None:
        """Keep what was asked for."""
        self._archive = archive
        self._study = study
        self._modalities = modalities
        self._patient = study.patient_id or None
        self._issuer = study.issuer_of_patient_id

    def check(self, received: DicomFile) -> None:
        """Look at one object, of the right study, series and UID.

        Raises:
            ObjectNotGiven: if it is of another accession number, modality or patient.
            PatientsDiffer: if nobody can tell which patient is the right one.
        """
        asked = self._study.accession_number
        if asked is not None and received.accession_number != asked:
            raise self._refusal(received, "accession number")
        if received.modality not in self._modalities:
            raise self._refusal(received, "modality")
        if self._patient is None:
            self._patient, self._issuer = received.patient_id, received.issuer_of_patient_id
        issuers = {self._issuer, received.issuer_of_patient_id} - {""}  # many archives and devices name none
        if received.patient_id != self._patient or len(issuers) > 1:
            if self._study.patient_id:
                raise self._refusal(received, "patient")
            message = "the study's objects are of several patients, and the archive does not say whose it is"
            raise PatientsDiffer(f"{self._archive.name}: {message}; ask its administrator")
        self._issuer = max(issuers, default="")

    def _refusal(self, received: DicomFile, what: str) -> ObjectNotGiven:
        uid = received.sop_instance_uid
        return ObjectNotGiven(f"{self._archive.name}: object {uid} is of another {what} than was asked for")
