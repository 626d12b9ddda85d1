from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import ExplicitVRBigEndian, JPEGLSLossless
from support.samples.dicom import make_cr, make_dx, set_pixels

from monai_chexmask_u.dicom.reading.decoding import of_stored_bits
from monai_chexmask_u.dicom.reading.pixels import displayed_pixels
from monai_chexmask_u.radiograph import RadiographError

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)


def image(values: NDArray[Any] = RAMP, *, bits: int = 12, window: tuple[float, float] | None = None) -> FileDataset:
    """A MONOCHROME2 image with these stored values, and with a window only if one is given."""
    dataset = make_cr(rows=8, columns=8, photometric="MONOCHROME2")
    del dataset.WindowCenter, dataset.WindowWidth, dataset.RescaleSlope, dataset.RescaleIntercept
    if window is not None:
        dataset.WindowCenter, dataset.WindowWidth = window
    set_pixels(dataset, values, bits=bits)
    return dataset


def lookup_table(values: NDArray[Any], *, first: int = 0, depth: int = 16) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(values) % 65536, first, depth])
    item.add_new("LUTData", "OW", values.astype("<u2").tobytes())
    return item


def stretch(values: NDArray[Any]) -> NDArray[Any]:
    """What an image without a window must look like."""
    low, high = np.percentile(values, (0.5, 99.5))
    stretched: NDArray[Any] = np.clip((values - low) / (high - low), 0, 1)
    return stretched


def refusal(dataset: FileDataset) -> str:
    with pytest.raises(RadiographError) as refused:
        displayed_pixels(dataset)
    return refused.value.code


@given(seed=st.integers(0, 999), bits=st.sampled_from([8, 10, 12, 14, 16]), signed=st.booleans())
def test_monochrome1_of_the_complement_is_monochrome2(seed: int, bits: int, signed: bool) -> None:
    options: dict[str, Any] = {"rows": 20, "columns": 16, "bits": bits, "signed": signed, "seed": seed}
    dark, notes = displayed_pixels(make_cr(photometric="MONOCHROME1", **options))
    bright, plain_notes = displayed_pixels(make_cr(photometric="MONOCHROME2", **options))
    assert (notes, plain_notes) == (["photometric_inverted"], [])
    # The window of DICOM is not quite symmetric: half a stored value is lost, and rounding moves another half.
    np.testing.assert_allclose(dark, bright, rtol=0, atol=2.5 / 2**bits)


@given(low=st.integers(0, 2000), span=st.integers(2, 2000), signed=st.booleans())
def test_without_a_window_the_range_of_the_image_is_used(low: int, span: int, signed: bool) -> None:
    values = np.linspace(low, low + span, 64).astype("<i2" if signed else "<u2").reshape(8, 8)
    pixels, notes = displayed_pixels(image(values, bits=12 + signed))
    assert notes == ["no_window"]
    assert pixels.dtype == np.float32
    assert (pixels.min(), pixels.max()) == (0, 1)


def test_three_pixels_do_not_change_the_contrast_of_the_rest() -> None:
    values = RAMP // 4
    marked = values.copy()
    marked[0, :3] = 4095
    plain, bright = (displayed_pixels(image(stored))[0] for stored in (values, marked))
    np.testing.assert_allclose(bright[1:], plain[1:], rtol=0, atol=0.01)  # without percentiles 0.75


def test_window_maps_its_range_to_the_scale_and_clips_the_rest() -> None:
    pixels, notes = displayed_pixels(image(window=(1000.5, 1001)))  # from 500 to 1500
    assert notes == []
    np.testing.assert_allclose(pixels, np.clip((RAMP - 500.0) / 1000, 0, 1), atol=1e-6)


def test_first_of_several_windows_counts() -> None:
    dataset = image()
    dataset.WindowCenter, dataset.WindowWidth = [1000.5, 7], [1001, 9]
    np.testing.assert_array_equal(displayed_pixels(dataset)[0], displayed_pixels(image(window=(1000.5, 1001)))[0])


def test_sigmoid_window_follows_the_standard() -> None:
    dataset = image(window=(2000, 1000))
    dataset.VOILUTFunction = "SIGMOID"
    np.testing.assert_allclose(displayed_pixels(dataset)[0], 1 / (1 + np.exp(-4 * (RAMP - 2000.0) / 1000)), atol=1e-6)


