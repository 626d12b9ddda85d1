"""DICOM Segmentation (SEG): the filled organs as three binary segments that may overlap."""

from __future__ import annotations

import numpy as np
from highdicom import UID, AlgorithmIdentificationSequence
from highdicom.color import CIELabColor
from highdicom.seg import Segmentation, SegmentationTypeValues, SegmentDescription
from highdicom.sr import CodedConcept
from pydicom.uid import ExplicitVRLittleEndian

from monai_chexmask_u.anatomy import ORGANS, Organ
from monai_chexmask_u.dicom import codes
from monai_chexmask_u.dicom.source import (
    EQUIPMENT,
    MANUFACTURER,
    TrackingIds,
    check_same_image,
    no_warnings,
    source_header,
)
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation

__all__ = ["SERIES_NUMBER", "build_segmentation"]

SERIES_NUMBER = 101


@no_warnings()
def build_segmentation(segmentation: LandmarkSegmentation, radiograph: Radiograph) -> Segmentation:
    """Build a Segmentation object with the right lung, the left lung and the heart as segments 1, 2 and 3.

    A pixel belongs to an organ if its center lies inside the organ's contour; what leaves the image is cut off.
    An organ without a pixel keeps its (empty) frame. Series and instance get new UIDs.

    Args:
        segmentation: the result for that radiograph.
        radiograph: read from a DICOM file.

    Raises:
        ValueError: if the radiograph has no usable DICOM header, or the two are not of one image.

    References:
        DICOM PS3.3, A.51 Segmentation IOD
    """
    check_same_image(segmentation, radiograph)
    header = source_header(radiograph)
    ids = TrackingIds.of(segmentation, header)
    algorithm = _algorithm(segmentation, radiograph)
    # highdicom would copy it to Pixel Measures, and then not read its own file, since a projection has no slices.
    # Frames have the pixels of the source, which says how large they are.
    header.pop("PixelSpacing", None)
    built = Segmentation(
        source_images=[header],
        pixel_array=np.stack([segmentation.mask(organ) for organ in ORGANS], axis=-1)[None].astype(np.uint8),
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[_describe(organ, ids, algorithm) for organ in ORGANS],
        series_instance_uid=UID(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=UID(),
        instance_number=1,
        content_label="LUNGS_HEART",
        content_description=f"Lungs and heart, reliability verdict: {segmentation.reliability.verdict}",
        series_description=f"Lungs and heart ({segmentation.reliability.verdict})",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        omit_empty_frames=False,
        **EQUIPMENT,
    )
    # Required (but may be empty) where there is no patient coordinate system; highdicom leaves it out.
    built.PatientOrientation = header.get("PatientOrientation") or None
    return built


def _describe(organ: Organ, ids: TrackingIds, algorithm: AlgorithmIdentificationSequence) -> SegmentDescription:
    code = codes.ORGAN_CODES[organ.name]
    description = SegmentDescription(
        segment_number=organ.label,
        segment_label=organ.title,
        segmented_property_category=codes.ANATOMICAL_STRUCTURE,
        segmented_property_type=code.structure,
        algorithm_type="AUTOMATIC",
        algorithm_identification=algorithm,
        tracking_uid=ids.uid(organ.name),
        tracking_id=organ.title,
        anatomic_regions=[codes.CHEST],
        display_color=CIELabColor.from_rgb(*organ.color),
    )
    if code.laterality is not None:  # highdicom has no argument for it
        structure = description.SegmentedPropertyTypeCodeSequence[0]
        structure.SegmentedPropertyTypeModifierCodeSequence = [CodedConcept.from_code(code.laterality)]
    return description


def _algorithm(segmentation: LandmarkSegmentation, radiograph: Radiograph) -> AlgorithmIdentificationSequence:
    """Return what made the segments, with all that a reader of this file alone must know of the result."""
    return AlgorithmIdentificationSequence(
        name=segmentation.model.name,
        family=codes.ARTIFICIAL_INTELLIGENCE,
        version=segmentation.model.version,
        source=MANUFACTURER,
        parameters={
            "weights_sha256": segmentation.model.sha256,
            "samples": str(segmentation.sample_count),
            "verdict": segmentation.reliability.verdict,
            "reasons": " ".join(segmentation.reliability.reasons),
            "notes": " ".join(radiograph.notes),
        },
    )
