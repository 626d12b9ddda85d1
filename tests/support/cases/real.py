"""Cases of real files: those of packages and those that lie beside the repository."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydicom import dcmread
from pydicom.data import get_charset_files
from pydicom.pixels.utils import pixel_array
from support.cases.case import SHARED_DATA, Case, correlation, made, package_file

from monai_chexmask_u.radiograph import Radiograph

__all__ = ["REAL"]

REAL: Final[list[Case]] = []
real = partial(made, REAL, "Real files")
OF_PYDICOM: Final[dict[str, Any]] = {"needs": "pydicom-data", "spacing_mm": None}
INVERTED: Final = ("spacing_invalid", "photometric_inverted")
Box = tuple[slice, slice]


def copy_of(source: Path, folder: Path, name: str) -> Path:
    """Copy a real file, which must not be written to, and return the copy."""
    return Path(shutil.copyfile(source, folder / f"{name}.dcm"))


def sample(name: str) -> Path:
    """A file of the package pydicom-data."""
    return package_file("pydicom-data", f"data_store/data/{name}")


def brighter(dense: Box, air: Box) -> Callable[[Radiograph], bool]:
    """A judge of polarity: the spine must be clearly brighter than a lung."""
    return lambda radiograph: bool(radiograph.pixels[dense].mean() > radiograph.pixels[air].mean() + 0.1)


def like_rg1(least: float) -> Callable[[Radiograph], bool]:
    """A judge of the compressed forms of one radiograph: they agree with its stored values, turned around."""

    def judge(radiograph: Radiograph) -> bool:
        stored = pixel_array(dcmread(sample("RG1_UNCR.dcm"))).astype(np.float32)
        inside = (stored > 0) & (stored < 30000)  # of its window
        return correlation(radiograph.pixels[inside], -stored[inside]) > least

    return judge


@real("read", notes=INVERTED, is_right=brighter(np.s_[800:1000, 850:1000], np.s_[300:600, 380:650]), **OF_PYDICOM)
def rg1(folder: Path) -> Path:
    """CR chest PA, MONOCHROME1, 1955 x 1841, PixelSpacing 0 (pydicom-data)."""
    return copy_of(sample("RG1_UNCR.dcm"), folder, "rg1")


@real("the same image", notes=INVERTED, is_right=like_rg1(0.99999), **OF_PYDICOM)
def rg1_jpeg_2000_lossless(folder: Path) -> Path:
    """The same in JPEG 2000 Lossless."""
    return copy_of(sample("RG1_J2KR.dcm"), folder, "rg1_jpeg_2000_lossless")


@real("nearly the same image", notes=("lossy_compression", *INVERTED), is_right=like_rg1(0.99), **OF_PYDICOM)
def rg1_jpeg_2000(folder: Path) -> Path:
    """The same in lossy JPEG 2000."""
    return copy_of(sample("RG1_J2KI.dcm"), folder, "rg1_jpeg_2000")


@real("lossy before", notes=("lossy_compression", *INVERTED), is_right=like_rg1(0.99), **OF_PYDICOM)
def rg1_after_jpeg_2000(folder: Path) -> Path:
    """The same, decompressed from lossy JPEG 2000."""
    return copy_of(sample("RG1_UNCI.dcm"), folder, "rg1_after_jpeg_2000")


@real("not the chest", code="wrong_body_part", notes=(), needs="pydicom-data")
def leg(folder: Path) -> Path:
    """CR of a lower leg (pydicom-data)."""
    return copy_of(sample("RG3_UNCR.dcm"), folder, "leg")


@real("no radiograph", code="wrong_modality", notes=(), needs="pydicom-data")
def voi_pattern(folder: Path) -> Path:
    """Test pattern with a VOI LUT, secondary capture (pydicom-data)."""
    return copy_of(sample("vlut_04.dcm"), folder, "voi_pattern")


@real("no radiograph", code="wrong_modality", notes=(), needs="pydicom-data")
def ultrasound(folder: Path) -> Path:
    """Ultrasound in color (pydicom-data)."""
    return copy_of(sample("US1_UNCI.dcm"), folder, "ultrasound")


@real("a header alone", code="no_pixels", notes=())
def japanese_header(folder: Path) -> Path:
    """CR header with a Japanese name, without pixels (pydicom)."""
    return copy_of(Path(get_charset_files("chrJapMulti.dcm")[0]), folder, "japanese_header")


@real("not human, although the header says CHEST, AP", code="not_human", notes=(), needs="deid-data")
def cat(folder: Path) -> Path:
    """DX of a cat, lateral (deid-data)."""
    return copy_of(package_file("deid-data", "deid_data/data/animals/cat.dcm"), folder, "cat")


@real(
    "read, the encoding concluded from the first element",
    notes=("transfer_syntax_assumed", "orientation_assumed", "spacing_unknown", "photometric_inverted"),
    is_right=brighter(np.s_[150:250, 190:225], np.s_[150:250, 70:140]),
    needs="shared data",
    spacing_mm=None,
)
def old_cr(folder: Path) -> Path:
    """CR chest, MONOCHROME1, without a transfer syntax."""
    return copy_of(SHARED_DATA / "dicom" / "CR-MONO1-10-chest.dcm", folder, "old_cr")


@real(
    "read",
    notes=(
        *("secondary_capture", "body_part_unknown", "orientation_assumed", "view_unknown", "spacing_unknown"),
        *("no_window", "not_copied:patient_age"),
    ),
    is_right=brighter(np.s_[300:600, 480:560], np.s_[300:600, 250:350]),
    needs="shared data",
    view=None,
    spacing_mm=None,
)
def research_radiograph(folder: Path) -> Path:
    """Radiograph of a research archive, secondary capture of modality DX, PatientAge without a unit."""
    return copy_of(SHARED_DATA / "dicom" / "nih-dx-chest.dcm", folder, "research_radiograph")
