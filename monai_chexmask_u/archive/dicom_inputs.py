"""Which files to send: those that are named, and the DICOM objects in folders."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path

from monai_chexmask_u.archive.objects import read_dicom_file
from monai_chexmask_u.files.folder_tree import files_below
from monai_chexmask_u.files.regular_file import NoRegularFile, open_regular
from monai_chexmask_u.radiograph import RadiographError

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
        if path.is_dir():
            _add_objects(found, path, leave_out.resolve())
        else:
            found[path] = None
    return list(found)


def _add_objects(found: dict[Path, None], folder: Path, outbox: Path) -> None:
    """Add the objects below a folder; those of the outbox only if it, or a folder in it, was asked for."""
    is_asked_for = folder.resolve().is_relative_to(outbox)
    own = outbox.stat() if outbox.exists() else None

    def enters(path: Path) -> bool:
        try:
            return is_asked_for or own is None or not os.path.samestat(path.lstat(), own)
        except OSError:  # listing it will say why
            return True

    def wanted(path: Path) -> bool:
        leads_there = path.is_symlink() and path.resolve().is_relative_to(outbox)
        return (is_asked_for or not leads_there) and _is_object(path)

    def on_problem(path: Path, error: RadiographError) -> None:
        found[path] = None

    for path, _ in files_below(folder, wanted=wanted, on_problem=on_problem, follow_links=False, enters=enters):
        found[path] = None


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
