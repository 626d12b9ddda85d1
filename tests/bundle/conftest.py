from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dicom_samples import phantom_landmarks
from PIL import Image


@pytest.fixture
def landmark_data(tmp_path: Path) -> Path:
    """Four images of 64 pixels with landmarks, as training and as validation set."""
    for part in ("train", "val"):
        images = tmp_path / "data" / part / "images"
        images.mkdir(parents=True)
        points = np.stack([phantom_landmarks(64, 64)] * 4).astype(np.float32)
        names = [f"{part}{number}" for number in range(4)]
        generator = np.random.default_rng(0)
        for name in names:
            Image.fromarray(generator.integers(0, 255, (64, 64), dtype=np.uint8)).save(images / f"{name}.png")
        np.savez(images.parent / "landmarks.npz", names=np.array(names), landmarks=points)
    return tmp_path / "data"
