"""Where things are: frames of image, network and patient; polygons, their areas and normals; run-length code.

Points are (x, y) with x to the right and y down, in continuous pixels where (0, 0) is the CENTER of the top-left
pixel. The network frame is the same inside the square network image, divided by its side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from monai_chexmask_u.anatomy import HEART, LEFT_LUNG, NODE_COUNT, ORGANS, RIGHT_LUNG

__all__ = [
    "Box",
    "Frame",
    "ImagePlane",
    "cardiothoracic_ratio",
    "checked_covariance",
    "content_box",
    "contour_directions",
    "contour_normals",
    "fill_polygon",
    "has_possible_sizes",
    "moved_along_contours",
    "polygon_area",
    "run_length_decode",
    "run_length_encode",
    "std_along",
]

Floats = NDArray[np.float64]
Vector = tuple[float, float, float]

# From a newborn child to the largest adult at the detector, where everything is up to a fifth larger. Outlines may be
# too small because the network failed, which says nothing of the pixels, so that these have no least size.
FIELD_MM: Final = (120.0, 600.0)
LARGEST_LUNGS_MM, LARGEST_LUNGS_CM2, LARGEST_HEART_CM2 = 450.0, 1000.0, 450.0


@dataclass(frozen=True)
class Box:
    """A rectangle of whole pixels: first row and column, number of rows and columns."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an array with."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


