from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monai_chexmask_u.calibrating.limits import choose_limits

NAMES = ("combined", "shape_distance", "uncertainty:heart")


def radiographs(seed: int, count: int) -> list[dict[str, float]]:
    values = np.abs(np.random.default_rng(seed).normal(size=(count, 3)))
    return [dict(zip(NAMES, map(float, row), strict=True)) for row in values]


@given(seed=st.integers(0, 9999), outlined=st.integers(1, 40), frontal=st.integers(0, 40))
def test_nearly_all_good_radiographs_look_like_ones_and_none_is_called_foreign(
    seed: int, outlined: int, frontal: int
) -> None:
    good = radiographs(seed, outlined + frontal)
    limits = choose_limits(good[:outlined], good[outlined:]).by_criterion
    looks = [all(item[name] <= limits[name].review for name in NAMES[:2]) for item in good]
    assert np.mean(looks) >= 0.95
    assert all(item[name] <= limits[name].reject for item in good for name in NAMES[:2])


def test_the_limits_are_the_lowest_of_one_rank() -> None:
    good = [{"combined": float(n), "shape_distance": 10.0 * n} for n in range(100)]
    limits = choose_limits(good[:50], good[50:]).by_criterion
    assert (limits["combined"].review, limits["shape_distance"].review) == (94, 940)
    assert limits["combined"].reject == 99
    assert limits["shape_distance"].reject == 990 + (990 - 495)


def test_uncertainty_is_compared_with_that_of_outlined_radiographs() -> None:
    outlined = [{"combined": 0.0, "uncertainty:heart": value} for value in (8.0, 10.0, 30.0)]
    foreign_scanner = [{"combined": 0.0, "uncertainty:heart": 500.0}]
    limit = choose_limits(outlined, foreign_scanner).by_criterion["uncertainty:heart"]
    assert (limit.review, limit.reject) == (20, 60)


def test_limits_need_outlined_radiographs() -> None:
    with pytest.raises(ValueError, match="good radiographs"):
        choose_limits([], radiographs(0, 3))
