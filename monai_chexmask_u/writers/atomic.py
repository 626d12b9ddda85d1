"""Output folders, and files that are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["atomic_path", "prepare_folder"]


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Hand out a temporary file beside a target, and move it there once the block ends without an error.

    Args:
        path: the file to write; one that is there is replaced.

    Yields:
        The temporary file, empty, with the target's suffix.

    Raises:
        OSError: if the folder cannot be written to; the target is then as it was.
    """
    handle, name = tempfile.mkstemp(prefix=".partial-", suffix="".join(path.suffixes[-2:]), dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files that only their owner can read; results get the usual rights.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def prepare_folder(folder: Path) -> None:
    """Make an output folder and see that files can be made in it, before any work is done.

    Raises:
        OSError: if not; the message names the folder, the cause and the way out.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        cause = f"results cannot be written here ({error.strerror}); choose another folder with -o"
        raise OSError(f"{folder}: {cause}") from error
