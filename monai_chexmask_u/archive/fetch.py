"""A study from a DICOMweb archive into a folder: the objects that were asked for, all of one patient, or none."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from monai_chexmask_u.archive.failures import ArchiveUnusable, ObjectNotGiven, require_packages
from monai_chexmask_u.archive.settings import DicomwebArchive
from monai_chexmask_u.archive.waiting import Backoff, Deadline

if TYPE_CHECKING:
    from monai_chexmask_u.archive.objects import DicomFile
    from monai_chexmask_u.archive.query import FoundStudy
    from monai_chexmask_u.archive.web_session import WebSession

__all__ = ["MODALITIES", "PatientsDiffer", "StudyCheck", "fetch_study"]

MODALITIES: Final = ("CR", "DX")
MOST_OBJECTS: Final = 1000


def fetch_study(
    archive: DicomwebArchive,
    folder: Path,
    *,
    study_uid: str | None = None,
    accession_number: str | None = None,
    modalities: Sequence[str] = MODALITIES,
    backoff: Backoff | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Fetch the images of a study, one by one, as the archive has them.

    Args:
        archive: where the study is.
        folder: exists; each image becomes a file named after its SOP Instance UID, and replaces an older one.
        study_uid: Study Instance UID of the study.
        accession_number: or its accession number, which no other study of the archive may have.
        modalities: of the series to fetch; OT and SC are the modalities of scanned radiographs.
        backoff: how often to try what may pass.
        progress: called after each image with how many are there, of how many.

    Returns:
        The files, series by series.

    Raises:
        ArchiveUnusable: if there is no such study, no such series, or the archive does not give it. Objects of another
            study, series, accession number, modality or patient than was asked for are left out: the others are
            fetched before this is raised. If nobody can tell which patient is the right one, none is kept.
        TryLater: if the archive cannot be reached or broke off; the images fetched so far stay in the folder.
        ValueError: if not exactly one of UID and accession number is given, or it is none.
        OSError: if a file cannot be written.
    """
    require_packages("requests")
    from monai_chexmask_u.archive.web_session import open_session

    with open_session(archive) as session:
        run = _Run(archive, session, folder, backoff or Backoff())
        run.fetch(study_uid, accession_number, modalities, progress)
    return run.paths


class _Run:
    """One fetch: what has come, and what was not taken."""

    def __init__(self, archive: DicomwebArchive, session: WebSession, folder: Path, backoff: Backoff) -> None:
        self._archive = archive
        self._session = session
        self._folder = folder
        self._backoff = backoff
        self.paths: list[Path] = []
        self._refusals: list[str] = []

    def fetch(
        self,
        study_uid: str | None,
        accession_number: str | None,
        modalities: Sequence[str],
        progress: Callable[[int, int], None] | None,
    ) -> None:
        """Fetch one object after the other."""
        from monai_chexmask_u.archive.query import Query

        query = Query(self._archive, self._session, self._backoff)
        study = query.study(study_uid=study_uid, accession_number=accession_number)
        listed = [
            (each, uid) for each in query.series(study.uid, modalities) for uid in query.instances(study.uid, each)
        ]
        self._check_list([uid for _, uid in listed])
        check = StudyCheck(self._archive, study, modalities)
        for series, uid in listed:
            try:
                self._take(study.uid, series, uid, check)
            finally:
                if progress:
                    progress(len(self.paths), len(listed))
        if self._refusals:
            more = f" (and {len(self._refusals) - 1} more like it)" if len(self._refusals) > 1 else ""
            raise ArchiveUnusable(f"{self._refusals[0]}{more}; nothing of that was kept: ask its administrator")

    def _check_list(self, uids: list[str]) -> None:
        """See that the list is one of a study: each object stands in it once, and it has an end."""
        if len(uids) > MOST_OBJECTS:
            message = f"the study has {len(uids)} images, more than {MOST_OBJECTS}, which no study of radiographs has"
            raise ArchiveUnusable(f"{self._archive.name}: {message}")
        if len(set(uids)) < len(uids):
            raise ArchiveUnusable(f"{self._archive.name}: the archive lists one object in two series; see its log")

    def _take(self, study_uid: str, series_uid: str, uid: str, check: StudyCheck) -> None:
        from monai_chexmask_u.archive.retrieve import retrieve_instance

        path, deadline = self._folder / f"{uid}.dcm", Deadline(self._archive.timeouts.answer_s)
        asked = (self._archive, self._session, study_uid, series_uid, uid, path)
        retrieve = partial(retrieve_instance, *asked, deadline=deadline, check=check.check)
        try:
            self._backoff.run(retrieve, deadline)
        except PatientsDiffer:
            for each in self.paths:
                each.unlink(missing_ok=True)
            self.paths.clear()
            raise
        except ObjectNotGiven as refusal:
            self._refusals.append(str(refusal))
        else:
            self.paths.append(path)


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
