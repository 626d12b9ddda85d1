"""Cases on files: cut off, damaged, not DICOM, or made to take all memory."""

from __future__ import annotations

import struct
import zlib
from functools import partial
from pathlib import Path
from typing import Final

from pydicom.dataset import FileDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless
from support.cases.case import Case, changed, made
from support.samples.compressed import compressed
from support.samples.dicom import make_dx, save

__all__ = ["FILES", "PIXEL_DATA"]

FILES: Final[list[Case]] = []
damage = partial(made, FILES, "Damaged files")
damaged_header = partial(changed, FILES, "Damaged files")
size = partial(changed, FILES, "Too large files")
large = partial(made, FILES, "Too large files")
PIXEL_DATA: Final = b"\xe0\x7f\x10\x00O"  # the tag of the pixels, and the first letter of OB or OW


def written(folder: Path, name: str, content: bytes) -> Path:
    """Write bytes as a file."""
    path = folder / f"{name}.dcm"
    path.write_bytes(content)
    return path


def plain(folder: Path) -> bytes:
    """The bytes of a valid file."""
    return save(make_dx(), folder / "plain.dcm").read_bytes()


def start_of_data_set(raw: bytes) -> int:
    """Where the file meta information ends: magic, the element with its length, and that length."""
    return 132 + 12 + int.from_bytes(raw[140:144], "little")


@damage("nothing is there", code="truncated")
def empty_file(folder: Path) -> Path:
    """Empty."""
    return written(folder, "empty_file", b"")


@damage("no DICOM file", code="not_dicom")
def text_file(folder: Path) -> Path:
    """Text."""
    return written(folder, "text_file", b"hello world" * 100)


@damage("nothing follows", code="truncated")
def preamble_alone(folder: Path) -> Path:
    """Preamble and magic alone."""
    return written(folder, "preamble_alone", bytes(128) + b"DICM")


@damage("read, if the first element is one of DICOM")
def no_preamble(folder: Path) -> Path:
    """No preamble, file meta information first."""
    return written(folder, "no_preamble", plain(folder)[132:])


@damage(
    "read, the encoding concluded from the first element",
    notes=("transfer_syntax_assumed", "spacing_from_imager"),
)
def bare_data_set(folder: Path) -> Path:
    """No preamble and no file meta information."""
    raw = plain(folder)
    return written(folder, "bare_data_set", raw[start_of_data_set(raw) :])


@damage("cut off", code="truncated")
def cut_in_header(folder: Path) -> Path:
    """Ends within an element of its header."""
    return written(folder, "cut_in_header", plain(folder)[:1205])


@damage("cut off", code="truncated")
def cut_in_pixels(folder: Path) -> Path:
    """Ends within its pixels."""
    return written(folder, "cut_in_pixels", plain(folder)[:-100000])


@damage("the last pixel counts", code="truncated")
def two_bytes_short(folder: Path) -> Path:
    """Lacks its last two bytes."""
    return written(folder, "two_bytes_short", plain(folder)[:-2])


@damage("cut off", code="truncated")
def cut_in_compressed_pixels(folder: Path) -> Path:
    """Ends within pixels in RLE."""
    dataset = compressed(make_dx(), RLELossless, folder)
    path = save(dataset, folder / "cut_in_compressed_pixels.dcm")
    return written(folder, path.stem, path.read_bytes()[:-1000])


@damage("cut off", code="truncated")
def cut_in_deflated_data_set(folder: Path) -> Path:
    """Ends within a deflated data set."""
    dataset = make_dx()
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    path = save(dataset, folder / "cut_in_deflated_data_set.dcm")
    return written(folder, path.stem, path.read_bytes()[:-1000])


@damaged_header("spare bytes do no harm")
def odd_trailing_bytes(dataset: FileDataset) -> None:
    """Pixels longer than Rows times Columns."""
    dataset.PixelData += b"\0\0"


@damage("spare bytes do no harm")
def bytes_after_the_end(folder: Path) -> Path:
    """Three zero bytes after the last element."""
    return written(folder, "bytes_after_the_end", plain(folder) + bytes(3))


@damaged_header("a header alone", code="no_pixels")
def no_pixels(dataset: FileDataset) -> None:
    """No PixelData."""
    del dataset.PixelData