@pytest.mark.parametrize("slope", [0.5, 1, 2, -1])
def test_window_acts_on_rescaled_values(slope: float) -> None:
    dataset = image(window=(100.5 + 2048 * slope, abs(slope) * 2048 + 1))
    dataset.RescaleSlope, dataset.RescaleIntercept = slope, 100
    expected = np.clip((RAMP - 2048.0) * slope / (abs(slope) * 2048) + 0.5, 0, 1)
    np.testing.assert_allclose(displayed_pixels(dataset)[0], expected, atol=1e-6)


def test_rescale_that_destroys_the_image_is_ignored() -> None:
    dataset = image()
    dataset.RescaleSlope, dataset.RescaleIntercept = 0, 5
    pixels, notes = displayed_pixels(dataset)
    assert notes == ["rescale_ignored", "no_window"]
    np.testing.assert_allclose(pixels, stretch(RAMP), atol=1e-6)


def test_modality_lookup_table_is_applied() -> None:
    dataset = image()
    dataset.ModalityLUTSequence = [lookup_table(np.arange(4096)[::-1])]
    np.testing.assert_allclose(displayed_pixels(dataset)[0], 1 - stretch(RAMP), atol=1e-6)


@pytest.mark.parametrize(("first", "depth"), [(0, 8), (0, 12), (1000, 16), (-1000, 12)])
def test_lookup_table_is_preferred_to_the_window(first: int, depth: int) -> None:
    dataset = image(RAMP.astype("<i2"), bits=13, window=(2048, 4096))
    table = np.linspace(0, 2**depth - 1, 4096).round()
    dataset.VOILUTSequence = [lookup_table(table, first=first, depth=depth)]
    pixels, notes = displayed_pixels(dataset)
    assert notes == ["voi_lut_applied"]
    np.testing.assert_allclose(pixels, table[np.clip(RAMP.astype(int) - first, 0, 4095)] / (2**depth - 1), atol=1e-6)


@pytest.mark.parametrize("window", [(0, 0), (2048, 1), (2048, -5), (2048, 50), (2000, 1e7), (1e6, 10), ("nan", 3)])
def test_window_without_contrast_gives_way_to_percentiles(window: tuple[Any, Any]) -> None:
    dataset = image()
    dataset.WindowCenter, dataset.WindowWidth = 1, 1
    for keyword, value in zip(("WindowCenter", "WindowWidth"), window, strict=True):
        dataset[keyword]._value = value  # as read from a file, without the checks of writing
    pixels, notes = displayed_pixels(dataset)
    assert notes == ["window_ignored"]
    np.testing.assert_allclose(pixels, stretch(RAMP), atol=1e-6)


@pytest.mark.parametrize(("window", "note"), [((2048, 4096), None), ((2048, 0), "window_ignored"), (None, "no_window")])
def test_lookup_table_that_is_cut_off_is_passed_over(window: tuple[float, float] | None, note: str | None) -> None:
    dataset = image(window=window)
    dataset.VOILUTSequence = [lookup_table(np.arange(4096), depth=12)]
    dataset.VOILUTSequence[0].LUTData = b"\0\0"
    pixels, notes = displayed_pixels(dataset)
    assert notes == ["voi_lut_ignored", *([note] if note else [])]
    np.testing.assert_array_equal(pixels, displayed_pixels(image(window=window))[0])


def test_an_empty_sequence_of_lookup_tables_is_none() -> None:
    dataset = image(window=(2048, 4096))
    dataset.VOILUTSequence = []
    assert displayed_pixels(dataset)[1] == []


