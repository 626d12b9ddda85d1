"""David Clunie's validators of attributes (dciodvfy) and of what files of one study say of it (dcentvfy)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pydicom
from support.judges.programs import run

__all__ = ["LABEL_MAP_SEGMENTATION", "dcentvfy", "dciodvfy"]

LABEL_MAP_SEGMENTATION: Final = "1.2.840.10008.5.1.4.1.1.66.7"

# dciodvfy is older than label maps: it has no table for them, and takes their background, segment 0, for a mistake.
_IGNORANCE: Final = ("Information Object Not found", "SegmentNumber not monotonically increasing")


def dciodvfy(path: Path) -> list[str]:
    """Return the errors of types, values, value representations and references that dciodvfy finds in a file.

    Of label maps, which it does not know, the errors that come from that are left out.
    """
    errors = _errors("dciodvfy", "-new", path)
    if pydicom.dcmread(path, specific_tags=["SOPClassUID"]).SOPClassUID == LABEL_MAP_SEGMENTATION:
        return [error for error in errors if not any(words in error for words in _IGNORANCE)]
    return errors


def dcentvfy(paths: Iterable[Path]) -> list[str]:
    """Return in what files contradict each other on the patient, study or series that they share."""
    return _errors("dcentvfy", *paths)


def _errors(program: str, *arguments: str | Path) -> list[str]:
    code, text = run(program, *arguments)
    lines = [line for line in text.splitlines() if not line.startswith("Warning")]
    errors = [line for line in lines if line.startswith(("Error", "Abort"))]
    # Some errors have no such beginning; the other lines are few.
    return errors or ([f"exit code {code}: {' '.join(lines)}"] if code else [])
