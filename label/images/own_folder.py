"""The server's own temporary folder: all that requests leave lies in it, and a server that was killed leaves no more.

Requests bring radiographs. What holds them while they are answered goes with the answer, or with the server, or, if
that was killed, at the next start of one.
"""

from __future__ import annotations

import atexit
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from monai_chexmask_u.files.folder_lock import FolderLockError, folder_lock
from monai_chexmask_u.files.leftovers import PARTIAL

__all__ = ["PREFIX", "partial_folder", "use_own_temporary_folder"]

PREFIX: Final = "chexmask-u-label-"


def use_own_temporary_folder() -> Callable[[], None]:
    """Have all temporary files of this process lie in a folder of its own; remove those of killed servers.

    The folder is locked for as long as the process lives, and removed when it exits.

    Returns:
        What removes it, for a process that is ended by a signal.
    """
    current = Path(tempfile.gettempdir())
    if current.name.startswith(PREFIX):  # after a reload
        return lambda: None
    _sweep(current)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=current))
    lock = ExitStack()
    with suppress(FolderLockError):  # a disk without locks: nobody can take the folder for a killed server's
        lock.enter_context(folder_lock(folder))
    tempfile.tempdir = str(folder)

    def end(owner: int = os.getpid()) -> None:
        if os.getpid() == owner:  # and not in a process that was forked
            lock.close()
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    return end


@contextmanager
def partial_folder(place: Path) -> Iterator[Path]:
    """Give a temporary folder beside files that it will become; what a killed process leaves is known as such."""
    folder = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=place))
    try:
        with folder_lock(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(place: Path) -> None:
    """Remove the folders of servers that live no more, as far as they are this user's."""
    for path in place.glob(f"{PREFIX}*"):
        with suppress(OSError, FolderLockError):
            status = path.lstat()
            if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid():
                with folder_lock(path):
                    shutil.rmtree(path)
