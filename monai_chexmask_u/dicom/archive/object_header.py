"""What identifies the object in a DICOM file (PS3.10), read as if it had been made to do harm.

Only the attributes up to the Series Instance UID are looked at. pydicom parses the sequences among them whole, so that
it is given no more bytes than their text can have; a deflated data set is inflated piece by piece.
"""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from typing import Any, BinaryIO, Final

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from monai_chexmask_u.dicom.archive.regular_file import open_regular
from monai_chexmask_u.dicom.quiet import no_warnings

__all__ = ["NoDicomFile", "read_header"]

_LAST: Final = 0x0020000E  # Series Instance UID
_MOST_BYTES: Final = 512 * 1024
_MOST_INFLATED_BYTES: Final = 64 * 1024**2  # what is skipped has to be inflated, too
_PIECE_BYTES: Final = 64 * 1024


class NoDicomFile(ValueError):
    """The file does not begin as a DICOM file does."""


@no_warnings()
def read_header(path: Path, keywords: list[str], *, follow_links: bool = True) -> tuple[Dataset, Dataset]:
    """Return the meta information of a file, and some attributes of its object.

    Args:
        path: the file.
        keywords: of attributes up to the Series Instance UID.
        follow_links: whether the file may be a link to one.

    Raises:
        NoDicomFile: if it is no DICOM file.
        Exception: of many kinds, if it is broken; the text may quote the header.
    """
    with open_regular(path, follow_links=follow_links) as file:
        if file.read(132)[128:] != b"DICM":
            raise NoDicomFile(f"{path}: this is no DICOM file")
        source: Any = _Measured(file)  # as much of a file as pydicom needs
        meta = read_dataset(source, False, True, stop_when=_after_meta)
        syntax = meta.TransferSyntaxUID
        if syntax == DeflatedExplicitVRLittleEndian:
            source = _Measured(_Inflated(source))
        implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
        return meta, read_dataset(source, implicit, little, stop_when=_after_series, specific_tags=_tags(keywords))


def _tags(keywords: list[str]) -> list[Any]:
    from pydicom.datadict import tag_for_keyword

    return [BaseTag(tag) for tag in map(tag_for_keyword, keywords) if tag is not None]


def _after_meta(tag: BaseTag, vr: str | None, length: int) -> bool:
    return tag.group != 2


def _after_series(tag: BaseTag, vr: str | None, length: int) -> bool:
    return int(tag) > _LAST


class _Measured:
    """A file of which no more is read than a header has; what is skipped does not count."""

    def __init__(self, file: BinaryIO | _Measured | _Inflated) -> None:
        self._file = file
        self._left = _MOST_BYTES

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= self._left:
            raise ValueError("the header is larger than any radiograph's")
        self._left -= size
        return self._file.read(size)

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)


class _Inflated:
    """The inflated content of a file, from its place on; it is kept to go back in, up to a size."""

    def __init__(self, file: _Measured) -> None:
        self._file = file._file
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._content = bytearray()
        self._at = 0

    def read(self, size: int) -> bytes:
        self._inflate(self._at + size)
        piece = bytes(self._content[self._at : self._at + size])
        self._at += len(piece)
        return piece

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + (self._at if whence == io.SEEK_CUR else 0)
        return self._at

    def _inflate(self, size: int) -> None:
        while len(self._content) < size and not self._inflater.eof:
            if len(self._content) > _MOST_INFLATED_BYTES:
                raise ValueError("the header is larger than any radiograph's")
            deflated = self._inflater.unconsumed_tail or self._file.read(_PIECE_BYTES)
            if not deflated:
                return
            self._content += self._inflater.decompress(deflated, _PIECE_BYTES)
