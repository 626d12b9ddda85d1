"""Sending objects by STOW-RS (PS3.18, 10.5)."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from typing import Final

import requests
from pydicom.dataset import Dataset

from monai_chexmask_u.dicom.archive.failures import ArchiveError, ObjectRefused, TryLater
from monai_chexmask_u.dicom.archive.objects import DicomFile
from monai_chexmask_u.dicom.archive.settings import DicomwebArchive
from monai_chexmask_u.dicom.archive.statuses import DUPLICATE, check_status
from monai_chexmask_u.dicom.archive.web_session import failures_explained, open_session, wrong_address
from monai_chexmask_u.dicom.quiet import no_warnings

__all__ = ["StowSender"]

_FAILURE: Final = 0x0110  # where the archive gives no reason
# Answers that blame the object that was sent. 409 may say in its body that it is not the object.
_REFUSALS: Final = {
    400: "bad request",
    409: "conflict",
    413: "too large",
    415: "transfer syntax not supported",
    422: "not processable",
}
_XML: Final = ("application/dicom+xml", "application/xml", "text/xml")


@dataclass(frozen=True)
class _Answer:
    """What an archive says of the objects that it was sent.

    Attributes:
        stored: by SOP Instance UID, with what warning, or 0; those that it had already are among them.
        failures: reasons of those that it does not have.
    """

    stored: dict[str, int]
    failures: list[int]


class StowSender:
    """Sends objects to a DICOMweb archive, one request for each, so that each is confirmed for itself."""

    def __init__(self, archive: DicomwebArchive) -> None:
        """Keep where to send to."""
        self._archive = archive

    def send(self, file: DicomFile) -> None:
        """Send an object, byte for byte as it is in its file; return once the archive has confirmed it.

        Raises:
            ObjectRefused: if the archive will never take it.
            ArchiveUnusable: if the archive takes nothing.
            TryLater: if it may take it later, or has not confirmed it.
            OSError: if the file cannot be read.
        """
        response = self._post(file)
        answer = _read(response)
        for reason in answer.failures if answer else ():
            check_status(reason, self._archive.name)
        warning = answer.stored.get(file.sop_instance_uid) if answer else None
        if response.status_code in _REFUSALS and warning != DUPLICATE:  # 409 goes with a duplicate
            cause = f"{_REFUSALS[response.status_code]} ({response.status_code})"
            raise ObjectRefused(f"{self._archive.name} refuses this object: {cause}")
        if answer is None:
            raise _not_json(response, self._archive)
        if answer.failures or warning is None:
            # Orthanc says 200 and names no object when its disk is full.
            raise TryLater(f"{self._archive.name}: the archive did not confirm an object; see its log")
        words = check_status(warning, self._archive.name)
        if words:
            logging.getLogger(__name__).warning("%s: stored, with a warning: %s", file.sop_instance_uid, words)

    def _post(self, file: DicomFile) -> requests.Response:
        """Return the answer to one object, which may be a refusal."""
        boundary = uuid.uuid4().hex
        head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        body = head + file.path.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        headers = {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary="{boundary}"',
            "Accept": "application/dicom+json",
        }
        timeouts = (self._archive.timeouts.connect_s, self._archive.timeouts.answer_s)
        with open_session(self._archive) as session, failures_explained(self._archive):
            response = session.post(f"{self._archive.url}/studies", data=body, headers=headers, timeout=timeouts)
            if response.status_code not in _REFUSALS:
                response.raise_for_status()
        return response


def _not_json(response: requests.Response, archive: DicomwebArchive) -> ArchiveError:
    """Return the error for an answer that is not DICOM's JSON: XML or nothing may come from an archive all the same."""
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if response.content.strip() and kind not in _XML and b"<NativeDicomModel" not in response.content:
        return wrong_address(archive)
    message = "the archive did not confirm an object in JSON, and may have stored it"
    return TryLater(f"{archive.name}: {message}; see its log, or send by C-STORE (--node)")


@no_warnings()
def _read(response: requests.Response) -> _Answer | None:
    """Return what an archive says of the objects that it was sent, or None if that is something else.

    Orthanc's plug-in 1.7 gives no media type with an answer that is a refusal.
    """
    try:
        content = response.json()
        answer = Dataset.from_json(content[0] if isinstance(content, list) else content)
        stored = {
            str(item.ReferencedSOPInstanceUID): int(item.get("WarningReason") or 0)
            for item in answer.get("ReferencedSOPSequence") or []
        }
        failed = [
            (str(item.get("ReferencedSOPInstanceUID")), int(item.get("FailureReason") or _FAILURE))
            for item in answer.get("FailedSOPSequence") or []
        ]
    except Exception:  # of many kinds, for JSON that is not DICOM's
        return None
    stored |= {uid: reason for uid, reason in failed if reason == DUPLICATE}
    return _Answer(stored, [reason for _, reason in failed if reason != DUPLICATE])
