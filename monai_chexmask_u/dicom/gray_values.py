"""The gray values that a presentation state shows: those that the reader took."""

from __future__ import annotations

from typing import Final

import numpy as np
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut

from monai_chexmask_u.dicom.attributes import number, text
from monai_chexmask_u.dicom.pixels import first_window, lookup_table, stretched
from monai_chexmask_u.dicom.values import decimal, is_valid
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
    if is_rescaled and header.get("ModalityLUTSequence"):
        if header.BitsStored <= LARGEST_TABLE_BITS:
            _set_composed_table(state, radiograph)
        return
    if is_rescaled:
        _set_rescaling(state, header)
    if "voi_lut_applied" in notes:
        _set_table(state, _table(header.VOILUTSequence[0]))
    elif "window_ignored" not in notes:
        _set_window(state, header)


def _set_composed_table(state: Dataset, radiograph: Radiograph) -> None:
    """Set one table from stored values to gray values, for images with a table of modality values.

    Such tables need not make use of the bits that they say, which a presentation state's must.
    """
    header = radiograph.header
    first = -(2 ** (header.BitsStored - 1)) if header.PixelRepresentation else 0
    stored = np.arange(first, first + 2**header.BitsStored)
    values = np.asarray(apply_modality_lut(stored, header), dtype=np.float64)
    function = lookup_table(header) if "voi_lut_applied" in radiograph.notes else first_window(header)
    if "window_ignored" in radiograph.notes:
        function = None
    gray = stretched(values, values) if function is None else function(values)
    table = Dataset()
    table.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(stored) % 2**16, first, 16])
    table.add_new("LUTData", "OW", np.rint(gray * 65535).astype("<u2").tobytes())
    _set_table(state, table)


def _set_rescaling(state: Dataset, header: Dataset) -> None:
    slope, intercept = number(header, "RescaleSlope"), number(header, "RescaleIntercept")
    if slope is not None and intercept is not None:
        state.RescaleSlope, state.RescaleIntercept = decimal(slope), decimal(intercept)
        unit = text(header, "RescaleType")
        is_fit = unit and is_valid(DataElement("RescaleType", "LO", unit))
        state.RescaleType = unit if is_fit else "US"  # unspecified


def _set_table(state: Dataset, table: Dataset) -> None:
    values = Dataset()
    values.VOILUTSequence = [table]
    state.SoftcopyVOILUTSequence = [values]


def _set_window(state: Dataset, header: Dataset) -> None:
    center, width = number(header, "WindowCenter"), number(header, "WindowWidth")
    if center is None or width is None:
        return
    window = Dataset()
    window.WindowCenter, window.WindowWidth = decimal(center), decimal(width)
    function = text(header, "VOILUTFunction")
    if function in VOI_FUNCTIONS:
        window.VOILUTFunction = function
    state.SoftcopyVOILUTSequence = [window]


def _table(item: Dataset) -> Dataset:
    """Return a lookup table without anything else that its item may hold."""
    count, first, depth = item.LUTDescriptor
    table = Dataset()
    table.add_new("LUTDescriptor", "SS" if first < 0 else "US", [count, first, depth])
    table.add_new("LUTData", "OW", _as_words(item["LUTData"].value))
    return table


def _as_words(data: bytes | list[int]) -> bytes:
    """Return the entries of a table as bytes, which some files hold as numbers."""
    if isinstance(data, bytes):
        return data
    return b"".join(int(entry).to_bytes(2, "little") for entry in data)
