"""Opening a file that somebody else may have put there: a regular one, or nothing. A FIFO would hold the program."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

__all__ = ["NoRegularFile", "open_regular", "read_note"]

_AT_ONCE: Final = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)  # Windows lacks these flags
_NO_LINK: Final = getattr(os, "O_NOFOLLOW", 0)
_NOTE_BYTES: Final = 64 * 1024


class NoRegularFile(ValueError):
    """This is a link, a FIFO, a socket, a device or a folder."""


def open_regular(path: Path, *, follow_links: bool = True) -> BinaryIO:
    """Open a regular file for reading.

    Args:
        path: which file.
        follow_links: whether the file itself may be a link to one.

    Raises:
        NoRegularFile: if it is none.
        OSError: if it cannot be opened.
    """
    # A device or FIFO is not opened at all where it can be seen before; what is put there in between does not block.
    status = path.stat() if follow_links else path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise NoRegularFile(f"{path}: this is no regular file")
    safely = _AT_ONCE | (0 if follow_links else _NO_LINK)
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | safely))  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise NoRegularFile(f"{path}: this is no regular file")
    return file


def read_note(path: Path) -> str:
    """Return the text of a small file that this program wrote itself, if nobody replaced it.

    Raises:
        ValueError: if it is no regular file, is too long, or no text.
        OSError: if it cannot be read.
    """
    with open_regular(path, follow_links=False) as file:
        content = file.read(_NOTE_BYTES + 1)
    if len(content) > _NOTE_BYTES:
        raise ValueError(f"{path}: this file is longer than any that belongs here")
    return content.decode("utf-8")
