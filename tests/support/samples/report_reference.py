"""The report as highdicom builds it alone, the reference for the one that the project builds faster."""

from __future__ import annotations

from highdicom import sr
from pydicom.dataset import Dataset

from monai_chexmask_u.anatomy import NODE_COUNT, ORGANS
from monai_chexmask_u.dicom import codes
from monai_chexmask_u.dicom.equipment import EQUIPMENT
from monai_chexmask_u.dicom.source import SourceImage, TrackingIds
from monai_chexmask_u.dicom.sr import report
from monai_chexmask_u.dicom.sr.measurements import image_group, node_group, organ_group
from monai_chexmask_u.segmentation import LandmarkSegmentation

__all__ = ["by_highdicom"]


def by_highdicom(segmentation: LandmarkSegmentation, source: SourceImage) -> Dataset:
    """Build the report with highdicom alone, all groups one by one."""
    header = source.header
    ids, image = TrackingIds.of(segmentation, header), sr.SourceImageForRegion.from_source_image(header)
    content = sr.MeasurementReport(
        observation_context=report._observer(),
        procedure_reported=codes.PLAIN_CHEST_XRAY,
        imaging_measurements=[
            image_group(segmentation, source.radiograph.notes, header, ids),
            *(organ_group(organ, segmentation, image, ids) for organ in ORGANS),
            *(node_group(node, segmentation, image, ids) for node in range(NODE_COUNT)),
        ],
        title=codes.IMAGING_MEASUREMENT_REPORT,
        referenced_images=[report._library_entry(header)],
    )
    built: Dataset = sr.ComprehensiveSR(
        evidence=[header],
        content=content,
        series_instance_uid="1.2.3",
        series_number=1,
        sop_instance_uid="1.2.4",
        instance_number=1,
        is_complete=True,
        **EQUIPMENT,
    )
    return built
