from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.data import MetaTensor
from torch import Tensor
from torch.nn import functional as F

from monai_chexmask_u.anatomy import HEART, LEFT_LUNG, ORGANS, RIGHT_LUNG
from monai_chexmask_u.metrics import LandmarkErrorMetric

MEASURES = ("mse", "rmse", "distance")


def landmarks(count: int = 3, *, seed: int = 0) -> Tensor:
    return 1024 * torch.rand(count, 120, 2, generator=torch.Generator().manual_seed(seed))


def without(target: Tensor, nodes: slice, *, image: int = 0) -> Tensor:
    """Landmarks of which one image has some unknown."""
    partial = target.clone()
    partial[image, nodes] = torch.nan
    return partial


def aggregated(measure: Any, predicted: Tensor, true: Tensor, **options: Any) -> Tensor:
    metric = LandmarkErrorMetric(measure, **options)
    metric(predicted, true)
    return metric.aggregate()


@given(x=st.floats(-200, 200), y=st.floats(-200, 200), seed=st.integers(0, 99))
def test_translation_by_d_gives_distance_d_in_every_channel(x: float, y: float, seed: int) -> None:
    true = landmarks(seed=seed)
    moved = true + torch.tensor([x, y])
    expected = torch.full((4,), math.hypot(x, y))
    torch.testing.assert_close(aggregated("distance", moved, true, per_organ=True), expected, rtol=0, atol=2e-4)
    # The published measure averages the squared error over both coordinates as well.
    root = aggregated("rmse", moved, true, per_organ=True)
    torch.testing.assert_close(root, expected / math.sqrt(2), rtol=0, atol=2e-4)


def test_mse_is_that_of_torch() -> None:
    predicted, true = landmarks(seed=1), landmarks(seed=2)
    expected = F.mse_loss(predicted, true)
    torch.testing.assert_close(aggregated("mse", predicted, true), expected.reshape(1), rtol=1e-6, atol=0)


@pytest.mark.parametrize("measure", MEASURES)
def test_values_per_image_and_organ_are_the_closed_form(measure: Any) -> None:
    predicted, true = landmarks(seed=1), landmarks(seed=2)
    actual = LandmarkErrorMetric(measure, per_organ=True)(predicted, true)
    difference = (predicted.double() - true.double()).numpy()
    for channel, nodes in enumerate([slice(None), *(organ.nodes for organ in ORGANS)]):
        part = difference[:, nodes]
        squared = (part**2).mean(axis=(1, 2))
        expected = {"mse": squared, "rmse": np.sqrt(squared), "distance": np.hypot(*part.T).mean(axis=0)}[measure]
        np.testing.assert_allclose(actual[:, channel].numpy(), expected, rtol=1e-10)


@pytest.mark.parametrize("measure", MEASURES)
def test_one_channel_for_all_landmarks_is_the_default(measure: Any) -> None:
    predicted, true = landmarks(seed=1), landmarks(seed=2)
    alone = LandmarkErrorMetric(measure)(predicted, true)
    assert alone.shape == (3, 1)
    with_organs = LandmarkErrorMetric(measure, per_organ=True)(predicted, true)
    torch.testing.assert_close(alone, with_organs[:, :1], rtol=0, atol=0)


def test_rmse_is_reduced_as_the_root_of_the_mean_square() -> None:
    true = landmarks(2)
    predicted = true + torch.tensor([3.0, 11.0]).reshape(2, 1, 1)
    expected = math.sqrt((3**2 + 11**2) / 2)  # their mean would be 7
    assert float(aggregated("rmse", predicted, true)) == pytest.approx(expected, rel=1e-5)
    assert float(aggregated("distance", predicted, true)) == pytest.approx(7 * math.sqrt(2), rel=1e-5)


