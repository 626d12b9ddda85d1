from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from monai_chexmask_u.experiments.foreign import FOREIGN, make_foreign
from monai_chexmask_u.radiograph import Radiograph

PIXELS = np.random.default_rng(0).random((40, 30), dtype=np.float32)
RADIOGRAPH = Radiograph(PIXELS, Path("chest.png"), spacing_mm=(0.3, 0.2), mirrored=True)


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_images_are_radiographs_of_their_own_and_repeatable(kind: str) -> None:
    image = make_foreign(RADIOGRAPH, kind, seed=1)
    assert not np.array_equal(image.pixels, PIXELS)
    assert image.mirrored
    np.testing.assert_array_equal(make_foreign(RADIOGRAPH, kind, seed=1).pixels, image.pixels)


def test_foreign_images_are_what_their_names_say() -> None:
    made = {kind: make_foreign(RADIOGRAPH, kind, seed=1).pixels for kind in FOREIGN}
    np.testing.assert_array_equal(made["upside_down"], PIXELS[::-1])
    np.testing.assert_array_equal(made["mirrored"], PIXELS[:, ::-1])
    np.testing.assert_array_equal(made["rotated_90"][0], PIXELS[:, -1])
    np.testing.assert_array_equal(made["inverted"], 1 - PIXELS)
    assert (made["blank"].max(), made["white"].min()) == (0, 1)
    assert made["heavy_crop"].shape == (12, 9)
    windows = np.lib.stride_tricks.sliding_window_view(PIXELS, (12, 9))
    assert (windows == made["heavy_crop"]).all(axis=(2, 3)).any()
    assert made["uniform_noise_image"].std() == pytest.approx(1 / np.sqrt(12), rel=0.05)
    assert made["gaussian_noise_image"].mean() == pytest.approx(0.5, abs=0.05)


def test_noise_depends_on_the_seed() -> None:
    one, other = (make_foreign(RADIOGRAPH, "gaussian_noise_image", seed).pixels for seed in (1, 2))
    assert not np.array_equal(one, other)


def test_turned_image_has_the_spacing_turned() -> None:
    assert make_foreign(RADIOGRAPH, "rotated_90", seed=0).spacing_mm == (0.2, 0.3)
    assert make_foreign(RADIOGRAPH, "inverted", seed=0).spacing_mm == (0.3, 0.2)
