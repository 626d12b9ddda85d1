"""Cases on compression: every syntax, what is lossy, and streams that lie about their size."""

from __future__ import annotations

import struct
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydicom.dataset import FileDataset
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from support.cases.case import Case, made
from support.samples.compressed import compressed, set_stream, stream_of
from support.samples.dicom import chest_phantom, make_dx, save

from monai_chexmask_u.radiograph import Radiograph

__all__ = ["COMPRESSED"]

COMPRESSED: Final[list[Case]] = []
compression = partial(made, COMPRESSED, "Compression")
bomb = partial(made, COMPRESSED, "Compressed pixels that lie about their size")
# One step of 14 bits is lost where the window ends; the phantom is in single precision.
EXACT: Final = 2 / 2**14
LOSSY: Final = ("lossy_compression", "spacing_from_imager")
DCMTK: Final[dict[str, Any]] = {"needs": "dcmcjpeg"}


def is_exact(radiograph: Radiograph) -> bool:
    """Say whether the image is the phantom, value by value."""
    return bool(np.abs(radiograph.pixels - chest_phantom(*radiograph.shape)).max() <= EXACT)


def of_syntax(folder: Path, name: str, syntax: UID, *, bits: int = 14, lossy_attribute: str | None = "00") -> Path:
    """Write the sample compressed."""
    dataset = compressed(make_dx(bits=bits), syntax, folder)
    dataset.LossyImageCompression = lossy_attribute
    return save(dataset, folder / f"{name}.dcm")


@compression("read", is_right=is_exact)
def rle(folder: Path) -> Path:
    """RLE."""
    return of_syntax(folder, "rle", RLELossless)


@compression("read; the stream says that it is lossy", notes=LOSSY)
def jpeg_baseline(folder: Path) -> Path:
    """JPEG Baseline, LossyImageCompression 00."""
    return of_syntax(folder, "jpeg_baseline", JPEGBaseline8Bit, bits=8)


@compression("read", notes=LOSSY, **DCMTK)
def jpeg_extended_8(folder: Path) -> Path:
    """JPEG Extended, 8 bits."""
    return of_syntax(folder, "jpeg_extended_8", JPEGExtended12Bit, bits=8)


@compression("no decoder of a free license is at hand", code="undecodable", notes=(), **DCMTK)
def jpeg_extended_12(folder: Path) -> Path:
    """JPEG Extended, 12 bits."""
    return of_syntax(folder, "jpeg_extended_12", JPEGExtended12Bit, bits=12)


@compression("read", is_right=is_exact, **DCMTK)
def jpeg_lossless_sv1(folder: Path) -> Path:
    """JPEG Lossless of first-order prediction (process 14, selection value 1)."""
    return of_syntax(folder, "jpeg_lossless_sv1", JPEGLosslessSV1)


@compression("read", is_right=is_exact, **DCMTK)
def jpeg_lossless(folder: Path) -> Path:
    """JPEG Lossless (process 14, selection value 4)."""
    return of_syntax(folder, "jpeg_lossless", JPEGLossless)


@compression("read", is_right=is_exact)
def jpeg_ls(folder: Path) -> Path:
    """JPEG-LS Lossless."""
    return of_syntax(folder, "jpeg_ls", JPEGLSLossless)


@compression("read; the stream says that it is lossy", notes=LOSSY)
def jpeg_ls_near(folder: Path) -> Path:
    """JPEG-LS Near-Lossless with an error, LossyImageCompression 00."""
    return of_syntax(folder, "jpeg_ls_near", JPEGLSNearLossless)


@compression("read; the stream says that nothing is lost", is_right=is_exact)
def jpeg_ls_near_without_error(folder: Path) -> Path:
    """JPEG-LS Near-Lossless with an error of 0."""
    dataset = compressed(make_dx(), JPEGLSLossless, folder)
    dataset.file_meta.TransferSyntaxUID = JPEGLSNearLossless
    return save(dataset, folder / "jpeg_ls_near_without_error.dcm")


@compression("read", is_right=is_exact)
def jpeg_2000_lossless(folder: Path) -> Path:
    """JPEG 2000 Lossless."""
    return of_syntax(folder, "jpeg_2000_lossless", JPEG2000Lossless)


@compression("read; the irreversible wavelet is lossy", notes=LOSSY)
def jpeg_2000(folder: Path) -> Path:
    """JPEG 2000 of the irreversible wavelet, LossyImageCompression 00."""
    return of_syntax(folder, "jpeg_2000", JPEG2000)


@compression("read; the reversible wavelet loses nothing", is_right=is_exact)
def jpeg_2000_reversible(folder: Path) -> Path:
    """JPEG 2000 of the reversible wavelet."""
    dataset = compressed(make_dx(), JPEG2000Lossless, folder)
    dataset.file_meta.TransferSyntaxUID = JPEG2000
    return save(dataset, folder / "jpeg_2000_reversible.dcm")


@compression("lossy before it was stored like this", notes=LOSSY, is_right=is_exact)
def lossy_attribute(folder: Path) -> Path:
    """LossyImageCompression 01, uncompressed."""
    dataset = make_dx()
    dataset.LossyImageCompression = "01"
    return save(dataset, folder / "lossy_attribute.dcm")


