"""The gray values that a presentation state shows: those that the reader took."""

from __future__ import annotations

from typing import Final

import numpy as np
from pydicom.dataset import Dataset

from monai_chexmask_u.dicom.attributes import number, text
from monai_chexmask_u.dicom.values import decimal
from monai_chexmask_u.radiograph import Radiograph

__all__ = ["GRAY_VALUE_KEYWORDS", "set_gray_values"]

GRAY_VALUE_KEYWORDS: Final = (
    *("ModalityLUTSequence", "RescaleSlope", "RescaleIntercept", "RescaleType"),
    *("VOILUTSequence", "WindowCenter", "WindowWidth", "WindowCenterWidthExplanation", "VOILUTFunction"),
)
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
    if "rescale_ignored" not in notes:
        _set_modality_values(state, header)
    if "voi_lut_applied" in notes:
        values = Dataset()
        values.VOILUTSequence = [_table(header.VOILUTSequence[0])]
        state.SoftcopyVOILUTSequence = [values]
    elif "window_ignored" not in notes:
        _set_window(state, header)


def _set_modality_values(state: Dataset, header: Dataset) -> None:
    if header.get("ModalityLUTSequence"):
        item = header.ModalityLUTSequence[0]
        table = _table(item)
        count, first, depth = table.LUTDescriptor
        if depth > 8:  # some files call them 16 whatever there is; with 8, entries would be single bytes
            largest = max(np.frombuffer(table.LUTData, "<u2").tolist())
            table.LUTDescriptor = [count, first, max(9, largest.bit_length())]
        table.ModalityLUTType = text(item, "ModalityLUTType") or "US"  # unspecified
        state.ModalityLUTSequence = [table]
        return
    slope, intercept = number(header, "RescaleSlope"), number(header, "RescaleIntercept")
    if slope is not None and intercept is not None:
        state.RescaleSlope, state.RescaleIntercept = decimal(slope), decimal(intercept)
        state.RescaleType = text(header, "RescaleType") or "US"


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
