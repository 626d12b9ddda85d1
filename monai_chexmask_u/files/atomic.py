"""Output folders, and files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from monai_chexmask_u.files.faults import NotWrittenError, cause_of, disk_fault
from monai_chexmask_u.files.leftovers import PARTIAL, claim, remove_leftovers

__all__ = ["atomic_path", "prepare_folder"]

_LONGEST_SUFFIX: Final = 40
_NO_FLUSHING: Final = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Hand out a temporary file beside a target, and move it there once the block ends without an error.

    What it holds is on the disk before it is moved. A process that is killed leaves the temporary file behind, which
    `prepare_folder` removes.

    Args:
        path: the file to write; one that is there is replaced.

    Yields:
        The temporary file, empty, with the target's suffix.

    Raises:
        OSError: if the file cannot be written, with the cause, also where a library that writes it does not tell; the
            target is then as it was.
    """
    handle, temporary = _make(path)
    try:
        yield temporary
        try:
            _flush(handle)
            # mkstemp makes files that only their owner can read; results get the usual rights.
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)
            temporary.replace(path)
        except OSError as error:
            raise NotWrittenError(error, path) from error
    except Exception as error:
        fault = None if isinstance(error, NotWrittenError) else disk_fault(error, handle)
        if fault is None:
            raise
        raise NotWrittenError(fault, path) from error
    finally:
        with suppress(OSError):
            temporary.unlink()
        os.close(handle)


def prepare_folder(folder: Path) -> None:
    """Make an output folder, see that files can be made in it, and remove what killed processes left there.

    Raises:
        OSError: if not; the message names the folder, the cause and what to do.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(prefix=PARTIAL, dir=folder) as file:
            file.write(bytes(4096))  # a full disk has room for an empty file
            file.flush()
    except OSError as error:
        cause = f"results cannot be written here ({cause_of(error)}); choose another folder with -o"
        raise OSError(f"{folder}: {cause}") from error
    remove_leftovers(folder)


def _make(path: Path) -> tuple[int, Path]:
    """Make a temporary file that is this process's own."""
    suffix = next((each for each in ("".join(path.suffixes[-2:]), path.suffix) if len(each) <= _LONGEST_SUFFIX), "")
    try:
        while True:
            handle, name = tempfile.mkstemp(prefix=PARTIAL, suffix=suffix, dir=path.parent)
            if claim(handle, Path(name)):
                return handle, Path(name)
            os.close(handle)
    except OSError as error:
        raise NotWrittenError(error, path) from error


def _flush(handle: int) -> None:
    """Have the disk write a file now: a network disk may tell only then that it is full."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_FLUSHING:
            raise
