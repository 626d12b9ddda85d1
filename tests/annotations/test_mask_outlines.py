from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("skimage", reason="tracing masks needs scikit-image")

from monai_chexmask_u.annotations.mask_outlines import outline_of_mask
from monai_chexmask_u.geometry import fill_polygon, polygon_area


@given(st.integers(0, 60), st.integers(0, 40), st.floats(12, 30), st.floats(0.5, 1))
def test_filling_the_outline_gives_the_mask_again(x: int, y: int, radius: float, flat: float) -> None:
    rows, columns = np.mgrid[:100, :120]
    mask = ((columns - x) / radius) ** 2 + ((rows - y) / radius / flat) ** 2 < 1  # may reach beyond the border
    mask |= (abs(columns - 80) < radius) & (abs(rows - 60) < radius)
    mask &= fill_polygon([(x - 30, y - 30), (x + 31, y - 30), (x + 31, y + 31), (x - 30, y + 31)], mask.shape)
    if mask.sum() < 64:
        return
    try:
        outline = outline_of_mask(mask, "heart")
    except ValueError:
        return  # in two pieces
    again = fill_polygon(outline, mask.shape)
    assert (again ^ mask).sum() <= 0.02 * mask.sum() + 8


def test_the_area_of_a_disk_is_kept() -> None:
    rows, columns = np.mgrid[:200, :200]
    mask = np.hypot(rows - 90, columns - 110) < 60
    assert float(polygon_area(outline_of_mask(mask, "heart"))) == pytest.approx(mask.sum(), rel=2e-3)


def test_an_outline_closes_along_the_border_of_the_image() -> None:
    mask = np.ones((30, 40), dtype=np.bool_)
    outline = outline_of_mask(mask, "heart")
    np.testing.assert_allclose([outline.min(axis=0), outline.max(axis=0)], [[-0.5, -0.5], [39.5, 29.5]], atol=0.05)


def test_holes_are_filled_and_specks_left_out() -> None:
    mask = np.zeros((100, 100), dtype=np.bool_)
    mask[20:80, 30:70] = True
    expected = outline_of_mask(mask, "heart")
    mask[40:45, 40:45] = False
    mask[90:93, 90:93] = True
    np.testing.assert_array_equal(outline_of_mask(mask, "heart"), expected)


def test_two_pieces_are_refused() -> None:
    mask = np.zeros((100, 100), dtype=np.bool_)
    mask[10:40, 30:70] = mask[60:90, 30:70] = True
    with pytest.raises(ValueError, match=r"right lung is in pieces of 1200 and 1200 pixels.*join"):
        outline_of_mask(mask, "right lung")


@pytest.mark.parametrize("side", [0, 7])
def test_a_mask_that_is_too_small_is_refused(side: int) -> None:
    mask = np.zeros((50, 50), dtype=np.bool_)
    mask[:side, :side] = True
    with pytest.raises(ValueError, match=f"the left lung has {side * side} pixels; at least 64"):
        outline_of_mask(mask, "left lung")
