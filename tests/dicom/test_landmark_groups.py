"""The quick groups on landmarks are those that highdicom builds, byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO

import numpy as np
import pydicom
import pytest
from highdicom import sr
from pydicom.dataset import Dataset

from monai_chexmask_u.anatomy import NODE_COUNT, NODE_IDS, ORGANS
from monai_chexmask_u.dicom import codes, report
from monai_chexmask_u.dicom.measurements import image_group, node_group, organ_group
from monai_chexmask_u.dicom.source import EQUIPMENT, TrackingIds, source_header
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation

Results = Callable[..., LandmarkSegmentation]
Radiographs = Callable[[str], Radiograph]


def by_highdicom(segmentation: LandmarkSegmentation, radiograph: Radiograph) -> Dataset:
    """Build the report with highdicom alone, all groups one by one."""
    header = source_header(radiograph)
    ids, image = TrackingIds.of(segmentation, header), sr.SourceImageForRegion.from_source_image(header)
    content = sr.MeasurementReport(
        observation_context=report._observer(),
        procedure_reported=codes.PLAIN_CHEST_XRAY,
        imaging_measurements=[
            image_group(segmentation, radiograph.notes, header, ids),
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


def reread(dataset: Dataset) -> Dataset:
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    buffer.seek(0)
    return pydicom.dcmread(buffer)


@pytest.fixture(scope="module", params=["dx", "cr_without_spacing", "japanese"])
def case(
    request: pytest.FixtureRequest, radiograph_of: Radiographs, result_for: Results
) -> tuple[LandmarkSegmentation, Radiograph]:
    """Results with all that a group may or may not have: spacing, a radius, a point off the image."""
    radiograph = radiograph_of(request.param)
    plain = result_for(radiograph)
    landmarks, radius = plain.landmarks.copy(), np.linspace(0.123456789, 98765.4321, NODE_COUNT)
    landmarks[[3, 60, 118], 0] = [-4.5, radiograph.shape[1] + 12.0, -1e-3]
    radius[[0, 60, 100]] = np.inf
    covariance = plain.covariance.copy()
    covariance[7] = 1e-12 * np.eye(2)  # written with an exponent
    return replace(plain, landmarks=landmarks, covariance=covariance, radius90=radius), radiograph


def test_content_tree_is_the_one_that_highdicom_builds(case: tuple[LandmarkSegmentation, Radiograph]) -> None:
    quick, slow = reread(report.build_report(*case)), reread(by_highdicom(*case))
    groups, expected = quick.ContentSequence[-1].ContentSequence, slow.ContentSequence[-1].ContentSequence
    assert len(groups) == len(expected) == 124
    for group, other in zip(groups, expected, strict=True):
        assert group == other
    assert quick.ContentSequence == slow.ContentSequence


def test_comparison_notices_one_wrong_digit(case: tuple[LandmarkSegmentation, Radiograph]) -> None:
    segmentation, radiograph = case
    covariance = segmentation.covariance.copy()
    covariance[50, 0, 0] *= 1.01
    changed = reread(report.build_report(replace(segmentation, covariance=covariance), radiograph))
    groups, others = (
        built.ContentSequence[-1].ContentSequence for built in (changed, reread(report.build_report(*case)))
    )
    # Node 50 is of the left lung, whose mean changes as well; four groups come before the nodes.
    assert [n for n, (group, other) in enumerate(zip(groups, others, strict=True)) if group != other] == [2, 54]


def test_highdicom_reads_every_group(case: tuple[LandmarkSegmentation, Radiograph]) -> None:
    buffer = BytesIO()
    report.build_report(*case).save_as(buffer, enforce_file_format=True)
    buffer.seek(0)
    groups = sr.srread(buffer).content.get_planar_roi_measurement_groups()
    assert [group.tracking_identifier for group in groups][3:] == list(NODE_IDS)
