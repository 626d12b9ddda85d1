"""Good files to be damaged: one per kind of image and transfer syntax, the same bytes in every run."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)
from support.judges.programs import is_installed, run
from support.samples.dicom import make_cr, make_dx

__all__ = ["SECRETS", "seeds"]

ROWS, COLUMNS = 160, 128

# What names the patient in every seed; none of it may turn up in a message.
NAME, PATIENT_ID, ACCESSION = "Leakname^Secretly", "LEAK-4711", "LEAKACC-0815"
SECRETS: Final = ("leakname", "secretly", "leak-4711", "leakacc")


@cache
def seeds() -> dict[str, bytes]:
    """Return the seeds by name; those that need a program which is not installed are left out."""
    makers: dict[str, Callable[[], FileDataset]] = {
        "dx": lambda: make_dx(rows=ROWS, columns=COLUMNS),
        "dx_tables": _with_tables,
        "dx_implicit": lambda: _encoded(make_dx(rows=ROWS, columns=COLUMNS), ImplicitVRLittleEndian),
        "cr_big_endian": lambda: _encoded(make_cr(rows=ROWS, columns=COLUMNS), ExplicitVRBigEndian),
        "cr_deflated": lambda: _encoded(make_cr(rows=ROWS, columns=COLUMNS), DeflatedExplicitVRLittleEndian),
        "cr_eight_bit": lambda: make_cr(rows=ROWS, columns=COLUMNS, bits=8, spacing=None),
        "cr_signed": lambda: make_cr(rows=ROWS, columns=COLUMNS, signed=True, photometric="MONOCHROME2"),
        "cr_japanese": _japanese,
        "dx_rle": _run_length,
        "dx_jpeg": lambda: _compressed(make_dx(rows=ROWS, columns=COLUMNS, bits=8), JPEGBaseline8Bit, _by_pillow),
        "dx_jpeg_ls": _jpeg_ls,
        "cr_jpeg_2000": lambda: _compressed(make_cr(rows=ROWS, columns=COLUMNS), JPEG2000, _by_pillow),
    }
    found = {name: _bytes(_named(make(), name)) for name, make in makers.items()}
    if is_installed("gdcmconv"):
        found["dx_jpeg_lossless"] = _jpeg_lossless(found["dx"])
    return found


def _named(dataset: FileDataset, name: str) -> FileDataset:
    """Name the patient, and give UIDs that are the same in every run."""
    if "=" not in str(dataset.PatientName):
        dataset.PatientName = NAME
    dataset.PatientID, dataset.AccessionNumber = PATIENT_ID, ACCESSION
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        setattr(dataset, keyword, generate_uid(entropy_srcs=[name, keyword]))
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def _bytes(dataset: FileDataset) -> bytes:
    """Return a file in the encoding that its transfer syntax names."""
    plain = Dataset(dataset)  # remembers no encoding, in which pydicom would insist to write
    plain.file_meta, plain.preamble = dataset.file_meta, bytes(128)
    syntax = dataset.file_meta.TransferSyntaxUID
    encoding = {"implicit_vr": syntax.is_implicit_VR, "little_endian": syntax.is_little_endian}
    file = io.BytesIO()
    dcmwrite(file, plain, enforce_file_format=True, **encoding)
    return file.getvalue()


def _encoded(dataset: FileDataset, syntax: UID) -> FileDataset:
    """Change how the data set will be written."""
    if syntax == ExplicitVRBigEndian:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def _with_tables() -> FileDataset:
    """Return an image with both lookup tables, padding, several windows, and an overlay."""
    dataset = make_dx(rows=ROWS, columns=COLUMNS, bits=12)
    del dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType
    for keyword in ("ModalityLUTSequence", "VOILUTSequence"):
        item = Dataset()
        item.add_new("LUTDescriptor", "US", [4096, 0, 16])
        item.add_new("LUTData", "US", list(range(0, 65536, 16)))
        item.LUTExplanation = "LINE"
        if keyword == "ModalityLUTSequence":
            item.ModalityLUTType = "US"
        setattr(dataset, keyword, [item])
    dataset.add_new("PixelPaddingValue", "US", 0)
    dataset.add_new("PixelPaddingRangeLimit", "US", 3)
    dataset.WindowCenter, dataset.WindowWidth = ["32768", "20000"], ["65536", "30000"]
    dataset.WindowCenterWidthExplanation = ["ONE", "TWO"]
    dataset.add_new(0x60000010, "US", ROWS)
    dataset.add_new(0x60000011, "US", COLUMNS)
    dataset.add_new(0x60003000, "OW", bytes(ROWS * COLUMNS // 8))
    return dataset


def _japanese() -> FileDataset:
    dataset = make_cr(rows=ROWS, columns=COLUMNS)
    dataset.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    dataset.PatientName = "Leakname^Secretly=山田^太郎=やまだ^たろう"
    dataset.StudyDescription = "胸部正面"
    block = dataset.private_block(0x11, "SOMEBODY", create=True)
    block.add_new(1, "LO", "Leakname private")
    return dataset


def _run_length() -> FileDataset:
    dataset = make_dx(rows=ROWS, columns=COLUMNS)
    # GDCM's encoder, which pydicom would prefer, ends the process for frames of an odd number of bytes.
    dataset.compress(RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
    return dataset


def _jpeg_ls() -> FileDataset:
    dataset = make_dx(rows=ROWS, columns=COLUMNS)
    dataset.compress(JPEGLSLossless, encoding_plugin="pyjpegls", generate_instance_uid=False)
    return dataset


def _compressed(dataset: FileDataset, syntax: UID, encode: Callable[[FileDataset, UID], bytes]) -> FileDataset:
    """Put a code stream in place of the pixels."""
    dataset.PixelData = encapsulate([encode(dataset, syntax)])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.LossyImageCompression = "01"
    dataset.LossyImageCompressionRatio, dataset.LossyImageCompressionMethod = "10", "ISO_10918_1"
    return dataset


def _by_pillow(dataset: FileDataset, syntax: UID) -> bytes:
    values = np.frombuffer(dataset.PixelData, f"<u{dataset.BitsAllocated // 8}").reshape(dataset.Rows, dataset.Columns)
    file = io.BytesIO()
    if syntax == JPEG2000:
        Image.fromarray(values).save(file, "JPEG2000", no_jp2=True, irreversible=True, quality_layers=[10])
    else:
        Image.fromarray(values).save(file, "JPEG", quality=90)
    return file.getvalue()


def _jpeg_lossless(uncompressed: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name) / "source.dcm", Path(name) / "target.dcm"
        source.write_bytes(uncompressed)
        code, said = run("gdcmconv", "--jpeg", source, target)
        if code:
            raise RuntimeError(f"gdcmconv cannot compress: {said}")
        return target.read_bytes()
