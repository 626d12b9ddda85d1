"""Cases on geometry: how large a pixel is, how the patient lies, which view it is."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydicom.dataset import FileDataset
from support.cases.case import Case, changed, made, shows_phantom
from support.samples.dicom import code_item, make_cr, make_dx, save, set_pixels

from monai_chexmask_u.radiograph import Radiograph

__all__ = ["GEOMETRY"]

GEOMETRY: Final[list[Case]] = []
spacing = partial(changed, GEOMETRY, "Spacing")
orientation = partial(changed, GEOMETRY, "Orientation")
view = partial(changed, GEOMETRY, "View")
UNKNOWN: Final[dict[str, Any]] = {"spacing_note": "spacing_unknown", "spacing_mm": None}
INVALID: Final[dict[str, Any]] = {"spacing_note": "spacing_invalid", "spacing_mm": None}


@spacing("that of the detector")
def imager_spacing(_: FileDataset) -> None:
    """ImagerPixelSpacing alone."""


@spacing("divided by it: sizes at the patient", notes=("magnification_corrected",), spacing_mm=(0.7 / 1.25, 0.7 / 1.25))
def magnification(dataset: FileDataset) -> None:
    """ImagerPixelSpacing and EstimatedRadiographicMagnificationFactor 1.25."""
    dataset.EstimatedRadiographicMagnificationFactor = "1.25"


@spacing("ignored: nothing lies behind the detector", notes=("magnification_ignored",))
def magnification_below_one(dataset: FileDataset) -> None:
    """EstimatedRadiographicMagnificationFactor 0.5."""
    dataset.EstimatedRadiographicMagnificationFactor = "0.5"


@spacing("ignored: nobody stands so near to the tube", notes=("magnification_ignored",))
def magnification_of_a_hundred(dataset: FileDataset) -> None:
    """EstimatedRadiographicMagnificationFactor 100."""
    dataset.EstimatedRadiographicMagnificationFactor = "100"


@spacing(
    "calibrated, since it differs (PS3.3, 10.7.1.1)",
    spacing_note="spacing_differs_from_imager",
    spacing_mm=(0.6, 0.6),
)
def differing_spacing(dataset: FileDataset) -> None:
    """PixelSpacing 0.6 beside ImagerPixelSpacing 0.7, without a calibration type."""
    dataset.PixelSpacing = ["0.6", "0.6"]


@spacing("that of the detector: nothing at the patient is larger", notes=("pixel_spacing_ignored",))
def larger_spacing(dataset: FileDataset) -> None:
    """PixelSpacing 0.8 beside ImagerPixelSpacing 0.7, without a calibration type."""
    dataset.PixelSpacing = ["0.8", "0.8"]


@spacing(
    "the calibrated one, measured at the patient",
    spacing_note="spacing_from_calibrated_pixel_spacing",
    spacing_mm=(0.6, 0.6),
)
def calibrated_spacing(dataset: FileDataset) -> None:
    """PixelSpacing with PixelSpacingCalibrationType GEOMETRY beside ImagerPixelSpacing."""
    dataset.PixelSpacing, dataset.PixelSpacingCalibrationType = ["0.6", "0.6"], "GEOMETRY"
    dataset.EstimatedRadiographicMagnificationFactor = "1.167"


@spacing("taken, but nobody knows where it was measured", spacing_note="spacing_uncalibrated", spacing_mm=(0.8, 0.8))
def pixel_spacing_alone(dataset: FileDataset) -> None:
    """PixelSpacing without a calibration and without ImagerPixelSpacing."""
    del dataset.ImagerPixelSpacing
    dataset.PixelSpacing = ["0.8", "0.8"]


@spacing("taken: height and width of a pixel", spacing_mm=(0.8, 0.4))
def non_square_pixels(dataset: FileDataset) -> None:
    """ImagerPixelSpacing 0.8 by 0.4 mm."""
    dataset.ImagerPixelSpacing = ["0.8", "0.4"]


@spacing("no millimeters", **UNKNOWN)
def no_spacing(dataset: FileDataset) -> None:
    """No spacing."""
    del dataset.ImagerPixelSpacing


def _has_high_pixels(radiograph: Radiograph) -> bool:
    return radiograph.pixel_aspect == 2 and shows_phantom(radiograph)


@spacing(
    "no millimeters; the shape of a pixel is known",
    notes=("pixel_aspect_applied",),
    is_right=_has_high_pixels,
    **UNKNOWN,
)
def pixel_aspect(dataset: FileDataset) -> None:
    """PixelAspectRatio 2 to 1 without a spacing, every second row."""
    del dataset.ImagerPixelSpacing
    set_pixels(dataset, dataset.pixel_array[::2], bits=14)
    dataset.PixelAspectRatio = [2, 1]


@spacing("no millimeters; pixels are taken for square", notes=("pixel_aspect_ignored",), **UNKNOWN)
def implausible_pixel_aspect(dataset: FileDataset) -> None:
    """PixelAspectRatio 1 to 0 without a spacing."""
    del dataset.ImagerPixelSpacing
    dataset.PixelAspectRatio = [1, 0]


@spacing("no millimeters", **INVALID)
def zero_spacing(dataset: FileDataset) -> None:
    """PixelSpacing 0.000, no other."""
    del dataset.ImagerPixelSpacing
    dataset.PixelSpacing = ["0.000", "0.000"]


@spacing("no millimeters: a number has a point", **INVALID)
def comma_spacing(dataset: FileDataset) -> None:
    """ImagerPixelSpacing 0,7."""
    dataset["ImagerPixelSpacing"]._value = ["0,7", "0,7"]


@spacing("no millimeters", **INVALID)
def one_spacing(dataset: FileDataset) -> None:
    """One number in ImagerPixelSpacing."""
    dataset["ImagerPixelSpacing"]._value = "0.7"


@spacing("no millimeters: a radiograph would be meters wide", **INVALID)
def implausible_spacing(dataset: FileDataset) -> None:
    """ImagerPixelSpacing 13.9 mm."""
    dataset.ImagerPixelSpacing = ["13.9", "13.9"]


def turned(folder: Path, name: str, directions: list[str]) -> Path:
    """Write a chest that is stored as its PatientOrientation says."""
    dataset = make_dx()
    pixels = dataset.pixel_array
    pixels = pixels[:: -1 if directions[1] == "H" else 1, :: -1 if directions[0] == "R" else 1]
    dataset.PixelData, dataset.PatientOrientation = np.ascontiguousarray(pixels).tobytes(), directions
    return save(dataset, folder / f"{name}.dcm")


@made(
    GEOMETRY,
    "Orientation",
    "looked at turned back; results lie on the stored image",
    notes=("mirrored", "spacing_from_imager"),
)
def mirrored(folder: Path) -> Path:
    """PatientOrientation R, F: the patient's right on the right."""
    return turned(folder, "mirrored", ["R", "F"])


