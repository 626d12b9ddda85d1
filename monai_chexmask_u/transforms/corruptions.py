"""Corruptions of a radiograph, each with one severity: those of the paper, and those of everyday practice.

A corruption acts on the grey levels 0..255 of an 8-bit film, as published, and gives such grey levels back: what is
lost by rounding and clipping is lost. Lengths are in pixels of a 1024-pixel image and scale with the image.

References:
    Cosarinsky et al., CheXmask-U, https://arxiv.org/abs/2512.10715
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monai_chexmask_u.anatomy import LEFT_LUNG, RIGHT_LUNG
from monai_chexmask_u.geometry import Box

__all__ = ["CORRUPTIONS", "Corrupted", "Corruption", "corrupt"]

PUBLISHED_SIDE: Final = 1024
Floats = NDArray[np.float32]
Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Corrupted:
    """What a corruption made of a radiograph.

    Attributes:
        pixels: ``(row, column)`` in 0..1, on the 256 grey levels of an 8-bit image.
        landmarks: ``(node, 2)``, (x, y) in pixels, moved along; None if none were given.
        boxes: the squares that were altered, where the corruption is a local one.
    """

    pixels: Floats
    landmarks: Points | None
    boxes: tuple[Box, ...] = ()

    @property
    def altered_nodes(self) -> NDArray[np.bool_]:
        """Tell for each node whether it lies in one of the altered squares, ``(node,)``.

        Raises:
            ValueError: if there are no landmarks.
        """
        if self.landmarks is None:
            raise ValueError("without landmarks, nothing lies in the altered squares")
        x, y = self.landmarks.T
        inside = np.zeros(len(x), dtype=bool)
        for box in self.boxes:
            inside |= (box.top <= y) & (y < box.top + box.height) & (box.left <= x) & (x < box.left + box.width)
        return inside


Apply = Callable[["Film", float], "Film"]


@dataclass(frozen=True, eq=False)
class Film:
    """A radiograph on its way through a corruption; grey levels are floats in 0..255 until the end."""

    grey: Floats
    landmarks: Points | None
    random: np.random.Generator
    partner: Floats | None = None
    boxes: tuple[Box, ...] = ()

    @property
    def scale(self) -> float:
        """Pixels of this image per pixel of a 1024-pixel image."""
        return max(self.grey.shape) / PUBLISHED_SIDE

    def altered(self, grey: NDArray[np.generic], landmarks: Points | None = None, boxes: tuple[Box, ...] = ()) -> Film:
        """Return the film with other grey levels, and perhaps with moved landmarks or with the altered squares."""
        moved = self.landmarks if landmarks is None else landmarks
        return Film(grey.astype(np.float32), moved, self.random, self.partner, boxes)


@dataclass(frozen=True)
class Corruption:
    """One kind of corruption.

    Attributes:
        apply: alters a film by a severity.
        unit: of the severity.
        levels: severities from nothing to the worst; they go beyond the published ones where a network stands more.
        published: the worst published level, or None where the paper has none.
        kind: what the corruption belongs to, for tables.
        needs_partner: whether a second image is blended in.
    """

    apply: Apply
    unit: str
    levels: tuple[float, ...]
    published: float | None = None
    kind: str = "image quality"
    needs_partner: bool = field(default=False)


def corrupt(
    pixels: NDArray[np.floating],
    name: str,
    severity: float,
    *,
    seed: int = 0,
    landmarks: NDArray[np.floating] | None = None,
    partner: NDArray[np.floating] | None = None,
) -> Corrupted:
    """Corrupt one radiograph.

    Args:
        pixels: ``(row, column)`` in 0..1, 1 is bright.
        name: of `CORRUPTIONS`.
        severity: in the corruption's unit; 0 leaves the image as it is, but for its 256 grey levels.
        seed: of noise and places; the same seed gives nested severities of the same noise and the same places.
        landmarks: ``(node, 2)``, (x, y) in pixels; occlusions and local blur are centered on some of the lungs'.
        partner: for blending, an image of the same shape.

    Raises:
        ValueError: if the name is unknown, the severity negative, or something the corruption needs is missing.
    """
    if name not in CORRUPTIONS:
        raise ValueError(f"unknown corruption {name!r}; choose from {', '.join(CORRUPTIONS)}")
    if not severity >= 0:
        raise ValueError(f"the severity of {name} must be 0 or more, got {severity}")
    if pixels.ndim != 2:
        raise ValueError(f"pixels must be (row, column), got shape {pixels.shape}")
    points = None if landmarks is None else np.asarray(landmarks, dtype=np.float64)
    other = None if partner is None else _grey_levels(partner)
    film = Film(_grey_levels(pixels), points, np.random.default_rng(seed), other)
    if severity > 0:
        film = CORRUPTIONS[name].apply(film, severity)
    return Corrupted(_rounded(film.grey) / np.float32(255), film.landmarks, film.boxes)


def _grey_levels(pixels: NDArray[np.floating]) -> Floats:
    return _rounded(np.asarray(pixels, dtype=np.float32) * 255)


def _rounded(grey: Floats) -> Floats:
    return np.clip(np.rint(grey), 0, 255).astype(np.float32)


def _gaussian_noise(film: Film, std: float) -> Film:
    return film.altered(film.grey + std * film.random.standard_normal(film.grey.shape, dtype=np.float32))


def _kernel(film: Film, half: float) -> int:
    return 2 * max(1, round(half * film.scale)) + 1


def _gaussian_blur(film: Film, half: float) -> Film:
    import cv2  # of an extra; the rest of the transforms does without

    kernel = _kernel(film, half)
    return film.altered(cv2.GaussianBlur(film.grey, (kernel, kernel), 0))


def _median_blur(film: Film, half: float) -> Film:
    import cv2

    return film.altered(cv2.medianBlur(film.grey.astype(np.uint8), _kernel(film, half)))


def _centers(film: Film, count: int) -> list[tuple[float, float]]:
    """Choose landmarks of the lungs, or points of the middle of the image where there are no landmarks.

    One center is any of the lungs' landmarks; of several, the right and the left lung have half each.
    """
    if film.landmarks is None:
        rows, columns = film.grey.shape
        return [(columns * x, rows * y) for x, y in film.random.uniform(0.25, 0.75, (count, 2))]
    right, left = list(range(*RIGHT_LUNG.nodes.indices(120))), list(range(*LEFT_LUNG.nodes.indices(120)))
    if count == 1:
        nodes = film.random.choice([*right, *left], 1)
    else:
        nodes = np.concatenate([film.random.choice(lung, count // 2, replace=False) for lung in (right, left)])
    return [(float(x), float(y)) for x, y in film.landmarks[nodes]]


def _squares(film: Film, count: int, side: float) -> tuple[Box, ...]:
    """Return squares on random landmarks, cut off at the image's border."""
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