@compression("read", is_right=is_exact)
def deflated(folder: Path) -> Path:
    """Deflated Explicit VR Little Endian."""
    dataset = make_dx()
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return save(dataset, folder / "deflated.dcm")


@compression("no decoder is at hand", code="undecodable", notes=())
def high_throughput_jpeg_2000(folder: Path) -> Path:
    """High-Throughput JPEG 2000."""
    dataset = compressed(make_dx(), JPEG2000Lossless, folder)
    dataset.file_meta.TransferSyntaxUID = HTJ2KLossless
    return save(dataset, folder / "high_throughput_jpeg_2000.dcm")


@compression("an end that is missing is not filled up", code="undecodable", notes=())
def stream_without_end(folder: Path) -> Path:
    """JPEG 2000 stream cut in half."""
    dataset = compressed(make_dx(), JPEG2000Lossless, folder)
    stream = stream_of(dataset)
    set_stream(dataset, stream[: len(stream) // 2], JPEG2000Lossless)
    return save(dataset, folder / "stream_without_end.dcm")


def claiming(folder: Path, name: str, syntax: UID, marker: bytes, places: tuple[int, ...], code: str) -> Path:
    """Write a stream whose own header claims another size, at places after a marker."""
    dataset = compressed(make_dx(bits=8), syntax, folder)
    stream = bytearray(stream_of(dataset))
    at = stream.index(marker)
    for place in places:
        struct.pack_into(code, stream, at + place, 60000)
    return save(set_stream(dataset, bytes(stream), syntax), folder / f"{name}.dcm")


@bomb("refused before decoding", code="undecodable", notes=())
def jpeg_bomb(folder: Path) -> Path:
    """JPEG that claims 60000 x 60000 pixels, the header 500 x 400."""
    return claiming(folder, "jpeg_bomb", JPEGBaseline8Bit, b"\xff\xc0", (5, 7), ">H")


@bomb("refused before decoding", code="undecodable", notes=(), **DCMTK)
def jpeg_lossless_bomb(folder: Path) -> Path:
    """JPEG Lossless that claims 60000 x 60000 pixels, the header 500 x 400."""
    return claiming(folder, "jpeg_lossless_bomb", JPEGLosslessSV1, b"\xff\xc3", (5, 7), ">H")


@bomb("refused before decoding", code="undecodable", notes=())
def jpeg_ls_bomb(folder: Path) -> Path:
    """JPEG-LS that claims 60000 x 60000 pixels, the header 500 x 400."""
    return claiming(folder, "jpeg_ls_bomb", JPEGLSLossless, b"\xff\xf7", (5, 7), ">H")


@bomb("refused before decoding", code="undecodable", notes=())
def jpeg_2000_bomb(folder: Path) -> Path:
    """JPEG 2000 that claims 60000 x 60000 pixels, the header 500 x 400."""
    return claiming(folder, "jpeg_2000_bomb", JPEG2000Lossless, b"\xff\x51", (6, 10, 22, 26), ">L")


@bomb("refused before decoding", code="undecodable", notes=())
def jpeg_2000_of_a_million_tiles(folder: Path) -> Path:
    """JPEG 2000 in tiles of one pixel."""
    dataset = compressed(make_dx(bits=8), JPEG2000Lossless, folder)
    stream = bytearray(stream_of(dataset))
    struct.pack_into(">2L", stream, stream.index(b"\xff\x51") + 22, 1, 1)
    set_stream(dataset, bytes(stream), JPEG2000Lossless)
    return save(dataset, folder / "jpeg_2000_of_a_million_tiles.dcm")


def rle_stream(dataset: FileDataset, segment: bytes, count: int) -> FileDataset:
    """Put RLE segments into a data set, as many as its header says or not."""
    offsets = [64 + number * len(segment) for number in range(2)]
    header = struct.pack("<16L", count, *offsets, *[0] * 13)
    return set_stream(dataset, header + 2 * segment, RLELossless)


@bomb("counted before decoding", code="undecodable", notes=())
def rle_bomb(folder: Path) -> Path:
    """RLE of megabytes that expands to hundreds of them, the header 500 x 400."""
    return save(rle_stream(make_dx(), b"\x81\x00" * 2_000_000, 2), folder / "rle_bomb.dcm")


@bomb("refused before decoding", code="undecodable", notes=())
def rle_of_too_many_segments(folder: Path) -> Path:
    """RLE of 4294967295 segments."""
    return save(rle_stream(make_dx(), b"\x81\x00" * 2000, 2**32 - 1), folder / "rle_of_too_many_segments.dcm")


@bomb("refused before a pixel is read", code="too_large", notes=())
def small_stream_of_a_huge_image(folder: Path) -> Path:
    """JPEG-LS of 500 x 400 pixels, the header 60000 x 60000."""
    dataset = compressed(make_dx(), JPEGLSLossless, folder)
    dataset.Rows = dataset.Columns = 60000
    return save(dataset, folder / "small_stream_of_a_huge_image.dcm")


@bomb("a single radiograph needs no table of its frames", is_right=is_exact)
def misleading_offset_table(folder: Path) -> Path:
    """Extended Offset Table that points beside the stream."""
    dataset = compressed(make_dx(), JPEGLSLossless, folder)
    dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = struct.pack("<Q", 800), struct.pack("<Q", 90)
    return save(dataset, folder / "misleading_offset_table.dcm")
