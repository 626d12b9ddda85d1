"""Lookup tables of modality values and of gray values, in whatever form a file holds them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

__all__ = ["LookupTable"]

MOST_BITS = 16


@dataclass(frozen=True, eq=False)
class LookupTable:
    """Entries for consecutive values; what lies beyond has the first or the last one.

    Attributes:
        first: the value of the first entry.
        depth: bits of an entry, 1 to 16: those that the descriptor names, where the entries use about as many.
        entries: ``(entry,)``.

    References:
        DICOM PS3.3, C.11.1.1.1 LUT Descriptor, C.11.2.1.1 LUT Descriptor
    """

    first: int
    depth: int
    entries: NDArray[np.uint16]

    @classmethod
    def read(cls, header: Dataset, keyword: str) -> LookupTable:
        """Read the first table of a sequence.

        Args:
            header: a data set with its transfer syntax.
            keyword: of the sequence.

        Raises:
            ValueError: if the table is shorter than it says, or of an impossible depth. What else is damaged raises
                what pydicom does.
        """
        item = header[keyword].value[0]
        count, first, depth = map(int, item.LUTDescriptor)
        count = count % 2**16 or 2**16
        words = _words(item["LUTData"].value, "<" if header.file_meta.TransferSyntaxUID.is_little_endian else ">")
        # Entries of 8 bits may lie in a word each, or two in one, the first one in the low byte.
        is_packed = depth <= 8 and len(words) == (count + 1) // 2 < count
        entries = words.view("u1").astype("<u2") if is_packed else words
        if len(entries) < count or not 1 <= depth <= MOST_BITS:
            raise ValueError(f"a lookup table must hold {count} entries of 1 to 16 bits, got {len(entries)} of {depth}")
        used = max(int(entries[:count].max()).bit_length(), 1)
        # Some writers call every table one of 16 bits: shown as such, 12 bits are nearly black.
        return cls(first, used if abs(used - depth) > 1 else depth, entries[:count])

    def placed(self, low: float, high: float) -> LookupTable:
        """Return the table where its values are: the descriptor may be signed for unsigned ones, or the reverse.

        Args:
            low: the least value that may occur.
            high: the largest one.
        """

        def covered(first: int) -> float:
            return min(high, first + len(self.entries) - 1) - max(low, first)

        return replace(self, first=max((self.first, self.first - 2**16, self.first + 2**16), key=covered))

    def __call__(self, values: NDArray[np.generic]) -> NDArray[np.uint16]:
        """Return the entries of values, which are rounded."""
        last = self.first + len(self.entries) - 1
        found: NDArray[np.uint16] = self.entries[
            np.clip(np.rint(values), self.first, last).astype(np.int64) - self.first
        ]
        return found

    def gray(self, values: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return the entries of values as parts of what the depth allows, 0..1."""
        gray: NDArray[np.float32] = np.minimum(self(values) / np.float32(2**self.depth - 1), 1)
        return gray

    def to_item(self) -> Dataset:
        """Return the table as an item of a sequence, for a file in little-endian byte order."""
        is_packed = self.depth <= 8
        data = self.entries.astype("u1" if is_packed else "<u2").tobytes()
        item = Dataset()
        descriptor = [len(self.entries) % 2**16, self.first, max(self.depth, 8)]
        item.add_new("LUTDescriptor", "SS" if self.first < 0 else "US", descriptor)
        item.add_new("LUTData", "OW", data + b"\0" * (len(data) % 2))
        return item


def _words(data: bytes | int | list[int], order: str) -> NDArray[np.uint16]:
    """Return the words of a table, which pydicom gives as numbers or as bytes in the file's order."""
    if isinstance(data, bytes):
        return np.frombuffer(data, f"{order}u2", count=len(data) // 2).astype("<u2")
    return np.atleast_1d(np.asarray(data, dtype="<u2"))
