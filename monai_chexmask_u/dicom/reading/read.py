"""Read one frontal chest radiograph from a DICOM file."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final

from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileDataset
from pydicom.filereader import read_dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from monai_chexmask_u.dicom.reading.charsets import settle_character_sets
from monai_chexmask_u.dicom.reading.header import MAX_PIXELS, HeaderFacts, check_class, examine
from monai_chexmask_u.dicom.reading.header_size import check_header_size
from monai_chexmask_u.dicom.reading.identity import clean_identity
from monai_chexmask_u.dicom.reading.pixels import displayed_pixels
from monai_chexmask_u.dicom.reading.quiet import no_warnings
from monai_chexmask_u.files.kinds import Kind, looks_like_dicom, wrong_kind
from monai_chexmask_u.files.regular_file import HEAD_BYTES, SourceFile, open_source
from monai_chexmask_u.radiograph import Radiograph, RadiographError

__all__ = ["ExaminedFile", "ParsedFile", "examine_file", "is_bounded", "parse_file", "read_dicom"]

# The largest image in 32 bits, and a quarter as much for its header. More is not read into memory, but only measured.
MAX_BYTES: Final = 5 * MAX_PIXELS
CHUNK_BYTES: Final = 2**20
# Compressed pixels are in little-endian byte order.
PIXEL_TAG: Final = b"\xe0\x7f\x10\x00"
FRAGMENT_TAG: Final = b"\xfe\xff\x00\xe0"
SEQUENCE_DELIMITER: Final = b"\xfe\xff\xdd\xe0" + bytes(4)

SYNTAX_OF_ENCODING: Final[dict[tuple[bool | None, bool | None], UID]] = {
    (True, True): ImplicitVRLittleEndian,
    (False, True): ExplicitVRLittleEndian,
    (False, False): ExplicitVRBigEndian,
}


@dataclass(frozen=True)
class ParsedFile:
    """A DICOM file that was parsed, and not examined yet.

    Attributes:
        path: the file it came from.
        dataset: with the pixels as they are stored in the file; none if that is too large.
        size: of the file in bytes.
        sha256: of the file's bytes; None if it is too large.
        is_unclosed: the end of its compressed pixels is not marked, and was taken to be that of the file.
    """

    path: Path
    dataset: FileDataset
    size: int
    sha256: str | None
    is_unclosed: bool = False


@dataclass(frozen=True)
class ExaminedFile:
    """A DICOM file that was parsed and whose header is that of a frontal chest radiograph; its pixels are not decoded.

    Attributes:
        path: the file it came from.
        dataset: with the pixels as they are stored in the file.
        facts: what the header says.
        notes: what was decided when the file was parsed.
        sha256: of the file's bytes.
    """

    path: Path
    dataset: FileDataset
    facts: HeaderFacts
    notes: tuple[str, ...]
    sha256: str | None

    @no_warnings()
    def radiograph(self) -> Radiograph:
        """Decode the pixels, which leave the data set: once only.

        Raises:
            RadiographError: those of `displayed_pixels`.
        """
        with _malformed_header_refused():
            pixels, pixel_notes = displayed_pixels(self.dataset)
            # What outputs will not copy is noted here, once for all of them.
            notes = [*self.notes, *self.facts.notes, *pixel_notes, *clean_identity(copy.deepcopy(self.dataset))]
            return Radiograph(
                pixels,
                self.path,
                spacing_mm=self.facts.spacing_mm,
                view=self.facts.view,
                mirrored=self.facts.mirrored,
                upside_down=self.facts.upside_down,
                notes=tuple(dict.fromkeys(notes)),
                header=self.dataset,
                pixel_aspect=self.facts.pixel_aspect,
                sha256=self.sha256,
            )


def read_dicom(path: Path) -> Radiograph:
    """Read a CR or DX image (for presentation) of a human chest in frontal view.

    Args:
        path: a DICOM file; preamble and file meta information may be missing, as in old files.

    Returns:
        The radiograph as stored, bright = dense, with the data set without its pixels as `header`.

    Raises:
        RadiographError: if the file cannot be used; codes are those of `parse_file`, `examine_file` and
            `ExaminedFile.radiograph`.
    """
    return examine_file(parse_file(path)).radiograph()


@no_warnings()
def parse_file(path: Path) -> ParsedFile:
    """Parse a DICOM file, once.

    Args:
        path: as for `read_dicom`.

    Raises:
        RadiographError: ``not_found``, ``not_readable``, ``not_dicom``, ``truncated`` or ``too_large``.
    """
    with open_source(path, limit=MAX_BYTES) as source:
        dataset = _load(source)
        closed = _closed(source, dataset)
        return ParsedFile(path, closed or dataset, source.size, source.sha256, closed is not None)


@no_warnings()
def examine_file(parsed: ParsedFile) -> ExaminedFile:
    """Check by its header that a file is a frontal chest radiograph.

    Raises:
        RadiographError: ``truncated``, ``too_large``, ``undecodable`` or one of `examine`.
    """
    dataset = parsed.dataset
    with _malformed_header_refused():
        notes = _complete_transfer_syntax(dataset)
        if parsed.is_unclosed:
            notes.append("pixel_sequence_unclosed")
        else:
            _check_end(dataset, parsed.size)
        check_class(dataset)  # refused first: other objects may have more attributes than any radiograph
        check_header_size(dataset)
        notes += sorted(settle_character_sets(dataset))
        if not dataset.get("SOPClassUID") and "MediaStorageSOPClassUID" in dataset.file_meta:
            dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID  # which must be the same
        facts = examine(dataset)
        if parsed.sha256 is None:  # refused last: a radiograph in many frames is refused for these
            raise _too_large()
        return ExaminedFile(parsed.path, dataset, facts, tuple(notes), parsed.sha256)


@contextmanager
def _malformed_header_refused() -> Iterator[None]:
    """Turn what pydicom raises when it converts a value; its errors quote values from the header."""
    try:
        yield
    except RadiographError:
        raise
    except Exception:
        message = "the file's header or pixels are malformed: export or send it again"
        raise RadiographError("undecodable", message) from None


def is_bounded(path: Path) -> bool:
    """Tell whether another reader may take a DICOM file into memory as a whole: it is not too large, deflated or not.

    What cannot be read or parsed is not; `read_dicom` tells why.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            return False
        with path.open("rb") as file:
            _check_inflated_size(file)
    except Exception:  # a damaged file can raise nearly anything in the parser
        return False
    return True


