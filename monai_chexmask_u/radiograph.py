"""The radiograph that a reader returns, what its notes mean, and the error for a file that cannot be used."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ATTRIBUTE_NOTES",
    "READING_NOTES",
    "REVIEWED_NOTES",
    "VALID_UID",
    "Radiograph",
    "RadiographError",
    "note_in_words",
    "without_spacing",
]


VALID_UID: Final = re.compile(r"(?=.{1,64}$)[0-2](\.(0|[1-9][0-9]*))*")  # PS3.5, 9.1; the roots of ISO 8824


class RadiographError(ValueError):
    """A file cannot be used as a frontal chest radiograph.

    Args:
        code: machine-readable reason, such as ``not_frontal``.
        message: one sentence with the cause and what to do; never holds patient data.
    """

    def __init__(self, code: str, message: str) -> None:
        """Keep the code beside the message."""
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Radiograph:
    """A frontal chest radiograph as it was stored, in floating point.

    Attributes:
        pixels: ``(row, column)`` float32 in 0..1 where 1 is bright and dense (bone is white), whatever the file's
            photometric interpretation was. Rows and columns are those of the file: nothing is flipped or cropped.
        path: the file it came from.
        spacing_mm: height and width of a pixel, or None where the file does not say. At the patient where a calibration
            or a magnification factor says so (notes ``spacing_from_calibrated_pixel_spacing``,
            ``spacing_differs_from_imager``, ``magnification_corrected``). With the note ``spacing_from_imager`` alone
            it is in the plane of the detector, where the patient appears larger than they are.
        pixel_aspect: height over width of a pixel, where the file says this but no spacing; else None.
        view: ``PA``, ``AP`` or None where the file does not say.
        mirrored: the patient's right is on the right of the stored image, so that columns must be reversed to see the
            patient in the usual way.
        upside_down: the head is at the bottom of the stored image.
        notes: what was decided on the way, as codes such as ``photometric_inverted``; they are written to every output.
        header: the source's DICOM data set without its pixels, or None for an image file.
        sha256: of the file's bytes, those that were read; None where there is no file.
    """

    pixels: NDArray[np.float32]
    path: Path
    spacing_mm: tuple[float, float] | None = None
    view: str | None = None
    mirrored: bool = False
    upside_down: bool = False
    notes: tuple[str, ...] = ()
    header: Any = None
    pixel_aspect: float | None = None
    sha256: str | None = None

    def __post_init__(self) -> None:
        """Check what every later step relies on.

        Raises:
            ValueError: if the pixels are no 2-D float32 array in 0..1, or the size or shape of a pixel is not positive.
        """
        if self.pixels.ndim != 2 or self.pixels.dtype != np.float32 or self.pixels.size == 0:
            raise ValueError(f"pixels must be a 2-D float32 array, got {self.pixels.dtype} {self.pixels.shape}")
        low, high = float(self.pixels.min()), float(self.pixels.max())
        if not (low >= 0 and high <= 1):  # also false for NaN
            raise ValueError(f"pixels must lie in 0..1, got {low}..{high}")
        if self.spacing_mm is not None and not all(0 < value < np.inf for value in self.spacing_mm):
            raise ValueError(f"spacing_mm must be positive, got {self.spacing_mm}")
        if self.pixel_aspect is not None and not 0 < self.pixel_aspect < np.inf:
            raise ValueError(f"pixel_aspect must be positive, got {self.pixel_aspect}")

    @property
    def height_over_width(self) -> float:
        """Of a pixel: by the spacing, else by the pixel aspect, else that of a square."""
        if self.spacing_mm is not None:
            return self.spacing_mm[0] / self.spacing_mm[1]
        return 1.0 if self.pixel_aspect is None else self.pixel_aspect

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """Type of the pixels; MONAI Label logs shape and type of whatever a pipeline carries."""
        return self.pixels.dtype

    def without_spacing(self) -> Radiograph:
        """Return it without its pixel spacing, which cannot be right; what shape a pixel has, is kept."""
        aspect = self.height_over_width
        notes = without_spacing(self.notes)
        return replace(self, spacing_mm=None, pixel_aspect=None if aspect == 1 else aspect, notes=notes)

    @property
    def sop_instance_uid(self) -> str | None:
        """What its DICOM file calls the image; None where there is no valid UID, or no such file."""
        value = None if self.header is None else self.header.get("SOPInstanceUID")
        return str(value) if isinstance(value, str) and VALID_UID.fullmatch(value) else None

    @property
    def why_no_dicom(self) -> str:
        """Why no DICOM object can be made of it, in words; empty if one can."""
        if self.header is None:
            return "no DICOM image"
        return "no valid UID of study, series or image" if "uid_missing" in self.notes else ""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.pixels.shape
        return rows, columns


READING_NOTES: Final = MappingProxyType(
    {
        "body_part_unknown": "The header names no body part; a chest was assumed.",
        "border_not_restored": "Where a black border had been cut off, the published landmarks may be misplaced by it.",
        "burned_in_annotation": "The header says that text is burned into the image; it may identify the patient.",
        "character_set_assumed": "The header has text of an undeclared character set; what is no UTF-8 was left out.",
        "character_set_unknown": "The header names an unknown character set; text that cannot be read was left out.",
        "child": "The header says that the patient is under 16; the model knows adults alone.",
        "color_ignored": "Slight colors of the image were ignored.",
        "height_unknown": "The published table does not give the height, and no image was at hand.",
        "height_width_swapped": "Height and width were swapped in the published table, as its masks show.",
        "high_bit_assumed": "The header does not say rightly which bits a pixel uses; the lowest ones were taken.",
        "image_not_found": "The radiograph of the row was not found below the folder of images.",
        "image_not_readable": "The radiograph of the row could not be read.",
        "image_size_differs": "The radiograph has another size than the published table says, which was kept.",
        "intensity_stretched": "Gray levels were stretched over most of the range that the file uses.",
        "landmarks_printed": "The published landmarks were a printed array; their numbers were read from it.",
        "lossy_compression": "The image was compressed with loss before it was read.",
        "magnification_corrected": "Pixel sizes were divided by the header's magnification factor.",
        "magnification_ignored": "The header's magnification factor is impossible, and was left out.",
        "mask_differs": "The published masks do not cover the rows and columns that the landmarks do.",
        "mirrored": "The image is stored mirrored: the patient's right is on its right.",
        "no_window": "The header has no window; gray levels were stretched over most of their range.",
        "orientation_assumed": "The file does not say in full how the patient lies; the usual way was assumed.",
        "outside_image": "Some landmarks lie outside the image.",
        "overlay_ignored": "The file has graphics that are drawn over the image; they were ignored.",
        "photometric_inverted": "Stored gray levels were inverted, so that bone is bright.",
        "pixel_aspect_applied": "Pixels are not square; their shape is that of the header.",
        "pixel_aspect_ignored": "The header's pixel aspect makes no sense; pixels were taken for square.",
        "pixel_bits_from_stream": "The compressed pixels have 8 bits, and the header says more; these were taken.",
        "pixel_sequence_unclosed": "The end of the compressed pixels is not marked; they are whole.",
        "pixel_spacing_ignored": "The header's pixel sizes do not fit those of the detector, which were taken.",
        "placed_on_image": "Published landmarks were placed on the radiograph as stored; masks were redrawn.",
        "rca_inconsistent": "In the published table the best reference's Dice is below the mean of all.",
        "rescale_ignored": "The header's rescaling of gray levels makes no sense and was ignored.",
        "secondary_capture": "The file is a secondary capture of a radiograph.",
        "size_from_image": "The height and width that the published table lacked are those of the radiograph.",
        "spacing_differs_from_imager": "Pixel sizes are those that the header gives beside the detector's: calibrated.",
        "spacing_from_calibrated_pixel_spacing": "Pixel sizes were calibrated to the patient.",
        "spacing_from_imager": "Pixel sizes were measured at the detector, where the patient appears larger.",
        "spacing_invalid": "The pixel sizes of the file make no sense for a chest; no millimeters are given.",
        "spacing_uncalibrated": "Pixel sizes are those of the header, which does not say where they were measured.",
        "spacing_unknown": "The file gives no pixel sizes; no millimeters are given.",
        "transfer_syntax_assumed": "The file does not say how it is encoded; this was concluded from its content.",
        "upside_down": "The image is stored upside down: the head is at its bottom.",
        "voi_lut_applied": "Gray levels are those of the header's lookup table, not of its window.",
        "voi_lut_ignored": "The header's lookup table of gray levels makes no sense and was ignored.",
        "uid_missing": "The file lacks a UID of study, series or image; no DICOM objects can be made of it.",
        "view_contradicted": "The header names a frontal view and another one.",
        "view_from_table": "The view is that of a table of the data set; the file does not say it.",
        "view_unknown": "The file does not say PA or AP; in an AP view the heart appears larger.",
        "width_unknown": "The published table does not give the width, and no image was at hand.",
        "window_ignored": "The header's window would hide the chest; gray levels were stretched instead.",
    }
)

# Notes that say where a pixel spacing is from.
SPACING_NOTES: Final = (
    "magnification_corrected",
    "magnification_ignored",
    "pixel_spacing_ignored",
    "spacing_differs_from_imager",
    "spacing_from_calibrated_pixel_spacing",
    "spacing_from_imager",
    "spacing_uncalibrated",
)

# Notes for which a person has to look at the result.
REVIEWED_NOTES: Final = ("child", "view_contradicted")

# Of notes that name an attribute after a colon.
ATTRIBUTE_NOTES: Final = MappingProxyType(
    {
        "identifier_invalid": "The header's {} is not valid; it is left empty in DICOM outputs.",
        "not_copied": "The header's {} is not valid in full; DICOM outputs have only what is.",
    }
)


def without_spacing(notes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the notes of a radiograph whose pixel spacing turned out to be impossible.

    Example:
        >>> without_spacing(("spacing_from_imager", "no_window"))
        ('no_window', 'spacing_invalid')
    """
    return (*(note for note in notes if note not in SPACING_NOTES), "spacing_invalid")


def note_in_words(note: str) -> str:
    """Return a note of `Radiograph.notes` as a sentence.

    Example:
        >>> note_in_words("color_ignored")
        'Slight colors of the image were ignored.'
        >>> note_in_words("identifier_invalid:patient_id")
        "The header's patient id is not valid; it is left empty in DICOM outputs."
        >>> note_in_words("note_of_another_reader")
        'Note of another reader.'
    """
    kind, _, attribute = note.partition(":")
    if attribute and kind in ATTRIBUTE_NOTES:
        return ATTRIBUTE_NOTES[kind].format(attribute.replace("_", " "))
    words = note.replace("_", " ")
    return READING_NOTES.get(note) or f"{words[:1].upper()}{words[1:]}."
