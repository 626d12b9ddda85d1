"""Read a radiograph from any supported file, and find such files in folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path, PurePath
from typing import Final

from monai_chexmask_u.files.faults import cause_of
from monai_chexmask_u.files.folder_tree import files_below
from monai_chexmask_u.files.kinds import SUFFIXES, Kind, kind_of, looks_like_dicom, wrong_kind
from monai_chexmask_u.files.regular_file import read_head
from monai_chexmask_u.files.result_suffixes import RESULT_SUFFIXES
from monai_chexmask_u.radiograph import Radiograph, RadiographError
from monai_chexmask_u.reading.image_file import read_image_file
from monai_chexmask_u.reading.jsrt import read_jsrt

__all__ = ["is_candidate", "is_candidate_head", "is_candidate_name", "list_inputs", "read_radiograph"]

# What this project writes beside its inputs: a second run over a folder must not segment the first one's results.
OUTPUT_SUFFIXES: Final = tuple(each for each in RESULT_SUFFIXES.values() if each.endswith((".png", ".dcm")))


def read_radiograph(path: Path) -> Radiograph:
    """Read a frontal chest radiograph from DICOM, PNG, JPEG, TIFF or a raw file of the JSRT data set.

    A file is known by its content, not by its name: a DICOM file called ``.png`` is read as DICOM.

    Raises:
        RadiographError: if the file is none of these, is broken, or must not be used; `code` says why.
    """
    kind = kind_of(path.name, read_head(path))
    if kind is Kind.DICOM:
        from monai_chexmask_u.dicom.reading.read import read_dicom  # keeps pydicom out of `--help`

        return read_dicom(path)
    if kind is Kind.IMAGE:
        return read_image_file(path)
    if kind is Kind.JSRT:
        return read_jsrt(path)
    raise wrong_kind()


def is_candidate(path: Path) -> bool:
    """Return whether a file in a folder may be a radiograph, by its suffix or else by its first bytes."""
    return path.is_file() and _is_candidate_file(path)


def _is_candidate_file(path: Path) -> bool:
    by_name = is_candidate_name(path.name)
    if by_name is not None:
        return by_name
    try:
        return is_candidate_head(path.name, read_head(path))
    except RadiographError:
        return False


def is_candidate_name(name: str) -> bool | None:
    """Return whether a file in a folder may be a radiograph, by its name alone; None if that cannot tell."""
    if name.startswith(".") or name.upper() == "DICOMDIR" or name.lower().endswith(OUTPUT_SUFFIXES):
        return False
    return True if PurePath(name).suffix.lower() in SUFFIXES else None


def is_candidate_head(name: str, head: bytes) -> bool:
    """Return whether a file may be a radiograph whose name does not tell, by its first 132 bytes."""
    # DICOM files are often named by their UID, whose last component is no suffix. Others, such as .IMA, need the magic
    # bytes: without them too much else starts like DICOM.
    suffix = PurePath(name).suffix
    is_named = bool(suffix) and not suffix[1:].isdigit()
    return head[128:132] == b"DICM" if is_named else looks_like_dicom(head)


def list_inputs(
    paths: Iterable[Path], *, on_problem: Callable[[Path, RadiographError], None] | None = None
) -> list[Path]:
    """Return the files to read: files as given, folders searched through all their subfolders in sorted order.

    Hidden files and folders are left out, and so are outboxes of results and what `is_candidate` refuses. No file is
    listed twice. Links to folders are followed, each folder once.

    Args:
        paths: files and folders.
        on_problem: is called with each folder that cannot be listed, and the search continues; by default its error is
            raised.

    Raises:
        RadiographError: ``not_found`` if a path does not exist (its name is in the message, as there may be several),
            ``not_readable`` if a folder may not be listed.
    """
    found: dict[str, Path] = {}
    for path in paths:
        try:
            if path.is_dir():
                below = files_below(path, wanted=_is_candidate_file, on_problem=on_problem or _raise)
                for file, real in below:
                    found.setdefault(real, file)
            elif path.exists():
                found.setdefault(os.path.realpath(path), path)
            else:
                raise RadiographError("not_found", f"there is no file or folder {path}; check its name")
        except OSError as error:  # above it is a folder that may not be entered, or its name is too long
            message = f"{path} cannot be read ({cause_of(error)}); check its permissions and its name"
            (on_problem or _raise)(path, RadiographError("not_readable", message))
    return list(found.values())


def _raise(path: Path, error: RadiographError) -> None:
    raise error
