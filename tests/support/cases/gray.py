"""Cases on gray values: photometric interpretation, rescaling and windows, padding, depths."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.uid import ExplicitVRBigEndian
from support.cases.case import Case, changed
from support.samples.dicom import chest_phantom, make_cr, make_dx, set_pixels, stored_values

from monai_chexmask_u.radiograph import Radiograph

__all__ = ["CHEST", "GRAY", "HALF", "THEME", "big_endian", "half_window", "set_window", "shows"]

GRAY: Final[list[Case]] = []
THEME: Final = "Gray values"
CHEST: Final = chest_phantom(500, 400)
# A window that begins at 0.3 of all values of 14 bits and is half as wide.
HALF: Final = {"WindowCenter": "9011", "WindowWidth": "8192"}


def shows(gray: Callable[[NDArray[np.float32]], NDArray[np.floating[Any]]]) -> Callable[[Radiograph], bool]:
    """Return a judge of gray values: they are what a function makes of the phantom's."""
    return lambda radiograph: bool(np.abs(radiograph.pixels - gray(CHEST)).mean() < 1 / 255)


def half_window(brightness: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a window shows that begins at 0.3 of all values and is half as wide."""
    windowed: NDArray[np.float32] = np.clip((brightness - np.float32(0.3)) / np.float32(0.5), 0, 1)
    return windowed


def pixels_of(dataset: FileDataset) -> NDArray[np.uint16]:
    """The stored values of a sample of up to 16 bits."""
    return np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, dataset.Columns)


def set_window(dataset: FileDataset, **values: str) -> None:
    """Give a sample another window."""
    for keyword, value in values.items():
        setattr(dataset, keyword, value)


@changed(GRAY, THEME, "taken as it is", base=lambda: make_dx(bits=14))
def monochrome2(_: FileDataset) -> None:
    """DX, MONOCHROME2, 14 bits in 16, linear window."""


@changed(GRAY, THEME, "applied", is_right=shows(half_window))
def half_width(dataset: FileDataset) -> None:
    """Window over half of the values."""
    set_window(dataset, **HALF)


@changed(
    GRAY,
    THEME,
    "inverted once: MONOCHROME1 and INVERSE say one thing twice",
    base=lambda: make_dx(photometric="MONOCHROME1"),
    notes=("photometric_inverted",),
)
def monochrome1(_: FileDataset) -> None:
    """DX, MONOCHROME1 with PresentationLUTShape INVERSE."""


@changed(
    GRAY,
    THEME,
    "inverted",
    base=lambda: make_cr(photometric="MONOCHROME1"),
    notes=("photometric_inverted",),
    spacing_mm=(0.8, 0.8),
)
def monochrome1_alone(_: FileDataset) -> None:
    """CR, MONOCHROME1 without a PresentationLUTShape."""


@changed(
    GRAY, THEME, "inverted: the shape of the presentation LUT is what a viewer shows", notes=("photometric_inverted",)
)
def inverse_alone(dataset: FileDataset) -> None:
    """MONOCHROME2 with PresentationLUTShape INVERSE."""
    set_pixels(dataset, stored_values(1 - CHEST, bits=14), bits=14)
    dataset.PresentationLUTShape = "INVERSE"


@changed(GRAY, THEME, "applied before the window", is_right=shows(half_window))
def rescale(dataset: FileDataset) -> None:
    """RescaleSlope 0.25 and RescaleIntercept -1000."""
    dataset.RescaleSlope, dataset.RescaleIntercept = "0.25", "-1000"
    dataset.WindowCenter, dataset.WindowWidth = "1253", "2048"


@changed(GRAY, THEME, "left out: it would leave a single gray", notes=("rescale_ignored",))
def rescale_zero(dataset: FileDataset) -> None:
    """RescaleSlope 0."""
    dataset.RescaleSlope = "0"


@changed(GRAY, THEME, "the first one is used", is_right=shows(half_window))
def several_windows(dataset: FileDataset) -> None:
    """Two windows."""
    dataset.WindowCenter, dataset.WindowWidth = ["9011", "300"], ["8192", "2"]


@changed(
    GRAY, THEME, "applied", is_right=shows(lambda brightness: 1 / (1 + np.exp(-4 * (brightness - 9011 / 2**14) / 0.5)))
)
def sigmoid_window(dataset: FileDataset) -> None:
    """Window of the function SIGMOID."""
    set_window(dataset, **HALF, VOILUTFunction="SIGMOID")


@changed(GRAY, THEME, "applied", is_right=shows(half_window))
def exact_window(dataset: FileDataset) -> None:
    """Window of the function LINEAR_EXACT."""
    set_window(dataset, **HALF, VOILUTFunction="LINEAR_EXACT")


@changed(GRAY, THEME, "ignored, stretched between two percentiles", notes=("window_ignored",))
def window_width_zero(dataset: FileDataset) -> None:
    """WindowWidth 0."""
    dataset.WindowWidth = "0"


@changed(GRAY, THEME, "ignored, stretched between two percentiles", notes=("window_ignored",))
def window_beside_the_values(dataset: FileDataset) -> None:
    """Window far beyond the stored values, all black."""
    dataset.WindowCenter = "60000"


@changed(GRAY, THEME, "ignored, stretched between two percentiles", notes=("window_ignored",))
def window_in_words(dataset: FileDataset) -> None:
    """WindowCenter that is no number."""
    dataset["WindowCenter"]._value = "auto"


@changed(GRAY, THEME, "stretched between two percentiles", notes=("no_window",))
def no_window(dataset: FileDataset) -> None:
    """No window and no VOI LUT."""
    del dataset.WindowCenter, dataset.WindowWidth


def _shows_phantom_inside(radiograph: Radiograph) -> bool:
    inside = (slice(60, None), slice(50, None))
    agreement = np.corrcoef(radiograph.pixels[inside].ravel(), CHEST[inside].ravel())[0, 1]
    return bool(agreement > 0.99 and not radiograph.pixels[:60].any() and not radiograph.pixels[:, :50].any())


@changed(
    GRAY,
    THEME,
    "black, and left out of all statistics",
    base=lambda: make_dx(photometric="MONOCHROME1"),
    notes=("no_window", "photometric_inverted"),
    is_right=_shows_phantom_inside,
)
def padding(dataset: FileDataset) -> None:
    """PixelPaddingValue around the exposed field."""
    values = np.maximum(pixels_of(dataset), 1)
    values[:60], values[:, :50] = 0, 0
    set_pixels(dataset, values, bits=14)
    dataset.add_new("PixelPaddingValue", "US", 0)
    del dataset.WindowCenter, dataset.WindowWidth


def _shows_anatomy_of_the_padding_value(radiograph: Radiograph) -> bool:
    around, inside = radiograph.pixels[:60], radiograph.pixels[70:430, 60:340]
    return bool((around == 0).all() and np.abs(inside - CHEST[70:430, 60:340]).max() < 0.1)


@changed(
    GRAY,
    THEME,
    "what reaches the edge is black, and the rest displayed as it is",
    is_right=_shows_anatomy_of_the_padding_value,
)
def padding_in_the_anatomy(dataset: FileDataset) -> None:
    """PixelPaddingValue that the lung has too."""
    values = (pixels_of(dataset) // 512 * 512 + 256).astype("<u2")
    lung = int(np.bincount(values[200:250, 100:140].ravel()).argmax())
    values[:60], values[:, :50] = lung, lung
    set_pixels(dataset, values, bits=14)
    dataset.add_new("PixelPaddingValue", "US", lung)


@changed(GRAY, THEME, "no image", code="constant_image")
def one_value(dataset: FileDataset) -> None:
    """All pixels alike."""
    set_pixels(dataset, np.full((500, 400), 77, "<u2"), bits=14)


@changed(GRAY, THEME, "removed, as old devices keep overlays there")
def bits_above_those_stored(dataset: FileDataset) -> None:
    """Junk in the bits above BitsStored."""
    set_pixels(dataset, pixels_of(dataset) | np.uint16(0xC000), bits=14)


@changed(GRAY, THEME, "ignored: no pixel uses a higher bit", notes=("high_bit_assumed",))
def high_bit_slip(dataset: FileDataset) -> None:
    """HighBit 15 with 14 bits stored, values in the low bits."""
    dataset.HighBit = 15


@changed(GRAY, THEME, "nobody can tell which bits count", code="undecodable")
def high_bits_used(dataset: FileDataset) -> None:
    """HighBit 15 with 14 bits stored, values in the high bits."""
    set_pixels(dataset, pixels_of(dataset) << np.uint16(2), bits=14)
    dataset.HighBit = 15


@changed(GRAY, THEME, "taken as it is")
def eight_bits(dataset: FileDataset) -> None:
    """8 bits."""
    set_pixels(dataset, stored_values(CHEST, bits=8))
    dataset.WindowCenter, dataset.WindowWidth = "128", "256"


@changed(
    GRAY,
    THEME,
    "taken as it is",
    base=lambda: make_cr(photometric="MONOCHROME2", bits=16, signed=True),
    spacing_mm=(0.8, 0.8),
)
def signed(_: FileDataset) -> None:
    """Signed 16 bits."""


@changed(GRAY, THEME, "taken as it is")
def thirty_two_bits(dataset: FileDataset) -> None:
    """32 bits."""
    set_pixels(dataset, stored_values(CHEST, bits=32))
    dataset.WindowCenter, dataset.WindowWidth = str(2**31), str(2**32)


@changed(GRAY, THEME, "taken in native byte order")
def big_endian(dataset: FileDataset) -> None:
    """Explicit VR Big Endian."""
    dataset.PixelData = pixels_of(dataset).astype(">u2").tobytes()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    # pydicom wants to be told once more; it writes the header of any data set in any byte order.
    dataset.set_original_encoding(False, False)
