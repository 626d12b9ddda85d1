"""Search a folder and its archives for radiographs, in one pass that opens no file whose name tells what it is."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from monai_chexmask_u.dataset.building.archives import (
    ARCHIVE_SUFFIXES,
    COMPRESSED_TAR,
    NOT_AN_IMAGE,
    Member,
    is_compressed_tar,
    is_hidden,
    list_members,
)
from monai_chexmask_u.dataset.building.radiograph_files import RadiographFile
from monai_chexmask_u.files.folder_tree import is_file, is_folder, is_outbox
from monai_chexmask_u.radiograph import RadiographError
from monai_chexmask_u.reading import is_candidate, is_candidate_name

__all__ = ["radiographs_in_archive", "radiographs_in_folder"]

BROKEN_LINK: Final = "link to a missing file"


def radiographs_in_folder(
    folder: Path, *, tables: frozenset[str] = frozenset()
) -> Iterator[RadiographFile | Path | str]:
    """Yield the radiographs below a folder, in no order; why each other file is left out; and tables by their names.

    Hidden files and folders are passed over, and so are outboxes of results. Links to folders are followed, each folder
    once: first by its own path, then by that of a link.

    Args:
        folder: where to search; an id and a path in the table are those below it.
        tables: names of files whose paths are wanted.

    Raises:
        RadiographError: ``not_readable`` if a folder may not be listed.
    """
    visited: set[tuple[int, int]] = set()
    links = [""]
    while links:
        here = [heapq.heappop(links)]
        while here:
            below = here.pop()
            if not _is_new(folder / below, visited):
                continue
            for entry in _entries(folder / below):
                path = f"{below}/{entry.name}" if below else entry.name
                if is_hidden(entry.name):
                    continue
                if not is_folder(entry):
                    yield from _radiographs_at(entry, path, tables)
                elif not is_outbox(Path(entry.path)):
                    if entry.is_symlink():
                        heapq.heappush(links, path)
                    else:
                        here.append(path)


def radiographs_in_archive(file: Path, *, below: str) -> Iterator[RadiographFile | str]:
    """Yield the radiographs in an archive, and for each other member, or if it is broken, why it is left out.

    Args:
        file: a zip archive or an uncompressed tar archive.
        below: the archive's path in the table.
    """
    for member in list_members(file):
        if isinstance(member, Member):
            path = f"{below}/{member.name}"
            yield RadiographFile(path, path, file, member)
        else:
            yield member


def _is_new(folder: Path, visited: set[tuple[int, int]]) -> bool:
    """Tell whether a folder was not visited before, and remember it: links may run in circles."""
    try:
        status = folder.stat()
    except OSError as error:
        raise _not_readable(folder) from error
    key = (status.st_dev, status.st_ino)
    is_new = key not in visited
    visited.add(key)
    return is_new


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError as error:
        raise _not_readable(folder) from error


def _not_readable(folder: Path) -> RadiographError:
    return RadiographError("not_readable", f"the folder {folder} cannot be listed; check its permissions")


def _radiographs_at(
    entry: os.DirEntry[str], path: str, tables: frozenset[str]
) -> Iterator[RadiographFile | Path | str]:
    """Yield what a file is: a radiograph, radiographs in an archive, a wanted table; or why it is left out."""
    name = entry.name
    if not is_file(entry):
        yield BROKEN_LINK if entry.is_symlink() else NOT_AN_IMAGE
    elif name.lower().endswith(ARCHIVE_SUFFIXES):
        yield from radiographs_in_archive(Path(entry.path), below=path)
    elif is_compressed_tar(name):
        yield COMPRESSED_TAR
    elif name in tables:
        yield Path(entry.path)
    else:
        by_name = is_candidate_name(name)
        is_radiograph = by_name or (by_name is None and is_candidate(Path(entry.path)))
        yield RadiographFile(path, path, Path(entry.path)) if is_radiograph else NOT_AN_IMAGE
