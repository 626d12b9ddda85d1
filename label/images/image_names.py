"""Names of radiographs and labels in a folder: their endings, and which names may become those of files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from monailabel.interfaces.exception import MONAILabelError, MONAILabelException

__all__ = ["IMAGE_ENDINGS", "LABEL_ENDINGS", "ending_of", "label_extension", "plain_ending", "plain_name", "refused"]

IMAGE_ENDINGS: Final = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm", ".dicom", ".img")
# The longest first, since some end like others.
LABEL_ENDINGS: Final = (".mrk.json", ".seg.nrrd", ".seg.dcm", ".nii.gz", ".nii", ".nrrd", ".json", ".png", ".dcm")
_LABEL_EXTENSIONS: Final = (".mrk.json", ".seg.nrrd", ".nii.gz")
NAME: Final = re.compile(r"[^/\\\x00-\x1f\x7f]{1,200}")
MAX_BYTES: Final = 200
"""Of a name; file systems take 255, and endings come to it."""
# What the folder holds beside radiographs, whatever a share makes of capital letters.
TAKEN: Final = ("labels", "datastore_v2.json", "datastore_v2.json.broken")


def ending_of(name: str, endings: tuple[str, ...]) -> str:
    """Return the end of a name, as it is written, that is one of these; empty if none is."""
    length = next((len(ending) for ending in endings if name.lower().endswith(ending)), 0)
    return name[len(name) - length :] if length < len(name) else ""


def label_extension(name: str) -> str:
    """Return the end of a label file's name that tells its format.

    Example:
        >>> label_extension("1.2.840.10008.mrk.json"), label_extension("1.2.3.dcm")
        ('.mrk.json', '.dcm')
    """
    known = (extension for extension in _LABEL_EXTENSIONS if name.lower().endswith(extension))
    return next(known, Path(name).suffix)


def plain_name(name: str) -> str:
    """Return a name that becomes that of a file or folder here.

    Raises:
        MONAILabelException: if it would lead elsewhere.
    """
    is_short = len(name.encode(errors="replace")) <= MAX_BYTES
    if not (NAME.fullmatch(name) and is_short) or name.startswith(".") or not name.isprintable():
        raise refused(
            "an id or tag must be a plain name of at most 200 bytes, without slashes, not beginning with a dot"
        )
    if name.casefold() in TAKEN:
        raise refused(f"{name} is the name of something else in the folder of the radiographs; give another id or tag")
    return name


def plain_ending(name: str, known: tuple[str, ...] = ()) -> str:
    """Return the end of a file's name that a client gave: a known one, or else at most ten letters and digits."""
    found = re.search(r"\.[A-Za-z0-9]{1,10}\Z", name)
    return ending_of(name, known) or (found[0] if found else "")


def refused(sentence: str) -> MONAILabelException:
    """Return the error that becomes an answer with this sentence."""
    return MONAILabelException(MONAILabelError.INVALID_INPUT, sentence)
