"""Stored values of a DICOM image, whatever its transfer syntax, within bounds of memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.pixels.utils import pixel_array

from monai_chexmask_u.dicom.reading.attributes import number
from monai_chexmask_u.dicom.reading.codestream import DECODERS, clean_codestream
from monai_chexmask_u.radiograph import RadiographError

__all__ = ["decode", "of_stored_bits", "stored_range"]


def decode(dataset: FileDataset) -> tuple[NDArray[Any], list[str]]:
    """Return the stored values ``(row, column)``, bits above BitsStored removed and the sign extended from its bit.

    A stream may be deeper than BitsStored says, and decoders differ in what they do with the bits above. Only values
    of a lossy compression are left as they are: what lies above is an error of rounding there, and no junk.

    Args:
        dataset: a data set that `examine` has accepted, with its pixels and transfer syntax; the pixels are taken out
            of it, so that they are not in memory twice.

    Returns:
        Values and notes: those of `clean_codestream`, and ``high_bit_assumed``.

    Raises:
        RadiographError: ``truncated`` or ``undecodable``.
    """
    notes: list[str] = []
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        notes += clean_codestream(dataset)
    else:
        _check_length(dataset)
    raw = _decoded(dataset, correct_unused_bits=False)
    stored = raw if "lossy_compression" in notes else of_stored_bits(dataset, raw)
    # A HighBit that is absent or not the last stored bit is a slip where no pixel uses a bit above BitsStored.
    if number(dataset, "HighBit") != dataset.BitsStored - 1:
        if not np.array_equal(stored, raw):
            message = "the header contradicts itself on where the bits of a pixel lie: export the image again"
            raise RadiographError("undecodable", message)
        notes.append("high_bit_assumed")
    del dataset.PixelData
    return stored, notes


def of_stored_bits(header: Dataset, values: NDArray[Any]) -> NDArray[Any]:
    """Return values cut to the stored bits, their sign extended from its bit.

    Args:
        header: says how many bits are stored, and whether they are signed.
        values: integers of any sign and size.
    """
    values = values.astype(f"{'i' if header.PixelRepresentation else 'u'}{values.dtype.itemsize}", copy=False)
    unused = 8 * values.dtype.itemsize - int(header.BitsStored)
    if unused <= 0:
        return values
    # Shifted up, the sign's bit is that of the type; shifted down again, it fills what lies above.
    found: NDArray[Any] = values << unused >> unused
    return found


def stored_range(header: Dataset) -> NDArray[np.int64]:
    """Return the least and the largest value that the stored bits can hold."""
    bits = int(header.BitsStored)
    first = -(2 ** (bits - 1)) if header.PixelRepresentation else 0
    return np.array([first, first + 2**bits - 1])


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
