"""Sending objects by STOW-RS (PS3.18, 10.5)."""

from __future__ import annotations

import logging
import uuid
from typing import Final

import requests
from pydicom.dataset import Dataset

from monai_chexmask_u.dicom.archive.failures import ObjectRefused, TryLater
from monai_chexmask_u.dicom.archive.objects import DicomFile
from monai_chexmask_u.dicom.archive.settings import DicomwebArchive
from monai_chexmask_u.dicom.archive.statuses import check_status
from monai_chexmask_u.dicom.archive.web_session import failures_explained, open_session, wrong_address
from monai_chexmask_u.dicom.source import no_warnings

__all__ = ["StowSender"]

# Answers that blame the object that was sent. 409 may say in its body that it is not the object.
_REFUSALS: Final = {
    400: "bad request",
    409: "conflict",
    413: "too large",
    415: "transfer syntax not supported",
    422: "not processable",
}


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
        if response.status_code in _REFUSALS and not _is_json(response):
            cause = f"{_REFUSALS[response.status_code]} ({response.status_code})"
            raise ObjectRefused(f"{self._archive.name} refuses this object: {cause}")
        answer = self._answer(response)
        for failure in answer.get("FailedSOPSequence", []):
            check_status(int(failure.get("FailureReason", 0x0110)), self._archive.name)
        stored = {str(item.get("ReferencedSOPInstanceUID")): item for item in answer.get("ReferencedSOPSequence", [])}
        if answer.get("FailedSOPSequence") or file.sop_instance_uid not in stored:
            raise TryLater(f"{self._archive.name}: the archive did not confirm an object")
        warning = check_status(int(stored[file.sop_instance_uid].get("WarningReason", 0)), self._archive.name)
        if warning:
            logging.getLogger(__name__).warning("%s: stored, with a warning: %s", file.sop_instance_uid, warning)

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

    @no_warnings()
    def _answer(self, response: requests.Response) -> Dataset:
        """Return what the archive says of the objects that it was sent."""
        if not _is_json(response):
            raise wrong_address(self._archive)
        with failures_explained(self._archive):
            content = response.json()
        try:
            return Dataset.from_json(content[0] if isinstance(content, list) else content)
        except Exception:  # of many kinds, for JSON that is not DICOM's
            raise wrong_address(self._archive) from None


def _is_json(response: requests.Response) -> bool:
    return "json" in response.headers.get("Content-Type", "").lower()
