"""One object from an archive (WADO-RS, PS3.18, 10.4), as it is stored there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import requests

from monai_chexmask_u.archive.bounded_http import BLOCK_BYTES
from monai_chexmask_u.archive.failures import ObjectNotGiven, TryLater
from monai_chexmask_u.archive.multipart import BrokenOff, NotOnePart, boundary_of, copy_part, media_type_of
from monai_chexmask_u.archive.objects import DicomFile, read_dicom_file
from monai_chexmask_u.archive.settings import DicomwebArchive
from monai_chexmask_u.archive.waiting import Deadline
from monai_chexmask_u.archive.web_session import WebSession, wrong_address
from monai_chexmask_u.files.atomic import atomic_path

__all__ = ["MOST_OBJECT_BYTES", "retrieve_instance"]

# In its own transfer syntax: no archive has to convert it, and no pixel is changed.
_ACCEPT: Final = 'multipart/related; type="application/dicom"; transfer-syntax=*'
MOST_OBJECT_BYTES: Final = 1024**3


def retrieve_instance(
    archive: DicomwebArchive,
    session: WebSession,
    study_uid: str,
    series_uid: str,
    uid: str,
    path: Path,
    *,
    deadline: Deadline | None = None,
    check: Callable[[DicomFile], None] | None = None,
) -> None:
    """Write an object to a file, byte for byte as the archive gives it.

    Args:
        archive: where it is.
        session: an open one.
        study_uid: Study Instance UID.
        series_uid: Series Instance UID.
        uid: SOP Instance UID.
        path: the file, which is there whole or not at all.
        deadline: for all of it; by default the archive's time for an answer.
        check: looks at what came before it gets its name; what it raises, leaves no file.

    Raises:
        ObjectNotGiven: if the archive gives none, or one of another study, series or UID.
        ArchiveUnusable: if the archive gives nothing.
        TryLater: if it may give it later.
        OSError: if the file cannot be written.
    """
    address = f"studies/{study_uid}/series/{series_uid}/instances/{uid}"
    with (
        atomic_path(path) as temporary,
        session.ask(
            "GET",
            address,
            most_bytes=MOST_OBJECT_BYTES,
            deadline=deadline,
            tolerated=(404, 410),
            headers={"Accept": _ACCEPT},
        ) as response,
    ):
        if response.status_code in (404, 410):
            raise ObjectNotGiven(f"{archive.name}: the archive lists object {uid} and does not have it")
        _save(response, temporary, archive)
        received = _read(temporary, uid, archive)
        asked = (study_uid, series_uid, uid)
        if (received.study_instance_uid, received.series_instance_uid, received.sop_instance_uid) != asked:
            raise ObjectNotGiven(f"{archive.name}: the archive gives another object than {uid}, which was asked for")
        if check:
            check(received)


def _save(response: requests.Response, path: Path, archive: DicomwebArchive) -> None:
    """Write the one part of an answer to a file; some archives send it bare."""
    content_type = response.headers.get("Content-Type", "")
    blocks = response.iter_content(BLOCK_BYTES)
    kind = media_type_of(content_type)
    if kind not in ("application/dicom", "multipart/related"):
        raise wrong_address(archive)
    if kind == "application/dicom" and not _says_its_end(response):  # nobody could tell a whole one from a part
        message = "the archive gives an object without saying where it ends; set it to give multipart answers"
        raise ObjectNotGiven(f"{archive.name}: {message}")
    try:
        with path.open("wb") as file:
            if kind == "application/dicom":
                file.writelines(blocks)
            else:
                copy_part(blocks, boundary_of(content_type), file)
    except NotOnePart as error:
        raise ObjectNotGiven(f"{archive.name}: what the archive gives is no single object: {error}") from None
    except BrokenOff:
        raise TryLater(f"{archive.name}: the archive broke off in the middle of a transfer; try again") from None


def _says_its_end(response: requests.Response) -> bool:
    answer = response.raw
    return response.status_code == 200 and (answer.chunked or answer.length_remaining is not None)


def _read(path: Path, uid: str, archive: DicomwebArchive) -> DicomFile:
    try:
        return read_dicom_file(path, whole=True)
    except ValueError:
        raise ObjectNotGiven(f"{archive.name}: what the archive gives as object {uid} is no sound DICOM file") from None
