from __future__ import annotations

import base64
import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support.samples.segmentations import make_radiograph

from monai_chexmask_u.demo.alterations import Alteration, read_mask, union
from monai_chexmask_u.transforms.corruptions import corrupt

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def data_url(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> str:
    """Return a PNG of a size that it tells, with pixels for 8 x 8 and chunks after them, as a data URL."""
    header = (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in (header, (b"IDAT", zlib.compress(bytes(33 * 8))), *chunks, (b"IEND", b""))
    ]
    return f"data:image/png;base64,{base64.b64encode(PNG_SIGNATURE + b''.join(parts)).decode()}"


def test_nothing_changes_nothing() -> None:
    radiograph = make_radiograph()
    altered = Alteration().apply(radiograph)
    assert Alteration().is_none
    np.testing.assert_array_equal(altered.pixels, radiograph.pixels)
    assert altered.notes == radiograph.notes


def test_what_was_done_stands_in_the_notes() -> None:
    mask = np.zeros((10, 10), dtype=np.bool_)
    mask[:5] = True
    altered = Alteration(noise=20, blur=3, contrast=0.25, mask=mask).apply(make_radiograph(notes=("color_ignored",)))
    done = ("altered_noise:20", "altered_blur:3", "altered_contrast:0.25", "altered_masked:0.5")
    assert altered.notes == ("color_ignored", *done)


def test_noise_is_that_of_the_experiments() -> None:
    radiograph = make_radiograph()
    expected = corrupt(radiograph.pixels, "gaussian_noise", 40, seed=3).pixels
    np.testing.assert_array_equal(Alteration(noise=40).apply(radiograph, seed=3).pixels, expected)


@given(rows=st.integers(1, 40), columns=st.integers(1, 40))
def test_masked_is_black_where_the_mask_lies_and_nowhere_else(rows: int, columns: int) -> None:
    radiograph = make_radiograph(rows * 5, columns * 5)
    mask = np.random.default_rng(rows).random((rows, columns)) < 0.5
    expected = np.where(np.kron(mask, np.ones((5, 5))) > 0, 0, radiograph.pixels)
    np.testing.assert_array_equal(Alteration(mask=mask).apply(radiograph).pixels, expected)


def test_a_severity_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="severity"):
        Alteration(noise=-1).apply(make_radiograph())


def test_a_drawing_is_read_as_rows_and_columns() -> None:
    image = Image.new("RGBA", (30, 20))
    image.paste((0, 0, 0, 255), (10, 5, 14, 8))
    mask = read_mask(data_url(image))
    assert mask is not None
    assert mask.shape == (20, 30)
    assert np.argwhere(mask).min(axis=0).tolist() == [5, 10]
    assert np.argwhere(mask).max(axis=0).tolist() == [7, 13]


def test_nothing_drawn_is_no_mask() -> None:
    assert read_mask("") is None
    assert read_mask(data_url(Image.new("RGBA", (8, 8)))) is None


@pytest.mark.parametrize(
    ("drawing", "reason"),
    [
        ("file:///etc/passwd", "not one of this page"),
        ("data:image/png;base64," + "A" * 4_000_001, "not one of this page"),
        ("data:image/png;base64,????", "cannot be read"),
        ("data:image/png;base64,iVBORw0KGgo=", "cannot be read"),
        (data_url(Image.new("RGBA", (1025, 2))), "larger than its radiograph"),
        (png(60_000, 60_000), "cannot be read"),
        (png(2**31 - 1, 2**31 - 1), "cannot be read"),
        (png(8, 8, (b"cHRM", b"12")), "cannot be read"),
        (png(8, 8, (b"gAMA", b"1")), "cannot be read"),
    ],
    ids=["path", "long", "no-base64", "no-image", "large", "bomb", "largest", "short-cHRM", "short-gAMA"],
)
def test_what_is_no_drawing_is_refused(drawing: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_mask(drawing)


def test_a_union_hides_what_either_hides() -> None:
    small, large = np.eye(2, dtype=np.bool_), np.zeros((4, 4), dtype=np.bool_)
    large[0, 3] = True
    both = union(small, large)
    assert both is not None
    expected = np.kron(np.eye(2), np.ones((2, 2))) > 0
    expected[0, 3] = True
    np.testing.assert_array_equal(both, expected)
    assert union(None, None) is None
    assert union(small, None) is small