def _occlusion(count: int) -> Apply:
    def apply(film: Film, side: float) -> Film:
        grey, boxes = film.grey.copy(), _squares(film, count, side)
        for box in boxes:
            grey[box.slices] = 0
        return film.altered(grey, boxes=boxes)

    return apply


def _local_blur(film: Film, half: float) -> Film:
    boxes = _squares(film, 1, 241)
    blurred, grey = _gaussian_blur(film, half).grey, film.grey.copy()
    for box in boxes:
        grey[box.slices] = blurred[box.slices]
    return film.altered(grey, boxes=boxes)


def _blending(film: Film, share: float) -> Film:
    if film.partner is None or film.partner.shape != film.grey.shape:
        raise ValueError("blending needs a partner image of the same shape")
    if share > 1:
        raise ValueError(f"the share of the partner image must be in 0..1, got {share}")
    return film.altered((1 - share) * film.grey + share * film.partner)


def _contrast_loss(film: Film, loss: float) -> Film:
    if loss > 1:
        raise ValueError(f"the loss of contrast must be in 0..1, got {loss}")
    mean = film.grey.mean()
    return film.altered(mean + (1 - loss) * (film.grey - mean))


def _overexposure(film: Film, stops: float) -> Film:
    return film.altered(film.grey * 2**stops)


def _underexposure(film: Film, stops: float) -> Film:
    return film.altered(film.grey / 2**stops)


