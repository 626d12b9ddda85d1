"""DICOM structured report (SR): landmarks, contours, measurements and their uncertainty as readable values."""

from __future__ import annotations

from typing import Any

import numpy as np
from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.uid import GrayscaleSoftcopyPresentationStateStorage, generate_uid

from monai_chexmask_u import __version__
from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.dicom import codes
from monai_chexmask_u.dicom.equipment import EQUIPMENT, MANUFACTURER, MODEL_NAME
from monai_chexmask_u.dicom.numbering import Numbering
from monai_chexmask_u.dicom.reading.quiet import no_warnings
from monai_chexmask_u.dicom.source import SourceImage, TrackingIds
from monai_chexmask_u.dicom.sr.landmark_groups import append_groups, landmark_groups
from monai_chexmask_u.dicom.sr.measurements import image_group, organ_group
from monai_chexmask_u.segmentation import LandmarkSegmentation

__all__ = ["build_report"]

LABEL_MAP_STORAGE = "1.2.840.10008.5.1.4.1.1.66.7"  # pydicom has no name for it


@no_warnings()
def build_report(segmentation: LandmarkSegmentation, source: SourceImage, numbering: Numbering) -> Dataset:
    """Build an unverified, preliminary Imaging Measurement Report of 124 measurement groups.

    The first group is on the image, the next three on the organs (closed polylines, linked to the segments of the
    Segmentation by their tracking UIDs), the others on the landmarks ``RL00``..``H25`` (points).
    It is the root of the image's results: its evidence names every object that `numbering` knows as written, its image
    library those that are images, and the source image is to be shown with the presentation state.
    The report is complete unless the cardiothoracic ratio could not be measured.

    Args:
        segmentation: the result for that radiograph.
        source: the radiograph, with its cleaned header.
        numbering: of the run.

    Returns:
        A Comprehensive SR to be saved in Explicit VR Little Endian; the groups on landmarks are encoded already.

    Raises:
        ValueError: if result and source are not of one image, or an uncertainty is not finite.

    References:
        DICOM PS3.16, TID 1500 Measurement Report; IHE Radiology, AI Results (AIR), result root
    """
    source.check_result(segmentation)
    header = source.header
    others = numbering.written(header)
    ids, image = TrackingIds.of(segmentation, header), sr.SourceImageForRegion.from_source_image(header)
    groups = [
        image_group(segmentation, source.radiograph.notes, header, ids),
        *(organ_group(organ, segmentation, image, ids) for organ in ORGANS),
    ]
    complete = bool(np.isfinite(segmentation.cardiothoracic_ratio.value))
    report: Dataset = sr.ComprehensiveSR(
        evidence=[header, *others],
        content=_content(groups, header, others),
        **numbering.place("sr", segmentation, header, *(str(other.SOPInstanceUID) for other in others)).arguments(),
        is_complete=complete,
        is_final=False,
        is_verified=False,
        series_description=f"Landmarks with uncertainty ({segmentation.reliability.verdict})",
        coding_schemes=[codes.private_scheme()],
        **EQUIPMENT,
    )
    if not complete:
        report.CompletionFlagDescription = "Cardiothoracic ratio could not be measured"
    append_groups(report, landmark_groups(segmentation, image, ids))
    return report


def _content(groups: list[Any], header: Dataset, others: list[Dataset]) -> sr.MeasurementReport:
    """Return the content tree without the groups on landmarks."""
    # Images alone, presentation states and documents are none; DCMTK cannot read a report with a label map in it.
    derived = [other for other in others if "Rows" in other and other.SOPClassUID != LABEL_MAP_STORAGE]
    content = sr.MeasurementReport(
        observation_context=_observer(),
        procedure_reported=codes.PLAIN_CHEST_XRAY,
        imaging_measurements=groups,
        title=codes.IMAGING_MEASUREMENT_REPORT,
        referenced_images=[_library_entry(header), *derived],
    )
    _show_with_presentation_states(content[0], header, others)
    return content


def _show_with_presentation_states(content: Dataset, header: Dataset, others: list[Dataset]) -> None:
    """Name the presentation state in the image library's reference to the source image (PS3.3, C.18.4)."""
    library = next(item for item in content.ContentSequence if item.name == codes.IMAGE_LIBRARY)
    for state in others:
        if state.SOPClassUID != GrayscaleSoftcopyPresentationStateStorage:
            continue
        for item in sr.utils.find_content_items(library, value_type="IMAGE", recursive=True):
            reference = item.ReferencedSOPSequence[0]
            if reference.ReferencedSOPInstanceUID == header.SOPInstanceUID:
                shown = Dataset()
                shown.ReferencedSOPClassUID, shown.ReferencedSOPInstanceUID = state.SOPClassUID, state.SOPInstanceUID
                reference.ReferencedSOPSequence = [shown]


def _observer() -> sr.ObservationContext:
    """Return who observed: this software, with one UID per version."""
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=generate_uid(entropy_srcs=[MANUFACTURER, MODEL_NAME, __version__]),
        name=MODEL_NAME,
        manufacturer_name=MANUFACTURER,
        model_name=MODEL_NAME,
    )
    return sr.ObservationContext(observer_device_context=sr.ObserverContext(codes.DEVICE, device))


def _library_entry(header: Dataset) -> Dataset:
    """Return a header for the report's image library.

    highdicom describes radiographs by orientation and spacing and fails if one is absent; other images it only names.
    """
    if header.get("PatientOrientation") and header.get("ImagerPixelSpacing"):
        return header
    entry = Dataset()
    for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Rows", "Columns"):
        setattr(entry, keyword, header[keyword].value)
    entry.Modality = "OT"  # not written: it only keeps highdicom from describing
    return entry
