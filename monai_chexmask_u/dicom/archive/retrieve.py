"""One object from an archive (WADO-RS, PS3.18, 10.4), as it is stored there."""

from __future__ import annotations

from email.message import Message
from pathlib import Path
from typing import Final

import requests

from monai_chexmask_u.dicom.archive.failures import ArchiveUnusable, TryLater
from monai_chexmask_u.dicom.archive.objects import read_dicom_file
from monai_chexmask_u.dicom.archive.settings import DicomwebArchive
from monai_chexmask_u.dicom.archive.web_session import failures_explained, wrong_address
from monai_chexmask_u.writers.atomic import atomic_path

__all__ = ["retrieve_instance"]

# In its own transfer syntax: no archive has to convert it, and no pixel is changed.
_ACCEPT: Final = 'multipart/related; type="application/dicom"; transfer-syntax=*'


def retrieve_instance(
    archive: DicomwebArchive, session: requests.Session, study_uid: str, series_uid: str, uid: str, path: Path
) -> None:
    """Write an object to a file, byte for byte as the archive gives it.

    Args:
        archive: where it is.
        session: an open one.
        study_uid: Study Instance UID.
        series_uid: Series Instance UID.
        uid: SOP Instance UID.
        path: the file, which is there whole or not at all.

    Raises:
        ArchiveUnusable: if the archive does not give it.
        TryLater: if it may give it later.
        OSError: if the file cannot be written.
    """
    timeouts = (archive.timeouts.connect_s, archive.timeouts.answer_s)
    url = f"{archive.url}/studies/{study_uid}/series/{series_uid}/instances/{uid}"
    with failures_explained(archive):
        response = session.get(url, headers={"Accept": _ACCEPT}, timeout=timeouts)
        if response.status_code in (404, 410):
            raise ArchiveUnusable(f"{archive.name}: the archive lists object {uid} and does not have it")
        response.raise_for_status()
    content = _content(response, archive)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
        _check(temporary, uid, archive)


def _content(response: requests.Response, archive: DicomwebArchive) -> bytes:
    """Return the one part of an answer; some archives send it bare."""
    header = Message()
    header["Content-Type"] = response.headers.get("Content-Type", "")
    boundary = header.get_boundary()
    if header.get_content_type() == "application/dicom":
        return response.content
    if header.get_content_type() != "multipart/related" or not boundary:
        raise wrong_address(archive)
    delimiter = b"--" + boundary.encode()
    headers_and_content = response.content.partition(delimiter)[2]
    content, end, _ = headers_and_content.partition(b"\r\n\r\n")[2].partition(b"\r\n" + delimiter)
    if not end:
        raise TryLater(f"{archive.name}: the archive broke off in the middle of a transfer; try again")
    return content


def _check(path: Path, uid: str, archive: DicomwebArchive) -> None:
    try:
        received = read_dicom_file(path).sop_instance_uid
    except ValueError:
        raise ArchiveUnusable(f"{archive.name}: what the archive gives as object {uid} is no DICOM file") from None
    if received != uid:
        raise ArchiveUnusable(f"{archive.name}: the archive gives another object than {uid}, which was asked for")
