"""Samples with compressed pixels, by the encoders that the project's dependencies bring along."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from PIL import Image
from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import (
    JPEG2000,
    UID,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from support.samples.dicom import save

__all__ = ["BY_DCMTK", "ENCODERS", "by_dcmtk", "compressed", "set_stream", "stream_of"]


def stream_of(dataset: FileDataset) -> bytes:
    """The compressed pixels of a data set."""
    return get_frame(dataset.PixelData, 0, number_of_frames=1)


def set_stream(dataset: FileDataset, stream: bytes, syntax: UID) -> FileDataset:
    """Put compressed pixels into a data set."""
    dataset.PixelData = encapsulate([stream])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def by_dcmtk(dataset: FileDataset, folder: Path, *options: str) -> FileDataset:
    """Compress by DCMTK's dcmcjpeg, whose options name the process."""
    plain, target = folder / "plain_for_dcmtk.dcm", folder / "of_dcmtk.dcm"
    save(dataset, plain)
    subprocess.run([shutil.which("dcmcjpeg") or "dcmcjpeg", *options, plain, target], check=True, capture_output=True)
    return dcmread(target)


def _by_pillow(dataset: FileDataset, syntax: UID, *, lossy: bool) -> FileDataset:
    stream = io.BytesIO()
    image = Image.fromarray(dataset.pixel_array)
    if syntax == JPEGBaseline8Bit:
        image.save(stream, "JPEG", quality=90)
    else:
        image.save(stream, "JPEG2000", no_jp2=True, irreversible=lossy, quality_layers=[10] if lossy else None)
    return set_stream(dataset, stream.getvalue(), syntax)


def _by_pydicom(dataset: FileDataset, syntax: UID, **options: Any) -> FileDataset:
    # For run lengths pydicom would prefer GDCM's encoder, which ends the whole process for some sizes.
    plugin = "pydicom" if syntax == RLELossless else ""
    dataset.compress(syntax, encoding_plugin=plugin, generate_instance_uid=False, **options)
    return dataset


# What compresses a data set; DCMTK's ways need a folder to work in.
ENCODERS: Final[dict[UID, Callable[[FileDataset, Path], FileDataset]]] = {
    RLELossless: lambda dataset, _: _by_pydicom(dataset, RLELossless),
    JPEGLSLossless: lambda dataset, _: _by_pydicom(dataset, JPEGLSLossless),
    JPEGLSNearLossless: lambda dataset, _: _by_pydicom(dataset, JPEGLSNearLossless, jls_error=3),
    JPEG2000Lossless: lambda dataset, _: _by_pillow(dataset, JPEG2000Lossless, lossy=False),
    JPEG2000: lambda dataset, _: _by_pillow(dataset, JPEG2000, lossy=True),
    JPEGBaseline8Bit: lambda dataset, _: _by_pillow(dataset, JPEGBaseline8Bit, lossy=True),
    JPEGExtended12Bit: lambda dataset, folder: by_dcmtk(dataset, folder, "+ee"),
    JPEGLosslessSV1: lambda dataset, folder: by_dcmtk(dataset, folder, "+e1"),
    JPEGLossless: lambda dataset, folder: by_dcmtk(dataset, folder, "+el", "+sv", "4"),
}
BY_DCMTK: Final = (JPEGExtended12Bit, JPEGLosslessSV1, JPEGLossless)


def compressed(dataset: FileDataset, syntax: UID, folder: Path) -> FileDataset:
    """Compress the pixels of a data set; those of JPEG Baseline must have 8 bits."""
    return ENCODERS[syntax](dataset, folder)
