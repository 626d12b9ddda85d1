"""Names of films and labels in a folder: their endings, and which names may become those of files."""

from __future__ import annotations

import re
from typing import Final

from monailabel.interfaces.exception import MONAILabelError, MONAILabelException

__all__ = ["IMAGE_ENDINGS", "LABEL_ENDINGS", "ending_of", "plain_name", "refused"]

IMAGE_ENDINGS: Final = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm", ".dicom", ".img")
# The longest first, since some end like others.
LABEL_ENDINGS: Final = (".mrk.json", ".seg.nrrd", ".seg.dcm", ".nii.gz", ".nii", ".nrrd", ".json", ".png", ".dcm")
NAME: Final = re.compile(r"[^/\\\x00-\x1f]{1,200}")


def ending_of(name: str, endings: tuple[str, ...]) -> str:
    """Return the end of a name, as it is written, that is one of these; empty if none is."""
    length = next((len(ending) for ending in endings if name.lower().endswith(ending)), 0)
    return name[len(name) - length :] if length < len(name) else ""


def plain_name(name: str) -> str:
    """Return a name that becomes that of a file or folder here.

    Raises:
        MONAILabelException: if it would lead elsewhere.
    """
    if not NAME.fullmatch(name) or name.startswith("."):
        raise refused("an id or tag must be a plain name, without slashes and not beginning with a dot")
    return name


def refused(sentence: str) -> MONAILabelException:
    """Return the error that becomes an answer with this sentence."""
    return MONAILabelException(MONAILabelError.INVALID_INPUT, sentence)
