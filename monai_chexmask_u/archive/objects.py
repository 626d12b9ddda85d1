"""The object in a DICOM file (PS3.10): what identifies it, read as if it had been made to do harm.

Only the attributes up to the Series Instance UID are looked at. pydicom parses the sequences among them whole, so that
it is given no more bytes than their text can have; a deflated data set is inflated piece by piece.
"""

from __future__ import annotations

import io
import re
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.fileutil import read_undefined_length_value
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

from monai_chexmask_u.dicom.reading.quiet import no_warnings
from monai_chexmask_u.files.regular_file import NoRegularFile, open_regular

__all__ = ["DicomFile", "is_uid", "read_dicom_file"]

_UID: Final = re.compile(r"(?=.{1,64}\Z)[0-9]+(\.[0-9]+)*")
# Structured reports have the storage classes below this one (PS3.6, annex A).
_REPORTS: Final = "1.2.840.10008.5.1.4.1.1.88."
_UIDS: Final = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID"]
_TEXTS: Final = ["SeriesInstanceUID", "Modality", "AccessionNumber", "PatientID", "IssuerOfPatientID"]

_FIRST, _LAST = 0x00080000, 0x0020000E  # up to the Series Instance UID
_PIXELS: Final = 0x7FE00010
_UNDEFINED: Final = 0xFFFFFFFF
_END_OF_ITEMS: Final = 0xFFFEE0DD
_MOST_BYTES: Final = 512 * 1024
_MOST_INFLATED_BYTES: Final = 64 * 1024**2  # what is skipped has to be inflated, too
_PIECE_BYTES: Final = 64 * 1024


@dataclass(frozen=True)
class DicomFile:
    """A DICOM object in a file (PS3.10). What would identify the patient is shown nowhere."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    transfer_syntax_uid: str
    series_instance_uid: str = ""
    modality: str = ""
    accession_number: str = field(default="", repr=False)
    patient_id: str = field(default="", repr=False)
    issuer_of_patient_id: str = field(default="", repr=False)

    @property
    def is_report(self) -> bool:
        """Tell whether it is a structured report, which refers to other objects."""
        return self.sop_class_uid.startswith(_REPORTS)


def read_dicom_file(path: Path, *, follow_links: bool = True, whole: bool = False) -> DicomFile:
    """Return what a DICOM file holds; its pixels are not read.

    Args:
        path: the file.
        follow_links: whether it may be a link to one.
        whole: see that what identifies it does not come again later in the file, as something else.

    Raises:
        ValueError: if it is none, lacks what identifies an object, or says two things of it.
        OSError: if it cannot be read.
    """
    uids, stated, texts = _read(path, follow_links, whole)
    if not all(is_uid(uid) for uid in (*uids, stated[0])):
        raise ValueError(f"{path}: this DICOM file lacks what identifies an object: UIDs and its transfer syntax")
    sop_class, sop_instance, study = uids
    transfer_syntax, *of_meta = stated
    if of_meta != [sop_class, sop_instance]:
        raise ValueError(f"{path}: the meta header of this DICOM file names another object than the file holds")
    return DicomFile(path, sop_class, sop_instance, study, transfer_syntax, *texts)


def is_uid(text: str) -> bool:
    """Tell whether a text can be a UID: up to 64 digits and dots (PS3.5, 9.1), so that it is safe as a file's name.

    UIDs with components that start with 0 are wrong, but there are archives full of them.
    """
    return _UID.fullmatch(text) is not None


@no_warnings()
def _read(path: Path, follow_links: bool, whole: bool) -> tuple[list[str], list[str], list[str]]:
    """Return the UIDs of an object, what the meta information says of them, and the texts beside them."""
    try:
        meta, header = _read_header(path, [*_UIDS, *_TEXTS], follow_links=follow_links, whole=whole)
        stated = (meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID)
        uids = [str(header.get(keyword) or "") for keyword in _UIDS]
        return uids, [str(uid) for uid in stated], [_text(header, keyword) for keyword in _TEXTS]
    except (NoRegularFile, _NoDicomFile):
        raise
    except Exception as error:  # of many kinds, in broken files; their texts may quote the header
        if isinstance(error, OSError) and error.errno is not None:  # pydicom's own have no number
            raise
        raise ValueError(f"{path}: this DICOM file is broken") from None


def _text(header: Dataset, keyword: str) -> str:
    """Return a value without the spaces around it; several values in one are as they stand in the file."""
    try:
        return str(header.get(keyword) or "").strip()
    except Exception:  # in a character set that the file does not name rightly
        return "?"


class _NoDicomFile(ValueError):
    """The file does not begin as a DICOM file does."""


@no_warnings()
def _read_header(
    path: Path, keywords: list[str], *, follow_links: bool = True, whole: bool = False
) -> tuple[Dataset, Dataset]:
    """Return the meta information of a file, and some attributes of its object.

    Args:
        path: the file.
        keywords: of attributes up to the Series Instance UID.
        follow_links: whether the file may be a link to one.
        whole: look through the whole file, that none of these attributes comes again behind the others: a reader of
            all of it would take that one.

    Raises:
        _NoDicomFile: if it is no DICOM file.
        Exception: of many kinds, if it is broken; the text may quote the header.
    """
    with open_regular(path, follow_links=follow_links) as file:
        if file.read(132)[128:] != b"DICM":
            raise _NoDicomFile(f"{path}: this is no DICOM file")
        source: Any = _Measured(file)  # as much of a file as pydicom needs
        meta = read_dataset(source, False, True, stop_when=_after_meta)
        syntax = meta.TransferSyntaxUID
        if syntax == DeflatedExplicitVRLittleEndian:
            source = _Measured(_Inflated(source))
        implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
        header = read_dataset(source, implicit, little, stop_when=_after_series, specific_tags=_tags(keywords))
        if whole:
            _look_through(source._file, implicit, little)
        return meta, header


def _tags(keywords: list[str]) -> list[Any]:
    return [BaseTag(tag) for tag in map(tag_for_keyword, keywords) if tag is not None]


def _after_meta(tag: BaseTag, vr: str | None, length: int) -> bool:
    return tag.group != 2


def _after_series(tag: BaseTag, vr: str | None, length: int) -> bool:
    return int(tag) > _LAST


def _look_through(file: Any, implicit: bool, little: bool) -> None:
    """See that the rest of a data set holds nothing that belongs before it (PS3.5, 7.1); values are skipped.

    What is skipped is what pydicom takes for a value, so that it finds no other attributes when it reads the file.

    Raises:
        ValueError: if it does.
    """
    rest: Any = _Measured(file)
    pieces: Any = _Pieces(file)
    compressed: list[str | None] = []  # type of the pixels where reading stopped

    def at_compressed_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:
        if _FIRST <= int(tag) <= _LAST:
            raise ValueError("attributes of this object are not in their order")
        stops = int(tag) == _PIXELS and length == _UNDEFINED
        compressed.extend([vr] if stops else [])
        return stops

    while True:
        read_dataset(rest, implicit, little, stop_when=at_compressed_pixels, specific_tags=[BaseTag(_LAST)])
        if not compressed:
            return
        file.seek(12 if compressed.pop() in EXPLICIT_VR_LENGTH_32 else 8, io.SEEK_CUR)
        try:
            read_undefined_length_value(pieces, little, BaseTag(_END_OF_ITEMS), defer_size=1)
        except EOFError:  # where pydicom stops, too
            return


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


class _Pieces(_Measured):
    """A file of which only so many pieces are read, of any size."""

    def read(self, size: int = -1) -> bytes:
        super().read(0)
        self._left -= 1
        return self._file.read(size)


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
