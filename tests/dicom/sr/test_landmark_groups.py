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
from support.samples.report_reference import by_highdicom

from monai_chexmask_u.anatomy import NODE_COUNT, NODE_IDS
from monai_chexmask_u.dicom.numbering import Numbering
from monai_chexmask_u.dicom.source import SourceImage
from monai_chexmask_u.dicom.sr import report
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation

Results = Callable[..., LandmarkSegmentation]
Radiographs = Callable[[str], Radiograph]


def reread(dataset: Dataset) -> Dataset:
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    buffer.seek(0)
    return pydicom.dcmread(buffer)


@pytest.fixture(scope="module", params=["dx", "cr_without_spacing", "japanese"])
def case(
    request: pytest.FixtureRequest, radiograph_of: Radiographs, result_for: Results
) -> tuple[LandmarkSegmentation, SourceImage]:
    """Results with all that a group may or may not have: spacing, a radius, a point off the image."""
    radiograph = radiograph_of(request.param)
    plain = result_for(radiograph)
    landmarks, radius = plain.landmarks.copy(), np.linspace(0.123456789, 98765.4321, NODE_COUNT)
    landmarks[[3, 60, 118], 0] = [-4.5, radiograph.shape[1] + 12.0, -1e-3]
    radius[[0, 60, 100]] = np.inf
    covariance = plain.covariance.copy()
    covariance[7] = 1e-12 * np.eye(2)  # written with an exponent
    return replace(plain, landmarks=landmarks, covariance=covariance, radius90=radius), SourceImage(radiograph)


def test_content_tree_is_the_one_that_highdicom_builds(case: tuple[LandmarkSegmentation, SourceImage]) -> None:
    quick, slow = reread(report.build_report(*case, Numbering())), reread(by_highdicom(*case))
    groups, expected = quick.ContentSequence[-1].ContentSequence, slow.ContentSequence[-1].ContentSequence
    assert len(groups) == len(expected) == 124
    for group, other in zip(groups, expected, strict=True):
        assert group == other
    assert quick.ContentSequence == slow.ContentSequence


def test_comparison_notices_one_wrong_digit(case: tuple[LandmarkSegmentation, SourceImage]) -> None:
    segmentation, source = case
    covariance = segmentation.covariance.copy()
    covariance[50, 0, 0] *= 1.01
    changed = reread(report.build_report(replace(segmentation, covariance=covariance), source, Numbering()))
    groups, others = (
        built.ContentSequence[-1].ContentSequence
        for built in (changed, reread(report.build_report(*case, Numbering())))
    )
    # Node 50 is of the left lung, whose mean changes as well; four groups come before the nodes.
    assert [n for n, (group, other) in enumerate(zip(groups, others, strict=True)) if group != other] == [2, 54]


def test_highdicom_reads_every_group(case: tuple[LandmarkSegmentation, SourceImage]) -> None:
    buffer = BytesIO()
    report.build_report(*case, Numbering()).save_as(buffer, enforce_file_format=True)
    buffer.seek(0)
    groups = sr.srread(buffer).content.get_planar_roi_measurement_groups()
    assert [group.tracking_identifier for group in groups][3:] == list(NODE_IDS)
