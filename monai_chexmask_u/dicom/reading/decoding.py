"""Stored values of a DICOM image, whatever its transfer syntax, within bounds of memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.pixels.utils import pixel_array

from monai_chexmask_u.dicom.reading.attributes import number
from monai_chexmask_u.dicom.reading.codestream import DECODERS, clean_codestream
from monai_chexmask_u.radiograph import RadiographError

__all__ = ["decode"]


def decode(dataset: FileDataset) -> tuple[NDArray[Any], list[str]]:
    """Return the stored values ``(row, column)``, bits above BitsStored removed, in the file's byte order.

    Args:
        dataset: a data set that `examine` has accepted, with its pixels and transfer syntax; the pixels are taken out
            of it, so that they are not in memory twice.

    Returns:
        Values and notes: ``lossy_compression``, ``high_bit_assumed``.

    Raises:
        RadiographError: ``truncated`` or ``undecodable``.
    """
    notes = []
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        if clean_codestream(dataset):
            notes.append("lossy_compression")
    else:
        _check_length(dataset)
    stored = _decoded(dataset)
    if number(dataset, "HighBit") != dataset.BitsStored - 1:
        _check_unused_bits(dataset, stored)
        notes.append("high_bit_assumed")
    del dataset.PixelData
    return stored, notes


def _check_length(dataset: FileDataset) -> None:
    """Refuse uncompressed pixels that end too early, or that are not uncompressed."""
    if dataset["PixelData"].is_undefined_length:
        message = "the pixels are compressed, but the transfer syntax says that they are not: export the image again"
        raise RadiographError("undecodable", message)
    expected = dataset.Rows * dataset.Columns * dataset.BitsAllocated // 8
    if len(dataset.PixelData or b"") < expected:
        raise RadiographError("truncated", "the file ends in the middle of its pixels: copy or send it again")


def _decoded(dataset: FileDataset, **options: Any) -> NDArray[Any]:
    try:
        # The function, unlike the data set's property, keeps no copy of the pixels in the header.
        decoder = DECODERS.get(dataset.file_meta.TransferSyntaxUID, "")
        stored: NDArray[Any] = pixel_array(dataset, decoding_plugin=decoder, **options)
    except Exception:  # each decoder has its own errors
        message = "the pixels cannot be decoded, they are damaged or in an unknown format: export them uncompressed"
        raise RadiographError("undecodable", message) from None
    if stored.shape != (dataset.Rows, dataset.Columns):
        message = "the pixels do not have the size that the header gives: export the image again"
        raise RadiographError("undecodable", message)
    return stored


def _check_unused_bits(dataset: FileDataset, stored: NDArray[Any]) -> None:
    """See that a HighBit that is absent or not the last stored bit is a slip: no pixel uses a bit above BitsStored."""
    if not np.array_equal(stored, _decoded(dataset, correct_unused_bits=False)):
        message = "the header contradicts itself on where the bits of a pixel lie: export the image again"
        raise RadiographError("undecodable", message)
