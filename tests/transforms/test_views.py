from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.samples.dicom import chest_phantom, phantom_landmarks

pytest.importorskip("cv2", reason="views of radiographs are made with OpenCV")

from monai_chexmask_u.networks.shift_detector import KINDS_OF_IMAGE
from monai_chexmask_u.transforms.views import FOREIGN_VIEWS, corrupted_view, frontal_view, moved_view

PIXELS = chest_phantom(120, 100)
LANDMARKS = phantom_landmarks(120, 100)

seeds = st.integers(0, 9999)


@given(seed=seeds)
def test_landmarks_move_with_the_pixels(seed: int) -> None:
    pixels = np.zeros((200, 200), np.float32)
    pixels[120:123, 70:73] = 1
    moved, points = moved_view(pixels, np.array([[71.0, 121.0]]), np.random.default_rng(seed))
    rows, columns = np.nonzero(moved > 0.5 * moved.max())
    assert points is not None
    assert np.hypot(columns.mean() - points[0, 0], rows.mean() - points[0, 1]) < 1


@given(seed=seeds)
def test_a_corrupted_view_depends_on_its_random_numbers_alone(seed: int) -> None:
    views = [corrupted_view(PIXELS, LANDMARKS, PIXELS[::-1], np.random.default_rng(seed)) for _ in range(2)]
    np.testing.assert_array_equal(views[0][0], views[1][0])
    np.testing.assert_array_equal(views[0][1], views[1][1])
    assert views[0][1].shape == (120, 2)
    assert 0 <= views[0][0].min() <= views[0][0].max() <= 1


def test_some_views_are_not_corrupted_and_most_are() -> None:
    views = [corrupted_view(PIXELS, LANDMARKS, PIXELS, np.random.default_rng(seed))[0] for seed in range(200)]
    plain = sum(view.shape == PIXELS.shape and np.array_equal(view, PIXELS) for view in views)
    assert 1 <= plain <= 20


def test_a_partner_of_another_shape_is_left_out() -> None:
    for seed in range(60):
        corrupted_view(PIXELS, LANDMARKS, PIXELS[:50], np.random.default_rng(seed))


@given(seed=seeds)
def test_a_frontal_view_has_the_radiographs_shape_and_gray_levels(seed: int) -> None:
    view = frontal_view(PIXELS, np.random.default_rng(seed))
    assert view.shape == PIXELS.shape
    assert view.dtype == np.float32
    assert 0 <= view.min() <= view.max() <= 1


def test_every_kind_but_the_frontal_chest_can_be_made() -> None:
    assert list(FOREIGN_VIEWS) == list(KINDS_OF_IMAGE[1:])


@pytest.mark.parametrize("kind", FOREIGN_VIEWS)
def test_foreign_views_are_images_of_some_size(kind: str) -> None:
    for make in FOREIGN_VIEWS[kind]:
        for seed in range(20):
            view = make(PIXELS, np.random.default_rng(seed))
            assert view.ndim == 2
            assert min(view.shape) >= 20
            assert np.isfinite(view).all()


def test_orientations_are_what_they_are_called() -> None:
    random = np.random.default_rng(0)
    mark = np.zeros((4, 6), np.float32)
    mark[0, 0] = 1
    assert [tuple(np.argwhere(make(mark, random))[0]) for make in FOREIGN_VIEWS["upside_down"]] == [(3, 0), (3, 5)]
    assert [tuple(np.argwhere(make(mark, random))[0]) for make in FOREIGN_VIEWS["turned_sideways"]] == [(5, 0), (0, 3)]
    assert tuple(np.argwhere(FOREIGN_VIEWS["mirrored"][0](mark, random))[0]) == (0, 5)
    assert FOREIGN_VIEWS["inverted"][0](mark, random)[0, 0] == 0
