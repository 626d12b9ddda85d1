from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.samples.segmentations import make_radiograph, make_segmentation

from monai_chexmask_u.anatomy import HEART, LEFT_LUNG, NODE_IDS, ORGANS, RIGHT_LUNG
from monai_chexmask_u.geometry import fill_polygon
from monai_chexmask_u.segmentation import Estimate, LandmarkSegmentation


@pytest.fixture(scope="module")
def result() -> LandmarkSegmentation:
    return make_segmentation(make_radiograph(spacing_mm=(0.4, 0.3)))


def test_heart_covers_the_lungs_in_the_label_mask(result: LandmarkSegmentation) -> None:
    labels = result.label_mask()
    right, left, heart = (result.mask(organ) for organ in (RIGHT_LUNG, LEFT_LUNG, HEART))
    assert (left & heart).any()
    assert labels.shape == (250, 200)
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels == 3, heart)
    np.testing.assert_array_equal(labels == 2, left & ~heart)
    np.testing.assert_array_equal(labels == 1, right & ~heart & ~left)
    np.testing.assert_array_equal(labels == 0, ~(right | left | heart))


def test_labels_lie_where_the_organs_do(result: LandmarkSegmentation) -> None:
    labels = result.label_mask()
    # The patient's right lung is on the left of a normal frontal image.
    assert [labels[112, 60], labels[60, 140], labels[155, 110], labels[5, 5]] == [1, 2, 3, 0]


@pytest.mark.parametrize("shift", [(0, 0), (-120, -40), (150, 0), (0, 400)])
def test_membership_is_the_share_of_the_samples_masks(result: LandmarkSegmentation, shift: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).normal(0, 4, (9, 120, 2))
    samples = (result.landmarks + noise + shift).astype(np.float32)
    sampled = replace(result, samples=samples)
    for organ in ORGANS:
        masks = [fill_polygon(sample[organ.nodes], result.shape) for sample in samples.astype(np.float64)]
        np.testing.assert_allclose(sampled.membership(organ), np.mean(masks, axis=0), atol=1e-6)


def test_membership_needs_the_samples(result: LandmarkSegmentation) -> None:
    with pytest.raises(ValueError, match="needs the samples"):
        result.membership(HEART)