def _rotation(film: Film, degrees: float) -> Film:
    import cv2

    rows, columns = film.grey.shape
    matrix = cv2.getRotationMatrix2D(((columns - 1) / 2, (rows - 1) / 2), degrees, 1.0)
    turned = cv2.warpAffine(film.grey, matrix, (columns, rows), flags=cv2.INTER_LINEAR)
    landmarks = None if film.landmarks is None else film.landmarks @ matrix[:, :2].T + matrix[:, 2]
    return film.altered(turned, landmarks)


def _crop(film: Film, share: float) -> Film:
    if not share < 1:
        raise ValueError(f"the share of the side that is cut off must be below 1, got {share}")
    rows, columns = film.grey.shape
    height, width = max(1, round(rows * (1 - share))), max(1, round(columns * (1 - share)))
    top, left = (int(film.random.integers(0, full - kept + 1)) for full, kept in ((rows, height), (columns, width)))
    landmarks = None if film.landmarks is None else film.landmarks - (left, top)
    return film.altered(film.grey[top : top + height, left : left + width], landmarks)


def _low_resolution(film: Film, factor: float) -> Film:
    import cv2

    rows, columns = film.grey.shape
    side = 1 + factor * film.scale
    small = cv2.resize(
        film.grey, (max(1, round(columns / side)), max(1, round(rows / side))), None, 0, 0, cv2.INTER_AREA
    )
    return film.altered(cv2.resize(np.rint(small), (columns, rows), None, 0, 0, cv2.INTER_LINEAR))


def _jpeg(film: Film, loss: float) -> Film:
    import cv2

    if loss > 100:
        raise ValueError(f"100 minus the JPEG quality must be in 0..100, got {loss}")
    _, code = cv2.imencode(".jpg", film.grey.astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, round(100 - loss)])
    return film.altered(cv2.imdecode(code, cv2.IMREAD_GRAYSCALE))


def _steps(start: float, stop: float, step: float) -> tuple[float, ...]:
    return tuple(float(value) for value in np.arange(start, stop + step / 2, step))


CORRUPTIONS: Final[dict[str, Corruption]] = {
    "gaussian_noise": Corruption(
        _gaussian_noise,
        "standard deviation, grey levels",
        (*_steps(0, 190, 10), 250, 320, 400, 500, 650, 800, 1000),
        190,
    ),
    "gaussian_blur": Corruption(
        _gaussian_blur, "half kernel, px", (*_steps(0, 48, 4), 60, 75, 90, 110, 130, 160, 200, 250), 48
    ),
    "median_blur": Corruption(_median_blur, "half kernel, px", (*_steps(0, 48, 4), 60, 75, 90, 110, 127), 48),
    "occlusion": Corruption(_occlusion(1), "side of the square, px", (*_steps(0, 701, 100), 850, 1000), 301, "local"),
    "occlusion_4": Corruption(_occlusion(4), "side of each square, px", (*_steps(0, 501, 50), 600, 700), 201, "local"),
    "local_blur": Corruption(_local_blur, "half kernel, px", (*_steps(0, 48, 12), 75, 120), 48, "local"),
    "blending": Corruption(
        _blending, "share of the other image", _steps(0, 1, 0.1), 1.0, "mixture", needs_partner=True
    ),
    "contrast_loss": Corruption(
        _contrast_loss, "share lost", (*_steps(0, 0.9, 0.1), 0.94, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995)
    ),
    "overexposure": Corruption(_overexposure, "stops", _steps(0, 4, 0.25)),
    "underexposure": Corruption(_underexposure, "stops", _steps(0, 8, 0.5)),
    "rotation": Corruption(_rotation, "degrees", _steps(0, 90, 7.5), kind="geometry"),
    "crop": Corruption(_crop, "share of the side", _steps(0, 0.6, 0.1), kind="geometry"),
    "low_resolution": Corruption(_low_resolution, "factor - 1", (0, 1, 3, 7, 11, 15, 23, 31, 47, 63)),
    "jpeg": Corruption(_jpeg, "100 - quality", (0, 50, 70, 80, 90, 95, 97, 99, 100)),
}
"""Every corruption by its name."""
