"""A radiograph as an 8-bit image, and what corrupts it.

Lengths are in pixels of a 1024-pixel image and scale with the longer side of the radiograph.
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
    "CorruptedImage",
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
class CorruptedImage:
    """A radiograph on its way through a corruption.

    Attributes:
        gray: ``(row, column)``, whole numbers in 0..255 at the start; any numbers at the end.
        landmarks: ``(120, 2)``, (x, y) in pixels of the radiograph as it was at the start, NaN where unknown; or None.
        random: where noise and places come from.
        partner: gray levels of the image to blend in.
        matrix: ``(3, 3)``, from (x, y, 1) at the start to (x, y, 1) now, in pixels.
        boxes: the squares that were altered, where the corruption is a local one.
    """

    gray: Floats
    landmarks: NDArray[np.float64] | None
    random: np.random.Generator
    partner: Floats | None = None
    matrix: NDArray[np.float64] = field(default_factory=lambda: np.eye(3))
    boxes: tuple[Box, ...] = ()

    @property
    def scale(self) -> float:
        """Pixels of this image per pixel of a 1024-pixel image."""
        return float(max(self.gray.shape) / PUBLISHED_SIDE)

    @property
    def as_uint8(self) -> NDArray[np.uint8]:
        """The gray levels as OpenCV wants them."""
        return self.gray.astype(np.uint8)

    def altered(
        self,
        gray: NDArray[np.generic],
        *,
        matrix: NDArray[np.float64] | None = None,
        boxes: tuple[Box, ...] = (),
    ) -> CorruptedImage:
        """Return the radiograph with other gray levels, and with how its pixels moved or which squares were altered."""
        moved = self.matrix if matrix is None else matrix
        return CorruptedImage(gray.astype(np.float32), self.landmarks, self.random, self.partner, moved, boxes)


def gaussian_noise(image: CorruptedImage, std: float) -> CorruptedImage:
    """Add noise of a standard deviation in gray levels; fractions are cut off, as published."""
    return image.altered(np.floor(image.gray + std * image.random.standard_normal(image.gray.shape)))


def gaussian_blur(image: CorruptedImage, half: float) -> CorruptedImage:
    """Blur by a Gaussian kernel of side 2 half + 1 whose width follows from its side, as published."""
    import cv2

    return image.altered(cv2.GaussianBlur(image.as_uint8, (_kernel(image, half),) * 2, 0))


def median_blur(image: CorruptedImage, half: float) -> CorruptedImage:
    """Take the median in squares of side 2 half + 1, as published.

    A radiograph on which the square has more than 255 pixels a side is shrunk for it, and enlarged again.
    """
    import cv2

    kernel = _kernel(image, half)
    if kernel <= LARGEST_MEDIAN:
        return image.altered(cv2.medianBlur(image.as_uint8, kernel))
    rows, columns = image.gray.shape
    times = kernel / LARGEST_MEDIAN
    small = _resized(image.as_uint8, math.ceil(rows / times), math.ceil(columns / times))
    blurred = np.asarray(cv2.medianBlur(small, LARGEST_MEDIAN), dtype=np.uint8)
    return image.altered(_resized(blurred, rows, columns))


def occlusion(count: int) -> Callable[[CorruptedImage, float], CorruptedImage]:
    """Return the corruption that covers the radiograph with black squares of a given side, as published.

    Args:
        count: of squares; one lies on any of the lungs' landmarks, of several each lung has half.
    """

    def apply(image: CorruptedImage, side: float) -> CorruptedImage:
        gray, boxes = image.gray.copy(), _squares(image, count, side)
        for box in boxes:
            gray[box.slices] = 0
        return image.altered(gray, boxes=boxes)

    return apply


def local_blur(image: CorruptedImage, half: float) -> CorruptedImage:
    """Blur as `gaussian_blur` does, but only in one square of 241 pixels, as published."""
    boxes = _squares(image, 1, LOCAL_BLUR_SIDE)
    blurred, gray = gaussian_blur(image, half).gray, image.gray.copy()
    for box in boxes:
        gray[box.slices] = blurred[box.slices]
    return image.altered(gray, boxes=boxes)


def blending(image: CorruptedImage, share: float) -> CorruptedImage:
    """Blend in the partner, as published; landmarks stay those of the radiograph.

    Raises:
        ValueError: if there is no partner of the same shape.
    """
    if image.partner is None or image.partner.shape != image.gray.shape:
        has = "none" if image.partner is None else f"shape {image.partner.shape}"
        raise ValueError(f"blending needs a partner image of shape {image.gray.shape}, got {has}")
    return image.altered((1 - share) * image.gray + share * image.partner)


def contrast_loss(image: CorruptedImage, loss: float) -> CorruptedImage:
    """Bring the gray levels closer to their mean by a share of their distance."""
    mean = image.gray.mean(dtype=np.float64)
    return image.altered(mean + (1 - loss) * (image.gray - mean))


def overexposure(image: CorruptedImage, stops: float) -> CorruptedImage:
    """Double the gray levels so many times."""
    return image.altered(image.gray * 2.0**stops)


def underexposure(image: CorruptedImage, stops: float) -> CorruptedImage:
    """Halve the gray levels so many times."""
    return image.altered(image.gray / 2.0**stops)


def rotation(image: CorruptedImage, degrees: float) -> CorruptedImage:
    """Turn the radiograph counter-clockwise around its middle; the corners become black."""
    import cv2

    rows, columns = image.gray.shape
    turn = cv2.getRotationMatrix2D(((columns - 1) / 2, (rows - 1) / 2), degrees, 1.0)
    turned = cv2.warpAffine(image.gray, turn, (columns, rows), flags=cv2.INTER_LINEAR)
    return image.altered(turned, matrix=np.vstack([turn, (0, 0, 1)]))


def crop(image: CorruptedImage, share: float) -> CorruptedImage:
    """Cut off a share of the height and of the width, at a place that is kept whatever the share."""
    height, width = (max(1, round(side * (1 - share))) for side in image.gray.shape)
    rows, columns = image.gray.shape
    down, right = image.random.uniform(size=2)
    top, left = int(down * (rows - height + 1)), int(right * (columns - width + 1))
    matrix = np.array([[1.0, 0, -left], [0, 1, -top], [0, 0, 1]])
    return image.altered(image.gray[top : top + height, left : left + width], matrix=matrix)


def low_resolution(image: CorruptedImage, factor: float) -> CorruptedImage:
    """Show the radiograph through pixels that are 1 + factor times as wide as those of a 1024-pixel image."""
    rows, columns = image.gray.shape
    times = max(1.0, (1 + factor) * image.scale)
    small = _resized(image.as_uint8, max(1, round(rows / times)), max(1, round(columns / times)))
    return image.altered(_resized(small, rows, columns))


def jpeg(image: CorruptedImage, loss: float) -> CorruptedImage:
    """Write the radiograph as a JPEG file of quality 100 - loss, and read it again."""
    import cv2

    _, code = cv2.imencode(".jpg", image.as_uint8, [cv2.IMWRITE_JPEG_QUALITY, round(100 - loss)])
    return image.altered(np.asarray(cv2.imdecode(code, cv2.IMREAD_GRAYSCALE)))


def _kernel(image: CorruptedImage, half: float) -> int:
    return 2 * max(1, round(half * image.scale)) + 1


def _resized(gray: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.uint8]:
    """Resample by the mean of what falls into a pixel where the image shrinks, linearly where it grows."""
    import cv2

    kind = cv2.INTER_AREA if rows * columns < gray.size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(gray, (columns, rows), interpolation=kind), dtype=np.uint8)


def _squares(image: CorruptedImage, count: int, side: float) -> tuple[Box, ...]:
    """Return squares on random places, cut off at the image's border; one that lies outside altogether is left out."""
    rows, columns = image.gray.shape
    size = max(1, round(side * image.scale))
    boxes = []
    for x, y in _centers(image, count):
        top, left = round(y) - size // 2, round(x) - size // 2
        bottom, right = min(top + size, rows), min(left + size, columns)
        top, left = max(top, 0), max(left, 0)
        if bottom > top and right > left:
            boxes.append(Box(top, left, bottom - top, right - left))
    return tuple(boxes)


def _centers(image: CorruptedImage, count: int) -> list[tuple[float, float]]:
    """Choose landmarks of the lungs, or points in the middle of the radiograph where there are no landmarks."""
    if image.landmarks is None:
        rows, columns = image.gray.shape
        return [(columns * x, rows * y) for x, y in image.random.uniform(0.25, 0.75, (count, 2))]
    every = np.arange(NODE_COUNT)
    lungs = [every[lung.nodes] for lung in (RIGHT_LUNG, LEFT_LUNG)]
    groups = [np.concatenate(lungs)] if count == 1 else lungs
    nodes = [image.random.choice(group, count // len(groups), replace=False) for group in groups]
    return [(float(x), float(y)) for x, y in image.landmarks[np.concatenate(nodes)]]
