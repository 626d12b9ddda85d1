"""What compressed pixels say of themselves is checked before a decoder sees them."""

from __future__ import annotations

import contextlib
import functools
import shutil
import struct
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import uid
from pydicom.dataset import FileDataset
from support.samples.compressed import BY_DCMTK, compressed, set_stream, stream_of
from support.samples.dicom import make_dx

from monai_chexmask_u.dicom.reading.codestream import DECODERS, clean_codestream
from monai_chexmask_u.dicom.reading.decoding import decode
from monai_chexmask_u.radiograph import RadiographError

SYNTAXES = sorted(DECODERS, key=str)
NAMES = [syntax.name for syntax in SYNTAXES]
LOSSY = {uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLSNearLossless, uid.JPEG2000}


@functools.cache
def stream(syntax: uid.UID) -> bytes:
    """The phantom of 80 x 64 pixels of 8 bits, compressed."""
    if syntax in BY_DCMTK and not shutil.which("dcmcjpeg"):
        pytest.skip("dcmcjpeg is not here (Debian package dcmtk)")
    with TemporaryDirectory() as folder:
        return stream_of(compressed(make_dx(rows=80, columns=64, bits=8), syntax, Path(folder)))


def image(content: bytes, syntax: uid.UID) -> FileDataset:
    return set_stream(make_dx(rows=80, columns=64, bits=8), content, syntax)


def refusal(content: bytes, syntax: uid.UID) -> str:
    with pytest.raises(RadiographError) as refused:
        clean_codestream(image(content, syntax))
    return refused.value.code


def changed(content: bytes, marker: bytes, place: int, new: bytes) -> bytes:
    """Put bytes at a place after a marker, which counts from the marker's first byte."""
    at = content.index(marker) + place
    return content[:at] + new + content[at + len(new) :]


@pytest.mark.parametrize("syntax", SYNTAXES, ids=NAMES)
def test_streams_of_the_headers_size_are_decoded(syntax: uid.UID) -> None:
    values, notes = decode(image(stream(syntax), syntax))
    assert ("lossy_compression" in notes) == (syntax in LOSSY)
    plain = make_dx(rows=80, columns=64, bits=8).pixel_array
    np.testing.assert_allclose(values, plain, rtol=0, atol=30 if syntax in LOSSY else 0)


@pytest.mark.parametrize("syntax", SYNTAXES, ids=NAMES)
def test_streams_of_another_size_are_refused(syntax: uid.UID) -> None:
    content = stream(syntax)
    dataset = image(content, syntax)
    dataset.Columns = 65
    with pytest.raises(RadiographError) as refused:
        clean_codestream(dataset)
    assert refused.value.code == "undecodable"


