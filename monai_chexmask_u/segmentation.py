"""LandmarkSegmentation: the finished result for one image, in pixels of that image. Every writer takes one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from monai_chexmask_u.anatomy import NODE_COUNT, ORGANS, Organ
from monai_chexmask_u.geometry import fill_polygon, polygon_area

__all__ = ["Estimate", "LandmarkSegmentation", "ModelIdentity", "Origin", "Reliability"]


@dataclass(frozen=True)
class Estimate:
    """A value derived from the landmarks, and its standard deviation over the samples."""

    value: float
    std: float


@dataclass(frozen=True)
class ModelIdentity:
    """Which network made a result: name, version, and SHA-256 of the weights file and of its calibration, if any."""

    name: str
    version: str
    sha256: str
    calibration_sha256: str | None = None


@dataclass(frozen=True, eq=False)
class Origin:
    """What a result was computed from, and which landmarks came out.

    Attributes:
        sha256: of all that determines the result: pixels and their geometry, weights, calibration, seed and number of
            samples, options. The device and its number of threads are not among it: they round differently.
        landmarks: ``(120, 2)``, those that were computed.
    """

    sha256: str
    landmarks: NDArray[np.float64]


_REASONS_IN_WORDS: Final = {
    "not_calibrated": "The model is not calibrated",
    "not_frontal_chest": "Not like a frontal chest radiograph",
    "upside_down": "Seems to be upside down",
    "turned_sideways": "Seems to be turned sideways",
    "mirrored": "Seems to be mirrored",
    "inverted": "Seems to have inverted gray levels",
    "implausible_shape": "The outlines have an implausible shape",
    "image_quality": "Too little contrast or too much saturation",
    **{f"high_uncertainty:{organ.name}": f"High uncertainty of the {organ.title.lower()}" for organ in ORGANS},
}


@dataclass(frozen=True)
class Reliability:
    """The verdict on one result, with machine-readable reasons such as ``not_calibrated``."""

    verdict: Literal["accept", "review", "reject"]
    reasons: tuple[str, ...]

    @staticmethod
    def in_words(reason: str) -> str:
        """Return a reason for people, in at most 64 characters if it is one of this project's."""
        words = reason.replace("_", " ").replace(":", " ")
        return _REASONS_IN_WORDS.get(reason) or words[:1].upper() + words[1:]


