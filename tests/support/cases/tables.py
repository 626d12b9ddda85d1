"""Cases on gray values that lookup tables give."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from support.cases.case import Case, changed
from support.cases.gray import CHEST, HALF, THEME, big_endian, half_window, set_window, shows
from support.samples.dicom import set_pixels, stored_values

__all__ = ["TABLES"]

TABLES: Final[list[Case]] = []
# Entries of a lookup table of 14 bits, 0..1, far from a straight line.
GAMMA_3: Final = np.linspace(0, 1, 2**14) ** 3


def lookup_table(values: NDArray[np.float64], *, first: int = 0) -> Dataset:
    """An item of a sequence of lookup tables."""
    item = Dataset()
    item.LUTDescriptor = [len(values), first, 16]
    item.add_new("LUTData", "OW", values.astype("<u2").tobytes())
    return item


def gamma_3(brightness: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a lookup table shows that raises gray values to their third power."""
    cubed: NDArray[np.float32] = np.power(brightness, 3)
    return cubed


@changed(TABLES, THEME, "applied before the window", is_right=shows(half_window))
def modality_table(dataset: FileDataset) -> None:
    """Modality LUT that turns the stored values around."""
    set_pixels(dataset, stored_values(1 - CHEST, bits=14), bits=14)
    del dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType
    dataset.ModalityLUTSequence = [lookup_table(np.arange(2.0**14)[::-1])]
    dataset.ModalityLUTSequence[0].ModalityLUTType = "US"
    set_window(dataset, **HALF)


@changed(TABLES, THEME, "applied; the rest is stretched between two percentiles", notes=("no_window",))
def modality_table_alone(dataset: FileDataset) -> None:
    """Modality LUT without a window."""
    modality_table(dataset)
    del dataset.WindowCenter, dataset.WindowWidth


@changed(TABLES, THEME, "read like any other", is_right=shows(half_window))
def modality_table_in_bytes(dataset: FileDataset) -> None:
    """Modality LUT of 8 bits, two entries in each word."""
    modality_table(dataset)
    (table,) = dataset.ModalityLUTSequence
    table.LUTDescriptor = [2**14, 0, 8]
    table.LUTData = np.rint(np.linspace(255, 0, 2**14)).astype("u1").tobytes()
    set_window(dataset, WindowCenter="140.5", WindowWidth="128")


@changed(TABLES, THEME, "applied instead of the window", notes=("voi_lut_applied",), is_right=shows(gamma_3))
def voi_table(dataset: FileDataset) -> None:
    """VOI LUT beside a window."""
    dataset.VOILUTSequence = [lookup_table(65535 * GAMMA_3)]
    dataset.WindowCenter, dataset.WindowWidth = "100", "200"


@changed(TABLES, THEME, "read like any other", notes=("voi_lut_applied",), is_right=shows(gamma_3))
def voi_table_in_bytes(dataset: FileDataset) -> None:
    """VOI LUT of 8 bits, two entries in each word."""
    dataset.VOILUTSequence = [Dataset()]
    dataset.VOILUTSequence[0].LUTDescriptor = [2**14, 0, 8]
    dataset.VOILUTSequence[0].add_new("LUTData", "OW", np.rint(255 * GAMMA_3).astype("u1").tobytes())


@changed(TABLES, THEME, "passed over for the window", notes=("voi_lut_ignored",))
def voi_table_cut_off(dataset: FileDataset) -> None:
    """VOI LUT with fewer entries than it says."""
    dataset.VOILUTSequence = [lookup_table(np.arange(2.0**14))]
    dataset.VOILUTSequence[0].LUTData = b"\0\0"


@changed(
    TABLES, THEME, "taken in native byte order, the table as well", notes=("voi_lut_applied",), is_right=shows(gamma_3)
)
def big_endian_voi_table(dataset: FileDataset) -> None:
    """Explicit VR Big Endian with a VOI LUT."""
    big_endian(dataset)
    voi_table(dataset)
    table = dataset.VOILUTSequence[0]
    table.LUTData = np.frombuffer(table.LUTData, "<u2").astype(">u2").tobytes()