@pytest.mark.parametrize("syntax", SYNTAXES, ids=NAMES)
def test_streams_without_an_end_are_refused(syntax: uid.UID) -> None:
    content = stream(syntax)
    assert refusal(content[: len(content) // 2], syntax) == "undecodable"
    assert refusal(bytes(2), syntax) == "undecodable"


@pytest.mark.parametrize("syntax", [uid.JPEGBaseline8Bit, uid.JPEGLSLossless, uid.JPEGLosslessSV1])
def test_a_stream_has_one_component_and_one_frame(syntax: uid.UID) -> None:
    content = stream(syntax)
    marker = {uid.JPEGBaseline8Bit: b"\xff\xc0", uid.JPEGLSLossless: b"\xff\xf7"}.get(syntax, b"\xff\xc3")
    at = content.index(marker)
    frame = content[at : at + 13]
    assert refusal(changed(content, marker, 9, b"\3"), syntax) == "undecodable"
    assert refusal(changed(content, marker, 4, b"\x11"), syntax) == "undecodable"  # 17 bits
    assert refusal(content[:at] + frame + content[at:], syntax) == "undecodable"


def test_a_stream_is_of_the_kind_that_its_syntax_says() -> None:
    assert refusal(stream(uid.JPEGBaseline8Bit), uid.JPEGLosslessSV1) == "undecodable"
    assert refusal(stream(uid.JPEGBaseline8Bit), uid.JPEGLSLossless) == "undecodable"
    assert refusal(stream(uid.JPEG2000Lossless), uid.JPEGBaseline8Bit) == "undecodable"
    assert refusal(stream(uid.JPEG2000Lossless), uid.HTJ2KLossless) == "undecodable"
    assert refusal(b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\0jp2c\xff\xd9", uid.JPEG2000Lossless) == "undecodable"


def test_application_data_and_unknown_segments_do_not_reach_the_decoder() -> None:
    content = stream(uid.JPEGBaseline8Bit)
    comment = b"\xff\xfe\x00\x08secret"
    dataset = image(content[:2] + comment + content[2:], uid.JPEGBaseline8Bit)
    assert b"JFIF" in content
    clean_codestream(dataset)
    assert b"JFIF" not in dataset.PixelData
    assert b"secret" not in dataset.PixelData
    assert refusal(content[:2] + b"\xff\x01\x00\x02" + content[2:], uid.JPEGBaseline8Bit) == "undecodable"


@pytest.mark.parametrize("lengths", ["told", "extended", "to the end"])
def test_a_codestream_is_found_in_the_boxes_of_a_jp2_file(lengths: str) -> None:
    content = stream(uid.JPEG2000Lossless)
    size = {"told": 8 + len(content), "extended": 1, "to the end": 0}[lengths]
    extended = struct.pack(">Q", 16 + len(content)) if lengths == "extended" else b""
    boxes = b"\0\0\0\x0cjP  \r\n\x87\n" + struct.pack(">L4s", 12, b"ftyp") + b"jp2 "
    whole = boxes + struct.pack(">L4s", size, b"jp2c") + extended + content
    values, notes = decode(image(whole, uid.JPEG2000Lossless))
    np.testing.assert_array_equal(values, make_dx(rows=80, columns=64, bits=8).pixel_array)
    assert notes == []
    assert refusal(boxes, uid.JPEG2000Lossless) == "undecodable"


@pytest.mark.parametrize("syntax", [each for each in SYNTAXES if each != uid.RLELossless], ids=lambda each: each.name)
def test_a_stream_of_8_bits_is_taken_where_the_header_says_16(syntax: uid.UID) -> None:
    dataset = image(stream(syntax), syntax)
    plain = decode(image(stream(syntax), syntax))[0]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    values, notes = decode(dataset)
    assert "pixel_bits_from_stream" in notes
    np.testing.assert_array_equal(values, plain)


@pytest.mark.parametrize(
    ("of", "called"),
    [
        (uid.JPEG2000Lossless, uid.JPEGLosslessSV1),
        (uid.JPEGLSLossless, uid.JPEGBaseline8Bit),
        (uid.JPEGBaseline8Bit, uid.JPEGLossless),
        (uid.JPEGBaseline8Bit, uid.JPEG2000),
    ],
    ids=lambda each: each.name,
)
def test_a_stream_of_another_kind_than_the_syntax_says_is_told_as_such(of: uid.UID, called: uid.UID) -> None:
    with pytest.raises(RadiographError, match="in another way than the transfer syntax says"):
        clean_codestream(image(stream(of), called))


@pytest.mark.parametrize(
    ("place", "new"), [(4, b"\0\0\0\3"), (22, b"\0\0\0\0"), (22, b"\0\0\0\1\0\0\0\1"), (41, b"\3")]
)
def test_jpeg_2000_has_few_tiles_and_one_component(place: int, new: bytes) -> None:
    content = changed(stream(uid.JPEG2000Lossless), b"\xff\x51", place, new)
    assert refusal(content, uid.JPEG2000Lossless) == "undecodable"


def test_jpeg_2000_may_lie_anywhere_on_its_grid() -> None:
    content = stream(uid.JPEG2000Lossless)
    for place, value in ((6, 64 + 5), (10, 80 + 7), (14, 5), (18, 7)):  # right, bottom, left, top
        content = changed(content, b"\xff\x51", place, struct.pack(">L", value))
    assert clean_codestream(image(content, uid.JPEG2000Lossless)) == []


@pytest.mark.parametrize(
    ("segment", "is_taken"),
    [
        (b"\x81\x07" * 40, True),  # 128 times each
        (b"\x81\x07" * 41, True),
        (b"\x81\x07" * 80, True),
        (b"\x81\x07" * 81, False),
        (b"\x81\x07" * 39, False),
        (b"\x7f" + bytes(128), False),
        ((b"\x7f" + bytes(128)) * 40, True),
        (b"\x80" + b"\x81\x07" * 40, True),  # a byte that says nothing
    ],
)
def test_run_lengths_expand_to_the_pixels(segment: bytes, is_taken: bool) -> None:
    content = struct.pack("<16L", 1, 64, *[0] * 14) + segment
    if is_taken:
        assert clean_codestream(image(content, uid.RLELossless)) == []
    else:
        assert refusal(content, uid.RLELossless) == "undecodable"


@pytest.mark.parametrize("header", [(0, 0), (2, 64, 80), (1, 60), (2**32 - 1, 64), (1, 2**32 - 1)])
def test_run_lengths_have_a_segment_per_byte_of_a_pixel(header: tuple[int, ...]) -> None:
    content = struct.pack("<16L", *header, *[0] * (16 - len(header))) + b"\x81\x07" * 40
    assert refusal(content, uid.RLELossless) == "undecodable"


def test_offset_tables_do_not_choose_what_is_decoded() -> None:
    dataset = image(stream(uid.JPEGLSLossless), uid.JPEGLSLossless)
    dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = struct.pack("<Q", 8), struct.pack("<Q", 40)
    clean_codestream(dataset)
    assert "ExtendedOffsetTable" not in dataset
    assert "ExtendedOffsetTableLengths" not in dataset


# GDCM would end the whole process if it saw what the checks refuse.
@pytest.mark.parametrize("syntax", SYNTAXES, ids=NAMES)
@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
@given(data=st.data())
def test_damage_is_refused_or_read_but_never_fatal(syntax: uid.UID, data: st.DataObject) -> None:
    content = bytearray(stream(syntax))
    places = st.integers(2, min(200, len(content) - 3)) | st.integers(2, len(content) - 3)
    for place in data.draw(st.lists(places, min_size=1, max_size=5)):
        content[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(RadiographError):
        values, _ = decode(image(bytes(content), syntax))
        assert values.shape == (80, 64)
