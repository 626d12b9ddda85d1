"""The files below a folder, however deep it is and whatever else lies in it; outboxes are no place to search."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from monai_chexmask_u.files.faults import cause_of
from monai_chexmask_u.radiograph import RadiographError

__all__ = ["REFUSED", "TARGET", "files_below", "is_file", "is_folder", "is_outbox"]

# By these an outbox of the archive is known.
TARGET: Final = "target.json"
REFUSED: Final = "refused"


def files_below(
    folder: Path,
    *,
    wanted: Callable[[Path], bool],
    on_problem: Callable[[Path, RadiographError], None],
    follow_links: bool = True,
    enters: Callable[[Path], bool] = lambda folder: True,
) -> Iterator[tuple[Path, str]]:
    """Yield the files below a folder in sorted order, folders among them in their place, each with its real path.

    Hidden files and folders are left out, and so are outboxes of results. Links to folders are followed, each folder
    once, so that links may run in circles. Nothing but a regular file is looked at, or opened.

    Args:
        folder: where to search.
        wanted: tells whether a regular file is to be yielded.
        on_problem: is called with each folder that cannot be listed; it is left out.
        follow_links: whether folders that links lead to are searched.
        enters: tells whether a folder below the first one is to be searched.
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
        elif is_folder(entry, follow_links=follow_links):
            if enters(Path(entry.path)) and not is_outbox(Path(entry.path)):
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


def is_folder(entry: os.DirEntry[str], *, follow_links: bool = True) -> bool:
    """Tell whether an entry is a folder or a link to one; what cannot be looked at is none."""
    try:
        return entry.is_dir(follow_symlinks=follow_links)
    except OSError:  # a link to itself
        return False


def is_file(entry: os.DirEntry[str]) -> bool:
    """Tell whether an entry is a regular file or a link to one; what cannot be looked at is none."""
    try:
        return entry.is_file()
    except OSError:
        return False


def is_outbox(folder: Path) -> bool:
    """Tell whether objects wait, or waited, in a folder: it holds the file ``target.json`` and the folder ``refused``.

    An outbox gets both before its first object.
    """
    try:
        return (folder / TARGET).is_file() and (folder / REFUSED).is_dir()
    except OSError:  # listing the folder will say why
        return False
