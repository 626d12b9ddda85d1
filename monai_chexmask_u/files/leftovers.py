"""What killed processes leave behind: temporary files that no living process owns."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from monai_chexmask_u.files.folder_lock import SAFELY, FolderLockError, folder_lock

__all__ = ["PARTIAL", "claim", "partial_folder", "remove_leftovers"]

# What temporary files and folders are called: hidden, so that no one takes them for results, and as nothing is called
# that somebody else made, since whatever is called so goes.
PARTIAL: Final = ".partial-chexmask-u-"


def claim(handle: int, path: Path) -> bool:
    """Mark a temporary file as this process's own until it is closed; return False if it was removed just now.

    The mark is a lock of the operating system (``flock``), which ends with the process, however that ends: no number
    of a process is compared, which another process may have by now, or a process of another machine.
    """
    try:
        return _lock(handle) and os.path.samestat(os.fstat(handle), path.lstat())
    except FileNotFoundError:
        return False
    except (ImportError, OSError):  # a system or a disk without locks: nobody can take it for a leftover
        return True


@contextmanager
def partial_folder(place: Path) -> Iterator[Path]:
    """Give a temporary folder beside files that it will become; what a killed process leaves is known as such."""
    folder = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=place))
    try:
        with folder_lock(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files and folders in a folder that no living process owns.

    Links and what else is no file are not touched.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(PARTIAL):
                with suppress(OSError, ImportError, FolderLockError):
                    _remove(Path(entry.path))


def _remove(path: Path) -> None:
    mode = path.lstat().st_mode
    if stat.S_ISDIR(mode):
        with folder_lock(path):
            shutil.rmtree(path)
    elif stat.S_ISREG(mode):
        handle = os.open(path, os.O_RDWR | SAFELY)
        try:
            if _lock(handle) and os.path.samestat(os.fstat(handle), path.lstat()):
                path.unlink()
        finally:
            os.close(handle)


def _lock(handle: int) -> bool:
    """Lock a file, unless another process has it.

    Raises:
        ImportError, OSError: if there are no locks here.
    """
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
