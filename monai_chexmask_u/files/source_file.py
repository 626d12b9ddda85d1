"""The bytes of a file that is read once, so that its checksum is that of what was read."""

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

__all__ = ["HEAD_BYTES", "SourceFile", "open_source", "read_head"]

# Enough to know what a file is.
HEAD_BYTES: Final = 132
# A pipe whose other end nobody opens must not hold the program, nor a terminal become its own.
SAFELY: Final = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_CLOEXEC", 0)
BINARY: Final = getattr(os, "O_BINARY", 0)


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
    """Open a regular file; a pipe or a device is not even opened, which alone may hold the program or do something."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise _irregular()
        file = os.fdopen(os.open(path, os.O_RDONLY | SAFELY | BINARY), "rb")
    except OSError as error:
        raise _not_readable(error) from error
    except ValueError as error:  # a name with a NUL in it
        if isinstance(error, RadiographError):
            raise
        raise RadiographError("not_found", "no file can have this name; check it") from error
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # it was replaced in between
        file.close()
        raise _irregular()
    return file


def _irregular() -> RadiographError:
    return RadiographError("not_readable", "this is a folder, a pipe or a device; give a file")


def _not_readable(error: OSError) -> RadiographError:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return RadiographError("not_found", "there is no such file; check its name")
    cause = error.strerror or type(error).__name__
    return RadiographError("not_readable", f"the file cannot be read ({cause}); check that you may read it")
