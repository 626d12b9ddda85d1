"""The coded concepts of the DICOM outputs: standard ones by keyword, and private ones where the standard has none."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, cast

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from monai_chexmask_u.anatomy import HEART, LEFT_LUNG, RIGHT_LUNG
from monai_chexmask_u.dicom.equipment import MANUFACTURER

__all__ = [
    "ANATOMICAL_STRUCTURE",
    "AREA",
    "ARTIFICIAL_INTELLIGENCE",
    "BOUNDARY_POINT",
    "CARDIOTHORACIC_RATIO",
    "CHEST",
    "CLIPPED_TO_IMAGE",
    "DEVICE",
    "DISPLACEMENT_X",
    "DISPLACEMENT_Y",
    "DISTANCE",
    "FIFTH_PERCENTILE",
    "FOREIGN_SCORE",
    "IMAGE_LIBRARY",
    "IMAGE_PROCESSING_SOURCE",
    "IMAGE_UNCERTAINTY",
    "IMAGING_MEASUREMENT_REPORT",
    "LATENT_UNCERTAINTY",
    "MAXIMUM",
    "MEAN",
    "MILLIMETER",
    "NINETY_FIFTH_PERCENTILE",
    "NODE_UNCERTAINTY",
    "NO_UNITS",
    "ORGAN_CODES",
    "OUTLINE",
    "PIXELS",
    "PLAIN_CHEST_XRAY",
    "POPULATION_STANDARD_DEVIATION",
    "POSITION_NOTE",
    "PRIVATE_SCHEME",
    "QUALITY_ASSESSMENT",
    "QUALITY_OF_VERDICT",
    "RADIUS_90",
    "RATIO",
    "READING_NOTE",
    "RELIABILITY_REASON",
    "RELIABILITY_VERDICT",
    "ROOT_MEAN_SQUARE",
    "SOURCE_IMAGE",
    "SQUARE_MILLIMETER",
    "STANDARD_DEVIATION",
    "TOTAL_UNCERTAINTY",
    "VERDICTS",
    "OrganCode",
    "private_code",
    "private_scheme",
]

PRIVATE_SCHEME: Final = "99CHEXMASKU"
_MEANING_LENGTH: Final = 64


def _standard(scheme: str, keyword: str) -> Code:
    """Look up a code by keyword, so that no number can be mistyped."""
    return cast(Code, getattr(getattr(codes, scheme), keyword))


def private_code(value: str, meaning: str | None = None) -> Code:
    """Return a code of this project's own scheme.

    Args:
        value: machine-readable, such as ``not_calibrated``; more than 16 characters make a Long Code Value.
        meaning: for people; by default the value in words.

    Example:
        >>> private_code("not_calibrated").meaning
        'Not calibrated'
    """
    words = value.replace("_", " ").replace("\\", " ")
    return Code(value, PRIVATE_SCHEME, (meaning or words[:1].upper() + words[1:])[:_MEANING_LENGTH])


def private_scheme() -> Any:
    """Return the item that tells readers whose scheme the private codes are of."""
    return CodingSchemeIdentificationItem(
        PRIVATE_SCHEME, name="Codes of monai-chexmask-u", responsible_organization=MANUFACTURER
    )


@dataclass(frozen=True)
class OrganCode:
    """An organ as a type and a side: no context group has one code for both."""

    structure: Code
    laterality: Code | None = None


ORGAN_CODES: Final = MappingProxyType(
    {
        RIGHT_LUNG.name: OrganCode(_standard("SCT", "Lung"), _standard("SCT", "Right")),
        LEFT_LUNG.name: OrganCode(_standard("SCT", "Lung"), _standard("SCT", "Left")),
        HEART.name: OrganCode(_standard("SCT", "Heart")),
    }
)

ANATOMICAL_STRUCTURE: Final = _standard("SCT", "AnatomicalStructure")
CHEST: Final = _standard("SCT", "Chest")
OUTLINE: Final = _standard("DCM", "Outline")
BOUNDARY_POINT: Final = _standard("DCM", "BoundaryPoint")

ARTIFICIAL_INTELLIGENCE: Final = _standard("DCM", "ArtificialIntelligence")
DEVICE: Final = _standard("DCM", "Device")
IMAGE_LIBRARY: Final = _standard("DCM", "ImageLibrary")
IMAGING_MEASUREMENT_REPORT: Final = _standard("DCM", "ImagingMeasurementReport")
# A SNOMED code that pydicom's dictionary, made from PS3.16, does not list; context group 100 may be extended.
PLAIN_CHEST_XRAY: Final = Code("399208008", "SCT", "Plain chest X-ray")

# What an image was drawn on, and what a document was made from.
IMAGE_PROCESSING_SOURCE: Final = _standard("DCM", "SourceImageForImageProcessingOperation")
SOURCE_IMAGE: Final = _standard("DCM", "SourceImage")

PIXELS: Final = Code("{pixels}", "UCUM", "pixels")
MILLIMETER: Final = _standard("UCUM", "Millimeter")
SQUARE_MILLIMETER: Final = _standard("UCUM", "SquareMillimeter")
RATIO: Final = _standard("UCUM", "Ratio")
NO_UNITS: Final = _standard("UCUM", "NoUnits")

AREA: Final = _standard("SCT", "Area")
DISTANCE: Final = _standard("DCM", "Distance")
DISPLACEMENT_X: Final = _standard("DCM", "SpatialDisplacementXComponent")
DISPLACEMENT_Y: Final = _standard("DCM", "SpatialDisplacementYComponent")
MEAN: Final = _standard("SCT", "Mean")
MAXIMUM: Final = _standard("SCT", "Maximum")
ROOT_MEAN_SQUARE: Final = _standard("UMLS", "RootMeanSquare")
STANDARD_DEVIATION: Final = _standard("SCT", "StandardDeviation")
POPULATION_STANDARD_DEVIATION: Final = _standard("DCM", "StandardDeviationOfPopulation")
FIFTH_PERCENTILE: Final = _standard("SCT", "_5thPercentileValueOfPopulation")
NINETY_FIFTH_PERCENTILE: Final = _standard("SCT", "_95thPercentileValueOfPopulation")

CARDIOTHORACIC_RATIO: Final = private_code("ctr", "Cardiothoracic ratio")
LATENT_UNCERTAINTY: Final = private_code("latent_uncert", "Latent uncertainty")
IMAGE_UNCERTAINTY: Final = private_code("image_uncert", "Predictive uncertainty in a 1024-pixel image")
NODE_UNCERTAINTY: Final = private_code("node_uncert", "Predictive uncertainty of landmarks")
RADIUS_90: Final = private_code("radius90", "Radius that holds the true landmark with 90 % probability")
FOREIGN_SCORE: Final = private_code("foreign_score", "How foreign the image is to the network, higher is more")
TOTAL_UNCERTAINTY: Final = private_code("total_uncert", "Total uncertainty in a 1024-pixel image")

QUALITY_ASSESSMENT: Final = _standard("DCM", "QualityAssessment")
# The standard's nearest words; the private verdict beside them says the same without "usable".
QUALITY_OF_VERDICT: Final = MappingProxyType(
    {
        "accept": _standard("DCM", "UsableMeetsTheQualityControlStandard"),
        "review": _standard("DCM", "UsableDoesNotMeetTheQualityControlStandard"),
        "reject": _standard("DCM", "UnusableQualityRendersImageUnusable"),
    }
)
RELIABILITY_VERDICT: Final = private_code("verdict", "Reliability verdict")
VERDICTS: Final = MappingProxyType(
    {
        "accept": private_code("accept", "Accepted"),
        "review": private_code("review", "Needs review by a person before use"),
        "reject": private_code("reject", "Rejected, not to be used"),
    }
)
RELIABILITY_REASON: Final = private_code("reason", "Reliability reason")
READING_NOTE: Final = private_code("reading_note", "Decision on reading the image")
POSITION_NOTE: Final = private_code("position_note", "Decision on writing the position")
CLIPPED_TO_IMAGE: Final = private_code("clipped_to_image", "Clipped to image")
