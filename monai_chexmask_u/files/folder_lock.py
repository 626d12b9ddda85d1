"""One process at a time writes into a folder."""

from __future__ import annotations

import errno
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

__all__ = ["LOCK_NAME", "SAFELY", "FolderLockError", "folder_lock"]

# Hidden, so that no listing takes it for an image or a result.
LOCK_NAME: Final = ".chexmask-u.lock"
MAX_BYTES: Final = 1000
SECONDS_BETWEEN_TRIES: Final = 0.05
# A link must not lead to another file, and a FIFO must not hold the program; Windows lacks both flags.
SAFELY: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
HELD: Final = (errno.EAGAIN, errno.EACCES)
IN_THE_WAY: Final = (errno.ELOOP, errno.EISDIR, errno.ENXIO)


class FolderLockError(ValueError):
    """A folder is held by another process, or cannot be locked; the message says by whom, or why, and what to do."""


@contextmanager
def folder_lock(
    folder: Path,
    *,
    timeout: float = 0.0,
    name: str = LOCK_NAME,
    activity: str = "writes into this folder",
    advice: str = "wait until it has ended, or choose another folder",
) -> Iterator[None]:
    """Hold a folder against all other processes, and threads, that ask for the same lock.

    The lock is the operating system's (``flock``) on a small hidden file in the folder, which names the holder. It ends
    with the process, however that ends: a file that a killed process left behind holds nobody up. The file is removed
    in the end.

    Args:
        folder: exists already.
        timeout: seconds to wait for another holder.
        name: of the lock's file; locks of other names in one folder are independent.
        activity: what the holder does, for the message.
        advice: what to do about it, for the message.

    Raises:
        FolderLockError: if another process holds it when the time is over, or the folder cannot be locked at all.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as there, folder_lock(Path(there)):
        ...     with folder_lock(Path(there)):
        ...         pass
        Traceback (most recent call last):
        monai_chexmask_u.files.folder_lock.FolderLockError: ...
    """
    path = folder / name
    deadline = time.monotonic() + timeout
    while (handle := _take(path)) is None:
        if time.monotonic() >= deadline:
            raise FolderLockError(f"{folder}: {_holder(path, activity)}; {advice}")
        time.sleep(SECONDS_BETWEEN_TRIES)
    try:
        _sign(handle)
        yield
    finally:
        # Removed before it is let go: who has waited for it sees that it is gone, and makes another.
        with suppress(OSError, FolderLockError):
            if _is_at(handle, path):
                path.unlink()
        os.close(handle)


def _take(path: Path) -> int | None:
    """Return a handle of the locked file, or None while somebody else has it."""
    while True:
        handle = _open(path)
        try:
            if not _lock(handle, path):
                os.close(handle)
                return None
            if _is_at(handle, path):
                if _is_writable(handle):
                    return handle
                path.unlink()  # another user's, who is gone
        except PermissionError as error:
            os.close(handle)
            raise _no_lock(path, error) from error
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # it was removed between opening and locking


def _open(path: Path) -> int:
    try:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | SAFELY, 0o666)
        except PermissionError:  # in a folder that users share, the file may be another one's
            handle = os.open(path, os.O_RDONLY | SAFELY)
    except OSError as error:
        if error.errno in IN_THE_WAY:
            raise _in_the_way(path) from error
        raise _no_lock(path, error) from error
    status = os.fstat(handle)
    # What is written into a file with a second name is written into that of another program.
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1 or status.st_size > MAX_BYTES:
        os.close(handle)
        raise _in_the_way(path)
    return handle


def _lock(handle: int, path: Path) -> bool:
    """Lock the file; return False if somebody else has."""
    try:
        import fcntl
    except ImportError as error:
        raise FolderLockError(f"{path.parent}: this system has no locks (flock), which writing here needs") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in HELD:
            return False
        raise _no_lock(path, error) from error
    return True


def _is_writable(handle: int) -> bool:
    import fcntl

    return bool(fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_RDWR)


def _is_at(handle: int, path: Path) -> bool:
    """Tell whether the file is still the one of this name: the holder before may have removed it."""
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _no_lock(path, error) from error


def _sign(handle: int) -> None:
    """Write down who holds the lock: process, host and time, a line each. On a full disk it holds without."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    with suppress(OSError):
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n{socket.gethostname()}\n{now}\n".encode(), 0)


def _holder(path: Path, activity: str) -> str:
    """Say who holds the lock; anybody may have written into its file."""
    try:
        handle = os.open(path, os.O_RDONLY | SAFELY)
        try:
            text = os.read(handle, MAX_BYTES).decode(errors="replace")
        finally:
            os.close(handle)
    except OSError:
        text = ""
    lines = ["".join(each for each in line if each.isprintable())[:80] for line in text.split("\n")]
    if len(lines) < 4 or not all(lines[:3]):
        return f"another process {activity}"
    return f"process {lines[0]} on {lines[1]} {activity} since {lines[2]}"


def _in_the_way(path: Path) -> FolderLockError:
    return FolderLockError(
        f"{path}: this is not the lock's file that belongs here; remove it, or choose another folder"
    )


def _no_lock(path: Path, error: OSError) -> FolderLockError:
    cause = error.strerror or type(error).__name__
    return FolderLockError(f"{path.parent}: the folder cannot be locked for writing ({cause}); choose another folder")
