"""Which files to send: those that are named, and the DICOM objects in folders."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from monai_chexmask_u.archive.objects import read_dicom_file
from monai_chexmask_u.archive.regular_file import NoRegularFile, open_regular
from monai_chexmask_u.files.outbox_mark import is_outbox

__all__ = ["find_dicom_files"]


def find_dicom_files(inputs: Iterable[Path], *, leave_out: Path) -> list[Path]:
    """Return files as given, and the DICOM files in folders and below in sorted order.

    Hidden files are left out, and so are outboxes, unless one is searched itself: what was refused may be sent again.
    What claims to be DICOM in a folder and is no object, such as a DICOMDIR, is left out with a warning. Links to
    folders are not followed. A file or folder that cannot be read is among the files, so that sending it tells why.

    Raises:
        ValueError: if one of the inputs does not exist.
    """
    found: dict[Path, None] = {}
    for path in inputs:
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise ValueError(f"there is no file or folder {path}; check its name") from None
        except (OSError, ValueError):  # a folder above it cannot be read, or no file can have this name
            found[path] = None
            continue
        found.update((each, None) for each in (_inside(path, leave_out) if path.is_dir() else [path]))
    return list(found)


def _inside(folder: Path, leave_out: Path) -> Iterator[Path]:
    """Yield the objects in a folder and below, without recursion: no tree is too deep."""
    search = _Search(folder, leave_out)
    waiting = [(folder, True)]
    while waiting:
        path, is_folder = waiting.pop()
        if not is_folder:
            if _is_object(path):
                yield path
            continue
        try:
            entries = search.entries(path)
        except OSError:
            yield path
        else:
            waiting += [(path / entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]


class _Search:
    """What of a folder is looked at; the outbox is resolved once."""

    def __init__(self, folder: Path, leave_out: Path) -> None:
        self._outbox = leave_out.resolve()
        self._asked_for = folder.resolve().is_relative_to(self._outbox)
        self._number = self._outbox.stat().st_ino if self._outbox.exists() else None

    def entries(self, folder: Path) -> list[os.DirEntry[str]]:
        """Return the files and folders in a folder, the last name first."""
        with os.scandir(folder) as listing:
            entries = [entry for entry in listing if not entry.name.startswith(".") and self._is_wanted(entry)]
        return sorted(entries, key=lambda entry: entry.name, reverse=True)

    def _is_wanted(self, entry: os.DirEntry[str]) -> bool:
        try:
            if entry.is_dir(follow_symlinks=False):
                return not is_outbox(Path(entry.path)) and (self._asked_for or not self._is_own(entry))
            if entry.is_symlink() and not self._asked_for:
                return entry.is_file() and not Path(entry.path).resolve().is_relative_to(self._outbox)
            return entry.is_file()
        except OSError:  # whoever opens it will say so
            return not entry.is_symlink()

    def _is_own(self, entry: os.DirEntry[str]) -> bool:
        return entry.inode() == self._number and Path(entry.path).resolve() == self._outbox


def _is_object(path: Path) -> bool:
    """Tell whether this is a file to send; what cannot be read may be one, which its delivery will tell."""
    try:
        if not _claims_to_be_dicom(path):
            return False
        read_dicom_file(path)
    except (FileNotFoundError, NoRegularFile):  # gone or replaced since it was listed
        return False
    except OSError:
        return True
    except ValueError as error:
        logging.getLogger(__name__).warning("%s; it is left out", error)
        return False
    return True


def _claims_to_be_dicom(path: Path) -> bool:
    if path.suffix.lower() == ".dcm" or path.name.upper() == "DICOMDIR":
        return True
    with open_regular(path) as file:
        return file.read(132)[128:] == b"DICM"
