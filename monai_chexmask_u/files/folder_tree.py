"""The files below a folder, however deep it is and whatever else lies in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from monai_chexmask_u.files.faults import cause_of
from monai_chexmask_u.files.outbox_mark import is_outbox
from monai_chexmask_u.radiograph import RadiographError

__all__ = ["files_below", "is_file", "is_folder"]


def files_below(
    folder: Path, *, wanted: Callable[[Path], bool], on_problem: Callable[[Path, RadiographError], None]
) -> Iterator[tuple[Path, str]]:
    """Yield the files below a folder in sorted order, folders among them in their place, each with its real path.

    Hidden files and folders are left out, and so are outboxes of results. Links to folders are followed, each folder
    once, so that links may run in circles. Nothing but a regular file is looked at, or opened.

    Args:
        folder: where to search.
        wanted: tells whether a regular file is to be yielded.
        on_problem: is told of folders that cannot be listed; they are left out.
    """
    real = os.path.realpath(folder)
    visited: set[tuple[int, int]] = set()
    open_folders = [_entries(str(folder), real, visited, on_problem)]
    while open_folders:
        entry, real_parent = next(open_folders[-1], (None, ""))
        if entry is None:
            open_folders.pop()
        elif entry.name.startswith("."):
            continue
        elif is_folder(entry):
            if not _is_outbox(entry):
                open_folders.append(_entries(entry.path, _real(entry, real_parent), visited, on_problem))
        elif is_file(entry):
            path = Path(entry.path)
            if wanted(path):
                yield path, _real(entry, real_parent)


def _entries(
    folder: str, real: str, visited: set[tuple[int, int]], on_problem: Callable[[Path, RadiographError], None]
) -> Iterator[tuple[os.DirEntry[str], str]]:
    """Yield what a folder holds, in sorted order, with the folder's real path; nothing if it was visited before."""
    try:
        status = Path(folder).stat()
        if (status.st_dev, status.st_ino) in visited:
            return
        visited.add((status.st_dev, status.st_ino))
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        message = f"the folder {folder} cannot be listed ({cause_of(error)}); check its permissions"
        on_problem(Path(folder), RadiographError("not_readable", message))
        return
    for entry in entries:
        yield entry, real


def _real(entry: os.DirEntry[str], real_parent: str) -> str:
    """Return the real path of an entry of a folder whose real path is known: only a link has another one."""
    try:
        is_link = entry.is_symlink()
    except OSError:
        is_link = True
    return os.path.realpath(entry.path) if is_link else f"{real_parent}{os.sep}{entry.name}"


def _is_outbox(entry: os.DirEntry[str]) -> bool:
    try:
        return is_outbox(Path(entry.path))
    except OSError:  # whoever lists the folder will say so
        return False


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Tell whether an entry is a folder or a link to one; what cannot be looked at is none."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def is_file(entry: os.DirEntry[str]) -> bool:
    """Tell whether an entry is a regular file or a link to one; what cannot be looked at is none."""
    try:
        return entry.is_file()
    except OSError:
        return False
