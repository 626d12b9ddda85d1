"""The folder of a running server: gone when the server ends, and at the next start of one if it was killed.

Its name and a marker in it say whose it is, and a lock, which the system drops with the process, that it is in use.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

__all__ = ["PrivateFolder", "sweep_remnants", "use_private_folder"]

MARKER: Final = ".chexmask-u-server"


class PrivateFolder:
    """A new folder in the system's temporary one that only this user may enter, locked while this process lives.

    Args:
        server: whose it is, such as ``demo``.
    """

    def __init__(self, server: str) -> None:
        """Choose a name; nothing is made yet."""
        self._server = server
        self._descriptor: int | None = None
        self._owner = os.getpid()
        self.path = self._choose()

    def make(self) -> Path:
        """Make the folder and return its path; one that another start takes for a remnant meanwhile is given up."""
        while True:
            self.path.mkdir(mode=0o700)
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            if _is_locked(self._descriptor) is not False and _is_at(self._descriptor, self.path):
                break
            os.close(self._descriptor)
            self.path = self._choose()
        (self.path / MARKER).write_bytes(_mark(self._server))
        return self.path

    @contextmanager
    def takes_temporary_files(self) -> Iterator[None]:
        """Let all that this process writes to temporary folders lie here; others ask once, when they are imported."""
        before = tempfile.tempdir, os.environ.get("TMPDIR")
        tempfile.tempdir = os.environ["TMPDIR"] = str(self.path)
        try:
            yield
        finally:
            tempfile.tempdir = before[0]
            os.environ.pop("TMPDIR")
            os.environ.update({"TMPDIR": before[1]} if before[1] is not None else {})

    def remove(self, *, seconds: float = 1.0) -> None:
        """Delete the folder, again if somebody wrote to it meanwhile; the marker goes last.

        A process that was forked leaves the folder to the one that made it.
        """
        if os.getpid() != self._owner:
            return
        end = time.monotonic() + seconds
        while self.path.exists() and time.monotonic() < end:
            _delete(self.path)
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _choose(self) -> Path:
        return Path(tempfile.gettempdir()) / f"{_prefix(self._server)}{secrets.token_hex(8)}"


def use_private_folder(server: str) -> Callable[[], None]:
    """Have all temporary files of this process lie in a folder of its own from now on; sweep those of killed servers.

    Returns:
        What removes it, for a process that is ended by a signal; at a regular exit it goes by itself.
    """
    if Path(tempfile.gettempdir()).name.startswith(_prefix(server)):  # after a reload
        return lambda: None
    sweep_remnants(server)
    folder = PrivateFolder(server)
    tempfile.tempdir = str(folder.make())
    atexit.register(folder.remove)
    return folder.remove


def sweep_remnants(server: str) -> int:
    """Delete what killed servers left in the temporary folder, and return how many folders that were.

    Only a real folder of this user, closed to others, with the name and the marker of such a server, is taken, and only
    if no living process holds its lock.
    """
    swept = 0
    try:
        candidates = [path for path in Path(tempfile.gettempdir()).iterdir() if path.name.startswith(_prefix(server))]
    except OSError:
        return 0
    for path in candidates:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:  # a link, a file, or another user's
            continue
        try:
            if _is_own(descriptor) and _is_locked(descriptor) and _is_at(descriptor, path):
                swept += _sweep(descriptor, path, _mark(server))
        finally:
            os.close(descriptor)
    return swept


def _prefix(server: str) -> str:
    return f"chexmask-u-{server}-"


def _mark(server: str) -> bytes:
    return f"Files of a running chexmask-u server ({server}); they go when it ends.\n".encode()


def _is_locked(descriptor: int) -> bool | None:
    """Lock an open folder; return False if another process holds it, None where the file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_own(descriptor: int) -> bool:
    status = os.fstat(descriptor)
    return status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) & 0o077 == 0


def _is_at(descriptor: int, path: Path) -> bool:
    """Return whether an open folder still is the one of that name."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except OSError:
        return False


def _sweep(descriptor: int, path: Path, mark: bytes) -> bool:
    """Delete a folder that is a server's by its marker, or empty: that is left in the moment before it has one."""
    try:
        if os.listdir(descriptor):
            marker = os.open(MARKER, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=descriptor)
            try:
                if not stat.S_ISREG(os.fstat(marker).st_mode) or os.read(marker, len(mark) + 1) != mark:
                    return False
            finally:
                os.close(marker)
    except OSError:
        return False
    _delete(path)
    return not path.exists()


def _delete(path: Path) -> None:
    """Delete a folder, its marker last, so that what a kill interrupts is known the next time."""
    with suppress(OSError):
        for entry in path.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            elif entry.name != MARKER:
                entry.unlink(missing_ok=True)
        (path / MARKER).unlink(missing_ok=True)
        path.rmdir()
