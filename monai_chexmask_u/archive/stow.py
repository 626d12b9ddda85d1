"""Sending objects by STOW-RS (PS3.18, 10.5)."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO, Final

from monai_chexmask_u.archive.bounded_http import BLOCK_BYTES
from monai_chexmask_u.archive.dicom_json import Item, items_of, numbers_of, sequence_of, text_of
from monai_chexmask_u.archive.failures import ArchiveError, ObjectRefused, TryLater
from monai_chexmask_u.archive.objects import DicomFile
from monai_chexmask_u.archive.settings import DicomwebArchive
from monai_chexmask_u.archive.statuses import DUPLICATE, check_status
from monai_chexmask_u.archive.waiting import Deadline
from monai_chexmask_u.archive.web_session import open_session, read_body, wrong_address
from monai_chexmask_u.files.regular_file import open_regular

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
# Attributes of the answer (PS3.18, annex I.2).
_FAILED: Final = "00081198"
_STORED: Final = "00081199"
_INSTANCE: Final = "00081155"
_WARNING: Final = "00081196"
_CAUSE: Final = "00081197"
_MOST_ANSWER_BYTES: Final = 1024**2  # for one object
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

    def send(self, file: DicomFile, deadline: Deadline | None = None) -> None:
        """Send an object, byte for byte as it is in its file; return once the archive has confirmed it.

        Args:
            file: what to send.
            deadline: for all of it; by default the archive's time for an answer.

        Raises:
            ObjectRefused: if the archive will never take it.
            ArchiveUnusable: if the archive takes nothing.
            TryLater: if it may take it later, or has not confirmed it.
            OSError: if the file cannot be read.
        """
        response = self._post(file, deadline)
        answer = _read(response)
        for reason in answer.failures if answer else ():
            check_status(reason, self._archive.name)
        warning = answer.stored.get(file.sop_instance_uid) if answer else None
        if response.status in _REFUSALS and warning != DUPLICATE:  # 409 goes with a duplicate
            cause = f"{_REFUSALS[response.status]} ({response.status})"
            raise ObjectRefused(f"{self._archive.name} refuses this object: {cause}")
        if answer is None:
            raise _not_json(response, self._archive)
        if answer.failures or warning is None:
            # Orthanc says 200 and names no object when its disk is full.
            raise TryLater(f"{self._archive.name}: the archive did not confirm an object; see its log")
        words = check_status(warning, self._archive.name)
        if words:
            logging.getLogger(__name__).warning("%s: stored, with a warning: %s", file.sop_instance_uid, words)

    def _post(self, file: DicomFile, deadline: Deadline | None) -> _Response:
        """Return the answer to one object, which may be a refusal."""
        boundary = uuid.uuid4().hex
        headers = {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary="{boundary}"',
            "Accept": "application/dicom+json",
        }
        request: dict[str, Any] = {"tolerated": _REFUSALS, "deadline": deadline, "headers": headers}
        with open_regular(file.path, follow_links=False) as content, open_session(self._archive) as session:
            upload = _Upload(content, boundary)
            try:
                with session.ask("POST", "studies", most_bytes=_MOST_ANSWER_BYTES, data=upload, **request) as response:
                    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
                    return _Response(response.status_code, kind, read_body(response))
            except TryLater:
                if upload.failure:  # HTTP libraries take it for one of the connection
                    raise upload.failure from None
                raise


@dataclass(frozen=True)
class _Response:
    """What came over HTTP."""

    status: int
    media_type: str
    body: bytes


class _Upload:
    """A file as a part of a request, read while it is sent."""

    def __init__(self, content: BinaryIO, boundary: str) -> None:
        head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        tail = f"\r\n--{boundary}--\r\n".encode()
        self._file = content
        self._left = os.fstat(content.fileno()).st_size
        self._length = len(head) + self._left + len(tail)
        self._before, self._after = BytesIO(head), BytesIO(tail)
        self.failure: OSError | None = None

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.read(BLOCK_BYTES), b"")

    def read(self, size: int) -> bytes:
        """Return the next bytes; a file that grows meanwhile is sent as long as it was.

        Raises:
            OSError: if it became shorter.
        """
        if head := self._before.read(size):
            return head
        if not self._left:
            return self._after.read(size)
        try:
            block = self._file.read(min(size, self._left))
            if not block:
                raise OSError("the file became shorter while it was sent")
        except OSError as failure:
            self.failure = failure
            raise
        self._left -= len(block)
        return block


def _not_json(response: _Response, archive: DicomwebArchive) -> ArchiveError:
    """Return the error for an answer that is not DICOM's JSON: XML or nothing may come from an archive all the same."""
    if response.body.strip() and response.media_type not in _XML and b"<NativeDicomModel" not in response.body:
        return wrong_address(archive)
    message = "the archive did not confirm an object in JSON, and may have stored it"
    return TryLater(f"{archive.name}: {message}; see its log, or send by C-STORE (--node)")


def _read(response: _Response) -> _Answer | None:
    """Return what an archive says of the objects that it was sent, or None if that is something else.

    Orthanc's plug-in 1.7 gives no media type with an answer that is a refusal.
    """
    try:
        answer, *_ = items_of(response.body)
    except ValueError:
        return None
    stored = {text_of(item, _INSTANCE): _reason(item, _WARNING) or 0 for item in sequence_of(answer, _STORED)}
    failed = [(text_of(item, _INSTANCE), _reason(item, _CAUSE) or _FAILURE) for item in sequence_of(answer, _FAILED)]
    stored |= {uid: reason for uid, reason in failed if reason == DUPLICATE}
    return _Answer(stored, [reason for _, reason in failed if reason != DUPLICATE])


def _reason(item: Item, tag: str) -> int | None:
    return next(iter(numbers_of(item, tag)), None)
