"""From stored values to what a viewer shows: float32 in 0..1, bright = dense, whatever the encoding was."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi, apply_windowing
from pydicom.pixels.utils import pixel_array

from monai_chexmask_u.radiograph import RadiographError

__all__ = ["displayed_pixels", "first_number", "stretched"]

# A window is ignored if 95 % of the pixels end black or white, or if the middle 98 % share a twentieth of the scale:
# no reader could see a chest in such an image, so the header must be wrong.
LEAST_PARTLY_SHADED: Final = 0.05
LEAST_SPREAD: Final = 0.05

# What the fallback cuts off at either end: markers, collimator edges and dead pixels, not anatomy.
STRETCH_PERCENTILES: Final = (0.5, 99.5)


def displayed_pixels(dataset: FileDataset) -> tuple[NDArray[np.float32], list[str]]:
    """Return the pixels as they are meant to be displayed, 0..1 with 1 = bright = dense.

    The steps are those of PS3.3 and PS3.4 N.2: decode, modality LUT, VOI LUT or first window, photometric
    interpretation. Padding takes no part in any statistics and ends black.

    Args:
        dataset: a data set that `examine` has accepted, with its pixels and transfer syntax.

    Returns:
        Pixels ``(row, column)`` and notes: ``rescale_ignored``, ``window_ignored``, ``no_window``,
        ``photometric_inverted``.

    Raises:
        RadiographError: ``truncated``, ``undecodable`` or ``constant_image``.
    """
    stored = _decode(dataset)
    is_padding = _padding(dataset, stored)
    valid = stored[~is_padding]
    if valid.min() == valid.max():
        raise RadiographError("constant_image", "all pixels have one value: export or send the image again")
    notes: list[str] = []
    values = _modality_values(dataset, stored, is_padding, notes)
    pixels = _windowed(dataset, values, is_padding, notes)
    if _is_inverse(dataset):
        pixels = 1 - pixels
        notes.append("photometric_inverted")
    pixels[is_padding] = 0
    return pixels, notes


def _is_inverse(dataset: Dataset) -> bool:
    """Say whether low values are bright; DX says so twice, by MONOCHROME1 and INVERSE, and means one inversion."""
    is_monochrome1 = str(dataset.PhotometricInterpretation).upper() == "MONOCHROME1"
    return is_monochrome1 or str(dataset.get("PresentationLUTShape") or "").upper() == "INVERSE"


def _decode(dataset: FileDataset) -> NDArray[Any]:
    """Return the stored values ``(row, column)``, bits above BitsStored removed, in the file's byte order."""
    _check_length(dataset)
    try:
        # The function, unlike the data set's property, keeps no copy of the pixels in the header.
        stored: NDArray[Any] = pixel_array(dataset)
    except Exception:  # each decoder has its own errors
        message = "the pixels cannot be decoded, they are damaged or in an unknown format: export them uncompressed"
        raise RadiographError("undecodable", message) from None
    if stored.shape != (dataset.Rows, dataset.Columns):
        message = "the pixels do not have the size that the header gives: export the image again"
        raise RadiographError("undecodable", message)
    return stored


def _check_length(dataset: FileDataset) -> None:
    """Refuse uncompressed pixels that end too early."""
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated or dataset["PixelData"].is_undefined_length:
        return
    expected = dataset.Rows * dataset.Columns * dataset.BitsAllocated // 8
    if len(dataset.PixelData or b"") < expected:
        raise RadiographError("truncated", "the file ends in the middle of its pixels: copy or send it again")


