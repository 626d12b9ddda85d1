"""Cases of files as people met them: one real radiograph, with one change each that a public report describes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from support.cases.case import SHARED_DATA, Case, made
from support.cases.real import copy_of

from monai_chexmask_u.dicom.reading.read import read_dicom
from monai_chexmask_u.radiograph import Radiograph

__all__ = ["MET"]

MET: Final[list[Case]] = []
FOLDER: Final = SHARED_DATA / "dicom_cases"
SAME: Final = 0.002  # mean difference of displayed pixels, in 0..1
USUAL: Final = "spacing_from_imager"
met = partial(made, MET, "Files as people met them", needs="shared data")


def as_undamaged(most: float = SAME) -> Callable[[Radiograph], bool]:
    """A judge: what is displayed is what the file without the change displays."""

    def judge(radiograph: Radiograph) -> bool:
        undamaged = read_dicom(FOLDER / "undamaged.dcm").pixels
        return bool(np.abs(radiograph.pixels - undamaged).mean() <= most)

    return judge


def file(name: str, folder: Path) -> Path:
    """Copy one of the files."""
    return copy_of(FOLDER / f"{name}.dcm", folder, f"met_{name}")


READ: Final[dict[str, Any]] = {"spacing_mm": (1.0, 1.0), "is_right": as_undamaged()}


@met("as without it: cut to the stored bits", **READ)
def met_junk_j2k(folder: Path) -> Path:
    """Graphics in the bits above BitsStored, in a JPEG 2000 stream of 16 bits."""
    return file("junk_j2k", folder)


@met("as without it: cut to the stored bits", **READ)
def met_junk_thin_j2k(folder: Path) -> Path:
    """The same, thin lines."""
    return file("junk_thin_j2k", folder)


@met("the sign is that of the last stored bit", **READ)
def met_jls_signed_no_sign_bits(folder: Path) -> Path:
    """13 bits signed, in a JPEG-LS stream of 16 bits whose sign is not extended."""
    return file("jls_signed_no_sign_bits", folder)


@met("scaled by the bits that the entries use", notes=(USUAL, "voi_lut_applied"), **READ)
def met_voi_lut_14_bits_called_16(folder: Path) -> Path:
    """VOI LUT of 14 bits, whose descriptor says 16."""
    return file("voi_lut_14_bits_called_16", folder)


def _is_masked(radiograph: Radiograph) -> bool:
    """Say whether the padding is black, and takes no part in the contrast of the rest."""
    dark = radiograph.pixels == 0
    return bool(0.01 < dark.mean() < 0.9 and radiograph.pixels[~dark].std() > 0.1)


@met("of the sign of the pixels", notes=(USUAL, "no_window"), **{**READ, "is_right": _is_masked})
def met_padding_us_for_signed(folder: Path) -> Path:
    """PixelPaddingValue written as unsigned for signed pixels."""
    return file("padding_us_for_signed", folder)


@met("the factor is ignored", notes=(USUAL, "magnification_ignored"), **READ)
def met_magnification_100(folder: Path) -> Path:
    """EstimatedRadiographicMagnificationFactor 100."""
    return file("magnification_100", folder)


@met(
    "the calibrated one (PS3.3, 10.7.1.1)",
    notes=("spacing_differs_from_imager",),
    **{**READ, "spacing_mm": (0.87, 0.87)},
)
def met_spacing_differs_no_type(folder: Path) -> Path:
    """PixelSpacing 0.87 beside ImagerPixelSpacing 1.0, without a calibration type."""
    return file("spacing_differs_no_type", folder)


@met("read: the last fragment is whole", notes=(USUAL, "pixel_sequence_unclosed"), **READ)
def met_j2k_no_delimiter(folder: Path) -> Path:
    """The delimiter after the last fragment is missing."""
    return file("j2k_no_delimiter", folder)


@met("the code stream inside them is read", **READ)
def met_j2k_jp2_boxes(folder: Path) -> Path:
    """JP2 boxes around the code stream."""
    return file("j2k_jp2_boxes", folder)


@met(
    "read as the stream says",
    notes=(USUAL, "lossy_compression", "pixel_bits_from_stream"),
    **{**READ, "is_right": as_undamaged(0.01)},
)
def met_baseline_8_bits_allocated_16(folder: Path) -> Path:
    """JPEG Baseline of 8 bits, where the header says 16 allocated."""
    return file("baseline_8_bits_allocated_16", folder)


@met("not frontal", code="not_frontal", **{**READ, "notes": ()})
def met_view_perfil(folder: Path) -> Path:
    """ViewPosition PERFIL."""
    return file("view_perfil", folder)


@met(
    "read, and no DICOM outputs, which must refer to it",
    notes=("spacing_uncalibrated", "uid_missing", "body_part_unknown", "view_unknown", "orientation_assumed"),
    view=None,
    **{**READ, "spacing_mm": (0.9, 0.9)},
)
def met_vindr(folder: Path) -> Path:
    """No UIDs, as in a published set of 18,000 radiographs."""
    return file("vindr", folder)
