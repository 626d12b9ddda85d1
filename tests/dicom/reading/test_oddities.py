"""Each oddity on each transfer syntax that can carry it, signed and not, dark or bright: what is displayed stays."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from support.samples.compressed import BY_DCMTK, compressed, set_stream
from support.samples.dicom import chest_phantom, make_cr, set_pixels, stored_values

from monai_chexmask_u.dicom.reading.read import read_dicom
from monai_chexmask_u.radiograph import Radiograph

SAME: Final = 0.002  # mean difference of displayed pixels, in 0..1
BITS: Final = 12
PLAIN: Final = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
COMPRESSED: Final = (RLELossless, JPEGLSLossless, JPEG2000Lossless, JPEGLossless, JPEGLosslessSV1)
END: Final = b"\xfe\xff\xdd\xe0\0\0\0\0"  # item that ends a sequence of fragments


@dataclass(frozen=True)
class Carrier:
    """What an oddity is put on."""

    syntax: UID
    signed: bool
    photometric: str

    @property
    def name(self) -> str:
        signed = "signed" if self.signed else "unsigned"
        return f"{self.syntax.name.split(',')[0].replace(' ', '_')}-{signed}-{self.photometric}"


CARRIERS: Final = [
    Carrier(syntax, signed, photometric)
    for syntax in (*PLAIN, *COMPRESSED)
    for signed in (False, True)
    for photometric in ("MONOCHROME1", "MONOCHROME2")
]


def values_of(carrier: Carrier, bits: int = BITS) -> NDArray[Any]:
    """Return the stored values of the phantom."""
    brightness = chest_phantom(96, 80)
    shown = 1 - brightness if carrier.photometric == "MONOCHROME1" else brightness
    return stored_values(shown, bits=bits, signed=carrier.signed)


def dataset_of(carrier: Carrier, values: NDArray[Any], bits: int = BITS) -> FileDataset:
    """Return the radiograph, uncompressed, with these stored values and a window over all of them."""
    dataset = make_cr(rows=96, columns=80, photometric=carrier.photometric, bits=bits, signed=carrier.signed)
    set_pixels(dataset, values, bits=bits)
    return dataset


def written(carrier: Carrier, dataset: FileDataset, path: Path, *, deep: bool = False) -> Path:
    """Write a data set in the carrier's transfer syntax; deep streams hold all allocated bits, whatever is stored."""
    stored, sign = dataset.BitsStored, dataset.PixelRepresentation
    if carrier.syntax in COMPRESSED:
        # The bits as they are: encoders would not take values beyond what the header says.
        if deep or sign:
            dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 15, 0
        dataset = compressed(dataset, carrier.syntax, path.parent)
        dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = stored, stored - 1, sign
    else:
        dataset.file_meta.TransferSyntaxUID = carrier.syntax
        if carrier.syntax == ExplicitVRBigEndian:
            dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
            dataset.set_original_encoding(False, False)  # as pydicom wants to be told
    little = carrier.syntax != ExplicitVRBigEndian
    dataset.save_as(path, implicit_vr=carrier.syntax == ImplicitVRLittleEndian, little_endian=little)
    return path


def skip_if_missing(carrier: Carrier) -> None:
    if carrier.syntax in BY_DCMTK and shutil.which("dcmcjpeg") is None:
        pytest.skip("dcmcjpeg is not here")


def assert_same(found: Radiograph, expected: Radiograph) -> None:
    assert np.abs(found.pixels - expected.pixels).mean() <= SAME


def undamaged(carrier: Carrier, folder: Path) -> Radiograph:
    plain = Carrier(ExplicitVRLittleEndian, carrier.signed, carrier.photometric)
    return read_dicom(written(plain, dataset_of(plain, values_of(plain)), folder / "undamaged.dcm"))


def in_high_bits(values: NDArray[Any], junk: NDArray[np.uint16]) -> NDArray[Any]:
    """Return values whose bits above BitsStored are those of the junk."""
    low = values.view(np.uint16) & np.uint16(2**BITS - 1)
    return (low | (junk << np.uint16(BITS)).astype(np.uint16)).view(values.dtype)


def clean(values: NDArray[Any]) -> NDArray[Any]:
    return values


def graphics(values: NDArray[Any]) -> NDArray[Any]:
    junk = np.zeros(values.shape, np.uint16)
    junk[20:40, 10:70] = 1
    junk[50:52] = 15
    return in_high_bits(values, junk)


def noise(values: NDArray[Any]) -> NDArray[Any]:
    return in_high_bits(values, np.random.default_rng(0).integers(0, 16, values.shape).astype(np.uint16))


def without_sign_bits(values: NDArray[Any]) -> NDArray[Any]:
    return in_high_bits(values, np.zeros(values.shape, np.uint16))


@pytest.mark.parametrize("oddity", [clean, graphics, noise, without_sign_bits], ids=lambda oddity: oddity.__name__)
@pytest.mark.parametrize("carrier", CARRIERS, ids=lambda carrier: carrier.name)
def test_bits_above_the_stored_ones_are_not_displayed(
    carrier: Carrier, oddity: Callable[[NDArray[Any]], NDArray[Any]], tmp_path: Path
) -> None:
    skip_if_missing(carrier)
    dataset = dataset_of(carrier, oddity(values_of(carrier)))
    found = read_dicom(written(carrier, dataset, tmp_path / "odd.dcm", deep=True))
    assert_same(found, undamaged(carrier, tmp_path))


