"""What compressed pixels say of themselves, checked before a decoder sees them.

Decoders trust the size in the compressed stream: one that lies there takes all memory, or ends the whole process.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import (
    JPEG2000,
    UID,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from monai_chexmask_u.radiograph import RadiographError

__all__ = ["DECODERS", "clean_codestream"]

# One decoder per syntax, so that results are the same wherever the project is installed. GDCM comes last: damaged
# streams, of which the others tell, end its process.
DECODERS: Final[dict[UID, str]] = {
    JPEGBaseline8Bit: "pillow",
    JPEGExtended12Bit: "pillow",
    JPEGLossless: "gdcm",
    JPEGLosslessSV1: "gdcm",
    JPEGLSLossless: "pyjpegls",
    JPEGLSNearLossless: "pyjpegls",
    JPEG2000Lossless: "pillow",
    JPEG2000: "pillow",
    RLELossless: "pydicom",
}

# Frame headers that a syntax may have (T.81, B.1.1.3; T.87, C.1.1): baseline and extended, lossless, JPEG-LS.
FRAME_MARKERS: Final[dict[UID, tuple[int, ...]]] = {
    **dict.fromkeys((JPEGBaseline8Bit, JPEGExtended12Bit), (0xC0, 0xC1)),
    **dict.fromkeys((JPEGLossless, JPEGLosslessSV1), (0xC3,)),
    **dict.fromkeys((JPEGLSLossless, JPEGLSNearLossless), (0xF7,)),
}
# All start-of-frame markers: C4, C8 and CC among them are tables and extensions.
START_OF_FRAME: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
START_OF_SCAN: Final = 0xDA
# Tables of codes, of quantization, of JPEG-LS and the restart interval; application data and comments.
TABLES: Final = frozenset({0xC4, 0xDB, 0xDD, 0xF8})
NEEDLESS: Final = frozenset({*range(0xE0, 0xF0), 0xFE})

END: Final = b"\xff\xd9"  # of JPEG, JPEG-LS and JPEG 2000 alike

# Boxes of a JP2 file around the codestream (T.800, I.4): each has its length and type; the codestream's is this.
JP2_START: Final = b"\0\0\0\x0cjP  \r\n\x87\n"
JP2_CODESTREAM: Final = b"jp2c"
J2K_START: Final = b"\xff\x4f\xff\x51"  # start of codestream, then always the size
J2K_CODING, J2K_START_OF_TILE = 0x52, 0x90
# A radiograph is coded in one piece or in squares of hundreds of pixels; a decoder's memory grows with their number.
MOST_TILES: Final = 4096


def clean_codestream(dataset: FileDataset) -> list[str]:
    """Check that compressed pixels are one gray image of the header's size; leave only what a decoder needs of them.

    Args:
        dataset: a data set that `examine` has accepted, with compressed pixels. Tables of where frames are, comments
            and application data are removed from them.

    Returns:
        Notes: ``lossy_compression``, as far as the stream tells, and ``pixel_bits_from_stream``.

    Raises:
        RadiographError: ``undecodable``.
    """
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax not in DECODERS:
        message = "the pixels are compressed in a way that cannot be decoded here: export them uncompressed"
        raise RadiographError("undecodable", message)
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        dataset.pop(keyword, None)
    try:
        stream = _without_boxes(get_frame(dataset.PixelData, 0, number_of_frames=1))
        _check_kind(stream, syntax)
        stream, is_lossy, bits = _cleaned(stream, syntax, (dataset.Rows, dataset.Columns), dataset.BitsAllocated)
    except RadiographError:
        raise
    except (ValueError, IndexError, struct.error):
        message = "the compressed pixels are damaged or not of the size that the header gives: export them uncompressed"
        raise RadiographError("undecodable", message) from None
    dataset.PixelData = encapsulate([stream])
    notes = ["lossy_compression"] if is_lossy else []
    if bits <= 8 < dataset.BitsAllocated:
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, bits, bits - 1
        notes.append("pixel_bits_from_stream")
    return notes


def _without_boxes(stream: bytes) -> bytes:
    """Return the codestream of a JP2 file, or anything else as it is.

    Raises:
        ValueError: if there is no codestream in it.
    """
    if not stream.startswith(JP2_START):
        return stream
    position = 0
    while position + 8 <= len(stream):
        length, kind = struct.unpack(">L4s", stream[position : position + 8])
        head = 8
        if length == 1:
            length, head = struct.unpack(">Q", stream[position + 8 : position + 16])[0], 16
        end = position + length if length else len(stream)
        if kind == JP2_CODESTREAM:
            return stream[position + head : end]
        if end < position + head:
            break
        position = end
    raise ValueError("no codestream")


def _check_kind(stream: bytes, syntax: UID) -> None:
    """Refuse a stream of another kind than the transfer syntax says, which a decoder would call damaged."""
    if stream.startswith(J2K_START):
        kinds: tuple[UID, ...] = (JPEG2000, JPEG2000Lossless)
    elif stream.startswith(b"\xff\xd8\xff"):
        frames = (marker for marker, *_ in _segments(stream, start=2) if marker in START_OF_FRAME)
        marker = next(frames)
        kinds = tuple(each for each, markers in FRAME_MARKERS.items() if marker in markers)
    else:
        return
    if syntax not in kinds:
        message = "the pixels are compressed in another way than the transfer syntax says: export the image again"
        raise RadiographError("undecodable", message)


def _cleaned(stream: bytes, syntax: UID, size: tuple[int, int], bits_allocated: int) -> tuple[bytes, bool, int]:
    """Return a checked stream, whether it is lossy, and the bits of a pixel in it."""
    if syntax == RLELossless:
        _check_run_lengths(stream, size, bits_allocated)
        return stream, False, bits_allocated
    # Without an end, some decoders fill up what is missing, and others read on beyond the stream.
    if not stream.rstrip(b"\0").endswith(END):
        raise ValueError("end")
    if syntax in (JPEG2000, JPEG2000Lossless):
        return stream, _is_lossy_jpeg_2000(stream, size), (stream[42] & 0x7F) + 1
    return _cleaned_jpeg(stream, size, syntax)


def _cleaned_jpeg(stream: bytes, size: tuple[int, int], syntax: UID) -> tuple[bytes, bool, int]:
    """Return tables, frame and scan of a JPEG or JPEG-LS stream, whether it has lost something, and its bits."""
    kept, sizes = [stream[:2]], []
    for marker, start, end in _segments(stream, start=2):
        content = stream[start + 4 : end]
        if marker in START_OF_FRAME:
            precision, rows, columns, components = struct.unpack(">BHHB", content[:6])
            if marker not in FRAME_MARKERS[syntax] or components != 1 or not 2 <= precision <= 16:
                raise ValueError("kind of frame")
            sizes.append((rows, columns))
        if marker == START_OF_SCAN:
            break
        if marker in NEEDLESS:
            continue
        if marker not in TABLES | START_OF_FRAME:
            raise ValueError("marker")
        kept.append(stream[start:end])
    if stream[:2] != b"\xff\xd8" or sizes != [size] or marker != START_OF_SCAN:
        raise ValueError("no single frame of this size")
    # In JPEG-LS the first byte after the scan's one component is the largest error of a pixel.
    is_lossy = content[3] > 0 if syntax in (JPEGLSLossless, JPEGLSNearLossless) else 0xC3 not in FRAME_MARKERS[syntax]
    return b"".join([*kept, stream[start:]]), is_lossy, precision


def _is_lossy_jpeg_2000(stream: bytes, size: tuple[int, int]) -> bool:
    """Check a JPEG 2000 codestream and return whether its wavelet is the irreversible one (T.800, A.5 and A.6)."""
    if not stream.startswith(J2K_START):
        raise ValueError("no codestream")
    right, bottom, left, top, tile_width, tile_height = struct.unpack(">6L", stream[8:32])
    components, sampling = struct.unpack(">H", stream[40:42])[0], stream[43:45]
    tiles = -(-right // tile_width) * -(-bottom // tile_height) if tile_width and tile_height else 0
    if components != 1 or sampling != b"\x01\x01" or (bottom - top, right - left) != size:
        raise ValueError("kind of image")
    if not 1 <= tiles <= MOST_TILES:
        raise ValueError("tiles")
    is_lossy = None
    for marker, start, _ in _segments(stream, start=2):
        if marker == J2K_CODING:
            is_lossy = stream[start + 13] == 0
        if marker == J2K_START_OF_TILE:
            break
    if is_lossy is None:
        raise ValueError("no coding style")
    return is_lossy


def _segments(stream: bytes, start: int) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of the segments that follow each other in a stream.

    Raises:
        ValueError: where no marker or no length stands.
        IndexError: at the stream's end.
    """
    while True:
        if stream[start] != 0xFF:
            raise ValueError("no marker")
        if stream[start + 1] == 0xFF:  # fill bytes may precede a marker
            start += 1
            continue
        length: int = struct.unpack(">H", stream[start + 2 : start + 4])[0]
        if length < 2:  # it counts its own two bytes
            raise ValueError("length")
        yield stream[start + 1], start, start + 2 + length
        start += 2 + length


def _check_run_lengths(stream: bytes, size: tuple[int, int], bits_allocated: int) -> None:
    """Check that there is one RLE segment per byte of a pixel, each expanding to the pixels' number (PS3.5, G)."""
    count, *offsets = struct.unpack("<16L", stream[:64])
    starts = offsets[:count]
    if count != bits_allocated // 8 or starts != sorted(starts) or not starts or starts[0] < 64:
        raise ValueError("segments")
    for start, end in zip(starts, [*starts[1:], len(stream)], strict=True):
        _check_run_length(stream[start:end], size[0] * size[1])


def _check_run_length(segment: bytes, expected: int) -> None:
    """Check that a segment expands to so many bytes; up to as many again may follow as padding."""
    position = expanded = 0
    while position < len(segment) and expanded <= 2 * expected:
        code = segment[position]
        expanded += code + 1 if code < 128 else 257 - code if code > 128 else 0
        position += code + 2 if code < 128 else 2 if code > 128 else 1
    if not expected <= expanded <= 2 * expected:
        raise ValueError("run lengths")