def _load(source: SourceFile) -> FileDataset:
    """Parse the file, without a preamble only if it starts like DICOM."""
    head = source.stream.read(HEAD_BYTES)
    if not looks_like_dicom(head):
        raise wrong_kind(Kind.DICOM)
    try:
        _check_inflated_size(source.stream)
        source.stream.seek(0)
        # The check above stands in for dcmread's own.
        dataset = dcmread(source.stream, force=True, stop_before_pixels=source.is_oversized)
    except RadiographError:
        raise
    except Exception:  # a damaged file can raise nearly anything in the parser
        message = "the file cannot be parsed, it is cut off or damaged: copy or send it again"
        raise RadiographError("truncated", message) from None
    dataset.buffer = None  # the whole file, which the header would keep and copy with itself
    if source.is_oversized:
        dataset.PixelData = b""  # stands for those that were not read, so that the header can be examined
    return dataset


def _closed(source: SourceFile, dataset: FileDataset) -> FileDataset | None:
    """Parse a file once more whose compressed pixels lack the mark of their end; None for any other.

    Raises:
        RadiographError: ``truncated``, if it ends within the last fragment of the pixels.
    """
    if "PixelData" in dataset or source.is_oversized or not _ends_at_pixels(source.stream):
        return None
    source.stream.seek(0)
    try:
        closed = dcmread(BytesIO(source.stream.read() + SEQUENCE_DELIMITER), force=True)
    except Exception:  # as above
        closed = dataset
    if "PixelData" not in closed or not _has_whole_fragments(closed.PixelData):
        raise RadiographError("truncated", "the file ends in the middle of its pixels: copy or send it again")
    closed.buffer = None
    return closed


def _has_whole_fragments(pixels: bytes) -> bool:
    """Say whether compressed pixels are items of the lengths that they give, and nothing else (PS3.5, A.4)."""
    position = 0
    while position + 8 <= len(pixels) and pixels[position : position + 4] == FRAGMENT_TAG:
        position += 8 + int.from_bytes(pixels[position + 4 : position + 8], "little")
    return position == len(pixels)


def _ends_at_pixels(stream: BinaryIO) -> bool:
    """Say whether what follows the elements before the pixels is pixels."""
    stream.seek(0)
    try:
        dcmread(stream, force=True, stop_before_pixels=True)
    except Exception:  # as above
        return False
    return stream.read(4) == PIXEL_TAG


def _check_inflated_size(file: BinaryIO) -> None:
    """Refuse a deflated data set that grows beyond the limit, which dcmread would inflate as a whole."""
    file.seek(0)
    if file.read(HEAD_BYTES)[128:] != b"DICM":
        file.seek(0)
    meta = read_dataset(file, False, True, stop_when=lambda tag, *_: tag >> 16 != 2)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return
    inflater, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    while not inflater.eof and (deflated := inflater.unconsumed_tail or file.read(CHUNK_BYTES)):
        size += len(inflater.decompress(deflated, CHUNK_BYTES))
        if size > MAX_BYTES:
            raise _too_large()


def _too_large() -> RadiographError:
    message = f"the file holds more than {MAX_BYTES // 1_000_000} megabytes, more than any radiograph: export it again"
    return RadiographError("too_large", message)


def _complete_transfer_syntax(dataset: FileDataset) -> list[str]:
    """Add a missing transfer syntax, which pixels cannot be decoded without, and return notes.

    pydicom looked at the first element to see whether it names its type; files so old are not compressed.
    """
    if dataset.file_meta.get("TransferSyntaxUID"):
        return []
    dataset.file_meta.TransferSyntaxUID = SYNTAX_OF_ENCODING[dataset.original_encoding]
    return ["transfer_syntax_assumed"]


def _check_end(dataset: FileDataset, size: int) -> None:
    """Refuse a header that breaks off inside an element, which pydicom does not report."""
    if "PixelData" not in dataset and _ends_inside_element(dataset, size):
        raise RadiographError("truncated", "the file ends in the middle of its header: copy or send it again")


def _ends_inside_element(dataset: FileDataset, size: int) -> bool:
    """Say whether the last element that was parsed ends elsewhere than the file."""
    if not len(dataset):
        return True
    last = dataset.get_item(max(dataset.keys()))
    if dataset.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian or not isinstance(last, RawDataElement):
        return False  # the element's place in the file is not known
    end: int = last.value_tell + last.length
    return end != size
