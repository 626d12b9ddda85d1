"""Random views of a radiograph: moved, with another exposure, corrupted, or made foreign.

OpenCV belongs to an extra, so that the functions that need it import it themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monai_chexmask_u.transforms.corruptions import CORRUPTIONS, corrupt

__all__ = ["FOREIGN_VIEWS", "corrupted_view", "frontal_view", "moved_view", "random_positioning"]

Floats = NDArray[np.float32]
Random = np.random.Generator
Points = NDArray[np.float64]

# Beyond half, a blended radiograph is more the other one, whose outlines are not these.
GREATEST_BLEND: Final = 0.45

# What a frontal radiograph may suffer and still be one, and the worst severity of it.
MILD: Final = {
    "gaussian_noise": 60.0,
    "gaussian_blur": 30.0,
    "contrast_loss": 0.8,
    "underexposure": 2.0,
    "overexposure": 0.3,
}


def moved_view(pixels: Floats, landmarks: Points | None, random: Random) -> tuple[Floats, Points | None]:
    """Turn, scale and shift a radiograph, and change its exposure, as much as positioning and apparatus may.

    Args:
        pixels: ``(row, column)`` in 0..1.
        landmarks: ``(node, 2)``, (x, y) in pixels, moved along; or None.
        random: source of the random numbers.
    """
    import cv2

    rows, columns = pixels.shape
    matrix = random_positioning((rows, columns), random)
    moved = cv2.warpAffine(pixels, matrix, (columns, rows), flags=cv2.INTER_LINEAR)
    exposed = (np.clip(moved, 0, 1) ** random.uniform(0.6, 1.6)).astype(np.float32)
    return exposed, None if landmarks is None else landmarks @ matrix[:, :2].T + matrix[:, 2]


def random_positioning(shape: tuple[int, int], random: Random) -> Points:
    """Return the map of pixels ``(2, 3)``, from (x, y, 1), of a patient who stands a little otherwise.

    Args:
        shape: rows and columns of the image.
        random: source of the random numbers.
    """
    import cv2

    rows, columns = shape
    center = ((columns - 1) / 2, (rows - 1) / 2)
    matrix = cv2.getRotationMatrix2D(center, random.normal() * 5, random.uniform(0.82, 1.2))
    shift = random.uniform(-0.05, 0.05, 2) * (columns, rows)
    return np.asarray(matrix + np.column_stack([np.zeros((2, 2)), shift]))


def corrupted_view(pixels: Floats, landmarks: Points, partner: Floats, random: Random) -> tuple[Floats, Points]:
    """Return a view for the error head: an image as it is, or moved, with none, one or two corruptions of any level.

    Args:
        pixels: ``(row, column)`` in 0..1.
        landmarks: ``(120, 2)``, (x, y) in pixels.
        partner: another radiograph, for blending; it is left out where the shapes differ.
        random: source of the random numbers.
    """
    points: Points | None = landmarks
    if random.random() < 0.8:
        pixels, points = moved_view(pixels, landmarks, random)
    for _ in range(random.choice(3, p=[0.15, 0.65, 0.2])):
        name = str(random.choice(list(CORRUPTIONS)))
        needs_partner = CORRUPTIONS[name].needs_partner
        if needs_partner and partner.shape != pixels.shape:
            continue
        levels = CORRUPTIONS[name].levels
        severity = float(np.interp(random.uniform(0, len(levels) - 1), range(len(levels)), levels))
        if needs_partner:
            severity *= GREATEST_BLEND
        options = {"landmarks": points, "partner": partner if needs_partner else None}
        changed = corrupt(pixels, name, severity, seed=int(random.integers(2**31)), **options)
        pixels, points = changed.pixels, changed.landmarks
    return pixels, np.asarray(points)


def frontal_view(pixels: Floats, random: Random) -> Floats:
    """Return a view that is still a frontal radiograph: moved, perhaps mildly corrupted or with marks at its border."""
    view, _ = moved_view(pixels, None, random)
    choice = random.choice([*MILD, "marks", "none"])
    if choice in MILD:
        view = corrupt(view, choice, random.uniform(0, MILD[choice]), seed=int(random.integers(2**31))).pixels
    elif choice == "marks":
        view = _with_marks(view, random)
    return view


def _with_marks(pixels: Floats, random: Random) -> Floats:
    """Burn black and white boxes in, near the border, where markers and labels lie."""
    marked = pixels.copy()
    rows, columns = pixels.shape
    for _ in range(random.integers(1, 4)):
        height, width = (int(random.integers(4, max(5, side // 8))) for side in (rows, columns))
        top = int(random.integers(0, rows - height))
        left = int(
            random.choice([random.integers(0, columns // 6), random.integers(3 * columns // 4, columns - width)])
        )
        marked[top : top + height, left : left + width] = random.integers(0, 2)
    return marked


def _part(pixels: Floats, random: Random, least: float = 0.25, most: float = 0.45) -> Floats:
    share = random.uniform(least, most)
    rows, columns = (max(1, round(share * side)) for side in pixels.shape)
    top, left = (
        int(random.integers(0, full - kept + 1)) for full, kept in zip(pixels.shape, (rows, columns), strict=True)
    )
    return pixels[top : top + rows, left : left + columns]


def _shuffled(pixels: Floats, random: Random) -> Floats:
    """Exchange the tiles of a 2x2 or 3x3 grid."""
    count = int(random.integers(2, 4))
    height, width = pixels.shape[0] // count, pixels.shape[1] // count
    tiles = [
        pixels[row * height : (row + 1) * height, column * width : (column + 1) * width]
        for row in range(count)
        for column in range(count)
    ]
    order = iter(random.permutation(count**2))
    shuffled: Floats = np.block([[tiles[next(order)] for _ in range(count)] for _ in range(count)])
    return shuffled


def _part_on_black(pixels: Floats, random: Random) -> Floats:
    """Put a part of a radiograph, turned by a multiple of 90 degrees, somewhere on black."""
    part = np.rot90(_part(pixels, random), int(random.integers(4)))
    page = np.zeros([2 * side for side in part.shape], np.float32)
    top, left = (int(random.integers(0, side + 1)) for side in part.shape)
    page[top : top + part.shape[0], left : left + part.shape[1]] = part
    return page


def _rods(pixels: Floats, random: Random) -> Floats:
    """Draw soft bright rods on black: as little as hands, legs and spines have in common."""
    import cv2

    page = np.zeros((256, 256), np.float32)
    for _ in range(random.integers(1, 7)):
        start, end = ([int(value) for value in random.integers(0, 256, 2)] for _ in range(2))
        gray, width = float(random.uniform(0.3, 1)), int(random.integers(8, 80))
        cv2.line(page, start, end, gray * 0.6, width)
        cv2.line(page, start, end, gray, width // 2)
    soft = cv2.GaussianBlur(page, (0, 0), float(random.uniform(1, 6))).astype(np.float32)
    return soft + 0.02 * random.standard_normal(page.shape, dtype=np.float32)


def _noise(pixels: Floats, random: Random) -> Floats:
    import cv2

    noise = random.standard_normal((256, 256), dtype=np.float32)
    if random.random() < 0.4:
        noise = 10 * cv2.GaussianBlur(noise, (0, 0), float(random.uniform(1, 20))).astype(np.float32)
    if random.random() < 0.3:
        return random.random((256, 256), dtype=np.float32)
    return noise * np.float32(random.uniform(0.05, 0.5)) + np.float32(random.uniform(0.2, 0.8))


def _plain(pixels: Floats, random: Random) -> Floats:
    """Return one gray level, or a slope of gray levels."""
    level = np.full((256, 256), random.choice([0, random.random(), 1]), np.float32)
    if random.random() < 0.5:
        slopes = [np.linspace(0, random.normal(), 256) for _ in range(2)]
        level += np.add.outer(*slopes).astype(np.float32)
    return level


FOREIGN_VIEWS: Final[dict[str, tuple[Callable[[Floats, Random], Floats], ...]]] = {
    "upside_down": (lambda pixels, _: pixels[::-1], lambda pixels, _: np.rot90(pixels, 2)),
    "turned_sideways": (lambda pixels, _: np.rot90(pixels), lambda pixels, _: np.rot90(pixels, 3)),
    "mirrored": (lambda pixels, _: pixels[:, ::-1], lambda pixels, _: pixels[:, ::-1]),
    "inverted": (lambda pixels, _: 1 - pixels, lambda pixels, _: 1 - pixels),
    "partial_view": (_part, _shuffled, _part_on_black),
    "not_a_radiograph": (_rods, _noise, _plain),
}
"""What makes a frontal radiograph one of the detector's other kinds; each is made once per radiograph and view."""