@pytest.mark.parametrize("measure", MEASURES)
def test_an_unknown_organ_is_left_out_of_its_image(measure: Any) -> None:
    predicted, true = landmarks(seed=1), landmarks(seed=2)
    partial = without(true, HEART.nodes, image=1)
    values = LandmarkErrorMetric(measure, per_organ=True)(predicted, partial)
    whole = LandmarkErrorMetric(measure, per_organ=True)(predicted, true)
    assert values.isnan().nonzero().tolist() == [[1, 3]]
    torch.testing.assert_close(values[[0, 2]], whole[[0, 2]], rtol=0, atol=0)
    torch.testing.assert_close(values[1, 1:3], whole[1, 1:3], rtol=0, atol=0)
    lungs = slice(RIGHT_LUNG.first_node, LEFT_LUNG.nodes.stop)
    alone = LandmarkErrorMetric(measure)(predicted[1:2, lungs], true[1:2, lungs])
    torch.testing.assert_close(values[1:2, :1], alone)


def test_an_unknown_organ_is_left_out_of_the_mean_over_images() -> None:
    predicted, true = landmarks(seed=1), landmarks(seed=2)
    partial = aggregated("mse", predicted, without(true, HEART.nodes, image=1), per_organ=True)
    others = aggregated("mse", predicted[[0, 2]], true[[0, 2]], per_organ=True)
    torch.testing.assert_close(partial[3], others[3])


def test_an_organ_that_no_image_knows_has_no_error_instead_of_none() -> None:
    predicted, true = landmarks(1, seed=1), landmarks(1, seed=2)
    for measure in MEASURES:
        mean = aggregated(measure, predicted, without(true, HEART.nodes), per_organ=True)
        assert mean.isnan().tolist() == [False, False, False, True]


@pytest.mark.parametrize("measure", MEASURES)
def test_a_prediction_that_diverged_is_no_small_error(measure: Any) -> None:
    true = landmarks(2)
    diverged = without(true, slice(0, 5))
    assert aggregated(measure, diverged, true).tolist() == [math.inf]
    assert aggregated(measure, torch.full_like(true, torch.nan), true).tolist() == [math.inf]


@pytest.mark.parametrize("measure", MEASURES)
def test_images_count_alike_however_they_are_handed_over(measure: Any) -> None:
    predicted, true = landmarks(5, seed=1), without(landmarks(5, seed=2), HEART.nodes, image=3)
    expected = aggregated(measure, predicted, true, per_organ=True)
    metric = LandmarkErrorMetric(measure, per_organ=True)
    metric(predicted[:2], true[:2])
    metric(
        list(MetaTensor(predicted[2:])), list(true[2:])
    )  # as MONAI's evaluator hands them over, without a batch axis
    torch.testing.assert_close(metric.aggregate(), expected)
    assert metric.get_buffer()[:, 3].isnan().tolist() == [False, False, False, True, False]
    metric.reset()
    metric(predicted[:1], true[:1])
    torch.testing.assert_close(metric.aggregate(), aggregated(measure, predicted[:1], true[:1], per_organ=True))


def test_reduction_can_be_chosen() -> None:
    predicted, true = landmarks(seed=1), landmarks(seed=2)
    metric = LandmarkErrorMetric("mse", per_organ=True, reduction="sum_batch")
    values = metric(predicted, true)
    torch.testing.assert_close(metric.aggregate(), values.sum(dim=0), check_dtype=False)
    torch.testing.assert_close(metric.aggregate("mean_channel"), values.mean(dim=1), check_dtype=False)
    torch.testing.assert_close(metric.aggregate("none"), values, check_dtype=False)


def test_squares_are_taken_in_double_precision() -> None:
    true = torch.full((1, 120, 2), 1.0, dtype=torch.float16)
    far = torch.full((1, 120, 2), 1025.0, dtype=torch.float16)  # its square is beyond half precision
    assert aggregated("mse", far, true).tolist() == [1024.0**2]


def test_other_measures_and_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="must be mse, rmse or distance, got 'mae'"):
        LandmarkErrorMetric("mae")  # type: ignore[arg-type]
    shape = r"must both be \(batch, node, 2\)"
    with pytest.raises(ValueError, match=shape):
        LandmarkErrorMetric()(landmarks(2), landmarks(3))
    with pytest.raises(ValueError, match=shape):
        LandmarkErrorMetric()(landmarks(2)[..., None], landmarks(2)[..., None])
    with pytest.raises(ValueError, match=shape):
        LandmarkErrorMetric()(landmarks())
