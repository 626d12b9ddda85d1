"""What kind of file one is: DICOM, an image file, or a raw file of the JSRT data set. It is decided here alone."""

from __future__ import annotations

import struct
from enum import Enum, auto
from pathlib import PurePath
from typing import Final

from monai_chexmask_u.radiograph import RadiographError

__all__ = ["SUFFIXES", "Kind", "kind_of", "looks_like_dicom", "wrong_kind"]


class Kind(Enum):
    """The kinds of files that are read; image files are PNG, JPEG and TIFF."""

    DICOM = auto()
    IMAGE = auto()
    JSRT = auto()


# Of files whose content does not tell: a raw file of JSRT has no header.
SUFFIXES: Final = {
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".tif", ".tiff"), Kind.IMAGE),
    **dict.fromkeys((".dcm", ".dicom"), Kind.DICOM),
    ".img": Kind.JSRT,
}
IMAGE_STARTS: Final = (b"\x89PNG", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# The first element of a file without preamble is a group length, a version or a short text; never longer than this.
LONGEST_FIRST_ELEMENT: Final = 4096


def kind_of(name: str, head: bytes) -> Kind | None:
    """Return the kind of a file by its content, and only where that does not tell by its name; None for no kind.

    Args:
        name: of the file.
        head: its first 132 bytes; those of a DICOM file may be a TIFF header.

    Example:
        >>> kind_of("chest.png", bytes(128) + b"DICM"), kind_of("chest.img", bytes(132)), kind_of("a.txt", b"text")
        (<Kind.DICOM: 1>, <Kind.JSRT: 3>, None)
    """
    if looks_like_dicom(head):
        return Kind.DICOM
    if head.startswith(IMAGE_STARTS):
        return Kind.IMAGE
    return SUFFIXES.get(PurePath(name).suffix.lower())


def looks_like_dicom(head: bytes) -> bool:
    """Tell whether a file is DICOM, by its first 132 bytes.

    The magic bytes decide. Old files may lack them; then group 2 or 8 must come first, with a type or a short length.

    Example:
        >>> looks_like_dicom(bytes(128) + b"DICM"), looks_like_dicom(b"plain text")
        (True, False)
    """
    if head[128:132] == b"DICM":
        return True
    if len(head) < 8 or head[:2] not in (b"\x02\0", b"\x08\0", b"\0\x08"):
        return False
    if head[4:6].isalpha() and head[4:6].isupper():
        return True
    length: int = struct.unpack("<L", head[4:8])[0]
    return head[:2] == b"\x08\0" and length <= LONGEST_FIRST_ELEMENT and length % 2 == 0


def wrong_kind(wanted: Kind | None = None) -> RadiographError:
    """Return the refusal of a file that is not of the wanted kind, or of no kind at all."""
    if wanted is Kind.DICOM:
        return RadiographError("not_dicom", "this is no DICOM file: choose a CR or DX image")
    if wanted is Kind.IMAGE:
        return RadiographError("not_an_image", "this is no PNG, JPEG or TIFF image; give one of these")
    if wanted is Kind.JSRT:
        return RadiographError("not_an_image", "its values exceed 12 bits: this is no raw JSRT image")
    return RadiographError("not_an_image", "this is neither DICOM nor PNG, JPEG or TIFF; give one of these")
