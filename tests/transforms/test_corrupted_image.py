"""What each corruption does to a radiograph, through the one door, `corrupt`."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.samples.dicom import chest_phantom, phantom_landmarks

from monai_chexmask_u.anatomy import LEFT_LUNG, RIGHT_LUNG
from monai_chexmask_u.geometry import Box
from monai_chexmask_u.transforms import corrupt
from monai_chexmask_u.transforms.corruptions import Corrupted

Gray = NDArray[np.float32]

CHEST = chest_phantom(120, 96)
POINTS = phantom_landmarks(120, 96)
PARTNER = chest_phantom(120, 96, seed=1)[::-1]
BIG = chest_phantom(1024, 1024)
SEEDS = st.integers(0, 2**32 - 1)


def corrupted(name: str, severity: float, *, seed: int = 0) -> Corrupted:
    return corrupt(CHEST, name, severity, seed=seed, landmarks=POINTS, partner=PARTNER)


def levels_of(corrupted: Corrupted) -> Gray:
    gray: Gray = corrupted.pixels * 255
    return gray


def eight_bit(pixels: Gray) -> NDArray[np.uint8]:
    return np.rint(pixels * 255).astype(np.uint8)


def halved(pixels: Gray) -> Gray:
    mean: Gray = pixels.reshape(512, 2, 512, 2).mean(axis=(1, 3))
    return mean


def covered(boxes: tuple[Box, ...], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    mask = np.zeros(shape, dtype=np.bool_)
    for box in boxes:
        mask[box.slices] = True
    return mask


@given(seed=SEEDS, weak=st.floats(1, 30), strong=st.floats(1, 30))
def test_noise_of_two_strengths_is_the_same_noise(seed: int, weak: float, strong: float) -> None:
    gray = np.full((16, 12), 128 / 255)
    one, other = (levels_of(corrupt(gray, "gaussian_noise", std, seed=seed)) - 128 for std in (weak, strong))
    inside = (np.abs(one) < 120) & (np.abs(other) < 120)  # not clipped
    assert inside.any()
    # Each is cut down to a whole number, which is up to 1 less.
    assert np.abs(one / weak - other / strong)[inside].max() <= 1 / min(weak, strong) + 1e-3


def test_noise_is_added_clipped_and_cut_off_as_published() -> None:
    noise = np.random.default_rng(5).standard_normal(CHEST.shape)
    expected = np.clip(eight_bit(CHEST) + 60 * noise, 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(eight_bit(corrupted("gaussian_noise", 60, seed=5).pixels), expected)
    gray = levels_of(corrupt(np.full((300, 300), 0.5), "gaussian_noise", 20))
    assert gray.std() == pytest.approx(20, rel=0.02)
    assert gray.mean() == pytest.approx(127.5, abs=0.3)  # 128, less half a gray level


@pytest.mark.parametrize("half", [2, 24, 48])
def test_blurs_are_those_of_opencv_at_1024(half: int) -> None:
    kernel = 2 * half + 1
    gaussian, median = (eight_bit(corrupt(BIG, name, half).pixels) for name in ("gaussian_blur", "median_blur"))
    np.testing.assert_array_equal(gaussian, cv2.GaussianBlur(eight_bit(BIG), (kernel, kernel), 0))
    np.testing.assert_array_equal(median, cv2.medianBlur(eight_bit(BIG), kernel))


@pytest.mark.parametrize("name", ["gaussian_blur", "median_blur"])
def test_a_small_image_is_blurred_like_a_big_one(name: str) -> None:
    big, small = halved(corrupt(BIG, name, 40).pixels), corrupt(halved(BIG), name, 40).pixels
    np.testing.assert_allclose(small, big, rtol=0, atol=4 / 255)


def test_medians_of_more_than_255_pixels_are_close_to_true_ones() -> None:
    chest = chest_phantom(1500, 1100)
    actual = corrupt(chest, "median_blur", 127).pixels
    half = round(127 * 1500 / 1024)
    padded = np.pad(chest, half, mode="edge")
    for row, column in np.random.default_rng(0).integers(0, (1500, 1100), (20, 2)):
        expected = np.median(padded[row : row + 2 * half + 1, column : column + 2 * half + 1])
        assert actual[row, column] == pytest.approx(float(expected), abs=3 / 255)


@given(seed=SEEDS, count=st.sampled_from([1, 4]), side=st.floats(1, 2049), spread=st.floats(0.1, 5))
def test_black_pixels_are_exactly_those_of_the_boxes(seed: int, count: int, side: float, spread: float) -> None:
    """Also where the landmarks lie far outside the image."""
    points = (POINTS - 60) * spread + 60
    name = "occlusion" if count == 1 else "occlusion_4"
    result = corrupt(np.ones((120, 96)), name, side, seed=seed, landmarks=points)
    black = result.pixels == 0
    np.testing.assert_array_equal(black, covered(result.boxes, black.shape))
    assert len(result.boxes) <= count
    # The node's pixel is black if and only if the node is altered.
    column, row = np.floor(points + 0.5).astype(int).T
    inside = (row >= 0) & (row < 120) & (column >= 0) & (column < 96)
    expected = np.array([here and black[r, c] for here, r, c in zip(inside, row, column, strict=True)])
    np.testing.assert_array_equal(result.altered_nodes, expected)


@pytest.mark.parametrize(
    ("name", "side", "counts"), [("occlusion", 301, {(1, 0), (0, 1)}), ("occlusion_4", 201, {(2, 2)})]
)
def test_squares_are_the_published_ones(name: str, side: int, counts: set[tuple[int, int]]) -> None:
    points = 512 + (phantom_landmarks(1024, 1024) - 512) * 0.5  # no square is cut off
    found = set()
    for seed in range(20):
        result = corrupt(BIG, name, side, seed=seed, landmarks=points)
        assert {(box.height, box.width) for box in result.boxes} == {(side, side)}
        centers = [(box.left + side // 2, box.top + side // 2) for box in result.boxes]
        assert len(set(centers)) == len(centers)
        lungs = [{(round(x), round(y)) for x, y in points[organ.nodes]} for organ in (RIGHT_LUNG, LEFT_LUNG)]
        found.add(tuple(sum(center in lung for center in centers) for lung in lungs))
    assert found == counts


@given(seed=SEEDS, name=st.sampled_from(["occlusion", "occlusion_4"]), sides=st.tuples(*[st.floats(1, 1200)] * 2))
def test_bigger_squares_cover_the_smaller_ones(seed: int, name: str, sides: tuple[float, float]) -> None:
    small, big = (covered(corrupted(name, side, seed=seed).boxes, CHEST.shape) for side in sorted(sides))
    assert big[small].all()


def test_local_blur_changes_pixels_in_one_square_alone() -> None:
    noise = np.random.default_rng(0).uniform(size=(1024, 1024)).astype(np.float32)
    points = phantom_landmarks(1024, 1024)
    result = corrupt(noise, "local_blur", 24, landmarks=points)
    (box,) = result.boxes
    expected = eight_bit(noise)
    expected[box.slices] = cv2.GaussianBlur(expected, (49, 49), 0)[box.slices]
    np.testing.assert_array_equal(eight_bit(result.pixels), expected)
    assert (box.height, box.width) == (241, 241)
    assert 0 < result.altered_nodes.sum() < 60


def test_without_landmarks_squares_lie_in_the_middle() -> None:
    for seed in range(20):
        for box in corrupt(CHEST, "occlusion_4", 9, seed=seed).boxes:
            assert 29 <= box.top <= 90
            assert 23 <= box.left <= 72


@given(share=st.floats(0.001, 1))
def test_blending_is_opencvs_weighted_sum(share: float) -> None:
    expected = cv2.addWeighted(eight_bit(CHEST), 1 - share, eight_bit(PARTNER), share, 0)
    # They may round a half to different sides.
    np.testing.assert_allclose(levels_of(corrupted("blending", share)), expected, rtol=0, atol=1.001)
    np.testing.assert_array_equal(corrupted("blending", 1).pixels, eight_bit(PARTNER) / np.float32(255))


def painted(x: float, y: float, shape: tuple[int, int]) -> Gray:
    """Return a soft dot."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    dot: Gray = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 18).astype(np.float32)
    return dot


