"""Files that users send, kept in the server's own folder until they are opened, which is at once, or expire.

No client names a file. A page gets an address to send its radiograph to, which is good for its session alone, and the
answer is a random name, which opens that file once, in that session.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import os
import secrets
import shutil
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

__all__ = ["MAX_UPLOAD_BYTES", "UploadError", "Uploads"]

MAX_UPLOAD_BYTES: Final = 200 * 1024 * 1024
MAX_DISK_BYTES: Final = 1024**3
MOST_AT_ONCE: Final = 64
UNOPENED_SECONDS: Final = 300.0
# An upload may pause so long, must be as fast as this on the whole, and has an end.
PAUSE_SECONDS: Final = 15.0
LONGEST_SECONDS: Final = 900.0
SLOWEST_BYTES_PER_SECOND: Final = 64 * 1024
_FREE_BYTES: Final = 64 * 1024 * 1024  # that stay on the disk
_NO_ROOM: Final = "There is no room for files on this machine; tell who runs it."
_TOO_MANY: Final = "Too many files are being sent to this server now; try again later."


class UploadError(Exception):
    """An upload is refused.

    Args:
        status: of the answer (RFC 9110).
        sentence: why, and what to do.
    """

    def __init__(self, status: int, sentence: str) -> None:
        """Keep the status beside the sentence."""
        super().__init__(sentence)
        self.status = status


@dataclass(eq=False)
class _Upload:
    session: str
    path: Path
    size: int = 0
    is_complete: bool = False
    since: float = field(default_factory=time.monotonic)


class Uploads:
    """What was sent and is not yet opened, of all sessions.

    Args:
        folder: for the files; no other may write to it.
    """

    def __init__(self, folder: Path) -> None:
        """Draw the secret of the addresses."""
        self.folder = folder
        self._secret = secrets.token_bytes(32)
        self._kept: dict[str, _Upload] = {}
        self._lock = threading.Lock()

    def key(self, session: str) -> str:
        """Return what the address holds to which a session sends its files."""
        return hmac.new(self._secret, session.encode(), sha256).hexdigest()

    def is_key(self, session: str, key: str) -> bool:
        """Return whether a key is the session's."""
        return hmac.compare_digest(self.key(session).encode(), key.encode(errors="replace"))

    async def receive(self, session: str, size: int, chunks: AsyncIterator[bytes]) -> str:
        """Keep a file that is being sent, in place of another one of the session; return the name that opens it.

        Raises:
            UploadError: if it is empty, too large, too slow or not whole, or if there is no room.
        """
        name, upload = self._reserve(session, size)
        try:
            with _new_file(upload.path) as descriptor:
                async for chunk in _in_time(chunks, size):
                    self._make_room(upload, len(chunk))
                    _write(descriptor, chunk)
        except BaseException as error:
            self._drop(name)
            if isinstance(error, OSError):
                raise UploadError(507, _NO_ROOM) from error
            raise
        with self._lock:
            upload.is_complete, upload.since = True, time.monotonic()
        return name

    @contextmanager
    def opened(self, session: str, name: str) -> Iterator[Path]:
        """Yield the path of an upload, which is deleted afterwards.

        Raises:
            ValueError: if the session has no such upload; it does not say whether another session has.
        """
        with self._lock:
            upload = self._kept.get(name)
            if upload is None or upload.session != session or not upload.is_complete:
                raise ValueError("the upload is gone; upload the file again")
            upload.is_complete = False  # nobody else opens it, and it counts until it is deleted
        try:
            yield upload.path
        finally:
            self._drop(name)

    def forget(self, session: str) -> None:
        """Delete what a session has sent and not opened."""
        self._drop_all(lambda upload: upload.session == session)

    def expire(self) -> None:
        """Delete what nobody has opened in time."""
        end = time.monotonic() - UNOPENED_SECONDS
        self._drop_all(lambda upload: upload.since < end)

    def _reserve(self, session: str, size: int) -> tuple[str, _Upload]:
        if size > MAX_UPLOAD_BYTES:
            raise UploadError(
                413, f"The file has more than {MAX_UPLOAD_BYTES // 1024**2} MB; send a single radiograph."
            )
        if size < 1:
            raise UploadError(400, "The file is empty; choose another one.")
        self.forget(session)
        with self._lock:
            underway = [upload for upload in self._kept.values() if not upload.is_complete]
            if any(upload.session == session for upload in underway):
                raise UploadError(409, "This page is sending a file already; wait until it has arrived.")
            if len(underway) >= MOST_AT_ONCE:
                raise UploadError(503, _TOO_MANY)
            name = secrets.token_urlsafe(24)
            upload = self._kept[name] = _Upload(session, self.folder / f"upload-{secrets.token_hex(16)}")
        if shutil.disk_usage(self.folder).free < size + _FREE_BYTES:
            self._drop(name)
            raise UploadError(507, _NO_ROOM)
        return name, upload

    def _make_room(self, upload: _Upload, count: int) -> None:
        """Forget the oldest files that wait until there is room for so many bytes more of another one.

        What counts are the bytes received, not the length claimed: a slow sender takes no room from others.
        """
        doomed = []
        with self._lock:
            upload.size += count
            while sum(each.size for each in self._kept.values()) > MAX_DISK_BYTES:
                waiting = [(each.since, name) for name, each in self._kept.items() if each.is_complete]
                if not waiting:
                    raise UploadError(503, _TOO_MANY)
                doomed.append(self._kept.pop(min(waiting)[1]))
        for each in doomed:
            each.path.unlink(missing_ok=True)

    def _drop(self, name: str) -> None:
        with self._lock:
            upload = self._kept.pop(name, None)
        if upload is not None:
            with contextlib.suppress(OSError):
                upload.path.unlink(missing_ok=True)

    def _drop_all(self, is_meant: Callable[[_Upload], bool]) -> None:
        with self._lock:
            names = [name for name, upload in self._kept.items() if upload.is_complete and is_meant(upload)]
        for name in names:
            self._drop(name)


@contextmanager
def _new_file(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write(descriptor: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[os.write(descriptor, view) :]


async def _in_time(chunks: AsyncIterator[bytes], size: int) -> AsyncIterator[bytes]:
    """Yield what comes, as long as it comes fast enough.

    Raises:
        UploadError: if it is too slow, or not of the size that was claimed.
    """
    start, received = time.monotonic(), 0
    while True:
        elapsed = time.monotonic() - start
        behind = PAUSE_SECONDS + received / SLOWEST_BYTES_PER_SECOND - elapsed
        patience = min(PAUSE_SECONDS, behind, LONGEST_SECONDS - elapsed)
        try:
            chunk = await asyncio.wait_for(anext(chunks), max(patience, 0))
        except StopAsyncIteration:
            break
        except TimeoutError as error:
            raise UploadError(408, "The file came too slowly; try again over a faster connection.") from error
        received += len(chunk)
        if received > size:
            break
        yield chunk
    if received != size:
        raise UploadError(400, "The file did not arrive whole; send it again.")
