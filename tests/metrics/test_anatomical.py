from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.samples.dicom import phantom_landmarks
from torch import Tensor

from monai_chexmask_u.anatomy import HEART, ORGANS, RIGHT_LUNG
from monai_chexmask_u.metrics import CardiothoracicRatioErrorMetric, RelativeAreaErrorMetric

METRICS = (RelativeAreaErrorMetric, CardiothoracicRatioErrorMetric)


def landmarks(*, side: float = 1000) -> Tensor:
    """The phantom's ellipses; its heart is 0.3 wide, and its thorax 0.7."""
    return torch.from_numpy(phantom_landmarks(1, 1) * side)[None]


def with_organ_scaled(true: Tensor, nodes: slice, factor: tuple[float, float]) -> Tensor:
    """Stretch one organ about its center."""
    scaled = true.clone()
    center = true[:, nodes].mean(dim=1, keepdim=True)
    scaled[:, nodes] = center + (true[:, nodes] - center) * torch.tensor(factor)
    return scaled


def without_heart(true: Tensor) -> Tensor:
    partial = true.clone()
    partial[:, HEART.nodes] = torch.nan
    return partial


def aggregated(metric: Any, *pairs: tuple[Tensor, Tensor]) -> list[float]:
    for predicted, true in pairs:
        metric(predicted, true)
    values: list[float] = metric.aggregate().tolist()
    return values


@pytest.mark.parametrize("organ", ORGANS, ids=lambda organ: organ.name)
@given(x=st.floats(0.5, 2), y=st.floats(0.5, 2))
def test_stretching_an_organ_changes_its_area_by_the_product(organ: Any, x: float, y: float) -> None:
    values = RelativeAreaErrorMetric()(with_organ_scaled(landmarks(), organ.nodes, (x, y)), landmarks())
    expected = np.where([each is organ for each in ORGANS], abs(x * y - 1), 0.0)
    np.testing.assert_allclose(values.numpy(), expected[None], rtol=1e-5, atol=1e-6)


@given(x=st.floats(-300, 300), y=st.floats(-300, 300), side=st.floats(10, 2000))
def test_place_and_unit_do_not_matter(x: float, y: float, side: float) -> None:
    true, small = landmarks(side=side), landmarks(side=side)
    predicted = with_organ_scaled(with_organ_scaled(small, HEART.nodes, (1.2, 1.1)), RIGHT_LUNG.nodes, (0.9, 1.0))
    predicted = predicted + torch.tensor([x, y])
    np.testing.assert_allclose(RelativeAreaErrorMetric()(predicted, true)[0], [0.1, 0.0, 0.32], rtol=0, atol=1e-6)


@given(factor=st.floats(0.5, 1.8))
def test_a_wider_heart_changes_the_ratio_by_its_width_over_the_thorax(factor: float) -> None:
    error = CardiothoracicRatioErrorMetric()(with_organ_scaled(landmarks(), HEART.nodes, (factor, 1.0)), landmarks())
    # The nodes do not quite reach the ellipses' sides, which makes a hundredth.
    np.testing.assert_allclose(error.numpy(), [[abs(factor - 1) * 0.3 / 0.7]], rtol=0.01, atol=1e-6)


def test_equal_landmarks_have_no_error() -> None:
    assert aggregated(RelativeAreaErrorMetric(), (landmarks(), landmarks())) == [0, 0, 0]
    assert aggregated(CardiothoracicRatioErrorMetric(), (landmarks(), landmarks())) == [0]


def test_images_without_a_heart_are_left_out_of_what_needs_it() -> None:
    wide = with_organ_scaled(landmarks(), HEART.nodes, (1.5, 1.0))
    wide = with_organ_scaled(wide, RIGHT_LUNG.nodes, (1.0, 0.9))
    pairs = ((wide, landmarks()), (landmarks(), without_heart(landmarks())))
    areas = aggregated(RelativeAreaErrorMetric(), *pairs)
    np.testing.assert_allclose(areas, [0.1 / 2, 0.0, 0.5], rtol=1e-5, atol=1e-9)
    ratio = aggregated(CardiothoracicRatioErrorMetric(), *pairs)
    np.testing.assert_allclose(ratio, aggregated(CardiothoracicRatioErrorMetric(), pairs[0]), rtol=1e-6)


def test_what_no_image_knows_has_no_error_instead_of_none() -> None:
    pair = (landmarks(), without_heart(landmarks()))
    assert np.isnan(aggregated(RelativeAreaErrorMetric(), pair)).tolist() == [False, False, True]
    assert np.isnan(aggregated(CardiothoracicRatioErrorMetric(), pair)).tolist() == [True]


def test_images_are_averaged_over_several_calls_until_the_reset() -> None:
    metric, true = RelativeAreaErrorMetric(), landmarks()
    for factor in (1.1, 1.2, 1.6):
        metric(list(with_organ_scaled(true, HEART.nodes, (factor, 1.0)).float()), list(true.float()))
    torch.testing.assert_close(metric.aggregate(), torch.tensor([0.0, 0.0, 0.3]), rtol=0, atol=1e-5)
    torch.testing.assert_close(
        metric.aggregate("none")[:, 2], torch.tensor([0.1, 0.2, 0.6]).double(), rtol=0, atol=1e-5
    )
    metric.reset()
    assert aggregated(metric, (true, true)) == [0, 0, 0]


@pytest.mark.parametrize("metric", METRICS)
def test_other_shapes_are_refused(metric: Any) -> None:
    for wrong in ((landmarks(), landmarks()[:, :94]), (landmarks()[None], landmarks()[None]), (landmarks(),)):
        with pytest.raises(ValueError, match=r"must both be \(batch, node, 2\)"):
            metric()(*wrong)
