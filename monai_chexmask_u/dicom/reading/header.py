"""Decide by rule, from the header alone, whether a DICOM image is a frontal chest radiograph, and how it lies.

Coded attributes decide. Descriptions may add that a view is not frontal, never that it is: they name what was ordered
rather than what was taken. Importing this does not import pydicom, so that the choice of a
reader stays quick.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from monai_chexmask_u.dicom.reading.age import is_child
from monai_chexmask_u.dicom.reading.attributes import codes, meta_text, number, text, texts
from monai_chexmask_u.dicom.reading.spacing import pixel_aspect, pixel_spacing
from monai_chexmask_u.dicom.reading.views import not_frontal, view_of
from monai_chexmask_u.radiograph import VALID_UID, RadiographError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["MAX_PIXELS", "HeaderFacts", "check_class", "check_size", "examine"]

# Detectors stay below 20 megapixels and digitized radiographs below 50; a larger image is a mistake or an attack on
# memory.
MAX_PIXELS: Final = 64_000_000
LEAST_SIDE, LARGEST_SIDE_RATIO = 64, 4  # too few pixels to see a chest in, and no strip

CR: Final = "1.2.840.10008.5.1.4.1.1.1"
DX: Final = "1.2.840.10008.5.1.4.1.1.1.1"
DX_FOR_PROCESSING: Final = "1.2.840.10008.5.1.4.1.1.1.1.1"
SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"

# Graphics that a viewer draws over the image; they are not part of it.
OVERLAY_GROUPS: Final = range(0x6000, 0x6020, 2)

REFERENCED_UIDS: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
PIXEL_INTEGERS: Final = ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "PixelRepresentation")

# SNOMED codes, today's and older ones.
CHEST_CODES: Final = (
    *("816094009", "51185008", "T-D3000"),  # chest
    *("43799004", "T-D3200", "39607008", "T-28000", "80891009", "T-32000"),  # chest cavity, lung, heart
    *("416550000", "R-FAB55", "417437006", "R-FAB52"),  # chest and abdomen, neck and chest
)
HUMAN_CODES: Final = frozenset({"337915000", "L-85003", "L-85B00"})

CHEST_TERM: Final = re.compile(r"CHEST|THORAX|TORAX|LUNG|HEART|\bRIBS?\b")
NO_TERM: Final = frozenset({"", "UNKNOWN", "OTHER", "NONE", "N A", "UNSPECIFIED", "NOT SPECIFIED"})
NEUTERED_TERMS: Final = frozenset({"ALTERED", "UNALTERED"})  # said of animals only, as is a breed (PS3.3, C.7.1.1)
HUMAN_TERMS: Final = frozenset({"", "HUMAN", "HOMO SAPIENS"})


@dataclass(frozen=True)
class HeaderFacts:
    """What the header says about a frontal chest radiograph; the fields are those of `Radiograph`."""

    view: str | None
    mirrored: bool
    upside_down: bool
    spacing_mm: tuple[float, float] | None
    notes: tuple[str, ...]
    pixel_aspect: float | None = None


def examine(header: Dataset) -> HeaderFacts:
    """Check that a data set is a human frontal chest radiograph, and return what its header says.

    Args:
        header: a data set; of its pixels only the presence matters.

    Raises:
        RadiographError: ``truncated``, ``for_processing``, ``wrong_modality``, ``no_pixels``, ``not_human``,
            ``wrong_body_part``, ``not_frontal``, ``unsupported_orientation``, ``undecodable``,
            ``multi_frame``, ``color``, ``too_large`` or ``implausible_size``.
    """
    notes = check_class(header)
    _check_species(header)
    _check_body_part(header, notes)
    mirrored, upside_down = _orientation(header, notes)
    view, view_notes = view_of(header)
    notes += view_notes
    if is_child(header):
        notes.append("child")
    if not all(_has_uid(header, keyword) for keyword in REFERENCED_UIDS):
        notes.append("uid_missing")
    _check_pixel_description(header)
    spacing_mm, spacing_notes = pixel_spacing(header)
    aspect, aspect_notes = (None, []) if spacing_mm else pixel_aspect(header)
    notes += spacing_notes + aspect_notes
    if text(header, "LossyImageCompression") == "01":
        notes.append("lossy_compression")
    if text(header, "BurnedInAnnotation") == "YES":
        notes.append("burned_in_annotation")
    if any(tag.group in OVERLAY_GROUPS for tag in header.keys()):  # noqa: SIM118 (iterating would decode the values)
        notes.append("overlay_ignored")
    return HeaderFacts(view, mirrored, upside_down, spacing_mm, tuple(notes), aspect)


def check_class(header: Dataset) -> list[str]:
    """Check that a data set is an image of a kind that holds radiographs for people to look at; return notes.

    Raises:
        RadiographError: ``truncated``, ``for_processing``, ``wrong_modality`` or ``no_pixels``.
    """
    sop_class = text(header, "SOPClassUID") or meta_text(header, "MediaStorageSOPClassUID")
    if not sop_class and "PixelData" not in header:
        message = "the file has no pixels and does not say what it is: it is cut off or no image; copy or send it again"
        raise RadiographError("truncated", message)
    is_raw = sop_class in (CR, DX) and text(header, "PresentationIntentType") == "FOR PROCESSING"
    if sop_class == DX_FOR_PROCESSING or is_raw:
        message = "the image is raw detector data (FOR PROCESSING): send its FOR PRESENTATION version"
        raise RadiographError("for_processing", message)
    if not sop_class:
        message = "the file does not say what object it is (SOPClassUID): export it again"
        raise RadiographError("wrong_modality", message)
    # Research archives and film digitizers keep radiographs as secondary captures that name the original
    # modality.
    is_captured = sop_class == SECONDARY_CAPTURE and text(header, "Modality") in ("CR", "DX")
    if not is_captured and sop_class not in (CR, DX):
        message = "the file is no CR or DX image: choose the radiograph itself, not another object of the study"
        raise RadiographError("wrong_modality", message)
    if "PixelData" not in header:
        raise RadiographError("no_pixels", "the file holds a header without pixels: export or send it again")
    return ["secondary_capture"] if is_captured else []


def _check_species(header: Dataset) -> None:
    is_human = " ".join(text(header, "PatientSpeciesDescription").split()) in HUMAN_TERMS
    breed = re.sub(r"\W+", " ", text(header, "PatientBreedDescription")).strip()
    has_breed = codes(header, "PatientBreedCodeSequence") or breed not in NO_TERM
    is_neutered = text(header, "PatientSexNeutered") in NEUTERED_TERMS
    if not is_human or set(codes(header, "PatientSpeciesCodeSequence")) - HUMAN_CODES or has_breed or is_neutered:
        message = "the header describes an animal: only human radiographs can be segmented"
        raise RadiographError("not_human", message)


def _check_body_part(header: Dataset, notes: list[str]) -> None:
    term = _words(text(header, "BodyPartExamined"))
    regions = set(codes(header, "AnatomicRegionSequence"))
    if (term not in NO_TERM and not CHEST_TERM.search(term)) or regions.difference(CHEST_CODES):
        message = "the header names a body part other than the chest: choose a chest radiograph or correct the header"
        raise RadiographError("wrong_body_part", message)
    if term in NO_TERM and not regions:
        notes.append("body_part_unknown")


def _words(term: str) -> str:
    """Return the words of a term, however they are joined: a code string may have underscores and digits."""
    return re.sub("[^A-Z]+", " ", term).strip()


def _orientation(header: Dataset, notes: list[str]) -> tuple[bool, bool]:
    """Return whether the stored image is mirrored and upside down.

    PatientOrientation names the patient's direction along the rows and down the columns: L and F in the usual image.
    """
    along_row, down_column = (value[:1] for value in [*texts(header, "PatientOrientation"), "", ""][:2])
    if along_row in ("A", "P") or down_column in ("A", "P"):
        raise not_frontal("the patient's orientation")
    if along_row in ("F", "H"):
        message = "the image is stored lying on its side (PatientOrientation): rotate it upright first"
        raise RadiographError("unsupported_orientation", message)
    if along_row not in ("L", "R") or down_column not in ("F", "H"):
        notes.append("orientation_assumed")  # of the axis that is not given; the other one counts
    mirrored, upside_down = along_row == "R", down_column == "H"
    notes += [name for name, flag in (("mirrored", mirrored), ("upside_down", upside_down)) if flag]
    return mirrored, upside_down


def _has_uid(header: Dataset, keyword: str) -> bool:
    """Say whether there is just one UID, and a valid one: none is ever mended."""
    values = texts(header, keyword)
    return len(values) == 1 and VALID_UID.fullmatch(values[0]) is not None


def _check_pixel_description(header: Dataset) -> None:
    integers = {keyword: "\\".join(texts(header, keyword)) for keyword in PIXEL_INTEGERS}
    if not all(map(str.isdecimal, integers.values())) or len(texts(header, "PhotometricInterpretation")) != 1:
        message = "the header does not describe the pixels by exactly one value each: export the image again"
        raise RadiographError("undecodable", message)
    if (number(header, "NumberOfFrames") or 1) > 1:
        raise RadiographError("multi_frame", "the file holds several frames: export the one radiograph alone")
    is_gray = text(header, "PhotometricInterpretation") in ("MONOCHROME1", "MONOCHROME2")
    if not is_gray or integers["SamplesPerPixel"] != "1":
        raise RadiographError("color", "the image is in color: choose the original gray radiograph")
    check_size(int(integers["Rows"]), int(integers["Columns"]))


def check_size(rows: int, columns: int) -> None:
    """Refuse a size that no chest radiograph has: ``too_large`` or ``implausible_size``."""
    if rows * columns > MAX_PIXELS:
        raise RadiographError("too_large", f"the image has more than {MAX_PIXELS // 1_000_000} megapixels: reduce it")
    short, long = sorted((rows, columns))
    if short < LEAST_SIDE or long > LARGEST_SIDE_RATIO * short:
        raise RadiographError("implausible_size", "the image is too small or too narrow for a chest: use the original")
