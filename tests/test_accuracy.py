"""What the shipped weights reach on real radiographs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.metrics import DiceMetric

from monai_chexmask_u.anatomy import HEART, LEFT_LUNG, RIGHT_LUNG
from monai_chexmask_u.data import landmark_datalist
from monai_chexmask_u.model import load_model
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.segmenter import Segmenter
from monai_chexmask_u.transforms import LandmarksToMasksd
from monai_chexmask_u.transforms.masks import MASK_CHANNELS


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter(load_model(), device="cpu")


def test_overlap_on_the_validation_images_is_what_the_model_card_says(segmenter: Segmenter, shared_data: Path) -> None:
    to_masks = LandmarksToMasksd(keys=["pred", "label"], label_key="label")
    dice = DiceMetric(include_background=True, reduction="mean_batch")
    errors, deviations = [], []
    for item in landmark_datalist(shared_data / "jsrt" / "val"):
        segmentation = segmenter.segment(read_radiograph(Path(item["image"])))
        landmarks = segmentation.landmarks
        errors.append(np.square(landmarks - item["label"]).mean())
        deviations.append(segmentation.std.mean())
        masks = to_masks({"pred": torch.from_numpy(landmarks / 1024), "label": torch.from_numpy(item["label"] / 1024)})
        dice(masks["pred"][None], masks["label"][None])
    overlap = dict(zip(MASK_CHANNELS, dice.aggregate().tolist(), strict=True))
    assert overlap["lungs"] == pytest.approx(0.944, abs=0.002)
    assert overlap["heart"] == pytest.approx(0.934, abs=0.002)
    assert np.mean(errors) == pytest.approx(331, abs=5)
    # Not calibrated yet, as the documents warn.
    assert np.mean(deviations) < np.sqrt(np.mean(errors)) / 3


def test_organs_of_a_real_chest_lie_where_they_belong(segmenter: Segmenter, chest_cr: Path) -> None:
    segmentation = segmenter.segment(read_radiograph(chest_cr))
    right, left, heart = (segmentation.contour(organ).mean(axis=0) for organ in (RIGHT_LUNG, LEFT_LUNG, HEART))
    assert right[0] < heart[0] < left[0]
    assert heart[1] > max(right[1], left[1])
    assert 0.4 < segmentation.cardiothoracic_ratio.value < 0.5
    assert all(0.08 < segmentation.mask(organ).mean() < 0.25 for organ in (RIGHT_LUNG, LEFT_LUNG, HEART))


def test_a_film_stored_mirrored_keeps_its_right_lung(segmenter: Segmenter, chest_cr: Path) -> None:
    film = read_radiograph(chest_cr)
    turned = dataclasses.replace(film, pixels=np.ascontiguousarray(film.pixels[:, ::-1]), mirrored=True)
    expected, actual = segmenter.segment(film), segmenter.segment(turned)
    mirrored = np.stack([film.shape[1] - 1 - actual.landmarks[:, 0], actual.landmarks[:, 1]], axis=1)
    np.testing.assert_allclose(mirrored, expected.landmarks, atol=0.1)
