"""DICOM structured report (SR): landmarks, contours, measurements and their uncertainty as readable values."""

from __future__ import annotations

import numpy as np
from highdicom import UID, sr
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from monai_chexmask_u import __version__
from monai_chexmask_u.anatomy import NODE_COUNT, ORGANS
from monai_chexmask_u.dicom import codes
from monai_chexmask_u.dicom.measurements import image_group, node_group, organ_group
from monai_chexmask_u.dicom.source import (
    EQUIPMENT,
    MANUFACTURER,
    MODEL_NAME,
    TrackingIds,
    check_same_image,
    no_warnings,
    source_header,
)
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation

__all__ = ["SERIES_NUMBER", "build_report"]

SERIES_NUMBER = 102


@no_warnings()
def build_report(segmentation: LandmarkSegmentation, radiograph: Radiograph) -> sr.ComprehensiveSR:
    """Build an unverified, preliminary Imaging Measurement Report of 124 measurement groups.

    The first group is on the image, the next three on the organs (closed polylines, linked to the segments of the
    Segmentation by their tracking UIDs), the others on the landmarks ``RL00``..``H25`` (points).
    The report is complete unless the cardiothoracic ratio could not be measured. Building takes about two seconds.

    Args:
        segmentation: the result for that radiograph.
        radiograph: read from a DICOM file.

    Raises:
        ValueError: if the radiograph has no usable DICOM header, the two are not of one image, or an uncertainty is
            not finite.

    References:
        DICOM PS3.16, TID 1500 Measurement Report
    """
    check_same_image(segmentation, radiograph)
    header = source_header(radiograph)
    content = sr.MeasurementReport(
        observation_context=_observer(),
        procedure_reported=codes.PLAIN_CHEST_XRAY,
        imaging_measurements=_groups(segmentation, radiograph.notes, header),
        title=codes.IMAGING_MEASUREMENT_REPORT,
        referenced_images=[_library_entry(header)],
    )
    complete = bool(np.isfinite(segmentation.cardiothoracic_ratio.value))
    report = sr.ComprehensiveSR(
        evidence=[header],
        content=content,
        series_instance_uid=UID(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=UID(),
        instance_number=1,
        is_complete=complete,
        is_final=False,
        is_verified=False,
        series_description=f"Landmarks with uncertainty ({segmentation.reliability.verdict})",
        coding_schemes=[codes.private_scheme()],
        **EQUIPMENT,
    )
    if not complete:
        report.CompletionFlagDescription = "Cardiothoracic ratio could not be measured"
    return report


def _groups(
    segmentation: LandmarkSegmentation, notes: tuple[str, ...], header: Dataset
) -> list[sr.MeasurementsAndQualitativeEvaluations | sr.PlanarROIMeasurementsAndQualitativeEvaluations]:
    ids = TrackingIds.of(segmentation, header)
    image = sr.SourceImageForRegion.from_source_image(header)
    return [
        image_group(segmentation, notes, header, ids),
        *(organ_group(organ, segmentation, image, ids) for organ in ORGANS),
        *(node_group(node, segmentation, image, ids) for node in range(NODE_COUNT)),
    ]


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
