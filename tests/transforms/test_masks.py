from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.metrics import DiceMetric
from support.samples.dicom import phantom_landmarks

from monai_chexmask_u.anatomy import HEART, LEFT_LUNG, ORGANS, RIGHT_LUNG
from monai_chexmask_u.geometry import fill_polygon
from monai_chexmask_u.transforms import LandmarksToMasksd
from monai_chexmask_u.transforms.masks import MASK_CHANNELS

SIZE = 200
LANDMARKS = phantom_landmarks(1, 1)  # in parts of the image; the heart overlaps the left lung
LABEL = np.where(np.arange(120)[:, None] < HEART.first_node, LANDMARKS, np.nan)  # lungs alone


def masks(key: str = "pred", *, pred: Any = LANDMARKS, label: Any = LANDMARKS) -> dict[str, Any]:
    data: dict[Hashable, Any] = {"pred": pred, "label": label}
    result = LandmarksToMasksd(["pred", "label"], "label", SIZE)(data)
    return dict(zip(MASK_CHANNELS, result[key], strict=True))


@pytest.mark.parametrize("wrap", [np.asarray, torch.from_numpy, MetaTensor, lambda x: torch.tensor(x).requires_grad_()])
def test_channels_are_each_organ_and_both_lungs_without_the_heart(wrap: Any) -> None:
    right, left, heart = (fill_polygon(LANDMARKS[organ.nodes] * SIZE, (SIZE, SIZE)) for organ in ORGANS)
    assert (left & heart).any()
    actual = masks(pred=wrap(LANDMARKS))
    expected = {"right_lung": right, "left_lung": left, "heart": heart, "lungs": (right | left) & ~heart}
    assert list(actual) == list(expected)
    for name, mask in expected.items():
        assert actual[name].dtype == torch.uint8
        np.testing.assert_array_equal(actual[name].numpy(), mask)


def test_masks_lie_where_the_landmarks_do() -> None:
    # (row, column) of points in the right lung, the left lung above the heart, their overlap, the heart and the corner
    places = [(90, 60), (50, 140), (124, 130), (124, 100), (5, 5)]
    expected = {
        "right_lung": [1, 0, 0, 0, 0],
        "left_lung": [0, 1, 1, 0, 0],
        "heart": [0, 0, 1, 1, 0],
        "lungs": [1, 1, 0, 0, 0],
    }
    assert {name: [int(mask[place]) for place in places] for name, mask in masks().items()} == expected


def test_an_unknown_heart_is_empty_in_every_mask_and_is_not_cut_from_the_lungs() -> None:
    right, left = (fill_polygon(LANDMARKS[organ.nodes] * SIZE, (SIZE, SIZE)) for organ in (RIGHT_LUNG, LEFT_LUNG))
    for key in ("pred", "label"):
        actual = masks(key, label=LABEL)
        assert not actual["heart"].any()
        np.testing.assert_array_equal(actual["lungs"].numpy(), right | left)


def test_keys_do_not_wait_for_each_other() -> None:
    """The label is replaced by masks on the way; what is known is told by its landmarks, whatever comes first."""
    item: dict[Hashable, Any] = {"pred": LANDMARKS, "label": LABEL}
    for keys in (["pred", "label"], ["label", "pred"]):
        result = LandmarksToMasksd(keys, "label", SIZE)(item)
        assert not result["pred"][2].any()
        assert result["pred"][0].any()
    np.testing.assert_array_equal(item["label"], LABEL)  # the item given is not changed


def test_monais_dice_leaves_an_unknown_heart_out() -> None:
    result = LandmarksToMasksd(["pred", "label"], "label", SIZE)({"pred": LANDMARKS, "label": LABEL})
    dice = DiceMetric(include_background=True, reduction="none")([result["pred"]], [result["label"]])[0]
    assert dice.isnan().tolist() == [False, False, True, False]


def test_published_size_is_the_default_and_absent_keys_are_errors() -> None:
    assert LandmarksToMasksd("pred", "pred")({"pred": LANDMARKS})["pred"].shape == (4, 1024, 1024)
    with pytest.raises(KeyError, match="pred"):
        LandmarksToMasksd("pred", "label", SIZE)({"label": LANDMARKS})
    with pytest.raises(KeyError, match="label"):
        LandmarksToMasksd("pred", "label", SIZE)({"pred": LANDMARKS})
