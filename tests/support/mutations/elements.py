"""A DICOM file as a list of elements that may be wrong in any way, and back to bytes; independent of pydicom."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from pydicom.datadict import dictionary_VR

__all__ = ["EXPLICIT", "UNDEFINED", "Element", "Encoding", "File", "items", "joined", "take_apart", "with_items"]

UNDEFINED: Final = 0xFFFFFFFF
PIXEL_DATA: Final = 0x7FE00010
ITEM, SEQUENCE_END = 0xFFFEE000, 0xFFFEE0DD
# Value representations whose explicit length has four bytes.
LONG: Final = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
DEFLATED: Final = b"1.2.840.10008.1.2.1.99"
IMPLICIT: Final = b"1.2.840.10008.1.2"
BIG_ENDIAN: Final = b"1.2.840.10008.1.2.2"
TRANSFER_SYNTAX: Final = 0x00020010


@dataclass(frozen=True)
class Encoding:
    """How elements are written: with their type or without, in which byte order (``<`` or ``>``)."""

    is_implicit: bool
    order: str


EXPLICIT: Final = Encoding(False, "<")


@dataclass(frozen=True)
class Element:
    """One element; `length` is what stands in its length field if that is not the length of the value."""

    tag: int
    vr: bytes
    value: bytes
    length: int | None = None

    def data(self, encoding: Encoding) -> bytes:
        """Return the element as it stands in a file; a length that its field cannot hold is cut to its last bits."""
        order = encoding.order
        length = (len(self.value) if self.length is None else self.length) & UNDEFINED
        tag = struct.pack(f"{order}HH", self.tag >> 16, self.tag & 0xFFFF)
        if encoding.is_implicit or self.tag >> 16 == 0xFFFE:
            return tag + struct.pack(f"{order}L", length) + self.value
        if self.vr in LONG:
            return tag + self.vr + bytes(2) + struct.pack(f"{order}L", length) + self.value
        return tag + self.vr + struct.pack(f"{order}H", length & 0xFFFF) + self.value


@dataclass(frozen=True)
class File:
    """A file: what precedes its elements, the meta information, the data set."""

    preamble: bytes
    meta: tuple[Element, ...]
    body: tuple[Element, ...]
    encoding: Encoding
    is_deflated: bool

    def data(self) -> bytes:
        """Return the file's bytes."""
        body = joined(self.body, self.encoding)
        if self.is_deflated:
            deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
            body = deflater.compress(body) + deflater.flush()
        return self.preamble + joined(self.meta, EXPLICIT) + body

    def find(self, tag: int) -> Element | None:
        """Return the first element of the data set with a tag."""
        return next((element for element in self.body if element.tag == tag), None)

    def replaced(self, tag: int, *elements: Element) -> File:
        """Return a file with others in place of the first element of a tag, or at the tag's place if there is none."""
        before = [element for element in self.body if element.tag < tag]
        after = [element for element in self.body if element.tag >= tag]
        rest = after[1:] if after and after[0].tag == tag else after
        return replace(self, body=(*before, *elements, *rest))


def joined(elements: Iterable[Element], encoding: Encoding) -> bytes:
    """Return elements as bytes."""
    return b"".join(element.data(encoding) for element in elements)


def take_apart(data: bytes) -> File:
    """Return the elements of a file.

    Raises:
        ValueError: if the file is too damaged; `struct.error`, which some damage raises, is turned into one.
    """
    try:
        if data[128:132] != b"DICM":
            raise ValueError("no preamble")
        end = 144 + int(struct.unpack("<L", data[140:144])[0])
        meta = _elements(data[132:end], EXPLICIT)
        syntax = next(element.value.rstrip(b"\0 ") for element in meta if element.tag == TRANSFER_SYNTAX)
        encoding = Encoding(syntax == IMPLICIT, ">" if syntax == BIG_ENDIAN else "<")
        body = data[end:]
        if syntax == DEFLATED:
            body = zlib.decompress(body, -zlib.MAX_WBITS)
        return File(data[:132], tuple(meta), tuple(_elements(body, encoding)), encoding, syntax == DEFLATED)
    except (struct.error, StopIteration, zlib.error) as error:
        raise ValueError("damaged") from error


def items(sequence: Element, encoding: Encoding) -> list[list[Element]]:
    """Return the items of a sequence of defined length."""
    return [_elements(item.value, encoding) for item in _elements(sequence.value, encoding) if item.tag == ITEM]


def with_items(sequence: Element, contents: Iterable[Iterable[Element]], encoding: Encoding) -> Element:
    """Return a sequence of other items."""
    packed = [Element(ITEM, b"", joined(content, encoding)) for content in contents]
    return replace(sequence, value=joined(packed, encoding))


def _elements(data: bytes, encoding: Encoding) -> list[Element]:
    found, position = [], 0
    while position < len(data):
        element, position = _element(data, position, encoding)
        found.append(element)
    return found


def _element(data: bytes, start: int, encoding: Encoding) -> tuple[Element, int]:
    """Return the element at a position, and where the next one starts."""
    order = encoding.order
    group, number = struct.unpack_from(f"{order}HH", data, start)
    tag = group << 16 | number
    vr, header = b"", 8
    if encoding.is_implicit or group == 0xFFFE:
        length = struct.unpack_from(f"{order}L", data, start + 4)[0]
        vr = _dictionary_vr(tag)
    else:
        vr = data[start + 4 : start + 6]
        header = 12 if vr in LONG else 8
        field = (f"{order}L", start + 8) if vr in LONG else (f"{order}H", start + 6)
        length = struct.unpack_from(field[0], data, field[1])[0]
    begin = start + header
    if length == UNDEFINED:  # pixels in fragments: the seeds have no other elements of undefined length
        return Element(tag, vr, data[begin:], UNDEFINED), len(data)
    if begin + length > len(data):
        raise ValueError("length")
    return Element(tag, vr, data[begin : begin + length]), begin + length


def _dictionary_vr(tag: int) -> bytes:
    try:
        return dictionary_VR(tag)[:2].encode()
    except KeyError:
        return b"UN"