def _padding(dataset: Dataset, stored: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where PixelPaddingValue, or the range up to PixelPaddingRangeLimit, fills what was not exposed."""
    first = first_number(dataset, "PixelPaddingValue")
    if first is None:
        return np.zeros(stored.shape, dtype=np.bool_)
    last = first_number(dataset, "PixelPaddingRangeLimit")
    low, high = sorted((first, first if last is None else last))
    is_padding: NDArray[np.bool_] = (stored >= low) & (stored <= high)
    return np.zeros_like(is_padding) if is_padding.all() else is_padding


def _modality_values(
    dataset: FileDataset, stored: NDArray[Any], is_padding: NDArray[np.bool_], notes: list[str]
) -> NDArray[Any]:
    """Apply the modality LUT or rescale; one that cannot be read or leaves a single value is left out."""
    if not dataset.get("ModalityLUTSequence") and first_number(dataset, "RescaleSlope") is None:
        return stored
    try:
        values = np.asarray(apply_modality_lut(stored, dataset))
    except Exception:  # damaged tables and numbers raise many types
        values = np.zeros_like(stored)
    valid = values[~is_padding]
    if np.isfinite(valid).all() and valid.min() < valid.max():
        return values
    notes.append("rescale_ignored")
    return stored


def _windowed(
    dataset: FileDataset, values: NDArray[Any], is_padding: NDArray[np.bool_], notes: list[str]
) -> NDArray[np.float32]:
    """Scale values to 0..1 by the VOI LUT, else the first window, else most of their own range."""
    if not any(keyword in dataset for keyword in ("VOILUTSequence", "WindowCenter", "WindowWidth")):
        notes.append("no_window")
        return stretched(values, values[~is_padding])
    for apply in (_by_lookup_table, _by_first_window):
        try:
            pixels = apply(dataset, values)
        except Exception:  # pydicom raises many types for windows and tables that make no sense
            continue
        if pixels is not None and not _has_collapsed(pixels[~is_padding]):
            return pixels
    notes.append("window_ignored")
    return stretched(values, values[~is_padding])


def _by_lookup_table(dataset: FileDataset, values: NDArray[Any]) -> NDArray[np.float32] | None:
    """Apply the first VOI LUT, scaled by the range that its depth allows."""
    if not dataset.get("VOILUTSequence"):
        return None
    item = dataset.VOILUTSequence[0]
    count, first, depth = item.LUTDescriptor
    count = count or 2**16
    voi = Dataset()
    voi.file_meta = dataset.file_meta
    entry = Dataset()
    entry.add(item["LUTData"])
    # pydicom holds positions in the table in as many bits as its entries have; 16 are enough for every position.
    entry.add_new("LUTDescriptor", "SS" if first < 0 else "US", [count % 2**16, first, 16])
    voi.VOILUTSequence = [entry]
    inside = np.clip(np.rint(values), first, first + count - 1).astype(np.int64)
    return _scale(apply_voi(inside, voi), 0, 2**depth - 1)


def _by_first_window(dataset: FileDataset, values: NDArray[Any]) -> NDArray[np.float32] | None:
    """Apply the first window with the output range 0..1."""
    center, width = first_number(dataset, "WindowCenter"), first_number(dataset, "WindowWidth")
    if center is None or width is None:
        return None
    window = Dataset()
    window.PhotometricInterpretation = "MONOCHROME2"
    # pydicom takes the output range from the stored bits: one unsigned bit makes it 0..1, free of any rescaling.
    window.BitsStored, window.PixelRepresentation = 1, 0
    window.WindowCenter, window.WindowWidth = center, width
    window.VOILUTFunction = str(dataset.get("VOILUTFunction") or "LINEAR")
    return _scale(apply_windowing(values, window), 0, 1)


def _has_collapsed(pixels: NDArray[np.float32]) -> bool:
    """Say whether a window leaves too little contrast; see the limits above."""
    is_shaded = (pixels > 0) & (pixels < 1)
    low, high = np.percentile(pixels, (1, 99))
    return bool(is_shaded.mean() < LEAST_PARTLY_SHADED or high - low < LEAST_SPREAD)


def stretched(values: NDArray[Any], valid: NDArray[Any]) -> NDArray[np.float32]:
    """Stretch between two percentiles of the valid values, or all of their range where those are equal.

    A marker or a dead pixel would otherwise decide on the contrast of the chest.

    Args:
        values: any numbers.
        valid: those of them that count, at least two different ones, all finite.

    Returns:
        The values in 0..1; NaN becomes 0.
    """
    low, high = np.percentile(valid, STRETCH_PERCENTILES)
    return _scale(values, low, high) if low < high else _scale(values, valid.min(), valid.max())


def _scale(values: NDArray[Any], low: float, high: float) -> NDArray[np.float32]:
    """Map ``low`` to 0 and ``high`` to 1, and clip what lies outside; NaN becomes 0."""
    # 32-bit integers lose their last digits in single precision; up to 16 bits fit, in half the memory.
    scaled: NDArray[Any] = values.astype(np.float32 if values.dtype.itemsize <= 2 else np.float64)
    np.subtract(scaled, float(low), out=scaled)
    np.divide(scaled, float(high) - float(low), out=scaled)
    np.clip(scaled, 0, 1, out=scaled)
    clipped: NDArray[np.float32] = np.nan_to_num(scaled, copy=False, nan=0.0).astype(np.float32, copy=False)
    return clipped


def first_number(dataset: Dataset, keyword: str) -> float | None:
    """Return the first value of an attribute as a finite number, or None."""
    try:
        value = dataset.get(keyword)
        values = [value] if isinstance(value, (str, float, int)) else list(value or [])
        number = float(values[0])
    except Exception:  # absent, empty or damaged: pydicom converts on access and raises many types
        return None
    return number if math.isfinite(number) else None