@dataclass(frozen=True, eq=False)
class LandmarkSegmentation:
    """Landmarks of the lungs and the heart on one radiograph, with their uncertainty.

    Attributes:
        landmarks: ``(120, 2)``, (x, y) in pixels of the image as stored, (0, 0) at the center of the top-left pixel.
        covariance: ``(120, 2, 2)``, of x and y over the samples, in squared pixels of the image.
        shape: rows and columns of the image.
        spacing_mm: height and width of a pixel, or None if unknown.
        sample_count: number of latent samples.
        latent_uncertainty: mean over the latent dimensions of the predicted standard deviation.
        predictive_px1024: mean over the nodes of the published node uncertainty, in pixels of a 1024-pixel image.
        cardiothoracic_ratio: widest heart over widest inner thorax; NaN if it cannot be measured.
        model: the network and its weights.
        reliability: accept, review or reject, with reasons.
        area_std_px: standard deviation over the samples of each organ's area, in squared pixels, in the organs' order.
        error_covariance: ``(120, 2, 2)``, expected covariance of the landmark's error: the total uncertainty, in
            squared pixels; None without a calibration.
        total_px1024: mean over the nodes of the total uncertainty in pixels of a 1024-pixel image, or None.
        radius90: ``(120,)``, pixels around each landmark that hold the true one with 90 % probability; None until
            the model has been calibrated.
        samples: ``(sample, 120, 2)``, the landmarks of each latent sample, in pixels of the image; None if they were
            not kept.
        scores: how foreign the image is to the network, by the name of the score, higher is more foreign; empty
            without a calibration.
        origin: what it was computed from, if that is known.
    """

    landmarks: NDArray[np.float64]
    covariance: NDArray[np.float64]
    shape: tuple[int, int]
    spacing_mm: tuple[float, float] | None
    sample_count: int
    latent_uncertainty: float
    predictive_px1024: float
    cardiothoracic_ratio: Estimate
    model: ModelIdentity
    reliability: Reliability
    area_std_px: tuple[float, ...] = (float("nan"),) * len(ORGANS)
    error_covariance: NDArray[np.float64] | None = None
    total_px1024: float | None = None
    radius90: NDArray[np.float64] | None = None
    samples: NDArray[np.float32] | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    origin: Origin | None = None

    def __post_init__(self) -> None:
        """Check shapes and that every number can be written to a file.

        Raises:
            ValueError: if a shape does not fit or a coordinate is not finite.
        """
        for name, array, shape in (
            ("landmarks", self.landmarks, (NODE_COUNT, 2)),
            ("covariance", self.covariance, (NODE_COUNT, 2, 2)),
            ("error_covariance", self.error_covariance, (NODE_COUNT, 2, 2)),
        ):
            if array is not None and (array.shape != shape or not np.isfinite(array).all()):
                raise ValueError(f"{name} must be finite and have shape {shape}, got {array.shape}")

    @property
    def identity(self) -> str:
        """What tells this result from others of its image, a SHA-256: that of its origin.

        Landmarks that are not those of the origin, or have none, stand for themselves, to the last bit.
        """
        if self.origin is not None and np.array_equal(self.origin.landmarks, self.landmarks):
            return self.origin.sha256
        return hashlib.sha256(np.ascontiguousarray(self.landmarks).tobytes()).hexdigest()

    @property
    def score(self) -> float:
        """The one number that ranks images by uncertainty: the total one if there is a calibration."""
        return self.predictive_px1024 if self.total_px1024 is None else self.total_px1024

    @cached_property
    def std(self) -> NDArray[np.float64]:
        """Standard deviation of x and y per node, ``(120, 2)``, in pixels."""
        deviation: NDArray[np.float64] = np.sqrt(np.diagonal(self.covariance, axis1=1, axis2=2))
        return deviation

    @cached_property
    def node_uncertainty(self) -> NDArray[np.float64]:
        """Published node uncertainty, the mean of the two standard deviations, ``(120,)``, in pixels."""
        mean: NDArray[np.float64] = self.std.mean(axis=1)
        return mean

    @cached_property
    def total_uncertainty(self) -> NDArray[np.float64] | None:
        """Total node uncertainty ``(120,)`` in pixels, defined like the published one, or None without calibration."""
        if self.error_covariance is None:
            return None
        mean: NDArray[np.float64] = np.sqrt(np.diagonal(self.error_covariance, axis1=1, axis2=2)).mean(axis=1)
        return mean

    @cached_property
    def distance_mm(self) -> NDArray[np.float64] | None:
        """Root mean square distance of the samples from each landmark, ``(120,)``, or None without spacing."""
        if self.spacing_mm is None:
            return None
        row_mm, column_mm = self.spacing_mm
        distance: NDArray[np.float64] = np.hypot(self.std[:, 0] * column_mm, self.std[:, 1] * row_mm)
        return distance

    def contour(self, organ: Organ) -> NDArray[np.float64]:
        """Return the organ's landmarks ``(node, 2)``, a closed polygon without its repeated first point."""
        return self.landmarks[organ.nodes]

    def mask(self, organ: Organ) -> NDArray[np.bool_]:
        """Return the organ's filled mask ``(row, column)``."""
        return fill_polygon(self.contour(organ), self.shape)

    def label_mask(self) -> NDArray[np.uint8]:
        """Return one mask ``(row, column)``: 1 right lung, 2 left lung, 3 heart, which covers the lungs."""
        labels = np.zeros(self.shape, dtype=np.uint8)
        for organ in ORGANS:
            labels[self.mask(organ)] = organ.label
        return labels

    def membership(self, organ: Organ) -> NDArray[np.float32]:
        """Return the share of the samples whose contour of the organ holds each pixel, ``(row, column)`` in 0..1.

        It is as sure of itself as the samples are: their spread is less than the error (see `error_covariance`).

        Raises:
            ValueError: if the samples were not kept.
        """
        if self.samples is None:
            raise ValueError("the probability of membership needs the samples, and this result does not hold them")
        contours = self.samples[:, organ.nodes].astype(np.float64)
        # Only the part of the image that some contour reaches is counted.
        start = np.clip(np.floor(contours.min(axis=(0, 1))).astype(int), 0, self.shape[::-1])
        end = np.clip(np.ceil(contours.max(axis=(0, 1))).astype(int) + 1, start, self.shape[::-1])
        columns, rows = (end - start).tolist()
        count = np.zeros((rows, columns), dtype=np.uint32)
        for contour in contours:
            count += fill_polygon(contour - start, (rows, columns))
        share = np.zeros(self.shape, dtype=np.float32)
        share[start[1] : end[1], start[0] : end[0]] = count / len(contours)
        return share

    def area_px(self, organ: Organ) -> float:
        """Return the area inside the organ's contour in squared pixels."""
        return float(polygon_area(self.contour(organ)))

    def area_mm2(self, organ: Organ) -> float | None:
        """Return the area inside the organ's contour, or None without spacing."""
        if self.spacing_mm is None:
            return None
        row_mm, column_mm = self.spacing_mm
        return self.area_px(organ) * row_mm * column_mm

    def organ_uncertainty_px(self, organ: Organ) -> float:
        """Return the mean node uncertainty of the organ over the samples, in pixels."""
        return float(self.node_uncertainty[organ.nodes].mean())

    def organ_total_px(self, organ: Organ) -> float | None:
        """Return the mean total node uncertainty of the organ in pixels, or None without calibration."""
        return None if self.total_uncertainty is None else float(self.total_uncertainty[organ.nodes].mean())
