"""The way into the published square is judged by OpenCV, which resizes an image whose gray levels are coordinates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.samples.dicom import phantom_landmarks
from support.samples.published_tables import chexmask_u_way_back, chexmask_way_back

from monai_chexmask_u.dataset.published_tables.frame import (
    PublishedFrame,
    undo_chexmask_u,
)
from monai_chexmask_u.geometry import Box, content_box
from monai_chexmask_u.reading import read_radiograph

BORDER = (60, 20, 130, 10)  # above, below, on the left, on the right


@st.composite
def frames(draw: st.DrawFn) -> PublishedFrame:
    height, width = draw(st.integers(40, 4000)), draw(st.integers(40, 4000))
    top, left = draw(st.integers(0, height - 10)), draw(st.integers(0, width - 10))
    rows, columns = draw(st.integers(10, height - top)), draw(st.integers(10, width - left))
    return PublishedFrame((height, width), Box(top, left, rows, columns))


def preprocess(image: NDArray[np.float32], crop: Box) -> NDArray[np.float32]:
    """Do what the published preprocessing does to an image."""
    cv2 = pytest.importorskip("cv2")
    part = image[crop.slices]
    side = max(part.shape)
    above, left = (side - part.shape[0]) // 2, (side - part.shape[1]) // 2
    square = np.zeros((side, side), dtype=np.float32)
    square[above : above + part.shape[0], left : left + part.shape[1]] = part
    resized: NDArray[np.float32] = cv2.resize(square, (1024, 1024), interpolation=cv2.INTER_LINEAR)
    return resized


def coordinates_in_square(frame: PublishedFrame) -> NDArray[np.float64]:
    """Return where each pixel of the square comes from ``(1024, 1024, 2)``, (x, y), by OpenCV."""
    y, x = np.indices(frame.shape, dtype=np.float32)
    return np.stack([preprocess(x, frame.crop), preprocess(y, frame.crop)], axis=-1).astype(np.float64)


@given(frame=frames(), points=st.lists(st.tuples(st.floats(-50, 1100), st.floats(-50, 1100)), min_size=1, max_size=5))
def test_the_way_back_undoes_the_way_there(frame: PublishedFrame, points: list[tuple[float, float]]) -> None:
    np.testing.assert_allclose(frame.to_preprocessed(frame.to_image(points)), points, atol=1e-6)


@given(frame=frames())
def test_outer_edges_of_the_longer_side_are_those_of_the_square(frame: PublishedFrame) -> None:
    crop = frame.crop
    corners = frame.to_preprocessed(
        [(crop.left - 0.5, crop.top - 0.5), (crop.left + crop.width - 0.5, crop.top + crop.height - 0.5)]
    )
    along = 0 if crop.width >= crop.height else 1
    np.testing.assert_allclose(corners[:, along], [-0.5, 1023.5], atol=1e-9)


@pytest.mark.parametrize(
    ("shape", "crop"),
    [
        ((1024, 1024), Box(0, 0, 1024, 1024)),
        ((900, 1300), Box(0, 0, 900, 1300)),
        ((1301, 900), Box(0, 0, 1301, 900)),
        ((1500, 1400), Box(101, 33, 1203, 1300)),
    ],
)
def test_opencv_puts_pixels_where_the_frame_does(shape: tuple[int, int], crop: Box) -> None:
    frame = PublishedFrame(shape, crop)
    there = coordinates_in_square(frame)
    # Inside the part; OpenCV mixes its outermost pixels with black.
    low, high = np.array([crop.left, crop.top]) + 3, np.array([crop.left + crop.width, crop.top + crop.height]) - 4
    points = np.stack(np.meshgrid(np.arange(5, 1020, 7), np.arange(5, 1020, 7)), axis=-1).reshape(-1, 2)
    back = frame.to_image(points)
    inside = ((back > low) & (back < high)).all(axis=1)
    assert inside.sum() > 1000
    np.testing.assert_allclose(back[inside], there[points[inside, 1], points[inside, 0]], atol=0.01)


def radiograph_with_border(shared_data: Path) -> NDArray[np.float32]:
    """Return a real radiograph that fills its square, with a black border around it."""
    for path in sorted((shared_data / "nih" / "images").iterdir()):
        pixels = read_radiograph(path).pixels
        if content_box(pixels) == Box(0, 0, 1024, 1024):
            return np.pad(pixels, (BORDER[:2], BORDER[2:]))
    raise AssertionError("no radiograph without a border among them")


@pytest.fixture(params=["phantom", "real radiograph"])
def bordered(request: pytest.FixtureRequest) -> NDArray[np.float32]:
    if request.param == "real radiograph":
        return radiograph_with_border(request.getfixturevalue("shared_data"))
    image = np.random.default_rng(0).uniform(0.2, 1, (1200, 1000)).astype(np.float32)
    return np.pad(image, (BORDER[:2], BORDER[2:]))


def test_only_the_way_back_with_the_border_finds_the_landmarks(bordered: NDArray[np.float32]) -> None:
    crop = content_box(bordered)
    assert (crop.top, crop.left) == (BORDER[0], BORDER[2])
    frame = PublishedFrame(bordered.shape, crop)
    true = phantom_landmarks(crop.height, crop.width) + np.array([crop.left, crop.top])
    # Where they are in the square, by OpenCV: the pixel that comes from nearest to each. Published ones are whole, too.
    there = coordinates_in_square(frame)
    published = []
    for x, y in true:
        row, column = np.unravel_index(np.argmin(((there - [x, y]) ** 2).sum(axis=-1)), (1024, 1024))
        published.append((float(column), float(row)))

    ours = frame.to_image(published)
    assert np.abs(ours - true).max() <= 0.5 / frame.scale + 0.01
    chexmask = chexmask_way_back(published, frame)
    assert np.abs(chexmask - true).max() <= 1 / frame.scale + 0.01

    # CheXmask-U's tables in original resolution forget the border: the shift is about that of the border's center,
    # and the outline comes out too large.
    forgotten = chexmask_u_way_back(published, bordered.shape)
    assert np.linalg.norm(forgotten - true, axis=1).min() > 10
    grown = max(bordered.shape) / max(crop.height, crop.width)
    np.testing.assert_allclose(np.ptp(forgotten, axis=0) / np.ptp(true, axis=0), grown, rtol=0.01)

    # What it misplaced is put right by undoing it, for its numbers in full and for the rounded ones of the tables.
    np.testing.assert_allclose(frame.to_image(undo_chexmask_u(forgotten, bordered.shape)), ours, atol=1e-9)
    rounded = undo_chexmask_u(np.rint(forgotten), bordered.shape)
    assert np.abs(frame.to_image(rounded) - ours).max() <= 0.5 + 0.01


def test_without_a_border_all_ways_agree_within_a_pixel() -> None:
    shape = (1400, 1170)
    frame = PublishedFrame.whole(shape)
    points = phantom_landmarks(1024, 1024)
    ours = frame.to_image(points)
    assert np.abs(chexmask_way_back(points, frame) - ours).max() < 1
    assert np.abs(chexmask_u_way_back(points, shape) - ours).max() < 2
