"""Damage to pixels: fragments and offset tables that lie, code streams of other images, bombs, a wrong syntax."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from random import Random
from typing import Final

from support.mutations.elements import PIXEL_DATA, UNDEFINED, Element, File, take_apart

__all__ = ["STREAMS"]

Change = Callable[[Random, File, Sequence[bytes]], File]

ITEM, DELIMITER = 0xFFFEE000, 0xFFFEE0DD
SYNTAXES: Final = tuple(
    f"1.2.840.10008.1.2{end}".encode()
    for end in (
        *(
            "",
            ".1",
            ".2",
            ".1.99",
            ".5",
            ".4.50",
            ".4.51",
            ".4.53",
            ".4.57",
            ".4.70",
            ".4.80",
            ".4.81",
            ".4.90",
            ".4.91",
        ),
        *(".4.92", ".4.100", ".4.102", ".4.110", ".4.201", ".4.202", ".1.98", ".7.1", ".9"),
    )
)
# Markers of frames and tiles, after which sizes stand.
SIZE_MARKERS: Final = (b"\xff\xc0", b"\xff\xc1", b"\xff\xc3", b"\xff\xf7", b"\xff\x51", b"\xff\x52", b"\xff\x90")
# Rows and columns of radiographs of 16 bits, of a detector and of digitizers; more than 50 megapixels no device has.
LARGE: Final = ((3000, 2400), (6000, 5000), (6250, 8000))


def wrong_syntax(random: Random, file: File, others: Sequence[bytes]) -> File:
    """Name another transfer syntax than that of the content."""
    uid = random.choice((*SYNTAXES, b"1.2.3", b"", b"1.2.840.10008.1.2.1 ", b"1.2.840.10008.1.2.4.57\\1.2"))
    changed = [
        replace(element, value=uid + bytes(len(uid) % 2)) if element.tag == 0x00020010 else element
        for element in file.meta
    ]
    # Meta information says how long it is, and a wrong length would hide the other lie.
    length = sum(len(element.data(replace(file.encoding, is_implicit=False, order="<"))) for element in changed[1:])
    changed[0] = replace(changed[0], value=struct.pack("<L", length))
    return replace(file, meta=tuple(changed))


def lying_fragments(random: Random, file: File, others: Sequence[bytes]) -> File:
    """Cut the stream into other fragments, with lengths and offsets that are right or wrong."""
    stream = _stream(file)
    pieces = _pieces(random, stream)
    table = random.choice((b"", bytes(4), struct.pack("<2L", 0, 8), b"\xff" * 4, random.randbytes(7), bytes(40000)))
    fragments = [Element(ITEM, b"", table), *(Element(ITEM, b"", piece) for piece in pieces)]
    if random.random() < 0.5:
        index = random.randrange(len(fragments))
        length = random.choice((0, 1, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, UNDEFINED, len(fragments[index].value) + 2))
        fragments[index] = replace(fragments[index], length=length)
    if random.random() < 0.3:
        random.shuffle(fragments)
    end = random.choice((Element(DELIMITER, b"", b"").data(file.encoding), b"", b"\0" * 8))
    return _with_pixels(file, b"".join(each.data(file.encoding) for each in fragments) + end)


def extended_offsets(random: Random, file: File, others: Sequence[bytes]) -> File:
    """Add an extended offset table, which counts in eight bytes."""
    size = random.choice((1, 2, 1000))
    numbers = [random.choice((0, 8, 2**31, 2**32, 2**63, 2**64 - 1)) for _ in range(size)]
    file = file.replaced(0x7FE00001, Element(0x7FE00001, b"OV", struct.pack(f"<{size}Q", *numbers)))
    return file.replaced(0x7FE00002, Element(0x7FE00002, b"OV", struct.pack(f"<{size}Q", *numbers[::-1])))


def wrong_size(random: Random, file: File, others: Sequence[bytes]) -> File:
    """Change sizes and depths in the header of the code stream."""
    stream = bytearray(_stream(file))
    places = [place for marker in SIZE_MARKERS if (place := stream.find(marker)) >= 0] or [0]
    start = random.choice(places) + 2
    form = random.choice((">B", ">H", ">L", "<L"))
    place = start + random.randrange(40)
    value = random.choice((0, 1, 2, 15, 17, 127, 255, 256, 8000, 65535, 2**31, 2**32 - 1)) % 256 ** struct.calcsize(
        form
    )
    stream[place : place + struct.calcsize(form)] = struct.pack(form, value)
    return _with_stream(file, bytes(stream))


def damaged_stream(random: Random, file: File, others: Sequence[bytes]) -> File:
    """Damage the code stream and keep the fragments around it whole."""
    stream = bytearray(_stream(file))
    region = range(min(len(stream), random.choice((30, 100, 1000, len(stream)))))
    for _ in range(random.choice((1, 1, 3, 10, 100)) if region else 0):
        stream[random.choice(region)] = random.choice((0, 0xFF, 0x80, random.randrange(256)))
    cut = random.choice((len(stream), len(stream), len(stream), len(stream) // 2, 20))
    return _with_stream(file, bytes(stream[:cut]) + random.choice((b"", b"", b"\xff\xd9")))


def foreign_stream(random: Random, file: File, others: Sequence[bytes]) -> File:
    """Put another image's code stream in place of the pixels."""
    other = take_apart(random.choice(others)) if others else file
    return _with_stream(file, _stream(other))


