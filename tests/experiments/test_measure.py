from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.samples.segmentations import make_radiograph, make_segmentation

from monai_chexmask_u.anatomy import HEART, ORGANS
from monai_chexmask_u.data.radiograph_sets import RadiographItem
from monai_chexmask_u.experiments.conditions import Condition
from monai_chexmask_u.experiments.measure import NODE_COLUMNS, Shown, row_of, show

RADIOGRAPH = make_radiograph(256, 200)  # 4 px of a 1024-pixel image are one of its pixels
PLAIN = make_segmentation(RADIOGRAPH)
CALIBRATED = make_segmentation(
    RADIOGRAPH,
    error_covariance=np.tile([[9.0, 0.0], [0.0, 16.0]], (120, 1, 1)),
    total_px1024=14.0,
    radius90=np.arange(120.0),
    scores={"combined": 0.25},
)


def test_lengths_are_in_pixels_of_a_1024_pixel_image() -> None:
    row = row_of(CALIBRATED, Shown(RADIOGRAPH, CALIBRATED.landmarks + np.array([3, 4])))
    assert row["error"] == pytest.approx(4 * 5, rel=1e-6)
    np.testing.assert_allclose(row["node_error"], 20, rtol=1e-6)
    np.testing.assert_allclose(row["node_predictive"], 4 * CALIBRATED.node_uncertainty, rtol=1e-6)
    np.testing.assert_allclose(row["node_total"], 4 * 3.5, rtol=1e-6)
    np.testing.assert_allclose(row["node_radius90"], 4 * np.arange(120), rtol=1e-6)
    assert row["radius90_heart"] == pytest.approx(4 * np.arange(120)[HEART.nodes].mean())
    assert (row["predictive"], row["total"], row["score"], row["latent"]) == (8.5, 14.0, 14.0, 0.25)
    assert (row["score_combined"], row["verdict"], row["reasons"]) == (0.25, "review", "not_calibrated")


def test_normal_parts_are_across_the_contour() -> None:
    truth = CALIBRATED.landmarks
    moved = truth.copy()
    for organ in ORGANS:  # out of an ellipse's center: along its normal at the ends of the axes
        top = organ.first_node
        moved[top] += (2, 5)
    shifted = make_segmentation(RADIOGRAPH, landmarks=moved, error_covariance=CALIBRATED.error_covariance)
    row = row_of(shifted, Shown(RADIOGRAPH, truth))
    for organ in ORGANS:
        assert row["node_normal_error"][organ.first_node] == pytest.approx(4 * 5, rel=0.02)
        assert row["node_total_normal"][organ.first_node] == pytest.approx(4 * 4, rel=0.02)


def test_confidence_level_is_that_of_the_smallest_ellipse_that_holds_the_truth() -> None:
    row = row_of(CALIBRATED, Shown(RADIOGRAPH, CALIBRATED.landmarks + np.array([3, 0])))  # one standard deviation
    np.testing.assert_allclose(row["node_total_level"], 1 - np.exp(-0.5), rtol=1e-5)
    certain = make_segmentation(RADIOGRAPH, covariance=np.zeros((120, 2, 2)))
    np.testing.assert_allclose(row_of(certain, Shown(RADIOGRAPH, PLAIN.landmarks + 1))["node_predictive_level"], 1)


def test_what_a_model_without_calibration_does_not_say_is_left_empty() -> None:
    row = row_of(PLAIN, Shown(RADIOGRAPH, PLAIN.landmarks))
    assert np.isnan([row["total"], row["radius90_heart"]]).all()
    assert row["score"] == row["predictive"]
    for name in ("node_total", "node_total_normal", "node_total_level", "node_radius90"):
        assert row[name] is None
    assert not row["node_altered"].any()


def test_image_without_truth_has_no_error() -> None:
    row = row_of(PLAIN, Shown(RADIOGRAPH))
    assert np.isnan(row["error"])
    assert all(row[name] is None for name in NODE_COLUMNS)


def test_unknown_landmarks_do_not_count() -> None:
    truth = PLAIN.landmarks + np.array([3, 4])
    truth[HEART.nodes] = np.nan
    row = row_of(PLAIN, Shown(RADIOGRAPH, truth))
    assert row["error"] == pytest.approx(20, rel=1e-6)
    assert np.isnan(row["node_error"][HEART.nodes]).all()


def test_conditions_show_what_they_say() -> None:
    item = RadiographItem(Path("a.png"), "a", "set", landmarks=PLAIN.landmarks)
    clean = show(item, RADIOGRAPH, Condition("clean"), 0)
    assert clean.radiograph is RADIOGRAPH
    assert clean.landmarks is item.landmarks
    cropped = show(item, RADIOGRAPH, Condition("corrupted", "crop", 0.5), 0)
    assert cropped.radiograph.shape == (128, 100)
    assert cropped.landmarks is not None
    assert np.ptp(cropped.landmarks - PLAIN.landmarks, axis=0).max() == pytest.approx(0)
    occluded = show(item, RADIOGRAPH, Condition("corrupted", "occlusion", 301), 0)
    assert occluded.altered is not None
    assert 1 <= occluded.altered.sum() < 120
    row = row_of(PLAIN, occluded)
    np.testing.assert_array_equal(row["node_altered"], occluded.altered)
    foreign = show(item, RADIOGRAPH, Condition("foreign", "inverted"), 0)
    assert foreign.landmarks is None
    np.testing.assert_array_equal(foreign.radiograph.pixels, 1 - RADIOGRAPH.pixels)
