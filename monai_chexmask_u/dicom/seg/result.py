"""DICOM Segmentation (SEG) of a result: the filled organs as binary segments, as probabilities or as a label map.

A further one is for viewers that insist on a patient coordinate system, which a radiograph does not have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.color import CIELabColor
from highdicom.seg import Segmentation, SegmentationTypeValues, SegmentDescription
from highdicom.sr import CodedConcept
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from monai_chexmask_u.anatomy import ORGANS, Organ
from monai_chexmask_u.dicom import codes
from monai_chexmask_u.dicom.compression import compress
from monai_chexmask_u.dicom.equipment import CONTENT_CREATOR, EQUIPMENT, MANUFACTURER
from monai_chexmask_u.dicom.numbering import Numbering, Place
from monai_chexmask_u.dicom.reading.quiet import no_warnings
from monai_chexmask_u.dicom.reading.values import decimal
from monai_chexmask_u.dicom.source import SourceImage, TrackingIds
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation

__all__ = [
    "assemble",
    "build_fractional_segmentation",
    "build_labelmap_segmentation",
    "build_segmentation",
    "build_viewer_segmentation",
    "describe_organ",
]

_TITLES: Final = {
    "seg": "Lungs and heart",
    "seg-fractional": "Lungs and heart, probability",
    "seg-labelmap": "Lungs and heart, label map",
    "seg-viewer": "Lungs and heart, invented geometry",
}


def build_segmentation(
    segmentation: LandmarkSegmentation, source: SourceImage, numbering: Numbering, *, kind: str = "seg"
) -> Segmentation:
    """Build a Segmentation object with the right lung, the left lung and the heart as binary segments 1, 2 and 3.

    A pixel belongs to an organ if its center lies inside the organ's contour; what leaves the image is cut off.
    An organ without a pixel keeps its (empty) frame. The segments may overlap.

    Args:
        segmentation: the result for that radiograph.
        source: the radiograph, with its cleaned header.
        numbering: of the run.
        kind: as which kind of object it is numbered and titled.

    Raises:
        ValueError: if result and source are not of one image.

    References:
        DICOM PS3.3, A.51 Segmentation IOD
    """
    masks = np.stack([segmentation.mask(organ) for organ in ORGANS], axis=-1)[None].astype(np.uint8)
    return _build(kind, SegmentationTypeValues.BINARY, masks, segmentation, source, numbering)


def build_fractional_segmentation(
    segmentation: LandmarkSegmentation, source: SourceImage, numbering: Numbering
) -> Segmentation:
    """Build a Segmentation object whose values are the probability that a pixel belongs to the organ, in 256 steps.

    The probability is that of `LandmarkSegmentation.membership`.

    Args:
        segmentation: the result for that radiograph, with its samples.
        source: the radiograph, with its cleaned header.
        numbering: of the run.

    Raises:
        ValueError: as `build_segmentation`, and if the result does not hold its samples.

    References:
        DICOM PS3.3, C.8.20.2.3.1 Segmentation Type, Segmentation Fractional Type PROBABILITY
    """
    shares = np.zeros((1, *segmentation.shape, len(ORGANS)), dtype=np.float32)
    for organ in ORGANS:
        shares[..., organ.label - 1] = segmentation.membership(organ)
    return _build("seg-fractional", SegmentationTypeValues.FRACTIONAL, shares, segmentation, source, numbering)


def build_labelmap_segmentation(
    segmentation: LandmarkSegmentation, source: SourceImage, numbering: Numbering
) -> Segmentation:
    """Build a Label Map Segmentation: one value per pixel, 1 right lung, 2 left lung, 3 heart, which covers the lungs.

    It is small and new: not every archive and viewer knows it, and the overlap of lungs and heart is lost.

    Args:
        segmentation: the result for that radiograph.
        source: the radiograph, with its cleaned header.
        numbering: of the run.

    Raises:
        ValueError: as `build_segmentation`.

    References:
        DICOM PS3.3, A.51 Segmentation IOD, Label Map Segmentation Storage
    """
    labels = segmentation.label_mask()[None]
    return _build("seg-labelmap", SegmentationTypeValues.LABELMAP, labels, segmentation, source, numbering)


@no_warnings()
def build_viewer_segmentation(segmentation: LandmarkSegmentation, source: SourceImage, numbering: Numbering) -> Dataset:
    """Build the binary Segmentation with an invented geometry, for OHIF and for the readers of dcmqi and ITK.

    The frame of reference is invented: a coronal plane, that of the detector, in which the patient lies as the reader
    found, so that a viewer's letters are right for mirrored and upside-down radiographs as well. A pixel without a
    known size counts as 1 mm. Series and content description say so. It must not be used for measuring.

    Args:
        segmentation: the result for that radiograph.
        source: the radiograph, with its cleaned header.
        numbering: of the run.

    Raises:
        ValueError: as `build_segmentation`.
    """
    built: Dataset = build_segmentation(segmentation, source, numbering, kind="seg-viewer")
    built.ContentDescription = "Lungs and heart for display; the geometry is invented"
    built.FrameOfReferenceUID = generate_uid(entropy_srcs=[built.SOPInstanceUID, "frame of reference"])
    built.PositionReferenceIndicator = ""
    del built.PatientOrientation
    _invent_plane(built, source.radiograph)
    return built


@no_warnings()
def _build(
    kind: str,
    segmentation_type: SegmentationTypeValues,
    pixels: NDArray[Any],
    segmentation: LandmarkSegmentation,
    source: SourceImage,
    numbering: Numbering,
) -> Segmentation:
    source.check_result(segmentation)
    ids = TrackingIds.of(segmentation, source.header)
    algorithm = _algorithm(segmentation, source.radiograph)
    verdict = segmentation.reliability.verdict
    return assemble(
        source,
        pixels,
        segmentation_type=segmentation_type,
        segment_descriptions=[
            describe_organ(organ, number=organ.label, tracking_uid=ids.uid(organ.name), algorithm=algorithm)
            for organ in ORGANS
        ],
        place=numbering.place(kind, segmentation, source.header),
        content_description=f"Lungs and heart, reliability verdict: {verdict}",
        series_description=f"{_TITLES[kind]} ({verdict})",
    )


def assemble(
    source: SourceImage,
    pixels: NDArray[Any],
    *,
    segmentation_type: SegmentationTypeValues,
    segment_descriptions: Sequence[SegmentDescription],
    place: Place,
    content_description: str,
    series_description: str,
) -> Segmentation:
    """Make a Segmentation object of lungs and heart on one image, by a model or a person.

    Args:
        source: the image.
        pixels: ``(1, row, column, segment)``, or ``(1, row, column)`` for a label map.
        segmentation_type: of the object.
        segment_descriptions: one for each segment.
        place: where the object stands in its study.
        content_description: at most 64 characters.
        series_description: at most 64 characters.
    """
    # highdicom would copy it to Pixel Measures, and then not read its own file, since a projection has no slices.
    # Frames have the pixels of the source, which says how large they are.
    header = source.header_without("PixelSpacing")
    built = Segmentation(
        source_images=[header],
        pixel_array=pixels,
        segmentation_type=segmentation_type,
        segment_descriptions=segment_descriptions,
        **place.arguments(),
        content_label="LUNGS_HEART",
        content_creator_name=CONTENT_CREATOR,
        content_description=content_description,
        series_description=series_description,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        omit_empty_frames=False,
        **EQUIPMENT,
    )
    # Required (but may be empty) where there is no patient coordinate system; highdicom leaves it out.
    built.PatientOrientation = header.get("PatientOrientation") or None
    # highdicom draws it at random; it is of this object's frames alone, and so as reproducible as the object's UID.
    organization = generate_uid(entropy_srcs=[built.SOPInstanceUID, "dimensions"])
    for item in (*built.DimensionOrganizationSequence, *built.DimensionIndexSequence):
        item.DimensionOrganizationUID = organization
    if segmentation_type != SegmentationTypeValues.BINARY:  # run lengths cannot hold single bits
        compress(built)
    return built


def describe_organ(
    organ: Organ,
    *,
    number: int,
    tracking_uid: str,
    algorithm: AlgorithmIdentificationSequence | None,
    algorithm_type: str = "AUTOMATIC",
) -> SegmentDescription:
    """Describe an organ's segment.

    Args:
        organ: what it shows.
        number: of the segment, from 1 on without a gap.
        tracking_uid: of the organ on this image, as one model or person segmented it.
        algorithm: that segmented it, None for ``MANUAL``.
        algorithm_type: ``AUTOMATIC``, ``SEMIAUTOMATIC`` or ``MANUAL``.
    """
    code = codes.ORGAN_CODES[organ.name]
    description = SegmentDescription(
        segment_number=number,
        segment_label=organ.title,
        segmented_property_category=codes.ANATOMICAL_STRUCTURE,
        segmented_property_type=code.structure,
        algorithm_type=algorithm_type,
        algorithm_identification=algorithm,
        tracking_uid=tracking_uid,
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


def _invent_plane(built: Dataset, radiograph: Radiograph) -> None:
    """Put all frames into one coronal plane; x goes to the patient's left, z to the head (PS3.3, C.7.6.2.1.1)."""
    measures, orientation, position = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = [decimal(side) for side in radiograph.spacing_mm or (radiograph.height_over_width, 1.0)]
    measures.SliceThickness = 1.0
    along_row, down_column = -1 if radiograph.mirrored else 1, 1 if radiograph.upside_down else -1
    orientation.ImageOrientationPatient = [along_row, 0, 0, 0, 0, down_column]
    position.ImagePositionPatient = [0, 0, 0]
    shared = built.SharedFunctionalGroupsSequence[0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    for frame in built.PerFrameFunctionalGroupsSequence:
        frame.PlanePositionSequence = [position]
