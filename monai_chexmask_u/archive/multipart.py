"""An answer of one part (RFC 2046, 5.1), taken apart while it comes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.message import Message
from typing import BinaryIO, Final

__all__ = ["BrokenOff", "NotOnePart", "boundary_of", "copy_part", "media_type_of"]

_HEAD_BYTES: Final = 64 * 1024  # before the first part, and of its headers
_LONGEST_TYPE: Final = 1024
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")


class BrokenOff(Exception):
    """The answer ends before its part does."""


class NotOnePart(ValueError):
    """The answer is no multipart one with exactly one part; the message says why and quotes nothing of it."""


def media_type_of(content_type: str) -> str:
    """Return the media type of a header, in small letters; ``text/plain`` if it is none."""
    return _parsed(content_type).get_content_type()


def boundary_of(content_type: str) -> bytes:
    """Return what stands between the parts of an answer.

    Raises:
        NotOnePart: if the header names none, or none that can be.

    Example:
        >>> boundary_of('multipart/related; boundary="a b"')
        b'a b'
    """
    try:
        boundary = _parsed(content_type).get_boundary() or ""
    except Exception:  # of many kinds, for what RFC 2231 allows a parameter to be
        boundary = ""
    if not _BOUNDARY.fullmatch(boundary):
        raise NotOnePart("its multipart boundary is missing or holds what none may (RFC 2046)")
    return boundary.encode("ascii")


def copy_part(blocks: Iterator[bytes], boundary: bytes, file: BinaryIO) -> None:
    """Write the content of the one part to a file.

    Args:
        blocks: the body.
        boundary: between its parts.
        file: to write to.

    Raises:
        NotOnePart: if there are several, or none, or it is none.
        BrokenOff: if the body ends before the part.
    """
    body = _Body(blocks)
    delimiter = b"\r\n--" + boundary
    body.skip(delimiter)
    head = body.skip(b"\r\n\r\n")
    if head.startswith(b"--"):
        raise NotOnePart("it has no part")
    for piece in body.until(delimiter):
        file.write(piece)
    if body.take(2) != b"--":
        raise NotOnePart("it has several parts")


class _Body:
    """Blocks of any size, searched for marks."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._held = b"\r\n"  # so that a delimiter may be the first line

    def until(self, mark: bytes) -> Iterator[bytes]:
        """Yield what comes before a mark, and pass the mark."""
        while (at := self._held.find(mark)) < 0:
            keep = len(mark) - 1
            if len(self._held) > keep:
                yield self._held[:-keep]
            self._held = self._held[-keep:] + self._next()
        yield self._held[:at]
        self._held = self._held[at + len(mark) :]

    def skip(self, mark: bytes) -> bytes:
        """Pass a mark, and return what came before it."""
        passed = bytearray()
        for piece in self.until(mark):
            passed += piece
            if len(passed) > _HEAD_BYTES:
                raise NotOnePart("no part begins in it")
        return bytes(passed)

    def take(self, count: int) -> bytes:
        """Return so many bytes."""
        while len(self._held) < count:
            self._held += self._next()
        return self._held[:count]

    def _next(self) -> bytes:
        for block in self._blocks:
            if block:
                return block
        raise BrokenOff


def _parsed(content_type: str) -> Message:
    header = Message()
    # Parsing takes the square of the length.
    header["Content-Type"] = " ".join(content_type.split()) if len(content_type) <= _LONGEST_TYPE else ""
    return header
