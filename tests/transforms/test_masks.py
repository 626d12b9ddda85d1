from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from dicom_samples import phantom_landmarks
from monai.data import MetaTensor

from monai_chexmask_u.anatomy import HEART, LEFT_LUNG, RIGHT_LUNG
from monai_chexmask_u.geometry import fill_polygon
from monai_chexmask_u.transforms import LandmarksToMasksd

SIZE = 200
LANDMARKS = phantom_landmarks(1, 1)  # in parts of the image; the heart overlaps the left lung


@pytest.mark.parametrize("wrap", [np.asarray, torch.from_numpy, MetaTensor, lambda x: torch.tensor(x).requires_grad_()])
def test_first_channel_is_both_lungs_without_the_heart_and_second_the_heart(wrap: Any) -> None:
    masks = LandmarksToMasksd("pred", SIZE)({"pred": wrap(LANDMARKS)})["pred"]
    assert masks.dtype == torch.uint8
    right, left, heart = (
        fill_polygon(LANDMARKS[organ.nodes] * SIZE, (SIZE, SIZE)) for organ in (RIGHT_LUNG, LEFT_LUNG, HEART)
    )
    assert (left & heart).any()
    np.testing.assert_array_equal(masks[0].numpy(), (right | left) & ~heart)
    np.testing.assert_array_equal(masks[1].numpy(), heart)


def test_masks_lie_where_the_landmarks_do() -> None:
    lungs, heart = LandmarksToMasksd("pred", SIZE)({"pred": LANDMARKS})["pred"]
    # (row, column) of points in the right lung, the left lung above the heart, the heart and the corner
    places = [(90, 60), (50, 140), (124, 120), (5, 5)]
    assert [int(lungs[place]) for place in places] == [1, 1, 0, 0]
    assert [int(heart[place]) for place in places] == [0, 0, 1, 0]


def test_published_size_is_the_default_and_absent_keys_are_errors() -> None:
    assert LandmarksToMasksd("pred")({"pred": LANDMARKS})["pred"].shape == (2, 1024, 1024)
    with pytest.raises(KeyError, match="pred"):
        LandmarksToMasksd("pred", SIZE)({"label": LANDMARKS})
