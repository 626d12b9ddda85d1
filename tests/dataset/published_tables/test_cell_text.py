from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from monai_chexmask_u.dataset.published_tables.cell_text import (
    decimals_are_fixed,
    format_decimals,
    format_landmarks,
    format_scalar,
    format_size,
    parse_numbers,
    parse_scalars,
)

COUNT = 240
whole_landmarks = arrays(np.int64, (120, 2), elements=st.integers(-50, 5000))
hundredths = arrays(np.int64, COUNT, elements=st.integers(0, 99_999))


def parsed(text: str, count: int = COUNT) -> np.ndarray:
    numbers = parse_numbers(pa.array([text]), count)
    assert numbers.broken == {}
    return np.asarray(numbers.values[0])


@given(points=whole_landmarks)
def test_landmarks_come_back_from_their_text(points: np.ndarray) -> None:
    text = format_landmarks(points.ravel().astype(np.float64))
    assert text == ",".join(str(value) for value in points.ravel())
    np.testing.assert_array_equal(parsed(text), points.ravel())


@given(points=whole_landmarks)
def test_every_form_of_landmarks_gives_the_same_numbers(points: np.ndarray) -> None:
    with np.printoptions(threshold=10_000):
        forms = [json.dumps(points.tolist()), json.dumps(points.ravel().tolist()), str(points), str(points.ravel())]
        forms += [repr(points.astype(float).tolist()), str(points.astype(float)), str(points).replace("\n", "\r\n")]
    numbers = parse_numbers(pa.array(forms), COUNT)
    np.testing.assert_array_equal(numbers.values, np.broadcast_to(points.ravel(), (len(forms), COUNT)))
    assert numbers.printed.tolist() == [False, False, True, True, False, True, True]


@given(cents=hundredths, fixed=st.booleans())
def test_standard_deviations_come_back_through_single_precision(cents: np.ndarray, fixed: bool) -> None:
    text = ",".join(f"{cent / 100:.2f}" if fixed else repr(cent / 100) for cent in cents.tolist())
    stored = parsed(text).astype(np.float32)
    assert format_decimals(stored.astype(np.float64), 2, fixed=fixed) == text


@given(value=st.floats(0, 1))
def test_rca_comes_back_to_the_last_digit(value: float) -> None:
    assert parse_scalars(pa.array([format_scalar(value)])).values[0] == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1,2,3", "has 3 numbers, but 4 were expected"),
        ("1,2,3,4,5", "has 5 numbers, but 4 were expected"),
        ("1,2,x,4", "holds something that is no number"),
        ("1,2,inf,4", "holds numbers that are not finite"),
        ("1,2,nan,4", "holds numbers that are not finite"),
        ("[[1 2]\n [3 4]", "has brackets that do not match; it was cut off"),
        ("[1 ... 4]", "was printed with its middle left out (...), so that its numbers are lost"),
    ],
)
def test_a_broken_cell_says_what_is_wrong_and_alters_no_other(text: str, why: str) -> None:
    numbers = parse_numbers(pa.array(["1,2,3,4", text, "", None, "5,6,7,8"]), 4)
    assert numbers.broken == {1: why}
    assert numbers.present.tolist() == [True, False, False, False, True]
    np.testing.assert_array_equal(numbers.values[[0, 4]], [[1, 2, 3, 4], [5, 6, 7, 8]])
    assert np.isnan(numbers.values[1:4]).all()


@pytest.mark.parametrize("text", ["1,2,inf,4", "1,2,nan,4"])
def test_numbers_that_are_not_finite_are_broken_among_clean_rows(text: str) -> None:
    assert parse_numbers(pa.array(["1,2,3,4", text]), 4).broken == {1: "holds numbers that are not finite"}


def test_scalars_are_nan_where_there_is_none() -> None:
    scalars = parse_scalars(pa.array(["1024", " 1024.0 ", "", "NaN", "x"]))
    np.testing.assert_array_equal(scalars.values, [1024, 1024, np.nan, np.nan, np.nan])
    assert scalars.broken == {4: "is no number"}


def test_landmarks_are_rounded_to_the_even_pixel() -> None:
    assert format_landmarks(np.array([0.5, 1.5, -0.4, 1023.6])) == "0,2,0,1024"


def test_fractions_of_landmarks_are_kept_where_the_table_has_them() -> None:
    assert format_landmarks(np.array([0.5, 100.0, 0.1], dtype=np.float32), whole=False) == "0.5,100,0.1"


def test_fixed_decimals_are_recognized() -> None:
    assert decimals_are_fixed("1.20,3.45", 2)
    assert not decimals_are_fixed("1.2,3.45", 2)
    assert not decimals_are_fixed("12,3.45", 2)
    assert not decimals_are_fixed("", 2)


def test_sizes_are_written_in_the_style_of_the_table() -> None:
    assert [format_size(7), format_size(7, decimal=True), format_size(None, decimal=True)] == ["7", "7.0", ""]
