"""A study from a DICOMweb archive into a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from monai_chexmask_u.dicom.archive.failures import require_packages
from monai_chexmask_u.dicom.archive.retry import Backoff
from monai_chexmask_u.dicom.archive.settings import DicomwebArchive

__all__ = ["MODALITIES", "fetch_study"]

MODALITIES: Final = ("CR", "DX")


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
        modalities: of the series to fetch; OT and SC are the modalities of scanned films.
        backoff: how often to try what may pass.
        progress: is told after each image how many are there, of how many.

    Returns:
        The files, series by series.

    Raises:
        ArchiveUnusable: if there is no such study, no such series, or the archive does not give it.
        TryLater: if the archive cannot be reached or broke off; the images fetched so far stay in the folder.
        ValueError: if not exactly one of UID and accession number is given, or it is none.
        OSError: if a file cannot be written.
    """
    require_packages("requests")
    from monai_chexmask_u.dicom.archive.query import Query
    from monai_chexmask_u.dicom.archive.retrieve import retrieve_instance
    from monai_chexmask_u.dicom.archive.web_session import open_session

    backoff = backoff or Backoff()
    with open_session(archive) as session:
        query = Query(archive, session, backoff)
        study = query.study(study_uid=study_uid, accession_number=accession_number)
        found = [(each, uid) for each in query.series(study, modalities) for uid in query.instances(study, each)]
        paths: list[Path] = []
        for series, uid in found:
            path = folder / f"{uid}.dcm"
            backoff.run(partial(retrieve_instance, archive, session, study, series, uid, path))
            paths.append(path)
            if progress:
                progress(len(paths), len(found))
    return paths
