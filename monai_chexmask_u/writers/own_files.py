"""Whether a file was written by this program: what somebody else wrote is neither removed nor replaced."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Final

from PIL.PngImagePlugin import PngInfo

from monai_chexmask_u.files.regular_file import open_source
from monai_chexmask_u.files.result_suffixes import RESULT_SUFFIXES, TEXT_STARTS
from monai_chexmask_u.radiograph import RadiographError

__all__ = ["is_own_file", "png_mark"]

_MOST_BYTES: Final = 2**24  # of records and tables, which have some 100,000
_HEAD_BYTES: Final = 1024
_PNG_KEYWORD: Final = "Software"  # one that the PNG specification has for this
_PNG_VALUE: Final = "monai-chexmask-u"
_PNG_MARK: Final = f"tEXt{_PNG_KEYWORD}\0{_PNG_VALUE}".encode()
_RECORD: Final = "chexmask-u/"


def png_mark() -> PngInfo:
    """Return what marks a PNG file as this program's."""
    info = PngInfo()
    info.add_text(_PNG_KEYWORD, _PNG_VALUE)
    return info


def is_own_file(path: Path, key: str) -> bool:
    """Tell whether a file is a result of this program, by its content; an empty one, which holds nothing, is.

    Args:
        path: the file; a link or a folder is none.
        key: of `RESULT_SUFFIXES`, the format that its name says.
    """
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            return False
        if status.st_size == 0:  # left by a power failure
            return True
        if RESULT_SUFFIXES[key].endswith(".dcm"):
            from monai_chexmask_u.dicom.equipment import is_own_object  # keeps pydicom out of `--help`

            return is_own_object(path)
        with open_source(path, limit=_MOST_BYTES) as source:
            if RESULT_SUFFIXES[key].endswith(".json"):
                return not source.is_oversized and _is_record(source.stream.read(), key)
            head = source.stream.read(_HEAD_BYTES)
            return _PNG_MARK in head if RESULT_SUFFIXES[key].endswith(".png") else head.startswith(TEXT_STARTS[key])
    except (OSError, RadiographError):
        return False


def _is_record(content: bytes, key: str) -> bool:
    try:
        record = json.loads(content)
        if key == "mrk":
            record = record["chexmask_u"]
        return str(record["schema"]).startswith(_RECORD)
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
