"""The gray values that a presentation state shows: those that the reader took."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from monai_chexmask_u.dicom.reading.attributes import number, text
from monai_chexmask_u.dicom.reading.decoding import stored_range
from monai_chexmask_u.dicom.reading.lookup_tables import LookupTable
from monai_chexmask_u.dicom.reading.pixels import Scaling, first_window, modality_values, voi_table
from monai_chexmask_u.dicom.reading.values import decimal, is_valid
from monai_chexmask_u.radiograph import Radiograph

__all__ = ["GRAY_VALUE_KEYWORDS", "set_gray_values"]

GRAY_VALUE_KEYWORDS: Final = (
    *("ModalityLUTSequence", "RescaleSlope", "RescaleIntercept", "RescaleType"),
    *("VOILUTSequence", "WindowCenter", "WindowWidth", "WindowCenterWidthExplanation", "VOILUTFunction"),
)
LARGEST_TABLE_BITS: Final = 16  # what the descriptor of a table can say
VOI_FUNCTIONS: Final = frozenset({"LINEAR", "LINEAR_EXACT", "SIGMOID"})


def set_gray_values(state: Dataset, radiograph: Radiograph) -> None:
    """Give a presentation state the transformations that the reader applied, and none that it had to ignore.

    highdicom copies windows and rescaling, but no lookup tables, and not the choice that the reader made among several.
    What is padding, or was stretched because there is no usable window, is for the viewer to show.

    Args:
        state: without any transformation.
        radiograph: read from a DICOM file.

    References:
        DICOM PS3.3, C.11.1 Modality LUT, C.11.8 Softcopy VOI LUT
    """
    header, notes = radiograph.header, radiograph.notes
    is_rescaled = "rescale_ignored" not in notes
    to_modality = modality_values(header) if is_rescaled else np.asarray
    window = None if "window_ignored" in notes else first_window(header)
    if isinstance(to_modality, LookupTable):
        to_gray = voi_table(header, to_modality).gray if "voi_lut_applied" in notes else window
        if to_gray is None:
            _set_modality_table(state, to_modality)
        else:
            _set_composed_table(state, header, to_modality, to_gray)
        return
    is_sigmoid = text(header, "VOILUTFunction") == "SIGMOID" and header.BitsStored <= LARGEST_TABLE_BITS
    if window is not None and is_sigmoid and "voi_lut_applied" not in notes:
        _set_composed_table(state, header, to_modality, window)  # not every viewer knows the function
        return
    if is_rescaled:
        _set_rescaling(state, header)
    if "voi_lut_applied" in notes:
        table = voi_table(header, to_modality)
        _set_gray_table(state, table.first, table.gray(table.first + np.arange(len(table.entries))))
    elif window is not None:
        _set_window(state, header)


def _set_modality_table(state: Dataset, table: LookupTable) -> None:
    """Set a table of modality values alone, scaled to 16 bits: a state's must make use of the bits that it says."""
    scaled = np.rint(table.entries * (65535 / table.entries.max()))
    item = LookupTable(table.first, 16, scaled.astype("<u2")).to_item()
    item.ModalityLUTType = "US"  # unspecified
    state.ModalityLUTSequence = [item]


def _set_composed_table(
    state: Dataset, header: Dataset, to_modality: Callable[[NDArray[Any]], NDArray[Any]], to_gray: Scaling
) -> None:
    """Set one table from stored values to gray values, which shows the same whatever bits the values between have."""
    if header.BitsStored <= LARGEST_TABLE_BITS:
        first, last = map(int, stored_range(header))
        _set_gray_table(state, first, to_gray(to_modality(np.arange(first, last + 1))))


def _set_rescaling(state: Dataset, header: Dataset) -> None:
    slope, intercept = number(header, "RescaleSlope"), number(header, "RescaleIntercept")
    if slope is not None and intercept is not None:
        state.RescaleSlope, state.RescaleIntercept = decimal(slope), decimal(intercept)
        unit = text(header, "RescaleType")
        is_fit = unit and is_valid(DataElement("RescaleType", "LO", unit))
        state.RescaleType = unit if is_fit else "US"  # unspecified


def _set_gray_table(state: Dataset, first: int, gray: NDArray[np.float32]) -> None:
    """Set a table of gray values 0..1, in 16 bits: those of 8 are packed by some files and not by others."""
    values = Dataset()
    values.VOILUTSequence = [LookupTable(first, 16, np.rint(gray * 65535).astype("<u2")).to_item()]
    state.SoftcopyVOILUTSequence = [values]


def _set_window(state: Dataset, header: Dataset) -> None:
    """Set the first window, which must be there."""
    center, width = (decimal(float(text(header, keyword))) for keyword in ("WindowCenter", "WindowWidth"))
    window = Dataset()
    window.WindowCenter, window.WindowWidth = center, width
    function = text(header, "VOILUTFunction")
    if function in VOI_FUNCTIONS:
        window.VOILUTFunction = function
    state.SoftcopyVOILUTSequence = [window]
