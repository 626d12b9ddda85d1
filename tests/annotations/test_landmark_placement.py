from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

pytest.importorskip("skimage", reason="tracing masks needs scikit-image")

from monai_chexmask_u.anatomy import HEART, LEFT_LUNG, ORGANS, RIGHT_LUNG, Organ
from monai_chexmask_u.annotations.landmark_placement import landmarks_of_contour, landmarks_of_masks, outline_of_mask
from monai_chexmask_u.data import landmark_datalist
from monai_chexmask_u.geometry import Frame, fill_polygon, polygon_area

SHAPE = (1024, 1024)
Floats = NDArray[np.float64]


def usual(organ: Organ) -> Floats:
    """Return the mean shape of an organ, somewhere on a radiograph of 1024 pixels."""
    from monai_chexmask_u.annotations.landmark_placement import MODEL_FILE

    mean = np.load(MODEL_FILE)[f"{organ.name}/mean"][: 2 * organ.node_count].reshape(-1, 2).astype(np.float64)
    return np.asarray(mean * 400 + (512, 500))


def finely(contour: Floats, parts: int) -> Floats:
    """Return the same outline with more points on each edge."""
    steps = np.arange(parts)[None, :, None] / parts
    ends = np.roll(contour, -1, axis=0)
    return np.asarray((contour[:, None] * (1 - steps) + ends[:, None] * steps).reshape(-1, 2))


organs = st.sampled_from(ORGANS)


@given(organs, st.integers(0, 120), st.booleans(), st.integers(1, 5))
def test_it_does_not_matter_how_an_outline_is_written_down(organ: Organ, start: int, back: bool, parts: int) -> None:
    contour = finely(usual(organ), parts)
    other = np.roll(contour, start, axis=0)
    found = landmarks_of_contour(organ, other[::-1] if back else other)
    np.testing.assert_allclose(found, landmarks_of_contour(organ, usual(organ)), atol=0.5)


@given(organs, st.floats(0.05, 20), st.floats(-3000, 3000), st.floats(-3000, 3000))
def test_landmarks_move_and_grow_with_the_outline(organ: Organ, scale: float, x: float, y: float) -> None:
    contour = usual(organ)
    expected = landmarks_of_contour(organ, contour) * scale + (x, y)
    np.testing.assert_allclose(landmarks_of_contour(organ, contour * scale + (x, y)), expected, atol=0.05 * scale)


@pytest.mark.parametrize("organ", ORGANS)
def test_nodes_of_the_usual_shape_stay_where_they_are(organ: Organ) -> None:
    contour = usual(organ)
    moved = np.linalg.norm(landmarks_of_contour(organ, finely(contour, 7)) - contour, axis=1)
    assert moved.mean() < 6  # of 1024 pixels; a mean of shapes is smoother than each of them, and so a bit larger here


@pytest.mark.parametrize("organ", ORGANS)
def test_an_image_that_is_stored_mirrored_gets_mirrored_landmarks(organ: Organ) -> None:
    contour = usual(organ)
    turned = contour * (-1, 1) + (SHAPE[1] - 1, 0)
    frame = Frame.fit(SHAPE, 1024, mirrored=True)
    found = landmarks_of_contour(organ, turned, frame=frame) * (-1, 1) + (SHAPE[1] - 1, 0)
    np.testing.assert_allclose(found, landmarks_of_contour(organ, contour), atol=0.01)


def test_pixels_that_are_no_squares_do_not_bend_the_shape() -> None:
    contour = usual(LEFT_LUNG)
    frame = Frame.fit((512, 1024), 1024, pixel_aspect=2.0)
    found = landmarks_of_contour(LEFT_LUNG, contour * (1, 0.5), frame=frame) * (1, 2)
    np.testing.assert_allclose(found, landmarks_of_contour(LEFT_LUNG, contour), atol=0.5)


@pytest.mark.parametrize(
    ("contour", "cause"),
    [
        ([[0, 0], [1, 1]], "three points"),
        ([[0, 0], [1, 1], [2, 2]], "no area"),
        ([[0, 0], [1, np.nan], [2, 0]], "not finite"),
    ],
)
def test_what_is_no_outline_is_refused_with_the_organ(contour: list[list[float]], cause: str) -> None:
    with pytest.raises(ValueError, match=f"right lung.*{cause}"):
        landmarks_of_contour(RIGHT_LUNG, np.array(contour))


def test_an_organ_without_a_mask_has_no_landmarks() -> None:
    masks = {organ: fill_polygon(usual(organ), SHAPE) for organ in (RIGHT_LUNG, LEFT_LUNG)}
    found = landmarks_of_masks({**masks, HEART: np.zeros(SHAPE, dtype=np.bool_)})
    assert np.isfinite(found[: HEART.first_node]).all()
    assert np.isnan(found[HEART.nodes]).all()


def overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return 2 * float((one & other).sum()) / float(one.sum() + other.sum())


@pytest.mark.parametrize("covered", [False, True], ids=["one mask per organ", "heart covers lungs"])
def test_masks_of_real_radiographs_become_landmarks_and_masks_again(shared_data: Path, covered: bool) -> None:
    """The radiographs of the validation set have not taught the shapes."""
    radiographs = landmark_datalist(shared_data / "jsrt" / "val")[::3]
    distances: dict[Organ, list[float]] = {organ: [] for organ in ORGANS}
    overlaps: dict[Organ, list[float]] = {organ: [] for organ in ORGANS}
    for radiograph in radiographs:
        true = radiograph["label"].astype(np.float64)
        masks = {organ: fill_polygon(true[organ.nodes], SHAPE) for organ in ORGANS}
        if covered:
            masks = {organ: mask if organ is HEART else mask & ~masks[HEART] for organ, mask in masks.items()}
        found = landmarks_of_masks(masks)
        for organ in ORGANS:
            distances[organ].extend(np.linalg.norm(found[organ.nodes] - true[organ.nodes], axis=1))
            overlaps[organ].append(overlap(fill_polygon(found[organ.nodes], SHAPE), masks[organ]))
    for organ, most in ((RIGHT_LUNG, 7), (LEFT_LUNG, 8), (HEART, 14)):
        assert np.mean(distances[organ]) < most
        assert min(overlaps[organ]) > 0.99


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
