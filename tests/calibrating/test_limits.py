from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monai_chexmask_u.calibrating.limits import choose_limits


def films(seed: int, count: int) -> list[dict[str, float]]:
    values = np.random.default_rng(seed).normal(size=(count, 3))
    return [dict(zip(("combined", "shape", "heart"), map(float, row), strict=True)) for row in values]


@given(seed=st.integers(0, 9999), count=st.integers(1, 60))
def test_at_least_95_percent_of_the_good_films_are_accepted_and_none_is_rejected(seed: int, count: int) -> None:
    good = films(seed, count)
    limits = choose_limits(good).by_criterion
    accepted = [all(value <= limits[name].review for name, value in film.items()) for film in good]
    assert np.mean(accepted) >= 0.95 - 1e-9
    assert all(value <= limits[name].reject for film in good for name, value in film.items())


def test_limits_leave_five_percent_of_the_good_films_out() -> None:
    good = [{"combined": float(n), "heart": float(n)} for n in range(100)]
    limits = choose_limits(good).by_criterion
    assert limits["combined"].review == pytest.approx(94)
    assert limits["heart"].review == pytest.approx(94)
    assert limits["combined"].reject == 99
    assert limits["heart"].reject == 99 + (99 - 49.5)


def test_limits_are_as_far_off_in_units_of_each_criterion() -> None:
    good = [{"combined": float(n), "heart": 10.0 * n} for n in range(100)]
    limits = choose_limits(good).by_criterion
    assert limits["heart"].review == pytest.approx(10 * limits["combined"].review)


def test_limits_need_films() -> None:
    with pytest.raises(ValueError, match="good films"):
        choose_limits([])
