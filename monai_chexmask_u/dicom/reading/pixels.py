"""From stored values to what a viewer shows: float32 in 0..1, bright = dense, whatever the encoding was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.pixels.processing import apply_modality_lut, apply_windowing

from monai_chexmask_u.dicom.reading.attributes import number, text
from monai_chexmask_u.dicom.reading.decoding import decode, of_stored_bits, stored_range
from monai_chexmask_u.dicom.reading.lookup_tables import LookupTable
from monai_chexmask_u.radiograph import RadiographError

__all__ = ["Scaling", "displayed_pixels", "first_window", "modality_values", "stretched", "voi_table"]

# A window is ignored if 95 % of the pixels end black or white, or if the middle 98 % share a twentieth of the scale:
# no reader could see a chest in such an image, so the header must be wrong.
LEAST_PARTLY_SHADED: Final = 0.05
LEAST_SPREAD: Final = 0.05

# Rows that are worked on at a time.
BLOCK_ROWS: Final = 256
Scaling: TypeAlias = Callable[[NDArray[Any]], NDArray[np.float32]]

# Padding lies around what was exposed, perhaps inside a frame of this share of the image's side; a value of the anatomy
# that happens to be the padding's is none.
PADDING_EDGE: Final = 0.02

# What the fallback cuts off at either end: markers, collimator edges and dead pixels, not anatomy.
STRETCH_PERCENTILES: Final = (0.5, 99.5)


def displayed_pixels(dataset: FileDataset) -> tuple[NDArray[np.float32], list[str]]:
    """Return the pixels as they are meant to be displayed, 0..1 with 1 = bright = dense.

    The steps are those of PS3.3 and PS3.4 N.2: decode, modality LUT, VOI LUT or first window, photometric
    interpretation. Padding takes no part in any statistics and ends black.

    Args:
        dataset: a data set that `examine` has accepted, with its pixels and transfer syntax; the pixels are taken out
            of it.

    Returns:
        Pixels ``(row, column)`` and notes: those of `decode`, ``rescale_ignored``, ``voi_lut_applied``,
        ``voi_lut_ignored``, ``window_ignored``, ``no_window``, ``photometric_inverted``.

    Raises:
        RadiographError: ``constant_image`` and those of `decode`.
    """
    stored, notes = decode(dataset)
    is_padding = _padding(dataset, stored)
    if _is_constant(_valid(stored, is_padding)):
        raise RadiographError("constant_image", "all pixels have one value: export or send the image again")
    values = _modality_values(dataset, stored, is_padding, notes)
    pixels = _windowed(dataset, values, is_padding, notes)
    if _is_inverse(dataset):
        np.subtract(1, pixels, out=pixels)
        notes.append("photometric_inverted")
    if is_padding is not None:
        pixels[is_padding] = 0
    return pixels, notes


def _is_inverse(dataset: Dataset) -> bool:
    """Say whether low values are bright; DX says so twice, by MONOCHROME1 and INVERSE, and means one inversion."""
    is_monochrome1 = text(dataset, "PhotometricInterpretation") == "MONOCHROME1"
    return is_monochrome1 or text(dataset, "PresentationLUTShape") == "INVERSE"


def _padding(dataset: Dataset, stored: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Return where PixelPaddingValue, or the range up to PixelPaddingRangeLimit, fills what was not exposed.

    Only what reaches the edge of the image counts: the same value may occur in the anatomy. Both have the sign of the
    pixels, whatever the header's type of value says (PS3.3, C.7.5.1.1.2).
    """
    first, last = _padding_value(dataset, "PixelPaddingValue"), _padding_value(dataset, "PixelPaddingRangeLimit")
    if first is None:
        return None
    low, high = sorted((first, first if last is None else last))
    is_padding: NDArray[np.bool_] = (stored >= low) & (stored <= high)
    if not is_padding.any() or is_padding.all():
        return None
    return _reaching_the_edge(is_padding)