@dataclass(frozen=True, eq=False)
class Frame:
    """Where an image lies in the square that the network sees: one invertible affine map.

    The image is cropped, turned to the usual orientation, resized with its aspect ratio kept, and centered on black.

    Attributes:
        matrix: ``(3, 3)``, from image pixels (x, y, 1) to the network frame (x, y, 1).
        crop: the part of the image that is shown to the network.
        content: where that part lies in the network image, in network pixels.
        network_size: side of the network image in pixels.
        mirrored: columns are reversed on the way.
        upside_down: rows are reversed on the way.
    """

    matrix: Floats
    crop: Box
    content: Box
    network_size: int
    mirrored: bool = False
    upside_down: bool = False

    @classmethod
    def fit(
        cls,
        shape: tuple[int, int],
        network_size: int,
        *,
        pixel_aspect: float = 1.0,
        crop: Box | None = None,
        mirrored: bool = False,
        upside_down: bool = False,
    ) -> Frame:
        """Fit an image into the network's square.

        Args:
            shape: rows and columns of the image.
            network_size: side of the network image in pixels.
            pixel_aspect: height of an image pixel over its width.
            crop: part of the image to show, the whole image by default.
            mirrored: reverse the columns, because the image was stored mirrored.
            upside_down: reverse the rows.

        Raises:
            ValueError: if a size is not positive or the crop leaves the image.
        """
        if min(*shape, network_size) < 1 or not 0 < pixel_aspect < np.inf:
            raise ValueError(f"sizes must be positive, got image {shape}, network {network_size}, {pixel_aspect=}")
        crop = crop or Box(0, 0, *shape)
        inside = crop.top + crop.height <= shape[0] and crop.left + crop.width <= shape[1]
        if min(crop.top, crop.left) < 0 or min(crop.height, crop.width) < 1 or not inside:
            raise ValueError(f"{crop} must lie inside the image of shape {shape}")
        scale = network_size / max(crop.height * pixel_aspect, crop.width)
        height = max(1, round(crop.height * pixel_aspect * scale))
        width = max(1, round(crop.width * scale))
        content = Box((network_size - height) // 2, (network_size - width) // 2, height, width)
        along_x = _axis_map(crop.left, crop.width, content.left, content.width, reverse=mirrored)
        along_y = _axis_map(crop.top, crop.height, content.top, content.height, reverse=upside_down)
        matrix = np.array([[along_x[0], 0, along_x[1]], [0, along_y[0], along_y[1]], [0, 0, network_size]])
        return cls(matrix / network_size, crop, content, network_size, mirrored, upside_down)

    def to_network(self, points: ArrayLike) -> Floats:
        """Map points ``(..., 2)`` from image pixels to the network frame."""
        return _apply(self.matrix, points)

    def to_image(self, points: ArrayLike) -> Floats:
        """Map points ``(..., 2)`` from the network frame to image pixels."""
        return _apply(self._inverse, points)

    @property
    def _inverse(self) -> Floats:
        inverse: Floats = np.linalg.inv(self.matrix).astype(np.float64)
        return inverse

    def covariance_to_image(self, covariance: ArrayLike) -> Floats:
        """Map covariances ``(..., 2, 2)`` from the network frame to image pixels."""
        jacobian = self._inverse[:2, :2]
        mapped: Floats = jacobian @ np.asarray(covariance, dtype=np.float64) @ jacobian.T
        return mapped


def _axis_map(first: int, count: int, network_first: int, network_count: int, *, reverse: bool) -> tuple[float, float]:
    """Return slope and offset of the map from image to network pixels along one axis.

    Pixel edges map to pixel edges, hence the halves: resizing keeps the outer borders of the image in place.
    """
    scale = network_count / count
    if reverse:
        return -scale, network_first + (first + count - 0.5) * scale - 0.5
    return scale, network_first + (0.5 - first) * scale - 0.5


def _apply(matrix: Floats, points: ArrayLike) -> Floats:
    mapped: Floats = np.asarray(points, dtype=np.float64) @ matrix[:2, :2].T + matrix[:2, 2]
    return mapped


def content_box(pixels: NDArray[np.float32], *, threshold: float = 1 / 255) -> Box:
    """Return the bounding box of all pixels brighter than a threshold: the image without its black border.

    Args:
        pixels: ``(row, column)`` in 0..1.
        threshold: brightest value that still counts as black; the default is gray level 1 of 255, as in CheXmask's
            preprocessing of MIMIC-CXR and PadChest.

    Returns:
        The box, or the whole image if all of it is black.
    """
    bright = pixels > threshold
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    if rows.size == 0:
        return Box(0, 0, *pixels.shape)
    top, left = int(rows[0]), int(columns[0])
    return Box(top, left, int(rows[-1]) - top + 1, int(columns[-1]) - left + 1)


def polygon_area(points: ArrayLike) -> Floats:
    """Return the area inside closed polygons ``(..., node, 2)``, by the shoelace formula, in squared units.

    Example:
        >>> float(polygon_area([(0, 0), (4, 0), (4, 3), (0, 3)]))
        12.0
    """
    x, y = np.moveaxis(np.asarray(points, dtype=np.float64), -1, 0)
    doubled: Floats = (x * np.roll(y, -1, axis=-1) - y * np.roll(x, -1, axis=-1)).sum(axis=-1)
    return np.abs(doubled) / 2


def fill_polygon(points: ArrayLike, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Fill one closed polygon: a pixel belongs to it if its center lies inside (even-odd rule).

    Args:
        points: ``(node, 2)``, (x, y) in pixels; may leave the image.
        shape: rows and columns of the mask.

    Returns:
        Mask ``(row, column)``.

    Example:
        >>> fill_polygon([(-0.5, -0.5), (1.5, -0.5), (1.5, 0.5), (-0.5, 0.5)], (2, 3)).astype(int)
        array([[1, 1, 0],
               [0, 0, 0]])
    """
    start = np.asarray(points, dtype=np.float64)
    end = np.roll(start, -1, axis=0)
    inside = np.zeros(shape, dtype=np.bool_)
    # Only the part of the mask that the polygon reaches is looked at.
    left, top = (np.clip(np.ceil(start.min(axis=0)), 0, shape[::-1])).astype(int).tolist()
    right, bottom = (np.clip(np.ceil(start.max(axis=0)), 0, shape[::-1])).astype(int).tolist()
    # Going right along a row, every crossed edge toggles between outside and inside.
    toggles = np.zeros((bottom - top, right - left + 1), dtype=np.uint8)
    for (x0, y0), (x1, y1) in zip(start, end, strict=True):
        if y0 == y1:
            continue
        first, last = sorted((y0, y1))
        crossed = np.arange(max(top, int(np.ceil(first))), min(bottom, int(np.ceil(last))))
        x = x0 + (crossed - y0) * (x1 - x0) / (y1 - y0)
        toggles[crossed - top, np.clip(np.ceil(x), left, right).astype(int) - left] ^= 1
    inside[top:bottom, left:right] = np.bitwise_xor.accumulate(toggles[:, :-1], axis=1)
    return inside


def run_length_encode(mask: NDArray[np.bool_]) -> str:
    """Encode a mask as ``start length start length ...``, row by row, counting pixels from 1, as CheXmask does.

    Example:
        >>> run_length_encode(np.array([[0, 1, 1], [1, 0, 1]], dtype=bool))
        '2 3 6 1'
    """
    flat = np.concatenate([[False], mask.ravel(), [False]])
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts, ends = changes[::2], changes[1::2]
    return " ".join(f"{start} {end - start}" for start, end in zip(starts, ends, strict=True))


def run_length_decode(code: str, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Decode what `run_length_encode` wrote.

    Args:
        code: ``start length`` pairs, row by row, counted from 1.
        shape: rows and columns of the mask.

    Raises:
        ValueError: if the code has an odd number of entries or leaves the image.
    """
    numbers = np.array(code.split(), dtype=np.int64)
    if numbers.size % 2:
        raise ValueError(f"run-length code must have pairs of start and length, got {numbers.size} numbers")
    starts, lengths = numbers[::2] - 1, numbers[1::2]
    if numbers.size and (starts.min() < 0 or lengths.min() < 1 or (starts + lengths).max() > shape[0] * shape[1]):
        raise ValueError(f"run-length code must stay inside the image of shape {shape}")
    flat = np.zeros(shape[0] * shape[1], dtype=bool)
    for start, length in zip(starts, lengths, strict=True):
        flat[start : start + length] = True
    return flat.reshape(shape)


def cardiothoracic_ratio(landmarks: ArrayLike) -> Floats:
    """Return the widest heart over the widest inner thorax, both measured horizontally.

    The heart's width is its full horizontal extent, the sum of its greatest distances to the right and to the left of
    any vertical midline. The thorax' width is the longest horizontal line, at one level, from the outer border of one
    lung to the outer border of the other.

    Args:
        landmarks: ``(..., 120, 2)``, (x, y); the unit does not matter.

    Returns:
        Ratio ``(...)``; NaN where the lungs share no level.

    References:
        Danzer CS, The cardiothoracic ratio, Am J Med Sci 1919;157:513.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    heart_x = points[..., HEART.nodes, 0]
    right, left = points[..., RIGHT_LUNG.nodes, :], points[..., LEFT_LUNG.nodes, :]
    # Between two nodes the width changes linearly, so the widest level is that of some node.
    levels = np.concatenate([right[..., 1], left[..., 1]], axis=-1)
    (right_low, right_high), (left_low, left_high) = _extent_at(right, levels), _extent_at(left, levels)
    shared = np.isfinite(right_high) & np.isfinite(left_high)
    width = np.maximum(right_high, left_high) - np.minimum(right_low, left_low)
    thorax = np.where(shared, width, -np.inf).max(axis=-1)
    ratio: Floats = (heart_x.max(axis=-1) - heart_x.min(axis=-1)) / np.where(thorax > 0, thorax, np.nan)
    return ratio


def has_possible_sizes(landmarks: ArrayLike, shape: tuple[int, int], spacing_mm: tuple[float, float]) -> bool:
    """Say whether a chest can be as large as a pixel spacing makes the image, its lungs and its heart.

    Args:
        landmarks: ``(120, 2)``, (x, y) in pixels of the image.
        shape: rows and columns of the image.
        spacing_mm: height and width of a pixel.
    """
    row_mm, column_mm = spacing_mm
    if not FIELD_MM[0] <= max(shape[0] * row_mm, shape[1] * column_mm) <= FIELD_MM[1]:
        return False
    points = np.asarray(landmarks, dtype=np.float64) * (column_mm, row_mm)
    right, left, heart = (polygon_area(points[organ.nodes]) / 100 for organ in (RIGHT_LUNG, LEFT_LUNG, HEART))
    width = np.ptp(points[: LEFT_LUNG.nodes.stop, 0])
    return bool(width <= LARGEST_LUNGS_MM and right + left <= LARGEST_LUNGS_CM2 and heart <= LARGEST_HEART_CM2)


def _extent_at(polygon: Floats, levels: Floats) -> tuple[Floats, Floats]:
    """Return least and greatest x of a polygon at horizontal levels; (inf, -inf) where it does not reach."""
    end = np.roll(polygon, -1, axis=-2)
    x0, y0 = (polygon[..., None, :, axis] for axis in (0, 1))
    x1, y1 = (end[..., None, :, axis] for axis in (0, 1))
    level = levels[..., :, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        position = np.where(y1 == y0, 0.0, (level - y0) / (y1 - y0))
    crossed = (np.minimum(y0, y1) <= level) & (level <= np.maximum(y0, y1))
    x = x0 + position * (x1 - x0)
    return np.where(crossed, x, np.inf).min(axis=-1), np.where(crossed, x, -np.inf).max(axis=-1)


def contour_normals(landmarks: ArrayLike) -> Floats:
    """Return the direction at each landmark that leads straight out of its organ.

    It is perpendicular to the line between the two neighbors on the organ's closed contour; where these coincide, to
    the line between the next two, and so on.

    Args:
        landmarks: ``(..., 120, 2)``, (x, y) in any unit.

    Returns:
        Unit vectors ``(..., 120, 2)``, (x, y); (1, 0) where a contour gives no direction because it has shrunk to a
        point, and NaN where the neighbors are unknown.

    Raises:
        ValueError: if the shape does not fit.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    if points.ndim < 2 or points.shape[-2:] != (NODE_COUNT, 2):
        raise ValueError(f"landmarks must be (..., {NODE_COUNT}, 2), got shape {points.shape}")
    return np.concatenate([_ring_normals(points[..., organ.nodes, :]) for organ in ORGANS], axis=-2)


def contour_directions(landmarks: ArrayLike) -> Floats:
    """Return the two directions at each landmark: across the contour, and along it.

    Args:
        landmarks: ``(..., 120, 2)``, (x, y) in any unit.

    Returns:
        ``(..., 120, 2, 2)``: two unit vectors (x, y) per landmark, that of `contour_normals`, and the one at a right
        angle to it that leads to the next landmark.

    Raises:
        ValueError: if the shape does not fit.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    normals = contour_normals(points)
    along = np.stack([-normals[..., 1], normals[..., 0]], axis=-1)
    for organ in ORGANS:
        along[..., organ.nodes, :] *= _turn(points[..., organ.nodes, :])[..., None, None]
    return np.stack([normals, along], axis=-2)


def moved_along_contours(landmarks: ArrayLike, across: ArrayLike, along: ArrayLike) -> Floats:
    """Move landmarks along their contours, which are closed polygons, and then across them.

    Args:
        landmarks: ``(120, 2)``, (x, y).
        across: ``(..., 120)``, outwards, in the unit of the landmarks.
        along: ``(..., 120)``, towards the next landmark, on the way along the contour.

    Returns:
        ``(..., 120, 2)``.

    Raises:
        ValueError: if the shape does not fit.
    """
    points, normals = np.asarray(landmarks, dtype=np.float64), contour_normals(landmarks)
    outwards, onwards = np.asarray(across, dtype=np.float64), np.asarray(along, dtype=np.float64)
    moved = np.empty((*outwards.shape, 2))
    for organ in ORGANS:
        ring, normal = (np.concatenate([part[organ.nodes], part[organ.nodes][:1]]) for part in (points, normals))
        reached = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(ring, axis=0), axis=1))])
        length = reached[-1] or 1.0  # a contour that has shrunk to a point has no way along it
        way = (reached[:-1] + onwards[..., organ.nodes]) % length
        place, direction = (
            np.stack([np.interp(way, reached, part[:, axis]) for axis in (0, 1)], axis=-1) for part in (ring, normal)
        )
        moved[..., organ.nodes, :] = place + outwards[..., organ.nodes, None] * direction
    return moved


def std_along(directions: Floats, covariance: ArrayLike) -> Floats:
    """Return the standard deviation along a direction at each point.

    Args:
        directions: unit vectors ``(..., 2)``, (x, y).
        covariance: ``(..., 2, 2)`` of x and y, in squared units.

    Raises:
        ValueError: if the covariance's shape does not fit.
    """
    matrix = checked_covariance(covariance)
    variance = np.einsum("...i,...ij,...j->...", directions, matrix, directions)
    deviation: Floats = np.sqrt(np.maximum(variance, 0))  # rounding may go below
    return deviation


def checked_covariance(covariance: ArrayLike) -> Floats:
    """Return covariances ``(..., 2, 2)`` as an array.

    Raises:
        ValueError: if the shape does not fit.
    """
    matrix = np.asarray(covariance, dtype=np.float64)
    if matrix.ndim < 2 or matrix.shape[-2:] != (2, 2):
        raise ValueError(f"covariance must be (..., 2, 2), got shape {matrix.shape}")
    return matrix


def _ring_normals(ring: Floats) -> Floats:
    tangents = _tangents(ring)
    length = np.hypot(tangents[..., 0], tangents[..., 1])[..., None]
    x, y = tangents[..., 0], tangents[..., 1]
    normals = np.stack([y, -x], axis=-1) * _turn(ring)[..., None, None]
    unit: Floats = np.divide(normals, length, out=np.zeros_like(normals), where=length != 0)
    unit[(length == 0)[..., 0]] = (1, 0)
    return unit


def _tangents(ring: Floats) -> Floats:
    """Return central differences along the ring, over more neighbors where the nearest ones coincide."""
    tangents = np.zeros_like(ring)
    for step in range(1, ring.shape[-2] // 2 + 1):
        missing = (tangents == 0).all(axis=-1)
        if not missing.any():
            break
        differences = np.roll(ring, -step, axis=-2) - np.roll(ring, step, axis=-2)
        tangents[missing] = differences[missing]
    return tangents


def _turn(ring: Floats) -> Floats:
    """Return 1 where the ring turns from x to y, clockwise as seen, or -1: which side of it is outside."""
    x, y = np.moveaxis(ring, -1, 0)
    doubled_area = (x * np.roll(y, -1, axis=-1) - y * np.roll(x, -1, axis=-1)).sum(axis=-1)
    return np.where(doubled_area < 0, -1.0, 1.0)


@dataclass(frozen=True)
class ImagePlane:
    """The affine map from pixels of an image to a patient's coordinates.

    Attributes:
        origin: center of the top-left pixel, LPS (x to the patient's left, y to the back, z to the head), in mm.
        column_step: from one column to the next, in mm.
        row_step: from one row to the next, in mm.
    """

    origin: Vector = (0.0, 0.0, 0.0)
    column_step: Vector = (1.0, 0.0, 0.0)
    row_step: Vector = (0.0, 1.0, 0.0)

    def __post_init__(self) -> None:
        """Check that the map can be reversed.

        Raises:
            ValueError: if a number is not finite, or the steps do not span a plane.
        """
        if not np.isfinite([self.origin, self.column_step, self.row_step]).all():
            raise ValueError(f"an image's place must be finite, got {self}")
        if not np.linalg.norm(self._normal) > 0:
            raise ValueError(f"the steps of columns and rows must span a plane, got {self}")

    @classmethod
    def of_spacing(cls, column_mm: float, row_mm: float) -> ImagePlane:
        """Return the plane of an image at the origin, x to the left and y to the back, with this pixel size."""
        return cls(column_step=(column_mm, 0.0, 0.0), row_step=(0.0, row_mm, 0.0))

    def to_space(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return positions ``(n, 3)`` in LPS, mm, of points ``(n, 2)``, (x, y) in pixels.

        Example:
            >>> ImagePlane.of_spacing(0.5, 0.25).to_space(np.array([[10.0, 20.0]]))
            array([[5., 5., 0.]])
        """
        positions: NDArray[np.float64] = points @ np.array([self.column_step, self.row_step]) + np.array(self.origin)
        return positions

    def to_pixels(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return points ``(n, 2)`` in pixels below positions ``(n, 3)`` in LPS, mm: the inverse of `to_space`."""
        inverse = np.linalg.pinv(np.array([self.column_step, self.row_step]))
        points: NDArray[np.float64] = (positions - np.array(self.origin)) @ inverse
        return points

    def heights(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the distances ``(n,)`` in mm, not negative, of positions ``(n, 3)`` from the plane."""
        distances: NDArray[np.float64] = np.abs((positions - np.array(self.origin)) @ self._normal)
        return distances / np.linalg.norm(self._normal)

    @property
    def _normal(self) -> NDArray[np.float64]:
        normal: NDArray[np.float64] = np.cross(self.column_step, self.row_step)
        return normal