def place_of(pixels: Gray) -> tuple[float, float]:
    rows, columns = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    return float((columns * pixels).sum() / pixels.sum()), float((rows * pixels).sum() / pixels.sum())


@given(x=st.floats(30, 60), y=st.floats(40, 80), degrees=st.floats(0.1, 360))
def test_rotation_moves_landmarks_with_the_pixels(x: float, y: float, degrees: float) -> None:
    result = corrupt(painted(x, y, (120, 96)), "rotation", degrees, landmarks=np.tile((x, y), (120, 1)))
    assert result.landmarks is not None
    np.testing.assert_allclose(result.landmarks, np.tile(place_of(result.pixels), (120, 1)), atol=0.1)


def test_rotation_is_counter_clockwise() -> None:
    landmarks = corrupted("rotation", 90).landmarks
    assert landmarks is not None
    x, y = (POINTS - (47.5, 59.5)).T  # from the middle
    np.testing.assert_allclose(landmarks, np.stack([47.5 + y, 59.5 - x], axis=1), atol=1e-4)


@given(seed=SEEDS, share=st.floats(0.01, 0.5))
def test_crop_moves_landmarks_with_the_pixels(seed: int, share: float) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (120, 96)) / 255
    points = POINTS.round()
    result = corrupt(pixels, "crop", share, seed=seed, landmarks=points)
    assert result.landmarks is not None
    rows, columns = result.pixels.shape
    assert (rows, columns) == (round(120 * (1 - share)), round(96 * (1 - share)))
    inside = ((result.landmarks >= 0) & (result.landmarks < (columns, rows))).all(axis=1)
    assert inside.any()
    (x, y), (left, top) = points[inside].astype(int).T, result.landmarks[inside].astype(int).T
    np.testing.assert_allclose(result.pixels[top, left], pixels[y, x], atol=1e-6)


