"""A radiograph as an 8-bit film, and what spoils it.

Lengths are in pixels of a 1024-pixel image and scale with the longer side of the film.
OpenCV belongs to an extra, so that the functions that need it import it themselves.

References:
    Cosarinsky et al., CheXmask-U, https://arxiv.org/abs/2512.10715
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monai_chexmask_u.anatomy import LEFT_LUNG, NODE_COUNT, RIGHT_LUNG
from monai_chexmask_u.geometry import Box

__all__ = [
    "Film",
    "blending",
    "contrast_loss",
    "crop",
    "gaussian_blur",
    "gaussian_noise",
    "jpeg",
    "local_blur",
    "low_resolution",
    "median_blur",
    "occlusion",
    "overexposure",
    "rotation",
    "underexposure",
]

PUBLISHED_SIDE: Final = 1024
LOCAL_BLUR_SIDE: Final = 241
LARGEST_MEDIAN: Final = 255  # OpenCV counts the pixels of a kernel in 16 bits

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Film:
    """A radiograph on its way through a corruption.

    Attributes:
        grey: ``(row, column)``, whole numbers in 0..255 at the start; any numbers at the end.
        landmarks: ``(120, 2)``, (x, y) in pixels of the film as it was at the start, NaN where unknown; or None.
        random: where noise and places come from.
        partner: grey levels of the image to blend in.
        matrix: ``(3, 3)``, from (x, y, 1) at the start to (x, y, 1) now, in pixels.
        boxes: the squares that were altered, where the corruption is a local one.
    """

    grey: Floats
    landmarks: NDArray[np.float64] | None
    random: np.random.Generator
    partner: Floats | None = None
    matrix: NDArray[np.float64] = field(default_factory=lambda: np.eye(3))
    boxes: tuple[Box, ...] = ()

    @property
    def scale(self) -> float:
        """Pixels of this image per pixel of a 1024-pixel image."""
        return float(max(self.grey.shape) / PUBLISHED_SIDE)

    @property
    def as_uint8(self) -> NDArray[np.uint8]:
        """The grey levels as OpenCV wants them."""
        return self.grey.astype(np.uint8)

    def altered(
        self,
        grey: NDArray[np.generic],
        *,
        matrix: NDArray[np.float64] | None = None,
        boxes: tuple[Box, ...] = (),
    ) -> Film:
        """Return the film with other grey levels, and with how its pixels moved or which squares were altered."""
        moved = self.matrix if matrix is None else matrix
        return Film(grey.astype(np.float32), self.landmarks, self.random, self.partner, moved, boxes)


def gaussian_noise(film: Film, std: float) -> Film:
    """Add noise of a standard deviation in grey levels; fractions are cut off, as published."""
    return film.altered(np.floor(film.grey + std * film.random.standard_normal(film.grey.shape)))


def gaussian_blur(film: Film, half: float) -> Film:
    """Blur by a Gaussian kernel of side 2 half + 1 whose width follows from its side, as published."""
    import cv2

    return film.altered(cv2.GaussianBlur(film.as_uint8, (_kernel(film, half),) * 2, 0))


def median_blur(film: Film, half: float) -> Film:
    """Take the median in squares of side 2 half + 1, as published.

    A film on which the square has more than 255 pixels a side is shrunk for it, and enlarged again.
    """
    import cv2

    kernel = _kernel(film, half)
    if kernel <= LARGEST_MEDIAN:
        return film.altered(cv2.medianBlur(film.as_uint8, kernel))
    rows, columns = film.grey.shape
    times = kernel / LARGEST_MEDIAN
    small = _resized(film.as_uint8, math.ceil(rows / times), math.ceil(columns / times))
    blurred = np.asarray(cv2.medianBlur(small, LARGEST_MEDIAN), dtype=np.uint8)
    return film.altered(_resized(blurred, rows, columns))


def occlusion(count: int) -> Callable[[Film, float], Film]:
    """Return the corruption that covers the film with black squares of a given side, as published.

    Args:
        count: of squares; one lies on any of the lungs' landmarks, of several each lung has half.
    """

    def apply(film: Film, side: float) -> Film:
        grey, boxes = film.grey.copy(), _squares(film, count, side)
        for box in boxes:
            grey[box.slices] = 0
        return film.altered(grey, boxes=boxes)

    return apply


def local_blur(film: Film, half: float) -> Film:
    """Blur as `gaussian_blur` does, but only in one square of 241 pixels, as published."""
    boxes = _squares(film, 1, LOCAL_BLUR_SIDE)
    blurred, grey = gaussian_blur(film, half).grey, film.grey.copy()
    for box in boxes:
        grey[box.slices] = blurred[box.slices]
    return film.altered(grey, boxes=boxes)


def blending(film: Film, share: float) -> Film:
    """Blend in the partner, as published; landmarks stay those of the film.

    Raises:
        ValueError: if there is no partner of the same shape.
    """
    if film.partner is None or film.partner.shape != film.grey.shape:
        has = "none" if film.partner is None else f"shape {film.partner.shape}"
        raise ValueError(f"blending needs a partner image of shape {film.grey.shape}, got {has}")
    return film.altered((1 - share) * film.grey + share * film.partner)


def contrast_loss(film: Film, loss: float) -> Film:
    """Bring the grey levels closer to their mean by a share of their distance."""
    mean = film.grey.mean(dtype=np.float64)
    return film.altered(mean + (1 - loss) * (film.grey - mean))


def overexposure(film: Film, stops: float) -> Film:
    """Double the grey levels so many times."""
    return film.altered(film.grey * 2.0**stops)


def underexposure(film: Film, stops: float) -> Film:
    """Halve the grey levels so many times."""
    return film.altered(film.grey / 2.0**stops)


def rotation(film: Film, degrees: float) -> Film:
    """Turn the film counter-clockwise around its middle; the corners become black."""
    import cv2

    rows, columns = film.grey.shape
    turn = cv2.getRotationMatrix2D(((columns - 1) / 2, (rows - 1) / 2), degrees, 1.0)
    turned = cv2.warpAffine(film.grey, turn, (columns, rows), flags=cv2.INTER_LINEAR)
    return film.altered(turned, matrix=np.vstack([turn, (0, 0, 1)]))


def crop(film: Film, share: float) -> Film:
    """Cut off a share of the height and of the width, at a place that is kept whatever the share."""
    height, width = (max(1, round(side * (1 - share))) for side in film.grey.shape)
    rows, columns = film.grey.shape
    down, right = film.random.uniform(size=2)
    top, left = int(down * (rows - height + 1)), int(right * (columns - width + 1))
    matrix = np.array([[1.0, 0, -left], [0, 1, -top], [0, 0, 1]])
    return film.altered(film.grey[top : top + height, left : left + width], matrix=matrix)


def low_resolution(film: Film, factor: float) -> Film:
    """Show the film through pixels that are 1 + factor times as wide as those of a 1024-pixel image."""
    rows, columns = film.grey.shape
    times = max(1.0, (1 + factor) * film.scale)
    small = _resized(film.as_uint8, max(1, round(rows / times)), max(1, round(columns / times)))
    return film.altered(_resized(small, rows, columns))


def jpeg(film: Film, loss: float) -> Film:
    """Write the film as a JPEG file of quality 100 - loss, and read it again."""
    import cv2

    _, code = cv2.imencode(".jpg", film.as_uint8, [cv2.IMWRITE_JPEG_QUALITY, round(100 - loss)])
    return film.altered(np.asarray(cv2.imdecode(code, cv2.IMREAD_GRAYSCALE)))


def _kernel(film: Film, half: float) -> int:
    return 2 * max(1, round(half * film.scale)) + 1


def _resized(grey: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.uint8]:
    """Resample by the mean of what falls into a pixel where the image shrinks, linearly where it grows."""
    import cv2

    kind = cv2.INTER_AREA if rows * columns < grey.size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(grey, (columns, rows), interpolation=kind), dtype=np.uint8)


def _squares(film: Film, count: int, side: float) -> tuple[Box, ...]:
    """Return squares on random places, cut off at the film's border; one that lies outside altogether is left out."""
    rows, columns = film.grey.shape
    size = max(1, round(side * film.scale))
    boxes = []
    for x, y in _centers(film, count):
        top, left = round(y) - size // 2, round(x) - size // 2
        bottom, right = min(top + size, rows), min(left + size, columns)
        top, left = max(top, 0), max(left, 0)
        if bottom > top and right > left:
            boxes.append(Box(top, left, bottom - top, right - left))
    return tuple(boxes)


def _centers(film: Film, count: int) -> list[tuple[float, float]]:
    """Choose landmarks of the lungs, or points in the middle of the film where there are no landmarks."""
    if film.landmarks is None:
        rows, columns = film.grey.shape
        return [(columns * x, rows * y) for x, y in film.random.uniform(0.25, 0.75, (count, 2))]
    every = np.arange(NODE_COUNT)
    lungs = [every[lung.nodes] for lung in (RIGHT_LUNG, LEFT_LUNG)]
    groups = [np.concatenate(lungs)] if count == 1 else lungs
    nodes = [film.random.choice(group, count // len(groups), replace=False) for group in groups]
    return [(float(x), float(y)) for x, y in film.landmarks[np.concatenate(nodes)]]