def _reaching_the_edge(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the connected parts of a mask that reach the edge of the image."""
    from scipy.ndimage import label  # most images have no padding

    parts, count = label(mask)
    row, column = (max(round(PADDING_EDGE * side), 1) for side in mask.shape)
    is_outside = np.zeros(count + 1, bool)
    for edge in (parts[:row], parts[-row:], parts[:, :column], parts[:, -column:]):
        is_outside[np.unique(edge)] = True
    is_outside[0] = False
    found: NDArray[np.bool_] = is_outside[parts]
    return found


def _padding_value(dataset: Dataset, keyword: str) -> int | None:
    value = number(dataset, keyword)
    if value is None or not -(2**31) <= value < 2**32:
        return None
    allocated = np.array([int(value)]).astype(f"u{max(int(dataset.BitsAllocated) // 8, 1)}")
    return int(of_stored_bits(dataset, allocated)[0])


def _valid(values: NDArray[Any], is_padding: NDArray[np.bool_] | None) -> NDArray[Any]:
    """Return the values that are no padding."""
    return values if is_padding is None else values[~is_padding]


def _is_constant(values: NDArray[Any]) -> bool:
    return bool(values.min() == values.max())


def _modality_values(
    dataset: FileDataset, stored: NDArray[Any], is_padding: NDArray[np.bool_] | None, notes: list[str]
) -> NDArray[Any]:
    """Apply the modality LUT or rescale; one that cannot be read or leaves a single value is left out."""
    slope, intercept = number(dataset, "RescaleSlope"), number(dataset, "RescaleIntercept")
    if not dataset.get("ModalityLUTSequence") and (slope is None or (slope, intercept) == (1, 0)):
        return stored
    try:
        values = _by_blocks(modality_values(dataset), stored, _precision(stored))
    except Exception:  # damaged tables and numbers raise many types
        values = np.zeros_like(stored)
    valid = _valid(values, is_padding)
    if np.isfinite(valid).all() and not _is_constant(valid):
        return values
    notes.append("rescale_ignored")
    return stored


def modality_values(dataset: FileDataset) -> LookupTable | Callable[[NDArray[Any]], NDArray[Any]]:
    """Return what applies the modality LUT, or else the rescale."""
    if dataset.get("ModalityLUTSequence"):
        return LookupTable.read(dataset, "ModalityLUTSequence").placed(*stored_range(dataset))
    if number(dataset, "RescaleSlope") is None:
        return np.asarray
    return lambda values: apply_modality_lut(values, dataset)


def _precision(values: NDArray[Any]) -> type[np.floating[Any]]:
    """Return the float type: 32-bit integers lose their last digits in single precision; 16 bits fit."""
    return np.float32 if values.dtype.itemsize <= 2 else np.float64


def _by_blocks(
    function: Callable[[NDArray[Any]], NDArray[Any]], values: NDArray[Any], dtype: type[np.floating[Any]]
) -> NDArray[Any]:
    """Apply a function to some rows at a time: pydicom's take eight bytes and more for each value."""
    result = np.empty(values.shape, dtype)
    for start in range(0, len(values), BLOCK_ROWS):
        result[start : start + BLOCK_ROWS] = function(values[start : start + BLOCK_ROWS])
    return result


def _windowed(
    dataset: FileDataset, values: NDArray[Any], is_padding: NDArray[np.bool_] | None, notes: list[str]
) -> NDArray[np.float32]:
    """Scale values to 0..1 by the VOI LUT, else the first window, else most of their own range."""
    has_window = "WindowCenter" in dataset or "WindowWidth" in dataset
    if _has_voi_table(dataset):
        to_modality = np.asarray if "rescale_ignored" in notes else modality_values(dataset)
        pixels = _usable(lambda: voi_table(dataset, to_modality).gray, values, is_padding)
        notes.append("voi_lut_ignored" if pixels is None else "voi_lut_applied")
        if pixels is not None:
            return pixels
    pixels = _usable(lambda: first_window(dataset), values, is_padding) if has_window else None
    if pixels is None:
        notes.append("window_ignored" if has_window else "no_window")
        return stretched(values, _valid(values, is_padding))
    return pixels


def _has_voi_table(dataset: FileDataset) -> bool:
    """Say whether there is something in the VOI LUT sequence, be it damaged."""
    element = dataset.get_item("VOILUTSequence")
    return element is not None and bool(element.value)


def voi_table(dataset: Dataset, to_modality: Callable[[NDArray[Any]], NDArray[Any]]) -> LookupTable:
    """Return the VOI LUT.

    Args:
        dataset: with the table.
        to_modality: what applies the modality LUT or rescale, whose values the table is for.

    Raises:
        ValueError: if it is damaged; what `LookupTable.read` raises.
    """
    ends = to_modality(stored_range(dataset))
    if isinstance(to_modality, LookupTable):
        ends = to_modality.entries
    return LookupTable.read(dataset, "VOILUTSequence").placed(float(ends.min()), float(ends.max()))


def _usable(
    make: Callable[[], Scaling | None], values: NDArray[Any], is_padding: NDArray[np.bool_] | None
) -> NDArray[np.float32] | None:
    """Return the scaled values, or None where there is no such scaling or it leaves too little contrast."""
    try:
        scaling = make()
        pixels = None if scaling is None else _by_blocks(scaling, values, np.float32)
    except Exception:  # pydicom raises many types for windows and tables that make no sense
        return None
    return None if pixels is None or _has_collapsed(_valid(pixels, is_padding)) else pixels


def first_window(dataset: FileDataset) -> Scaling | None:
    """Return what applies the first window, with the output range 0..1."""
    center, width = number(dataset, "WindowCenter"), number(dataset, "WindowWidth")
    if center is None or width is None:
        return None
    window = Dataset()
    window.PhotometricInterpretation = "MONOCHROME2"
    # pydicom takes the output range from the stored bits: one unsigned bit makes it 0..1, free of any rescaling.
    window.BitsStored, window.PixelRepresentation = 1, 0
    window.WindowCenter, window.WindowWidth = center, width
    window.VOILUTFunction = text(dataset, "VOILUTFunction") or "LINEAR"
    return lambda values: _scale(apply_windowing(values, window), 0, 1)


def _has_collapsed(pixels: NDArray[np.float32]) -> bool:
    """Say whether a window leaves too little contrast; see the limits above."""
    shaded = np.count_nonzero((pixels > 0) & (pixels < 1))
    low, high = np.percentile(pixels, (1, 99))
    return bool(shaded < LEAST_PARTLY_SHADED * pixels.size or high - low < LEAST_SPREAD)


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
    scaled: NDArray[Any] = values.astype(_precision(values))
    np.subtract(scaled, float(low), out=scaled)
    np.divide(scaled, float(high) - float(low), out=scaled)
    np.clip(scaled, 0, 1, out=scaled)
    clipped: NDArray[np.float32] = np.nan_to_num(scaled, copy=False, nan=0.0).astype(np.float32, copy=False)
    return clipped