@damaged_header("nobody can tell the size", code="undecodable")
def no_rows(dataset: FileDataset) -> None:
    """No Rows."""
    del dataset.Rows


@damaged_header("nobody can tell the type", code="undecodable")
def no_bits(dataset: FileDataset) -> None:
    """No BitsAllocated."""
    del dataset.BitsAllocated


@damaged_header("impossible", code="undecodable")
def more_bits_than_allocated(dataset: FileDataset) -> None:
    """BitsStored 20 of 16 allocated."""
    dataset.BitsStored, dataset.HighBit = 20, 19


@damage("cannot be decoded", code="undecodable")
def unknown_transfer_syntax(folder: Path) -> Path:
    """Unknown transfer syntax."""
    raw = plain(folder).replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.99999.1.2.1\0")
    return written(folder, "unknown_transfer_syntax", raw)


@damage("nothing says how", code="undecodable")
def compressed_in_plain_syntax(folder: Path) -> Path:
    """Compressed pixels, but an uncompressed transfer syntax."""
    dataset = compressed(make_dx(), RLELossless, folder)
    raw = save(dataset, folder / "compressed_in_plain_syntax.dcm").read_bytes()
    # An odd length of the UID is filled up with a zero.
    return written(
        folder, "compressed_in_plain_syntax", raw.replace(b"1.2.840.10008.1.2.5\0", b"1.2.840.10008.1.2.1\0")
    )


def nested(depth: int) -> bytes:
    """A private sequence within a sequence, and so on, none of them closed."""
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    return (b"\x11\x00\x10\x10SQ\0\0\xff\xff\xff\xff" + item) * depth


@damage("nobody nests so deep", code="truncated")
def deep_nesting(folder: Path) -> Path:
    """Sequences nested 5000 deep."""
    raw = plain(folder)
    at = raw.index(b"\x10\x00\x10\x00PN")
    return written(folder, "deep_nesting", raw[:at] + nested(5000) + raw[at:])


@size("refused before a pixel is read", code="too_large")
def huge_header(dataset: FileDataset) -> None:
    """60000 x 60000 pixels in the header, few in the file."""
    dataset.Rows = dataset.Columns = 60000


@large("refused for what it is, its pixels unread", code="multi_frame")
def huge_multi_frame(folder: Path) -> Path:
    """Gigabytes of frames."""
    dataset = make_dx()
    dataset.NumberOfFrames = 9000
    return sparse(dataset, folder, "huge_multi_frame")


@large("refused, its pixels unread", code="too_large")
def huge_pixels(folder: Path) -> Path:
    """Gigabytes of pixels beyond Rows times Columns."""
    return sparse(make_dx(), folder, "huge_pixels")


def sparse(dataset: FileDataset, folder: Path, name: str, size: int = 3 << 30) -> Path:
    """Write a file of gigabytes that take no room on the disk."""
    path = save(dataset, folder / f"{name}.dcm")
    raw = path.read_bytes()
    header = raw[: raw.index(PIXEL_DATA)] + PIXEL_DATA + b"W\0\0" + struct.pack("<L", size)
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + size)
    return path


@large("measured piece by piece, and never inflated as a whole", code="too_large")
def deflate_bomb(folder: Path) -> Path:
    """Deflated data set of megabytes that inflates to gigabytes."""
    dataset = make_dx()
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    path = save(dataset, folder / "deflate_bomb.dcm")
    raw = path.read_bytes()
    start = start_of_data_set(raw)
    data_set = zlib.decompress(raw[start:], -zlib.MAX_WBITS)
    header = data_set[: data_set.index(PIXEL_DATA)] + PIXEL_DATA + b"W\0\0" + struct.pack("<L", 2 << 30)
    deflater = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    first = deflater.compress(header) + deflater.flush(zlib.Z_FULL_FLUSH)
    # After a full flush the same bytes give the same bytes again.
    megabyte = deflater.compress(bytes(2**20)) + deflater.flush(zlib.Z_FULL_FLUSH)
    return written(folder, "deflate_bomb", raw[:start] + first + megabyte * 2048 + deflater.flush())
