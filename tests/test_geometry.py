from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from support.samples.dicom import phantom_landmarks

from monai_chexmask_u.anatomy import HEART, LEFT_LUNG, RIGHT_LUNG
from monai_chexmask_u.geometry import (
    Box,
    Frame,
    cardiothoracic_ratio,
    content_box,
    fill_polygon,
    has_possible_sizes,
    polygon_area,
    run_length_decode,
    run_length_encode,
)
from monai_chexmask_u.networks.network_image import to_network_image

sides = st.integers(1, 3000)
frames = st.builds(
    Frame.fit,
    st.tuples(sides, sides),
    st.sampled_from([64, 512, 1024]),
    pixel_aspect=st.floats(0.5, 2),
    mirrored=st.booleans(),
    upside_down=st.booleans(),
)


@given(frame=frames, seed=st.integers(0, 99))
def test_frame_inverts_exactly_for_any_size_and_aspect(frame: Frame, seed: int) -> None:
    points = np.random.default_rng(seed).uniform(-100, 3100, (20, 2))
    np.testing.assert_allclose(frame.to_image(frame.to_network(points)), points, atol=1e-6)


@given(frame=frames)
def test_frame_shows_the_whole_image_inside_the_square(frame: Frame) -> None:
    corners = [(-0.5, -0.5), (frame.crop.width - 0.5, frame.crop.height - 0.5)]
    pixels = np.sort(frame.to_network(corners) * frame.network_size, axis=0)
    content = frame.content
    np.testing.assert_allclose(pixels[0], (content.left - 0.5, content.top - 0.5), atol=1e-6)
    np.testing.assert_allclose(pixels[1] - pixels[0], (content.width, content.height), atol=1e-6)
    assert max(content.width, content.height) == frame.network_size


def test_frame_of_a_1024_image_is_the_published_one() -> None:
    frame = Frame.fit((1024, 1024), 1024)
    np.testing.assert_allclose(frame.to_network([(512, 256)]), [(0.5, 0.25)])


def test_frame_keeps_the_aspect_ratio_of_non_square_pixels() -> None:
    frame = Frame.fit((500, 1000), 512, pixel_aspect=2)
    assert (frame.content.height, frame.content.width) == (512, 512)


