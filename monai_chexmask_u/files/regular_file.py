"""Opening a file that somebody else may have put there: a regular one, or nothing. A FIFO would hold the program.

A radiograph's file is read once, so that its checksum is that of what was read.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final

from monai_chexmask_u.radiograph import RadiographError

__all__ = ["HEAD_BYTES", "NoRegularFile", "SourceFile", "open_regular", "open_source", "read_head", "read_note"]

# Enough to know what a file is.
HEAD_BYTES: Final = 132
# A pipe whose other end nobody opens must not hold the program, nor a terminal become its own; Windows lacks the flags.
_SAFELY: Final = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_CLOEXEC", 0)
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
    safely = _SAFELY | (0 if follow_links else _NO_LINK)
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


@dataclass(frozen=True)
class SourceFile:
    """A file that is open for reading.

    Attributes:
        stream: its bytes from the start: those in memory, or of the file itself if that is larger than the limit.
        size: in bytes.
        sha256: of the bytes in memory; None for a larger file.
    """

    stream: BinaryIO
    size: int
    sha256: str | None

    @property
    def is_oversized(self) -> bool:
        """Whether it is larger than the limit, so that it is to be measured and refused, not read."""
        return self.sha256 is None


@contextmanager
def open_source(path: Path, *, limit: int) -> Iterator[SourceFile]:
    """Read a file into memory, once: it may be replaced or written to at any time.

    Args:
        path: a regular file; nothing else is opened.
        limit: bytes; a larger file is not read into memory.

    Raises:
        RadiographError: ``not_found``, ``not_readable`` or, if it is empty, ``truncated``.
    """
    with _open(path) as file:
        try:
            size = os.fstat(file.fileno()).st_size
            content = file.read(limit + 1) if size <= limit else None  # it may grow meanwhile
            file.seek(0)
        except OSError as error:
            raise _not_readable(error) from error
        if content is None or len(content) > limit:
            yield SourceFile(file, size, None)
            return
        if not content:
            raise RadiographError("truncated", "the file is empty; fetch it again")
        yield SourceFile(BytesIO(content), len(content), hashlib.sha256(content).hexdigest())


def read_head(path: Path, *, size: int = HEAD_BYTES) -> bytes:
    """Return the first bytes of a file; by default enough to know what it is.

    Raises:
        RadiographError: as `open_source`.
    """
    with _open(path) as file:
        try:
            head = file.read(size)
        except OSError as error:
            raise _not_readable(error) from error
    if not head:
        raise RadiographError("truncated", "the file is empty; fetch it again")
    return head


def _open(path: Path) -> BinaryIO:
    try:
        return open_regular(path)
    except NoRegularFile as error:
        message = "this is a folder, a pipe or a device; give a file"
        raise RadiographError("not_readable", message) from error
    except OSError as error:
        raise _not_readable(error) from error
    except ValueError as error:  # a name with a NUL in it
        raise RadiographError("not_found", "no file can have this name; check it") from error


def _not_readable(error: OSError) -> RadiographError:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return RadiographError("not_found", "there is no such file; check its name")
    cause = error.strerror or type(error).__name__
    return RadiographError("not_readable", f"the file cannot be read ({cause}); check that you may read it")
