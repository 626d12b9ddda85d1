from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.samples.dicom import chest_phantom, phantom_landmarks

pytest.importorskip("cv2", reason="views of radiographs are made with OpenCV")

from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.transforms.training_view import RandTrainingViewd

RADIOGRAPH = Radiograph(chest_phantom(120, 100), Path("chest.png"))
LANDMARKS = phantom_landmarks(120, 100).astype(np.float32)


def view(radiograph: Radiograph = RADIOGRAPH, landmarks: Any = LANDMARKS, *, seed: int = 0, **shares: float) -> Any:
    transform = RandTrainingViewd("image", 64, "label", **shares)
    transform.set_random_state(seed)
    return transform({"image": radiograph, "label": landmarks})


def test_views_are_network_images_with_landmarks_of_the_network_frame() -> None:
    for seed in range(20):
        item = view(seed=seed, foreign=0)
        assert item["image"].shape == (1, 64, 64)
        assert 0 <= item["image"].min() <= item["image"].max() <= 1
        assert item["label"].shape == (120, 2)
        assert item["label"].isfinite().all()


def test_a_foreign_view_has_no_landmarks() -> None:
    for seed in range(20):
        item = view(seed=seed, foreign=1)
        assert item["label"].isnan().all()
        assert item["image"].isfinite().all()


def test_the_same_random_state_gives_the_same_view() -> None:
    first, second, other = view(seed=1), view(seed=1), view(seed=2)
    torch.testing.assert_close(first["image"], second["image"], rtol=0, atol=0)
    assert not torch.equal(first["image"], other["image"])


def test_a_mirrored_radiograph_is_shown_as_the_upright_one() -> None:
    columns = RADIOGRAPH.pixels.shape[1]
    mirrored = replace(RADIOGRAPH, pixels=np.ascontiguousarray(RADIOGRAPH.pixels[:, ::-1]), mirrored=True)
    points = LANDMARKS.copy()
    points[:, 0] = columns - 1 - points[:, 0]
    plain, turned = view(foreign=0, corrupted=0), view(mirrored, points, foreign=0, corrupted=0)
    torch.testing.assert_close(turned["image"], plain["image"])
    torch.testing.assert_close(turned["label"], plain["label"])