@pytest.mark.parametrize("name", ["landmarks", "covariance"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(result: LandmarkSegmentation, name: str, value: float) -> None:
    broken = getattr(result, name).copy()
    broken[7, 0] = value
    with pytest.raises(ValueError, match=f"{name} must be finite"):
        make_segmentation(make_radiograph(), **{name: broken})


@pytest.mark.parametrize(
    "changes",
    [
        {"landmarks": np.zeros((94, 2))},
        {"landmarks": np.zeros((1, 120, 2))},
        {"covariance": np.zeros((120, 2))},
        {"covariance": np.zeros((60, 2, 2))},
    ],
)
def test_wrong_shapes_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be finite and have shape"):
        make_segmentation(make_radiograph(), **changes)


def test_node_uncertainty_is_the_mean_of_both_standard_deviations() -> None:
    covariance = np.tile([[9.0, 2.0], [2.0, 25.0]], (120, 1, 1))
    result = make_segmentation(make_radiograph(), covariance=covariance)
    np.testing.assert_allclose(result.std, np.tile([3.0, 5.0], (120, 1)))
    np.testing.assert_allclose(result.node_uncertainty, np.full(120, 4.0))
    assert result.organ_uncertainty_px(HEART) == pytest.approx(4)


def test_uncertainty_of_an_organ_is_that_of_its_nodes_alone(result: LandmarkSegmentation) -> None:
    nodes = {"right_lung": range(44), "left_lung": range(44, 94), "heart": range(94, 120)}
    for organ in ORGANS:
        expected = np.mean([result.std[node].mean() for node in nodes[organ.name]])
        assert result.organ_uncertainty_px(organ) == pytest.approx(expected)


def test_distance_is_the_root_mean_square_in_millimeters(result: LandmarkSegmentation) -> None:
    variance_x, variance_y = result.covariance[:, 0, 0], result.covariance[:, 1, 1]
    assert result.distance_mm is not None
    np.testing.assert_allclose(result.distance_mm**2, variance_x * 0.3**2 + variance_y * 0.4**2)
    assert make_segmentation(make_radiograph()).distance_mm is None


def test_area_of_an_ellipse_and_its_size_in_millimeters(result: LandmarkSegmentation) -> None:
    ellipse = np.pi * 0.15 * 200 * 0.33 * 250
    area_px = result.area_px(RIGHT_LUNG)
    assert area_px == pytest.approx(ellipse, rel=0.005)  # 44 corners lie on the ellipse
    assert result.area_mm2(RIGHT_LUNG) == pytest.approx(area_px * 0.4 * 0.3)
    assert make_segmentation(make_radiograph()).area_mm2(RIGHT_LUNG) is None


def test_contours_are_the_organs_landmarks(result: LandmarkSegmentation) -> None:
    assert [len(result.contour(organ)) for organ in ORGANS] == [44, 50, 26]
    np.testing.assert_array_equal(np.concatenate([result.contour(organ) for organ in ORGANS]), result.landmarks)


def test_score_is_the_predictive_uncertainty(result: LandmarkSegmentation) -> None:
    assert result.score == result.predictive_px1024 == 8.5


def test_mask_without_an_organ_is_that_of_all(result: LandmarkSegmentation) -> None:
    np.testing.assert_array_equal(result.mask(), result.label_mask())


def test_polygons_are_the_contours_by_name(result: LandmarkSegmentation) -> None:
    polygons = result.polygons()
    assert list(polygons) == ["right_lung", "left_lung", "heart"]
    for organ in ORGANS:
        np.testing.assert_array_equal(polygons[organ.name], result.contour(organ))


def test_an_interval_that_is_not_known_is_not_told() -> None:
    assert Estimate(0.43, 0.01, (float("nan"), float("nan"))).in_words() == "0.430"
    assert Estimate(0.43, 0.01, (0.41, 0.45)).in_words() == "0.430 (90 % interval 0.410 to 0.450)"


def test_a_result_says_in_a_few_lines_what_it_is(result: LandmarkSegmentation) -> None:
    assert repr(result).splitlines() == [
        "LandmarkSegmentation of a radiograph of 250 x 200 pixels of 0.4 x 0.3 mm",
        "  verdict: review (The model is not calibrated)",
        "  cardiothoracic ratio: 0.430",
        "  predictive uncertainty: 8.5 px at 1024, 50 samples",
        "  model: tiny 1.2.3",
    ]
    calibrated = replace(result, total_px1024=12.04, spacing_mm=None)
    assert "total uncertainty: 12.0 px" in repr(calibrated)
    assert "chest" not in repr(result), "the file's name may be the patient's"


def test_notebooks_show_the_overlay(result: LandmarkSegmentation) -> None:
    png = result._repr_png_()
    assert png is not None
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png))), np.asarray(result.overlay))
    assert result.overlay is result.overlay, "it is drawn once"
    assert replace(result, radiograph=None)._repr_png_() is None
    with pytest.raises(ValueError, match="does not hold its radiograph"):
        _ = replace(result, radiograph=None).overlay


def test_a_radiograph_of_another_shape_is_refused(result: LandmarkSegmentation) -> None:
    with pytest.raises(ValueError, match=r"must have shape \(250, 200\), got \(250, 201\)"):
        result.with_radiograph(make_radiograph(250, 201))


def test_without_its_radiograph_a_record_lacks_the_image_alone(result: LandmarkSegmentation) -> None:
    whole, record = result.to_dict(), replace(result, radiograph=None).to_dict()
    json.dumps(record, allow_nan=False)
    assert record.keys() == whole.keys()
    assert {name for name in whole if whole[name] != record[name]} == {"image"}
    assert record["image"] | {"path": "images/chest.png"} == whole["image"]


def test_the_table_has_a_row_per_landmark(result: LandmarkSegmentation, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pandas")
    table = result.to_dataframe()
    assert table["id"].tolist() == list(NODE_IDS)
    np.testing.assert_array_equal(table[["x", "y"]].to_numpy(), result.landmarks)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="to_dataframe needs the package pandas; install it"):
        result.to_dataframe()


def test_plot_draws_image_contours_and_nodes(result: LandmarkSegmentation, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = pytest.importorskip("matplotlib.figure")
    ax = figures.Figure().subplots()
    assert result.plot(ax) is ax
    assert result.radiograph is not None
    np.testing.assert_array_equal(ax.images[0].get_array(), result.radiograph.pixels)
    for line, organ in zip(ax.lines, ORGANS, strict=True):
        np.testing.assert_array_equal(line.get_xydata()[:-1], result.contour(organ))
        np.testing.assert_array_equal(line.get_xydata()[-1], result.contour(organ)[0])
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), result.landmarks)
    assert ax.get_ylim() == (249.5, -0.5)
    assert ax.get_aspect() == pytest.approx(0.4 / 0.3)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="plot needs the package matplotlib; install it"):
        result.plot(ax)
