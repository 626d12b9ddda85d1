"""DICOM Secondary Capture: the overlay image as an image that every viewer shows."""

from __future__ import annotations

from typing import Final

import numpy as np
from highdicom.sc import SCImage
from highdicom.sr import CodedConcept
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from monai_chexmask_u.dicom import codes
from monai_chexmask_u.dicom.compression import compress
from monai_chexmask_u.dicom.equipment import EQUIPMENT
from monai_chexmask_u.dicom.numbering import Numbering, Place
from monai_chexmask_u.dicom.reading.quiet import no_warnings
from monai_chexmask_u.dicom.reading.spacing import aspect_ratio
from monai_chexmask_u.dicom.source import SourceImage
from monai_chexmask_u.radiograph import Radiograph, note_in_words
from monai_chexmask_u.segmentation import LandmarkSegmentation

__all__ = ["build_secondary_capture"]

_USUAL_ORIENTATION: Final = ("L", "F")
_LONGEST_TEXT: Final = 1024  # of a description (PS3.5, 6.2, ST)


@no_warnings()
def build_secondary_capture(
    image: NDArray[np.uint8],
    segmentation: LandmarkSegmentation,
    source: SourceImage,
    numbering: Numbering,
) -> Dataset:
    """Build a Secondary Capture Image of an image that shows the result.

    It is marked as having burned-in annotation, because it has text. Its modality is OT: as CR or DX it would be taken
    for a radiograph. It has no pixel spacing: measurements belong on the radiograph, not on a reduced copy of it.

    Args:
        image: ``(row, column, 3)``, red, green and blue; its pixels have the shape of those of the radiograph.
        segmentation: the result for that radiograph.
        source: the radiograph, with its cleaned header.
        numbering: of the run.

    Raises:
        ValueError: if result and source are not of one image, or the image is none.

    References:
        DICOM PS3.3, A.8.1 Secondary Capture Image IOD
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image must be uint8 (row, column, 3), got {image.dtype} {image.shape}")
    source.check_result(segmentation)
    radiograph, header = source.radiograph, source.header
    place = numbering.place("sc", segmentation, header)
    built = _capture(image, header, place, segmentation.reliability.verdict)
    _describe_image(built, radiograph, header)
    _describe_derivation(built, segmentation, radiograph, header)
    # Of a radiograph's 4.8 MB it leaves 3.9, where JPEG-LS would leave 1.0. But not every archive and viewer reads
    # that, and this image is for those that show none of the other objects.
    compress(built)
    return built


def _capture(image: NDArray[np.uint8], header: Dataset, place: Place, verdict: str) -> Dataset:
    built: Dataset = SCImage(
        pixel_array=image,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=_USUAL_ORIENTATION,  # replaced below: highdicom takes neither none nor other words
        study_instance_uid=header.StudyInstanceUID,
        **place.arguments(),
        series_description=f"Overlay ({verdict}), not for diagnosis",
        specific_character_set=header.SpecificCharacterSet,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **EQUIPMENT,
    )
    built.copy_patient_and_study_information(header)
    built.ConversionType = "WSD"
    return built


def _describe_image(built: Dataset, radiograph: Radiograph, header: Dataset) -> None:
    built.ImageType = ["DERIVED", "SECONDARY"]
    built.PatientOrientation = header.get("PatientOrientation") or None
    built.BodyPartExamined = "CHEST"
    built.BurnedInAnnotation = "YES"
    if radiograph.height_over_width != 1:  # viewers would show the chest squeezed
        built.PixelAspectRatio = aspect_ratio(radiograph.height_over_width)


def _describe_derivation(
    built: Dataset, segmentation: LandmarkSegmentation, radiograph: Radiograph, header: Dataset
) -> None:
    """Say what was drawn on what, and what a reader of this object alone must know of the result."""
    reliability, model = segmentation.reliability, segmentation.model
    built.DerivationDescription = (
        "Outlines of lungs and heart, landmarks colored by uncertainty, and a caption, drawn on a resampled copy of "
        "the radiograph. For research use only, not for diagnosis. "
        f"Model {model.name} {model.version}, weights {model.sha256}."
    )[:_LONGEST_TEXT]
    reasons = "; ".join(map(reliability.in_words, reliability.reasons))
    comments = [f"Verdict: {reliability.verdict}{f' ({reasons})' if reasons else ''}."]
    comments += [note_in_words(note) for note in radiograph.notes if note == "burned_in_annotation"]
    built.ImageComments = " ".join(comments)
    if "lossy_compression" in radiograph.notes:
        built.LossyImageCompression = "01"  # once lossy, forever lossy
        for keyword in ("LossyImageCompressionRatio", "LossyImageCompressionMethod"):
            if keyword in header:
                built.add(header[keyword])
    source = Dataset()
    source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
    source.SpatialLocationsPreserved = "NO"
    source.PurposeOfReferenceCodeSequence = [CodedConcept.from_code(codes.IMAGE_PROCESSING_SOURCE)]
    built.SourceImageSequence = [source]