@given(seed=SEEDS, shares=st.tuples(*[st.floats(0.01, 0.9)] * 2))
def test_crops_of_one_seed_lie_in_each_other(seed: int, shares: tuple[float, float]) -> None:
    wide, narrow = (corrupted("crop", share, seed=seed) for share in sorted(shares))
    for axis, side in ((0, 1), (1, 0)):
        outer, inner = -wide.matrix[axis, 2], -narrow.matrix[axis, 2]
        assert outer <= inner
        assert inner + narrow.pixels.shape[side] <= outer + wide.pixels.shape[side]


def test_exposure_and_contrast_follow_their_formulas() -> None:
    gray = np.array([[0, 40, 100, 200]])
    for name, severity, expected in (
        ("overexposure", 1, [0, 80, 200, 255]),
        ("overexposure", 0.5, [0, 57, 141, 255]),
        ("underexposure", 2, [0, 10, 25, 50]),
        ("contrast_loss", 0.5, [42, 62, 92, 142]),  # the mean is 85; halves are rounded to even numbers
        ("contrast_loss", 1, [85, 85, 85, 85]),
    ):
        np.testing.assert_allclose(levels_of(corrupt(gray / 255, name, severity))[0], expected, atol=1e-4)


@pytest.mark.parametrize("side", [256, 1024, 1500])
def test_low_resolution_leaves_the_same_detail_in_every_size(side: int) -> None:
    """At 1024 / 16 pixels, stripes of 1024 / 8 pixels are seen and stripes of 1024 / 256 are not."""
    x = (np.arange(side) + 0.5) / side
    for stripes, low, high in ((4, 0.4, 0.5), (128, 0.0, 0.1)):
        pixels = np.tile(0.5 + 0.5 * np.sin(2 * np.pi * stripes * x), (side, 1))
        seen = np.abs(corrupt(pixels, "low_resolution", 15).pixels - 0.5)[:, side // 8 : -side // 8].max()
        assert low <= seen <= high


def test_low_resolution_leaves_an_image_alone_that_shows_no_more() -> None:
    small = halved(BIG)
    np.testing.assert_array_equal(eight_bit(corrupt(small, "low_resolution", 1).pixels), eight_bit(small))
    assert not np.array_equal(eight_bit(corrupt(small, "low_resolution", 1.5).pixels), eight_bit(small))


def test_low_resolution_averages_and_interpolates() -> None:
    checks = (np.indices((1024, 1024)).sum(axis=0) % 2).astype(np.float32)
    np.testing.assert_allclose(levels_of(corrupt(checks, "low_resolution", 1)), 127.5, atol=0.51)
    ramp = np.tile(np.arange(1024) / 1023, (1024, 1))
    result = corrupt(ramp, "low_resolution", 7).pixels
    np.testing.assert_allclose(result[:, 8:-8], ramp[:, 8:-8], atol=2 / 255)  # nothing is shifted


@pytest.mark.parametrize(("severity", "quality"), [(50, 50), (99, 1), (100, 0)])
def test_jpeg_is_that_of_the_quality(severity: float, quality: int) -> None:
    _, code = cv2.imencode(".jpg", eight_bit(CHEST), [cv2.IMWRITE_JPEG_QUALITY, quality])
    expected = cv2.imdecode(code, cv2.IMREAD_GRAYSCALE)
    np.testing.assert_array_equal(eight_bit(corrupted("jpeg", severity).pixels), np.asarray(expected))
