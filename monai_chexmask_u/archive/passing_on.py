"""A DICOMweb request of somebody else, such as a viewer, sent to the archive with this program's credentials."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Final

from monai_chexmask_u.archive.failures import ArchiveUnusable
from monai_chexmask_u.archive.settings import DicomwebArchive
from monai_chexmask_u.archive.web_session import open_session, read_body

__all__ = ["Passed", "pass_on"]

_METHODS: Final = ("GET", "POST")
# Nothing that is encoded: HTTP libraries decode "%2e%2e" and then go up.
_PART: Final = re.compile(r"[A-Za-z0-9._~,:;=@+-]+")
MOST_BYTES: Final = 256 * 1024**2  # of an answer, which is kept in memory


@dataclass(frozen=True)
class Passed:
    """The archive's answer, whatever it is; the names of the headers are in small letters."""

    status: int
    headers: Mapping[str, str]
    content: bytes


def pass_on(
    archive: DicomwebArchive, *, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
) -> Passed:
    """Send a request to a path below the archive's address, and return the answer.

    Args:
        archive: whom to ask.
        method: ``GET`` or ``POST``.
        path: below the archive's address, such as ``studies``.
        query: as it was sent, without the question mark.
        headers: to send; credentials are added.
        body: to send.

    Raises:
        ArchiveUnusable: if the path leads elsewhere, or the archive cannot be spoken to.
        TryLater: if it may answer later.
        ValueError: if the method is another one.
    """
    if method not in _METHODS:
        raise ValueError(f"the method must be one of {', '.join(_METHODS)}, got {method}")
    if not all(_PART.fullmatch(part) and part not in (".", "..") for part in path.split("/")):
        raise ArchiveUnusable(f"{archive.name}: this path does not lead to a DICOMweb service")
    with (
        open_session(archive) as session,
        session.ask(
            method,
            path,
            most_bytes=MOST_BYTES,
            tolerated=range(400, 600),
            params=query or None,
            headers=dict(headers),
            data=BytesIO(body) if body else None,
        ) as response,
    ):
        answered = {name.lower(): value for name, value in response.headers.items()}
        return Passed(response.status_code, answered, read_body(response))
