from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from support.samples.segmentations import make_radiograph, make_segmentation

from monai_chexmask_u.writers.mask import write_mask


def test_image_has_the_size_of_the_image_and_its_labels(tmp_path: Path) -> None:
    radiograph = make_radiograph()
    result = make_segmentation(radiograph)
    write_mask(result, radiograph, tmp_path / "chest.mask.png")
    with Image.open(tmp_path / "chest.mask.png") as image:
        assert (image.format, image.mode, image.size) == ("PNG", "L", (200, 250))
        labels = np.asarray(image)
    np.testing.assert_array_equal(labels, result.label_mask())
    assert np.unique(labels).tolist() == [0, 1, 2, 3]


def test_landmarks_outside_the_image_do_no_harm(tmp_path: Path) -> None:
    radiograph = make_radiograph()
    result = make_segmentation(radiograph)
    moved = make_segmentation(radiograph, landmarks=result.landmarks + np.array([100, -60]))
    write_mask(moved, radiograph, tmp_path / "chest.mask.png")
    labels = np.asarray(Image.open(tmp_path / "chest.mask.png"))
    np.testing.assert_array_equal(labels[:190, 100:], result.label_mask()[60:, :100])
    assert not labels[:, :100][190:].any()
