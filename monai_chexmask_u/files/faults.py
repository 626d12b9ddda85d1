"""What went wrong with a file, in words: a full disk, a quota, an image that cannot be used."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from monai_chexmask_u.files.folder_lock import FolderLockError
from monai_chexmask_u.radiograph import RadiographError

__all__ = ["NotWrittenError", "cause_of", "disk_fault", "fault_of"]

WORDS: Final = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota on this disk is used up",
    errno.EFBIG: "the file is larger than the disk or the limit of this process allows",
    errno.EIO: "the disk fails",
    errno.ENAMETOOLONG: "the name is too long for this disk",
    errno.EMFILE: "this process has too many files open",
    errno.ENFILE: "this machine has too many files open",
}
# What can come in the middle of writing, and says nothing of any other file.
WHILE_WRITING: Final = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO)
PROBE: Final = bytes(65536)


class NotWrittenError(OSError):
    """A file is not written; the text is one sentence that names it, the cause and what to do."""

    def __init__(self, fault: OSError, path: Path) -> None:
        """Take the number of the operating system's error."""
        super().__init__(fault.errno, fault.strerror or type(fault).__name__, str(path))

    def __reduce__(self) -> tuple[type[NotWrittenError], tuple[OSError, Path]]:
        """Let it pass from one process to another."""
        return type(self), (OSError(self.errno, self.strerror), Path(self.filename))

    def __str__(self) -> str:
        """Return the sentence."""
        return f"{self.filename}: this file cannot be written ({cause_of(self)})"


def cause_of(error: OSError) -> str:
    """Return the cause of an error in words, with the operating system's own.

    Example:
        >>> cause_of(OSError(28, "No space left on device"))
        'the disk is full: No space left on device'
    """
    own = error.strerror or (os.strerror(error.errno) if error.errno else type(error).__name__)
    words = WORDS.get(error.errno or 0)
    return f"{words}: {own}" if words else own


def disk_fault(error: BaseException, handle: int) -> OSError | None:
    """Return the disk's fault behind an error of whatever library wrote a file, or None if there is none.

    Some libraries tell the number of an error, others its text, others no more than that writing failed: then writing
    a little more tells.

    Args:
        error: what was raised.
        handle: of the file, open for writing; its content is lost.
    """
    for each in _chain(error):
        if isinstance(each, OSError) and each.errno in WHILE_WRITING:
            return each
    if isinstance(error, RuntimeError) or (isinstance(error, OSError) and error.errno is None):
        try:
            os.lseek(handle, 0, os.SEEK_END)
            os.write(handle, PROBE)
            os.fsync(handle)
        except OSError as fault:
            return fault
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it came from, each once."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += [each.__context__, each.__cause__]


def fault_of(error: Exception) -> tuple[str, str]:
    """Return code and message for what went wrong with one image.

    The text of an error that is not the project's own is left out: it may quote the header, and so the patient.
    """
    if isinstance(error, RadiographError):
        return error.code, str(error)
    if isinstance(error, OSError):
        return "not_written", f"the file cannot be read or its results cannot be written ({cause_of(error)})"
    if isinstance(error, FolderLockError):
        return "not_written", str(error)
    return "failed", f"the segmentation failed ({type(error).__name__}); please report it with the kind of file"