def inflating(random: Random, file: File, others: Sequence[bytes]) -> File:
    """Make little data grow to very much: runs, deflated pixels of a large radiograph, zeros after the data set."""
    if random.random() < 0.3:
        return _padded(file)
    size = random.choice(LARGE)
    for tag, number in zip((0x00280010, 0x00280011), size, strict=True):
        file = file.replaced(tag, Element(tag, b"US", struct.pack(f"{file.encoding.order}H", number)))
    syntax = next(element.value.rstrip(b"\0") for element in file.meta if element.tag == 0x00020010)
    if syntax.endswith(b"1.2.5"):
        return _with_stream(file, _run_length_radiograph(*size))
    if file.is_deflated:
        return file.replaced(PIXEL_DATA, Element(PIXEL_DATA, b"OW", bytes(range(200)) * (size[0] * size[1] // 100)))
    return file


def _padded(file: File) -> File:
    """Let much follow the pixels; only where it can be compressed, so that the file stays small."""
    size = 400_000_000 if file.is_deflated else 1_000_000
    return replace(file, body=(*file.body, Element(0xFFFCFFFC, b"OB", bytes(size))))


@cache
def _run_length_radiograph(rows: int, columns: int) -> bytes:
    """Return a radiograph in RLE whose lines of 128 pixels are black and white by turns."""
    runs = b"\x81\x00\x81\xff" * (rows * columns // 256)
    return struct.pack("<16L", 2, 64, 64 + len(runs), *[0] * 13) + runs * 2


def _pieces(random: Random, stream: bytes) -> list[bytes]:
    cuts = sorted(random.randrange(len(stream) + 1) for _ in range(random.choice((0, 1, 3, 50))))
    return [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


def _stream(file: File) -> bytes:
    """Return the first fragment, or the pixels as they are if there are none."""
    element = file.find(PIXEL_DATA)
    if element is None:
        return b"\0"
    if element.length != UNDEFINED:
        return element.value
    skipped = 8 + int(struct.unpack("<L", element.value[4:8])[0])
    length = struct.unpack("<L", element.value[skipped + 4 : skipped + 8])[0]
    return element.value[skipped + 8 : skipped + 8 + length]


def _with_stream(file: File, stream: bytes) -> File:
    """Return a file with other pixels, in one fragment if its own are in fragments."""
    element = file.find(PIXEL_DATA)
    if element is not None and element.length != UNDEFINED:
        return file.replaced(PIXEL_DATA, replace(element, value=stream))
    parts = (Element(ITEM, b"", b""), Element(ITEM, b"", stream + bytes(len(stream) % 2)), Element(DELIMITER, b"", b""))
    return _with_pixels(file, b"".join(part.data(file.encoding) for part in parts))


def _with_pixels(file: File, value: bytes) -> File:
    return file.replaced(PIXEL_DATA, Element(PIXEL_DATA, b"OB", value, UNDEFINED))


STREAMS: Final[dict[str, Change]] = {
    change.__name__: change
    for change in (
        damaged_stream,
        extended_offsets,
        foreign_stream,
        inflating,
        lying_fragments,
        wrong_size,
        wrong_syntax,
    )
}