@pytest.mark.parametrize("carrier", CARRIERS, ids=lambda carrier: carrier.name)
def test_padding_counts_by_the_sign_of_the_pixels(carrier: Carrier, tmp_path: Path) -> None:
    skip_if_missing(carrier)
    values = values_of(carrier, bits=16)
    padding = -32000 if carrier.signed else 65000
    values[:, :8] = padding
    expected = dataset_of(Carrier(ExplicitVRLittleEndian, carrier.signed, carrier.photometric), values, bits=16)
    odd = dataset_of(carrier, values.copy(), bits=16)
    for dataset in (expected, odd):
        del dataset.WindowCenter, dataset.WindowWidth
    right, wrong = ("SS", "US") if carrier.signed else ("US", "SS")
    expected.add_new("PixelPaddingValue", right, padding)
    odd.add_new("PixelPaddingValue", wrong, padding % 2**16 if carrier.signed else padding - 2**16)
    plain = Carrier(ExplicitVRLittleEndian, carrier.signed, carrier.photometric)
    shown = read_dicom(written(plain, expected, tmp_path / "right.dcm"))
    assert (shown.pixels[:, :8] == 0).all()
    assert shown.pixels[:, 8:].std() > 0.1
    assert_same(read_dicom(written(carrier, odd, tmp_path / "odd.dcm", deep=True)), shown)


def with_voi_lut(dataset: FileDataset, depth: int, *, signed: bool, wrong_sign: bool = False) -> FileDataset:
    """Give a data set a table over all stored values, of entries of 12 bits."""
    item = Dataset()
    entries = (np.linspace(0, 1, 2**BITS) ** 1.5 * (2**BITS - 1)).astype(np.uint16)
    first = -(2 ** (BITS - 1)) if signed else 0
    is_signed = signed is not wrong_sign
    item.add_new("LUTDescriptor", "SS" if is_signed else "US", [0, first if is_signed else first % 2**16, depth])
    item.add_new("LUTData", "US", entries.tolist())
    dataset.VOILUTSequence = [item]
    del dataset.WindowCenter, dataset.WindowWidth
    return dataset


@pytest.mark.parametrize(
    ("carrier", "depth", "wrong_sign"),
    # A first value of 0, that of unsigned pixels, has no sign.
    [(each, 16, False) for each in CARRIERS]
    + [(each, depth, True) for each in CARRIERS if each.signed for depth in (12, 16)],
    ids=lambda value: value.name if isinstance(value, Carrier) else str(value),
)
def test_tables_are_as_deep_and_lie_where_their_entries_say(
    carrier: Carrier, depth: int, wrong_sign: bool, tmp_path: Path
) -> None:
    skip_if_missing(carrier)
    plain = Carrier(ExplicitVRLittleEndian, carrier.signed, carrier.photometric)
    # One number of entries, 4096, and a first value of -2048: the whole descriptor is of one representation.
    right = with_voi_lut(dataset_of(plain, values_of(plain)), 12, signed=carrier.signed)
    odd = with_voi_lut(dataset_of(carrier, values_of(carrier)), depth, signed=carrier.signed, wrong_sign=wrong_sign)
    for dataset in (right, odd):
        dataset.VOILUTSequence[0]["LUTDescriptor"].value[0] = 2**BITS
    shown = read_dicom(written(plain, right, tmp_path / "right.dcm"))
    assert "voi_lut_applied" in shown.notes
    assert_same(read_dicom(written(carrier, odd, tmp_path / "odd.dcm", deep=True)), shown)


@pytest.mark.parametrize(
    "carrier", [each for each in CARRIERS if each.syntax in COMPRESSED], ids=lambda each: each.name
)
def test_fragments_whose_end_is_not_marked_are_read(carrier: Carrier, tmp_path: Path) -> None:
    skip_if_missing(carrier)
    path = written(carrier, dataset_of(carrier, values_of(carrier)), tmp_path / "odd.dcm", deep=True)
    content = path.read_bytes()
    assert content.endswith(END)
    path.write_bytes(content[: -len(END)])
    found = read_dicom(path)
    assert "pixel_sequence_unclosed" in found.notes
    assert_same(found, undamaged(carrier, tmp_path))


@pytest.mark.parametrize(
    "carrier", [each for each in CARRIERS if each.syntax == JPEG2000Lossless], ids=lambda e: e.name
)
def test_boxes_around_a_code_stream_are_passed_over(carrier: Carrier, tmp_path: Path) -> None:
    dataset, stream = dataset_of(carrier, values_of(carrier)), io.BytesIO()
    Image.fromarray(values_of(carrier).view(np.uint16)).save(stream, "JPEG2000", irreversible=False)
    path = tmp_path / "odd.dcm"
    set_stream(dataset, stream.getvalue(), JPEG2000Lossless).save_as(path, enforce_file_format=True)
    assert_same(read_dicom(path), undamaged(carrier, tmp_path))
