"""Lookup tables mean the same in whatever form a file holds them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian

from monai_chexmask_u.dicom.reading.lookup_tables import LookupTable

SYNTAXES = {"<": ExplicitVRLittleEndian, ">": ExplicitVRBigEndian}


def header_with(descriptor: list[int], data: Any, syntax: UID = ExplicitVRLittleEndian) -> Dataset:
    """A header with a VOI LUT; the data are words in a list or bytes."""
    header, item = Dataset(), Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = syntax
    item.add_new("LUTDescriptor", "SS" if descriptor[1] < 0 else "US", descriptor)
    item.add_new("LUTData", "OW" if isinstance(data, bytes) else "US", data)
    header.VOILUTSequence = [item]
    return header


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("count", [6, 7])
@given(seed=st.integers(0, 99))
def test_entries_of_bytes_are_those_of_words(order: str, count: int, seed: int) -> None:
    entries = np.random.default_rng(seed).integers(0, 256, count)
    packed = entries.astype("u1").tobytes() + b"\0" * (count % 2)  # the first entry in the low byte of a word
    words = np.frombuffer(packed, "<u2")
    for depth, data in (
        (8, words.astype(f"{order}u2").tobytes()),
        (8, words.tolist()),
        (8, entries.astype(f"{order}u2").tobytes()),
        (16, entries.astype(f"{order}u2").tobytes()),
        (8, entries.tolist()),
    ):
        table = LookupTable.read(header_with([count, 0, depth], data, SYNTAXES[order]), "VOILUTSequence")
        np.testing.assert_array_equal(table.entries, entries)


def test_values_beyond_its_ends_have_the_first_and_the_last_entry() -> None:
    table = LookupTable.read(header_with([3, -1, 16], [10, 20, 30]), "VOILUTSequence")
    np.testing.assert_array_equal(table(np.array([-9.0, -1.2, 0.4, 1.0, 9.0])), [10, 10, 20, 30, 30])


def test_gray_values_are_parts_of_what_the_depth_allows() -> None:
    table = LookupTable.read(header_with([3, 0, 12], [0, 1365, 5000]), "VOILUTSequence")
    np.testing.assert_allclose(table.gray(np.arange(3)), [0, 1 / 3, 1], atol=1e-6)
    table = LookupTable.read(header_with([3, 0, 12], [0, 1365, 2000]), "VOILUTSequence")
    np.testing.assert_allclose(table.gray(np.arange(3)), [0, 1 / 3, 2000 / 4095], atol=1e-6)


@pytest.mark.parametrize(("called", "depth"), [(16, 14), (16, 12), (16, 10), (16, 8), (8, 12), (10, 14)])
def test_the_depth_is_what_the_entries_use_where_the_descriptor_is_far_off(called: int, depth: int) -> None:
    entries = np.arange(2**depth).astype("<u2")
    table = LookupTable.read(header_with([len(entries), 0, called], entries.tobytes()), "VOILUTSequence")
    assert table.depth == depth
    assert table.gray(np.array([2**depth - 1]))[0] == 1


@pytest.mark.parametrize(
    ("written", "low", "high", "placed"),
    [
        (33536, -32768, 32767, -32000),
        (-32000, 0, 65535, 33536),
        (-10, 0, 65535, -10),
        (0, -1024, 3071, 0),
        (64512, -1024, 3071, -1024),
        (100, 0, 4095, 100),
    ],
)
def test_a_table_is_placed_where_values_are(written: int, low: int, high: int, placed: int) -> None:
    entries = np.arange(1000).astype("<u2")
    assert LookupTable(written, 10, entries).placed(low, high).first == placed


def test_a_table_of_65536_entries_says_none() -> None:
    data = np.arange(2**16).astype("<u2").tobytes()
    table = LookupTable.read(header_with([0, 0, 16], data), "VOILUTSequence")
    np.testing.assert_array_equal(table(np.array([65535])), [65535])


@pytest.mark.parametrize(
    ("descriptor", "data"),
    [
        ([4, 0, 16], b"\0" * 6),
        ([4, 0, 16], b"\0" * 4),
        ([4, 0, 8], b"\0" * 2),
        ([4, 0, 0], b"\0" * 8),
        ([4, 0, 17], [1]),
    ],
)
def test_refuses_a_table_that_is_too_short_or_of_an_impossible_depth(descriptor: list[int], data: Any) -> None:
    with pytest.raises(ValueError, match="lookup table"):
        LookupTable.read(header_with(descriptor, data), "VOILUTSequence")


@pytest.mark.parametrize("depth", [8, 12, 16])
@pytest.mark.parametrize(("first", "count"), [(0, 7), (-3, 8), (0, 2**16)])
def test_what_is_written_is_read(depth: int, first: int, count: int) -> None:
    table = LookupTable(first, depth, (np.arange(count) * (2**depth - 1) // (count - 1)).astype("<u2"))
    header = header_with([1, 0, 16], [0])
    header.VOILUTSequence = [table.to_item()]
    read = LookupTable.read(header, "VOILUTSequence")
    assert (read.first, read.depth) == (first, depth)
    np.testing.assert_array_equal(read.entries, table.entries)
