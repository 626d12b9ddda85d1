"""Damage to bytes, whatever they mean: as bad disks and lines make it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random
from typing import Final

__all__ = ["RAW", "splice"]

Raw = Callable[[Random, bytes], bytes]

PIXEL_TAGS: Final = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")
# What fields of length, size and number are at their limits.
EXTREMES: Final = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE)


def _meta(data: bytes) -> range:
    length = struct.unpack("<L", data[140:144])[0] if len(data) > 144 else 0
    return range(min(132, len(data)), min(144 + length, len(data)))


def _header(data: bytes) -> range:
    end = max(map(data.rfind, PIXEL_TAGS))
    start = _meta(data).stop
    return range(start, end if end > start else len(data))


def _pixels(data: bytes) -> range:
    return range(_header(data).stop, len(data))


def _start_of_pixels(data: bytes) -> range:
    """Return where element, fragments and code stream begin."""
    start = _header(data).stop
    return range(start, min(start + 200, len(data)))


def _anywhere(data: bytes) -> range:
    return range(len(data))


REGIONS: Final = (_meta, _header, _header, _pixels, _start_of_pixels, _anywhere)


def _place(random: Random, data: bytes) -> int:
    """Return a position; the few bytes of the header are as likely to be hit as the many of the pixels."""
    region = random.choice(REGIONS)(data)
    return random.choice(region) if region else 0


def _length(random: Random) -> int:
    return random.choice((1, 1, 2, 3, 4, 8, 16, 64, 1000))


def flip_bits(random: Random, data: bytes) -> bytes:
    """Flip some bits, all in one region."""
    changed, region = bytearray(data), random.choice(REGIONS)(data)
    for _ in range(random.choice((1, 1, 2, 5, 20, 100)) if region else 0):
        changed[random.choice(region)] ^= 1 << random.randrange(8)
    return bytes(changed)


def set_bytes(random: Random, data: bytes) -> bytes:
    """Put zeros, ones or noise over a range."""
    start, length = _place(random, data), _length(random)
    filling = random.choice((bytes(length), b"\xff" * length, random.randbytes(length)))
    return data[:start] + filling[: len(data) - start] + data[start + length :]


def set_integer(random: Random, data: bytes) -> bytes:
    """Put an extreme number of two or four bytes somewhere."""
    start, form = _place(random, data), random.choice(("<H", ">H", "<L", ">L"))
    number = struct.pack(form, random.choice(EXTREMES) % 256 ** struct.calcsize(form))
    return data[:start] + number + data[start + len(number) :]


def truncate(random: Random, data: bytes) -> bytes:
    return data[: _place(random, data)]


def delete(random: Random, data: bytes) -> bytes:
    start = _place(random, data)
    return data[:start] + data[start + _length(random) :]


def insert(random: Random, data: bytes) -> bytes:
    start = _place(random, data)
    return data[:start] + random.randbytes(_length(random)) + data[start:]


def duplicate(random: Random, data: bytes) -> bytes:
    """Write a range twice or many times."""
    start, length = _place(random, data), _length(random)
    return data[:start] + data[start : start + length] * random.choice((2, 2, 3, 100)) + data[start + length :]


def swap(random: Random, data: bytes) -> bytes:
    """Exchange two ranges."""
    first, second = sorted((_place(random, data), _place(random, data)))
    length = min(_length(random), second - first)
    one, other = data[first : first + length], data[second : second + length]
    return data[:first] + other + data[first + length : second] + one + data[second + length :]


def append(random: Random, data: bytes) -> bytes:
    """Add what follows the last element: noise, zeros, or a further file."""
    return data + random.choice((random.randbytes(100), bytes(1000), data, b"\xfe\xff\xdd\xe0\0\0\0\0"))


def drop_preamble(random: Random, data: bytes) -> bytes:
    """Start with the data set, as old files do, or with what is left of the preamble."""
    return data[random.choice((1, 128, 132, _meta(data).stop)) :]


def splice(random: Random, data: bytes, other: bytes) -> bytes:
    """Go on with another file from some place on."""
    start = _place(random, data)
    return data[:start] + other[random.choice((start, _place(random, other))) :]


RAW: Final[tuple[Raw, ...]] = (
    append,
    delete,
    drop_preamble,
    duplicate,
    flip_bits,
    insert,
    set_bytes,
    set_integer,
    swap,
    truncate,
)
