"""Lossless compression of the pixels that leave, with the encoder that can be trusted."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.uid import RLELossless

__all__ = ["compress"]


def compress(dataset: Dataset) -> None:
    """Compress the pixels of a data set by run lengths (RLE Lossless), which every toolkit decodes.

    pydicom's own encoder is named, because it would prefer that of GDCM, which ends the whole process for some sizes
    (a C++ exception that nobody catches, with 1955 x 1841 pixels among others).

    Args:
        dataset: with uncompressed pixels of 8 or 16 bits.
    """
    dataset.compress(RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
