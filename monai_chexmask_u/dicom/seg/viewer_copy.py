"""A copy of a Segmentation for viewers that insist on a patient coordinate system, which a radiograph does not have."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from monai_chexmask_u.dicom.numbering import Numbering
from monai_chexmask_u.dicom.reading.quiet import no_warnings
from monai_chexmask_u.dicom.reading.values import decimal
from monai_chexmask_u.dicom.seg.writing import build_segmentation
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation

__all__ = ["build_viewer_segmentation"]


@no_warnings()
def build_viewer_segmentation(
    segmentation: LandmarkSegmentation, radiograph: Radiograph, numbering: Numbering | None = None
) -> Dataset:
    """Build the binary Segmentation with an invented geometry, for OHIF and for the readers of dcmqi and ITK.

    The frame of reference is invented: a coronal plane, that of the detector, in which the patient lies as the reader
    found, so that a viewer's letters are right for mirrored and upside-down radiographs as well. A pixel without a
    known size counts as 1 mm. Series and content description say so. It must not be used for measuring.

    Args:
        segmentation: the result for that radiograph.
        radiograph: read from a DICOM file.
        numbering: of the run; by default the object stands alone.

    Raises:
        ValueError: as `build_segmentation`.
    """
    built: Dataset = build_segmentation(segmentation, radiograph, numbering, kind="seg-viewer")
    built.ContentDescription = "Lungs and heart for display; the geometry is invented"
    built.FrameOfReferenceUID = generate_uid(entropy_srcs=[built.SOPInstanceUID, "frame of reference"])
    built.PositionReferenceIndicator = ""
    del built.PatientOrientation
    _invent_plane(built, radiograph)
    return built


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