@pytest.mark.parametrize(
    ("photometric", "shape", "inverted"),
    [
        ("MONOCHROME1", "INVERSE", True),
        ("MONOCHROME1", None, True),
        ("MONOCHROME2", "INVERSE", True),
        ("MONOCHROME2", "IDENTITY", False),
    ],
)
def test_inverts_once_whatever_names_the_inversion(photometric: str, shape: str | None, inverted: bool) -> None:
    dataset = image()
    dataset.PhotometricInterpretation = photometric
    if shape is not None:
        dataset.PresentationLUTShape = shape
    pixels, notes = displayed_pixels(dataset)
    assert ("photometric_inverted" in notes) == inverted
    assert pixels[0, 0] == inverted


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("window", [None, (0, 0)])
def test_padding_is_black_and_takes_no_part_in_statistics(photometric: str, window: tuple[float, float] | None) -> None:
    values = (RAMP // 8 + 100).astype("<u2")
    values[:10] = 4095
    dataset = image(values, window=window)
    dataset.PhotometricInterpretation = photometric
    dataset.add_new("PixelPaddingValue", "US", 4090)
    dataset.add_new("PixelPaddingRangeLimit", "US", 4095)
    pixels, _ = displayed_pixels(dataset)
    assert not pixels[:10].any()
    assert (pixels[10:].min(), pixels[10:].max()) == (0, 1)


def test_padding_that_covers_everything_is_no_padding() -> None:
    dataset = image()
    dataset.add_new("PixelPaddingValue", "US", 0)
    dataset.add_new("PixelPaddingRangeLimit", "US", 4095)
    np.testing.assert_allclose(displayed_pixels(dataset)[0], stretch(RAMP), atol=1e-6)


def test_bits_above_those_stored_are_dropped() -> None:
    np.testing.assert_allclose(displayed_pixels(image(RAMP | 0xF000))[0], stretch(RAMP), atol=1e-6)


@pytest.mark.parametrize("dtype", ["u1", "<u4", "<i4"])
def test_other_depths_are_read(dtype: str) -> None:
    values = np.arange(64).reshape(8, 8).astype(dtype) * 3
    pixels, _ = displayed_pixels(image(values, bits=8 * values.dtype.itemsize))
    np.testing.assert_allclose(pixels, stretch(np.arange(64).reshape(8, 8)), atol=1e-6)


def test_big_endian_pixels_are_read() -> None:
    dataset = image()
    dataset.PixelData = RAMP.astype(">u2").tobytes()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    np.testing.assert_allclose(displayed_pixels(dataset)[0], stretch(RAMP), atol=1e-6)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_constant_image_is_refused(photometric: str) -> None:
    dataset = image(np.full((8, 8), 77, dtype=np.uint16))
    dataset.PhotometricInterpretation = photometric
    assert refusal(dataset) == "constant_image"


def test_header_keeps_no_decoded_pixels() -> None:
    dataset = make_dx(rows=8, columns=8)
    displayed_pixels(dataset)
    assert dataset._pixel_array is None


def test_pixels_that_end_early_are_refused() -> None:
    dataset = image()
    dataset.PixelData = dataset.PixelData[:-2]
    assert refusal(dataset) == "truncated"


def test_pixels_that_no_decoder_understands_are_refused() -> None:
    dataset = image()
    dataset.file_meta.TransferSyntaxUID = JPEGLSLossless
    dataset.PixelData = b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0\x04\0\0\0junk"
    dataset["PixelData"].is_undefined_length = True
    assert refusal(dataset) == "undecodable"


@pytest.mark.parametrize(
    ("signed", "value", "limit", "types"),
    [
        (True, -32000, None, ("SS", "US")),
        (True, -32000, -31000, ("SS", "US")),
        (False, 65000, None, ("US", "SS")),
        (False, 64000, 65535, ("US", "SS")),
    ],
)
def test_padding_has_the_sign_of_the_pixels_whatever_its_type(
    signed: bool, value: int, limit: int | None, types: tuple[str, str]
) -> None:
    values = (RAMP.astype(np.int32) - (2048 if signed else 0)).astype("i2" if signed else "u2")
    values[:8] = value if limit is None else limit
    shown = []
    for kind in types:
        dataset = image(values, bits=16)
        dataset.PixelRepresentation = int(signed)
        for keyword, number in (("PixelPaddingValue", value), ("PixelPaddingRangeLimit", limit)):
            if number is not None:
                other = number % 2**16 if kind == "US" else (number + 2**15) % 2**16 - 2**15
                dataset.add_new(keyword, kind, other)
        shown.append(displayed_pixels(dataset)[0])
    assert (shown[0][:8] == 0).all()
    assert shown[0][8:].max() == 1
    np.testing.assert_array_equal(shown[0], shown[1])


@given(seed=st.integers(0, 999), bits=st.integers(9, 16), signed=st.booleans())
def test_bits_above_the_stored_ones_are_no_part_of_a_value(seed: int, bits: int, signed: bool) -> None:
    random = np.random.default_rng(seed)
    low = -(2 ** (bits - 1)) if signed else 0
    values = random.integers(low, low + 2**bits, (16, 16))
    junk = random.integers(0, 2**16, values.shape) << bits
    header = Dataset()
    header.BitsStored, header.PixelRepresentation = bits, int(signed)
    words = ((values % 2**bits) | junk).astype(np.uint16)
    for stored in (words, words.view(np.int16)):
        found = of_stored_bits(header, stored)
        np.testing.assert_array_equal(found, values)
        assert found.dtype == (np.int16 if signed else np.uint16)
