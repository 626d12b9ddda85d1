from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from support.samples.published_tables import PublishedRow, drawn_mask, make_rows, row_major_code

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.dataset.published_tables.defects import Checked, check_rows, parse_runs
from monai_chexmask_u.geometry import run_length_decode, run_length_encode

SHAPE = (160, 120)


@given(mask=arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_run_length_code_is_row_major_and_counts_from_one(mask: np.ndarray) -> None:
    code = row_major_code(mask)
    assert run_length_encode(mask) == code
    np.testing.assert_array_equal(run_length_decode(code, mask.shape), mask)


@given(masks=st.lists(arrays(np.bool_, (7, 5)), min_size=1, max_size=5))
def test_extents_are_those_of_the_decoded_masks(masks: list[np.ndarray]) -> None:
    runs = parse_runs(pa.array([row_major_code(mask) for mask in masks]))
    extents = runs.extents(np.full(len(masks), 5.0))
    for mask, extent in zip(masks, extents, strict=True):
        rows, columns = np.nonzero(mask)
        if rows.size == 0:
            assert np.isnan(extent).all()
        else:
            # A run that continues in the next row reaches from border to border, as its pixels do.
            last = np.flatnonzero(mask.ravel())[-1]
            found = [columns.min(), rows.min(), columns.max(), rows.max(), last]
            np.testing.assert_array_equal(extent, found)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("1 2 3", "has an odd count of numbers, but a mask has pairs of start and length"),
        ("1 x", "holds something that is no pixel number"),
        ("0 4", "holds something that is no pixel number"),
        ("-1 4", "holds something that is no pixel number"),
        ("1.5 4", "holds something that is no pixel number"),
        ("1 99999999999999999999", "holds something that is no pixel number"),
    ],
)
def test_a_broken_mask_says_what_is_wrong_and_alters_no_other(code: str, why: str) -> None:
    runs = parse_runs(pa.array(["3 2", code, "", None, "  4   2 "]))
    assert runs.broken == {1: why}
    extents = runs.extents(np.full(5, 10.0))
    np.testing.assert_array_equal(extents[0], [2, 0, 3, 0, 3])
    np.testing.assert_array_equal(extents[4], [3, 0, 4, 0, 4])
    assert np.isnan(extents[1:4]).all()


def check(rows: list[PublishedRow], *, heights: list[float], widths: list[float], **options: object) -> Checked:
    masks = {
        organ: parse_runs(
            pa.array([row_major_code(drawn_mask(row.landmarks[organ.nodes], (row.height, row.width))) for row in rows])
        )
        for organ in ORGANS
    }
    points = np.stack([row.landmarks for row in rows]).astype(np.float64)
    return check_rows(points, np.array(heights), np.array(widths), masks, **options)  # type: ignore[arg-type]


def test_clean_rows_have_no_notes() -> None:
    rows = make_rows(3, shape=SHAPE)
    checked = check(rows, heights=[160.0] * 3, widths=[120.0] * 3)
    assert checked.notes == [[], [], []]
    assert checked.heights.tolist() == [160] * 3


def test_masks_tell_that_height_and_width_were_swapped() -> None:
    rows = make_rows(2, shape=SHAPE)
    checked = check(rows, heights=[120.0, 160.0], widths=[160.0, 120.0])
    assert checked.notes == [["height_width_swapped"], []]
    assert (checked.heights.tolist(), checked.widths.tolist()) == ([160, 160], [120, 120])


def test_masks_that_fit_neither_way_are_reported() -> None:
    checked = check(make_rows(1, shape=SHAPE), heights=[160.0], widths=[119.0])
    assert checked.notes == [["mask_differs"]]
    assert (checked.heights.tolist(), checked.widths.tolist()) == ([160], [119])


def test_a_mask_of_other_landmarks_is_reported() -> None:
    row = make_rows(1, shape=SHAPE)[0]
    masks = {
        organ: parse_runs(pa.array([row_major_code(drawn_mask(row.landmarks[organ.nodes], SHAPE))])) for organ in ORGANS
    }
    checked = check_rows((row.landmarks[None] + 10).astype(np.float64), np.array([160.0]), np.array([120.0]), masks)
    assert checked.notes == [["mask_differs"]]


def test_an_empty_mask_is_reported_unless_its_organ_lies_outside() -> None:
    points = np.stack([make_rows(1, shape=SHAPE)[0].landmarks] * 3).astype(np.float64)
    points[1:] += 1000
    other = row_major_code(drawn_mask(make_rows(1, shape=SHAPE)[0].landmarks[ORGANS[1].nodes], SHAPE))
    masks = {
        ORGANS[0]: parse_runs(pa.array(["", "", "5 3"])),
        ORGANS[1]: parse_runs(pa.array([other, "", ""])),
    }
    checked = check_rows(points, np.array([160.0] * 3), np.array([120.0] * 3), masks)
    assert checked.notes == [["mask_differs"], ["outside_image"], ["mask_differs", "outside_image"]]
    alone = {ORGANS[0]: parse_runs(pa.array(["", "", ""]))}
    assert check_rows(points, np.array([160.0] * 3), np.array([120.0] * 3), alone).notes[0] == [], "no masks at all"


def test_a_mask_that_ends_just_below_the_image_is_reported() -> None:
    row = make_rows(1, shape=SHAPE)[0]
    points = row.landmarks.copy()
    points[ORGANS[0].nodes] += [0, 159 - points[ORGANS[0].nodes, 1].max()]
    code = row_major_code(drawn_mask(points[ORGANS[0].nodes], SHAPE))
    masks = {ORGANS[0]: parse_runs(pa.array([code]))}
    for height, notes in ((160.0, []), (159.0, ["mask_differs", "outside_image"])):
        checked = check_rows(points[None].astype(np.float64), np.array([height]), np.array([120.0]), masks)
        assert checked.notes == [notes]


def test_a_mask_that_leaves_the_image_is_reported() -> None:
    checked = check(make_rows(1, shape=SHAPE), heights=[80.0], widths=[120.0])
    assert checked.notes == [["mask_differs", "outside_image"]]


def test_unknown_sizes_stay_unknown_and_are_reported() -> None:
    rows = make_rows(2, shape=SHAPE)
    checked = check(rows, heights=[np.nan, 160.0], widths=[120.0, np.nan])
    assert checked.notes == [["height_unknown"], ["width_unknown"]]
    assert np.isnan(checked.heights[0])


def test_landmarks_outside_the_image_are_reported() -> None:
    points = np.full((5, 120, 2), 5.0)
    points[0, 7, 0], points[1, 7, 1], points[2, 7], points[3, 7, 0], points[4, 7] = -1, 10, 9, 10, 0
    checked = check_rows(points, np.full(5, 10.0), np.full(5, 10.0), {})
    assert checked.notes == [["outside_image"], ["outside_image"], [], ["outside_image"], []]


def test_a_best_reference_below_the_mean_of_all_is_reported() -> None:
    points, sizes = np.full((3, 120, 2), 5.0), np.full(3, 10.0)
    checked = check_rows(
        points, sizes, sizes, {}, rca_mean=np.array([0.8, 0.8, np.nan]), rca_max=np.array([0.7, 0.8, 0.7])
    )
    assert checked.notes == [["rca_inconsistent"], [], []]


def test_printed_landmarks_and_a_forgotten_border_are_reported() -> None:
    points, sizes = np.full((2, 120, 2), 5.0), np.full(2, 10.0)
    checked = check_rows(points, sizes, sizes, {}, printed=np.array([True, False]), border_lost=np.array([True, False]))
    assert checked.notes == [["border_not_restored", "landmarks_printed"], []]