@pytest.mark.parametrize(("mirrored", "upside_down"), [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("crop", [None, Box(20, 40, 150, 100)])
def test_network_image_shows_a_spot_where_the_frame_says(mirrored: bool, upside_down: bool, crop: Box | None) -> None:
    pixels = torch.zeros(200, 300)
    pixels[98:103, 58:63] = 1
    frame = Frame.fit((200, 300), 256, crop=crop, mirrored=mirrored, upside_down=upside_down)
    image = to_network_image(pixels, frame)[0].double().numpy()
    rows, columns = np.mgrid[:256, :256]
    center = (image * columns).sum() / image.sum(), (image * rows).sum() / image.sum()
    np.testing.assert_allclose(center, frame.to_network([(60, 100)])[0] * 256, atol=0.05)


@given(frame=frames, seed=st.integers(0, 99))
def test_covariance_follows_the_points(frame: Frame, seed: int) -> None:
    points = np.random.default_rng(seed).normal(0.5, 0.1, (500, 2))
    expected = np.cov(frame.to_image(points).T, ddof=0)
    actual = frame.covariance_to_image(np.cov(points.T, ddof=0))
    np.testing.assert_allclose(actual, expected, rtol=1e-8, atol=1e-8 * np.abs(expected).max())


@pytest.mark.parametrize("crop", [Box(0, 0, 11, 10), Box(-1, 0, 5, 5), Box(0, 0, 0, 5)])
def test_frame_refuses_a_crop_outside_the_image(crop: Box) -> None:
    with pytest.raises(ValueError, match="inside the image"):
        Frame.fit((10, 10), 64, crop=crop)


def test_frame_refuses_an_empty_image() -> None:
    with pytest.raises(ValueError, match="positive"):
        Frame.fit((0, 10), 64)


def test_content_box_leaves_out_the_black_border() -> None:
    pixels = np.zeros((20, 30), dtype=np.float32)
    pixels[4:15, 6:29] = 0.5
    assert content_box(pixels) == Box(4, 6, 11, 23)
    assert content_box(np.zeros((20, 30), dtype=np.float32)) == Box(0, 0, 20, 30)
    assert content_box(np.full((20, 30), 1 / 255, dtype=np.float32)) == Box(0, 0, 20, 30)


def _star(seed: int, center: float, radius: float) -> NDArray[np.float64]:
    generator = np.random.default_rng(seed)
    angles = np.sort(generator.uniform(0, 2 * np.pi, 40))
    directions = np.stack([np.cos(angles), np.sin(angles)])
    points: NDArray[np.float64] = center + (radius * generator.uniform(0.4, 1, 40) * directions).T
    return points


@given(seed=st.integers(0, 999))
def test_filled_pixels_approximate_the_area(seed: int) -> None:
    polygon = _star(seed, center=400, radius=350)
    area = float(polygon_area(polygon))
    assert fill_polygon(polygon, (800, 800)).sum() == pytest.approx(area, rel=0.01)


@given(seed=st.integers(0, 999))
def test_filling_agrees_with_pillow_but_for_the_outline(seed: int) -> None:
    polygon = np.round(_star(seed, center=100, radius=80))
    drawn = Image.new("1", (200, 200))
    ImageDraw.Draw(drawn).polygon([tuple(point) for point in polygon], fill=1)
    outline = Image.new("1", (200, 200))
    ImageDraw.Draw(outline).line([tuple(point) for point in [*polygon, polygon[0]]], fill=1, width=3)
    differs = np.asarray(drawn) != fill_polygon(polygon, (200, 200))
    assert not (differs & ~np.asarray(outline)).any()


@given(seed=st.integers(0, 99), dx=st.integers(-30, 30), dy=st.integers(-30, 30))
def test_filling_moves_with_whole_pixels_and_may_leave_the_image(seed: int, dx: int, dy: int) -> None:
    polygon = _star(seed, center=40, radius=38)
    large = fill_polygon(polygon + 60, (220, 220))
    moved = fill_polygon(polygon + np.array([dx, dy]), (80, 80))
    np.testing.assert_array_equal(moved, large[60 - dy : 140 - dy, 60 - dx : 140 - dx])


@given(seed=st.integers(0, 999), height=st.integers(1, 20), width=st.integers(1, 20))
def test_run_length_code_round_trips(seed: int, height: int, width: int) -> None:
    mask = np.random.default_rng(seed).random((height, width)) > 0.5
    np.testing.assert_array_equal(run_length_decode(run_length_encode(mask), mask.shape), mask)


@pytest.mark.parametrize("code", ["1", "0 3", "5 7", "3 0"])
def test_run_length_code_outside_the_image_is_refused(code: str) -> None:
    with pytest.raises(ValueError, match="run-length code"):
        run_length_decode(code, (2, 5))


def _ellipse(count: int, x: float, y: float, width: float, height: float) -> NDArray[np.float64]:
    angles = np.arange(count) * 2 * np.pi / count
    return np.stack([x + width / 2 * np.cos(angles), y + height / 2 * np.sin(angles)], axis=1)


def _chest(heart_width: float) -> NDArray[np.float64]:
    landmarks = np.zeros((120, 2))
    landmarks[RIGHT_LUNG.nodes] = _ellipse(44, 250, 400, 200, 600)
    landmarks[LEFT_LUNG.nodes] = _ellipse(50, 650, 400, 200, 600)
    landmarks[HEART.nodes] = _ellipse(26, 450, 550, heart_width, 200)
    return landmarks


def test_cardiothoracic_ratio_of_ellipses_is_their_widths() -> None:
    # The lungs reach from 150 to 750 at their widest level.
    assert cardiothoracic_ratio(_chest(300)) == pytest.approx(0.5, abs=2e-3)


@given(scale=st.floats(0.1, 10), dx=st.floats(-500, 500), dy=st.floats(-500, 500), mirrored=st.booleans())
def test_cardiothoracic_ratio_ignores_scale_shift_and_mirroring(
    scale: float, dx: float, dy: float, mirrored: bool
) -> None:
    chest = _chest(280)
    moved = chest * (-scale if mirrored else scale, scale) + (dx, dy)
    assert cardiothoracic_ratio(moved) == pytest.approx(float(cardiothoracic_ratio(chest)), rel=1e-9)


def test_cardiothoracic_ratio_measures_the_thorax_at_one_level() -> None:
    tilted = _chest(300)
    tilted[LEFT_LUNG.nodes, 1] += 500  # the lungs overlap in a few levels only, none of them the widest of both
    assert cardiothoracic_ratio(tilted) > 0.55


def test_cardiothoracic_ratio_is_nan_where_the_lungs_share_no_level() -> None:
    apart = _chest(300)
    apart[LEFT_LUNG.nodes, 1] += 1000
    assert np.isnan(cardiothoracic_ratio(apart))


def test_cardiothoracic_ratio_of_many_samples_is_that_of_each() -> None:
    samples = np.stack([_chest(width) for width in (250, 300)])
    np.testing.assert_allclose(cardiothoracic_ratio(samples), [cardiothoracic_ratio(sample) for sample in samples])


@pytest.mark.parametrize(
    ("spacing_mm", "possible"),
    [
        ((0.7, 0.7), True),  # 35 by 28 cm
        ((0.32, 0.32), True),  # a newborn child, 16 by 13 cm
        ((0.2, 0.2), False),  # 10 by 8 cm
        ((1.3, 1.3), False),  # 65 by 52 cm
        ((0.6, 1.4), True),
        ((1.19, 1.45), False),  # 59 by 58 cm, with lungs of 1,070 cm2 that are 41 cm wide
    ],
)
def test_sizes_are_possible_for_a_chest(spacing_mm: tuple[float, float], possible: bool) -> None:
    assert has_possible_sizes(phantom_landmarks(500, 400), (500, 400), spacing_mm) is possible


def test_a_heart_alone_can_make_sizes_impossible() -> None:
    landmarks = phantom_landmarks(500, 400)
    landmarks[HEART.nodes] *= 3
    assert not has_possible_sizes(landmarks, (500, 400), (0.7, 0.7))