@made(
    GEOMETRY,
    "Orientation",
    "looked at turned back; results lie on the stored image",
    notes=("upside_down", "spacing_from_imager"),
)
def upside_down(folder: Path) -> Path:
    """PatientOrientation L, H: the head at the bottom."""
    return turned(folder, "upside_down", ["L", "H"])


@made(
    GEOMETRY,
    "Orientation",
    "looked at turned back; results lie on the stored image",
    notes=("mirrored", "upside_down", "spacing_from_imager"),
)
def half_turn(folder: Path) -> Path:
    """PatientOrientation R, H."""
    return turned(folder, "half_turn", ["R", "H"])


@orientation("the usual one is assumed", notes=("orientation_assumed",))
def no_orientation(dataset: FileDataset) -> None:
    """Empty PatientOrientation."""
    dataset.PatientOrientation = ""


@orientation("the usual one is assumed for the other direction", notes=("orientation_assumed",))
def half_an_orientation(dataset: FileDataset) -> None:
    """One direction in PatientOrientation."""
    dataset.PatientOrientation = ["L", ""]


@orientation("must be turned upright first", code="unsupported_orientation")
def lying(dataset: FileDataset) -> None:
    """PatientOrientation F, L: the radiograph lies on its side."""
    dataset.PatientOrientation = ["F", "L"]


@orientation("lateral", code="not_frontal")
def lateral_orientation(dataset: FileDataset) -> None:
    """PatientOrientation A, F, although the view says PA."""
    dataset.PatientOrientation = ["A", "F"]


@view("AP", view="AP")
def view_ap(dataset: FileDataset) -> None:
    """ViewPosition and ViewCodeSequence say AP."""
    dataset.ViewPosition = "AP"
    dataset.ViewCodeSequence = [code_item("399348003", "SCT", "antero-posterior")]


@view("from the code, today's or an older one", view="AP")
def view_by_code(dataset: FileDataset) -> None:
    """ViewCodeSequence in SNOMED RT, no ViewPosition."""
    dataset.ViewPosition = ""
    dataset.ViewCodeSequence = [code_item("R-10206", "SRT", "antero-posterior")]


@view("unknown", notes=("view_unknown",), view=None)
def contradicting_views(dataset: FileDataset) -> None:
    """ViewPosition AP, ViewCodeSequence PA."""
    dataset.ViewPosition = "AP"


@view("unknown", base=make_cr, notes=("view_unknown", "photometric_inverted"), view=None, spacing_mm=(0.8, 0.8))
def no_view(dataset: FileDataset) -> None:
    """Neither ViewPosition nor ViewCodeSequence."""
    dataset.ViewPosition = ""


@view("not frontal", code="not_frontal")
def lateral_position(dataset: FileDataset) -> None:
    """ViewPosition LL."""
    dataset.ViewPosition = "LL"


@view("not frontal", code="not_frontal")
def lateral_code(dataset: FileDataset) -> None:
    """ViewCodeSequence left lateral, although ViewPosition says PA."""
    dataset.ViewCodeSequence = [code_item("399173006", "SCT", "left lateral")]


@view("not frontal", code="not_frontal")
def oblique(dataset: FileDataset) -> None:
    """ViewPosition RAO."""
    dataset.ViewPosition = "RAO"


@view("lying on the side", code="not_frontal")
def decubitus(dataset: FileDataset) -> None:
    """ViewPosition LLD."""
    dataset.ViewPosition = "LLD"


@view("not frontal, however words are joined", code="not_frontal")
def lateral_with_underscore(dataset: FileDataset) -> None:
    """ViewPosition LEFT_LATERAL."""
    dataset.ViewPosition = "LEFT_LATERAL"


@view("not frontal", code="not_frontal")
def lateral_in_french(dataset: FileDataset) -> None:
    """ViewPosition PROFIL."""
    dataset.ViewPosition = "PROFIL"


@view("from its words", base=make_cr, notes=("photometric_inverted",), spacing_mm=(0.8, 0.8))
def frontal_with_underscore(dataset: FileDataset) -> None:
    """ViewPosition PA_UPRIGHT, no ViewCodeSequence."""
    dataset.ViewPosition = "PA_UPRIGHT"


@view("not frontal, in any of the languages whose characters are read", code="not_frontal")
def position_perfil(dataset: FileDataset) -> None:
    """ViewPosition PERFIL."""
    dataset.ViewPosition = "PERFIL"


@view("not frontal", code="not_frontal")
def lateral_body_part(dataset: FileDataset) -> None:
    """BodyPartExamined THORAX LAT, no view."""
    dataset.ViewCodeSequence = []
    dataset.ViewPosition, dataset.BodyPartExamined = "", "THORAX LAT"


@view("not frontal", code="not_frontal")
def lateral_series(dataset: FileDataset) -> None:
    """SeriesDescription Thorax seitlich, no view."""
    dataset.ViewCodeSequence = []
    dataset.ViewPosition, dataset.SeriesDescription = "", "Thorax seitlich"


@view("taken; the verdict is at best review", notes=("view_contradicted",))
def contradicted_view(dataset: FileDataset) -> None:
    """ViewPosition PA, SeriesDescription LATERAL."""
    dataset.SeriesDescription = "Chest lateral"


@view("that of another image of the study", notes=("view_unknown",), view=None)
def two_views_described(dataset: FileDataset) -> None:
    """StudyDescription CHEST PA AND LATERAL, no view."""
    dataset.ViewCodeSequence = []
    dataset.ViewPosition, dataset.StudyDescription = "", "CHEST PA AND LATERAL"
