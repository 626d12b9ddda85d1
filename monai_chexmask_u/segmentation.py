"""LandmarkSegmentation: the finished result for one radiograph, in pixels of its image. Every writer takes one."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, overload

import numpy as np
from numpy.typing import NDArray

from monai_chexmask_u.anatomy import NODE_COUNT, NODE_IDS, ORGANS, Organ, organ_of_node
from monai_chexmask_u.geometry import contour_normals, fill_polygon, polygon_area, std_along
from monai_chexmask_u.radiograph import Radiograph

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["SCHEMA", "Estimate", "LandmarkSegmentation", "ModelIdentity", "Origin", "Reliability"]

SCHEMA: Final = "chexmask-u/1"  # of `LandmarkSegmentation.to_dict`


@dataclass(frozen=True)
class Estimate:
    """A value derived from the landmarks, its standard deviation over the samples, and its 90 % interval.

    The interval holds the true value with a probability of 90 %; None without a calibration.
    """

    value: float
    std: float
    interval90: tuple[float, float] | None = None

    def in_words(self) -> str:
        """Return value and interval for people; the spread of the samples alone is far less than the error.

        Example:
            >>> Estimate(0.432, 0.0004, (0.4066, 0.4571)).in_words()
            '0.432 (90 % interval 0.407 to 0.457)'
        """
        if not math.isfinite(self.value):
            return "not measurable"
        if self.interval90 is None or not all(map(math.isfinite, self.interval90)):
            return f"{self.value:.3f}"
        low, high = self.interval90
        return f"{self.value:.3f} (90 % interval {low:.3f} to {high:.3f})"


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
    "child": "The patient is under 16 by the header; the model knows adults",
    "view_contradicted": "The header names a frontal view and another one",
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

    def with_doubts(self, reasons: Sequence[str]) -> Reliability:
        """Return a verdict that is at best ``review`` if there are reasons to look, which come last."""
        if not reasons:
            return self
        return Reliability("review" if self.verdict == "accept" else self.verdict, (*self.reasons, *reasons))

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
        area_interval90_px: of each organ's area, the interval that holds the true one with 90 % probability, in squared
            pixels; None without a calibration.
        error_covariance: ``(120, 2, 2)``, expected covariance of the landmark's error: the total uncertainty, in
            squared pixels; None without a calibration.
        total_px1024: mean over the nodes of the total uncertainty in pixels of a 1024-pixel image, or None.
        radius90: ``(120,)``, pixels around each landmark that hold the true one with 90 % probability; None until
            the model has been calibrated.
        samples: ``(sample, 120, 2)``, where the true landmarks may be, in pixels of the image: draws from the expected
            errors, or without a calibration the landmarks of each latent sample; None if they were not kept.
        scores: how foreign the image is to the network, by the name of the score, higher is more foreign; empty
            without a calibration.
        origin: what it was computed from, if that is known.
        radiograph: what was segmented, to show the result on; None if it was not kept.
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
    area_interval90_px: tuple[tuple[float, float], ...] | None = None
    error_covariance: NDArray[np.float64] | None = None
    total_px1024: float | None = None
    radius90: NDArray[np.float64] | None = None
    samples: NDArray[np.float32] | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    origin: Origin | None = None
    radiograph: Radiograph | None = None

    def __post_init__(self) -> None:
        """Check shapes and that every number can be written to a file.

        Raises:
            ValueError: if a shape does not fit or a coordinate is not finite.
        """
        if self.radiograph is not None and self.radiograph.shape != self.shape:
            raise ValueError(f"the radiograph must have shape {self.shape}, got {self.radiograph.shape}")
        for name, array, shape in (
            ("landmarks", self.landmarks, (NODE_COUNT, 2)),
            ("covariance", self.covariance, (NODE_COUNT, 2, 2)),
            ("error_covariance", self.error_covariance, (NODE_COUNT, 2, 2)),
        ):
            if array is not None and (array.shape != shape or not np.isfinite(array).all()):
                raise ValueError(f"{name} must be finite and have shape {shape}, got {array.shape}")

    def __repr__(self) -> str:
        """Describe the result in a few lines, without anything that names the patient."""
        rows, columns = self.shape
        size = f"{rows} x {columns} pixels"
        if self.spacing_mm is not None:
            size += f" of {self.spacing_mm[0]:.4g} x {self.spacing_mm[1]:.4g} mm"
        reasons = "; ".join(map(self.reliability.in_words, self.reliability.reasons))
        measure = "predictive" if self.total_px1024 is None else "total"
        return (
            f"LandmarkSegmentation of a radiograph of {size}\n"
            f"  verdict: {self.reliability.verdict}{f' ({reasons})' if reasons else ''}\n"
            f"  cardiothoracic ratio: {self.cardiothoracic_ratio.in_words()}\n"
            f"  {measure} uncertainty: {self.score:.1f} px at 1024, {self.sample_count} samples\n"
            f"  model: {self.model.name} {self.model.version}"
        )

    def with_radiograph(self, radiograph: Radiograph) -> LandmarkSegmentation:
        """Return this result with the radiograph to be shown on."""
        shown = self.as_measured(radiograph)
        return self if self.radiograph is shown else replace(self, radiograph=shown)

    def as_measured(self, radiograph: Radiograph) -> Radiograph:
        """Return the radiograph of this result, without a pixel spacing that the result shows to be impossible."""
        is_impossible = self.spacing_mm is None and radiograph.spacing_mm is not None
        return radiograph.without_spacing() if is_impossible else radiograph

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

    @property
    def shown_uncertainty(self) -> NDArray[np.float64]:
        """What nodes are colored by, ``(120,)`` in pixels: the total uncertainty, or `node_uncertainty` without one."""
        return self.node_uncertainty if self.total_uncertainty is None else self.total_uncertainty

    @property
    def shown_measure(self) -> str:
        """What `shown_uncertainty` is called."""
        return "node uncertainty" if self.total_uncertainty is None else "total node uncertainty"

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

    def polygons(self) -> dict[str, NDArray[np.float64]]:
        """Return the contour of each organ, ``(node, 2)``, by the organ's name."""
        return {organ.name: self.contour(organ) for organ in ORGANS}

    @overload
    def mask(self, organ: None = None) -> NDArray[np.uint8]: ...

    @overload
    def mask(self, organ: Organ) -> NDArray[np.bool_]: ...

    def mask(self, organ: Organ | None = None) -> NDArray[np.uint8] | NDArray[np.bool_]:
        """Return the filled mask ``(row, column)`` of an organ, or without one that of all, as `label_mask`."""
        return self.label_mask() if organ is None else fill_polygon(self.contour(organ), self.shape)

    def label_mask(self) -> NDArray[np.uint8]:
        """Return one mask ``(row, column)``: 1 right lung, 2 left lung, 3 heart, which covers the lungs."""
        labels = np.zeros(self.shape, dtype=np.uint8)
        for organ in ORGANS:
            labels[self.mask(organ)] = organ.label
        return labels

    def membership(self, organ: Organ) -> NDArray[np.float32]:
        """Return the share of the samples whose contour of the organ holds each pixel, ``(row, column)`` in 0..1.

        Without a calibration it is too sure of itself: the spread of the latent samples is less than the error.

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

    def area_interval90(self, organ: Organ, *, square_mm: bool = False) -> tuple[float, float] | None:
        """Return the interval that holds the true area of an organ with 90 % probability, in pixels or in mm2.

        It is None without a calibration, and in mm2 without spacing.
        """
        if self.area_interval90_px is None or (square_mm and self.spacing_mm is None):
            return None
        unit = math.prod(self.spacing_mm) if square_mm and self.spacing_mm else 1.0
        low, high = self.area_interval90_px[ORGANS.index(organ)]
        return low * unit, high * unit

    def organ_uncertainty_px(self, organ: Organ) -> float:
        """Return the mean node uncertainty of the organ over the samples, in pixels."""
        return float(self.node_uncertainty[organ.nodes].mean())

    def organ_total_px(self, organ: Organ) -> float | None:
        """Return the mean total node uncertainty of the organ in pixels, or None without calibration."""
        return None if self.total_uncertainty is None else float(self.total_uncertainty[organ.nodes].mean())

    def to_dict(self) -> dict[str, Any]:
        """Return everything that the result says, as JSON types; coordinates are pixels of the original image.

        A number that is not known (no spacing, no calibration, a ratio that cannot be measured) is None. The image is
        named by its SOP Instance UID, None where there is no valid one, and by the SHA-256 of its file, since a path
        may lead elsewhere by now; all of these are None where the radiograph was not kept.
        """
        radiograph = self.radiograph
        height, width = self.shape
        ratio = self.cardiothoracic_ratio
        return {
            "schema": SCHEMA,
            "image": {
                "path": None if radiograph is None else str(radiograph.path),
                "sop_instance_uid": None if radiograph is None else radiograph.sop_instance_uid,
                "sha256": None if radiograph is None else radiograph.sha256,
                "height": height,
                "width": width,
                "spacing_mm": list(self.spacing_mm) if self.spacing_mm else None,
                "view": None if radiograph is None else radiograph.view,
                "notes": [] if radiograph is None else list(radiograph.notes),
            },
            "model": {
                "name": self.model.name,
                "version": self.model.version,
                "sha256": self.model.sha256,
                "calibration_sha256": self.model.calibration_sha256,
            },
            "samples": self.sample_count,
            "landmarks": self.landmark_rows(),
            "organs": {
                organ.name: {
                    "area_px": self.area_px(organ),
                    "area_std_px": _finite(area_std),
                    "area_interval90_px": _listed(self.area_interval90(organ)),
                    "area_mm2": self.area_mm2(organ),
                    "area_interval90_mm2": _listed(self.area_interval90(organ, square_mm=True)),
                    "uncertainty_px": self.organ_uncertainty_px(organ),
                    "total_uncertainty_px": self.organ_total_px(organ),
                }
                for organ, area_std in zip(ORGANS, self.area_std_px, strict=True)
            },
            "cardiothoracic_ratio": {
                "value": _finite(ratio.value),
                "std": _finite(ratio.std),
                "interval90": _listed(ratio.interval90),
            },
            "uncertainty": {
                "latent": self.latent_uncertainty,
                "predictive_px1024": self.predictive_px1024,
                "total_px1024": self.total_px1024,
                "score": self.score,
            },
            "reliability": {
                "verdict": self.reliability.verdict,
                "reasons": list(self.reliability.reasons),
                "scores": {name: _finite(float(score)) for name, score in self.scores.items()},
            },
        }

    def landmark_rows(self) -> list[dict[str, Any]]:
        """Return one dictionary per landmark, in node order."""
        total, radius = self.total_uncertainty, self.radius90
        across = std_along(contour_normals(self.landmarks), self.covariance)
        return [
            {
                "id": identifier,
                "organ": organ_of_node(node).name,
                "x": float(self.landmarks[node, 0]),
                "y": float(self.landmarks[node, 1]),
                "std_x": float(self.std[node, 0]),
                "std_y": float(self.std[node, 1]),
                "cov_xy": float(self.covariance[node, 0, 1]),
                "std_normal": float(across[node]),
                "uncertainty_px": None if total is None else float(total[node]),
                "radius90": None if radius is None else _finite(float(radius[node])),
            }
            for node, identifier in enumerate(NODE_IDS)
        ]

    def to_dataframe(self) -> Any:
        """Return a pandas table with one row per landmark, and the columns of the CSV file.

        Raises:
            ImportError: if pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("to_dataframe needs the package pandas; install it: pip install pandas") from error
        return pd.DataFrame(self.landmark_rows())

    @cached_property
    def overlay(self) -> Image:
        """The radiograph with contours, nodes colored by their uncertainty, color bar and verdict, in RGB.

        The longer side of the radiograph is about 1200 pixels, and a caption is below. It is shown as it was stored.

        Raises:
            ValueError: if the radiograph was not kept.
        """
        from monai_chexmask_u.drawing import add_caption, draw_landmarks

        radiograph, uncertainty = self._kept_radiograph(), self.shown_uncertainty
        image = draw_landmarks(radiograph.pixels, self.landmarks, uncertainty)
        return add_caption(image, uncertainty, self.shown_measure, self._sentences(radiograph))

    def _repr_png_(self) -> bytes | None:
        """Return the overlay for notebooks, or None if the radiograph was not kept."""
        if self.radiograph is None:
            return None
        stream = io.BytesIO()
        self.overlay.save(stream, format="PNG")
        return stream.getvalue()

    def plot(self, ax: Any = None) -> Any:
        """Draw radiograph, contours and nodes, colored by their uncertainty, with Matplotlib.

        Args:
            ax: axes to draw into; the current ones by default. They are in pixels of the image, y downwards.

        Returns:
            The axes.

        Raises:
            ImportError: if Matplotlib is not installed.
        """
        try:
            from matplotlib import pyplot as plt
        except ImportError as error:
            raise ImportError("plot needs the package matplotlib; install it: pip install matplotlib") from error
        ax = plt.gca() if ax is None else ax
        rows, columns = self.shape
        shown = np.zeros(self.shape, np.float32) if self.radiograph is None else self.radiograph.pixels
        ax.imshow(shown, cmap="gray", vmin=0, vmax=1)
        for organ in ORGANS:
            contour = np.vstack([self.contour(organ), self.contour(organ)[:1]])
            ax.plot(*contour.T, color=np.array(organ.color) / 255, linewidth=1, label=organ.title)
        ax.scatter(*self.landmarks.T, c=self.shown_uncertainty, cmap="RdYlBu_r", s=8, zorder=3)
        ax.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5), aspect=self._pixel_shape)
        return ax

    @property
    def _pixel_shape(self) -> float:
        """Height over width of a pixel."""
        if self.radiograph is not None:
            return self.radiograph.height_over_width
        return 1.0 if self.spacing_mm is None else self.spacing_mm[0] / self.spacing_mm[1]

    def _kept_radiograph(self) -> Radiograph:
        if self.radiograph is None:
            raise ValueError("this result does not hold its radiograph; add it with with_radiograph")
        return self.radiograph

    def _sentences(self, radiograph: Radiograph) -> list[str]:
        """Return what stands below the overlay."""
        reliability, model = self.reliability, self.model
        reasons = "; ".join(map(reliability.in_words, reliability.reasons))
        sentences = [
            f"Verdict: {reliability.verdict}{f' ({reasons})' if reasons else ''}.",
            f"Cardiothoracic ratio {self.cardiothoracic_ratio.in_words()}.",
            f"Predictive uncertainty {self.predictive_px1024:.1f} px at 1024, "
            f"latent {self.latent_uncertainty:.2f}, {self.sample_count} samples.",
            f"Model {model.name} {model.version}, {model.sha256[:12]}.",
        ]
        if self.total_px1024 is not None:
            sentences.insert(2, f"Total uncertainty {self.total_px1024:.1f} px at 1024.")
        if radiograph.notes:
            sentences.append(f"Notes: {', '.join(radiograph.notes)}.")
        return [*sentences, "For research use only, not for diagnosis."]


def _listed(interval: tuple[float, float] | None) -> list[float] | None:
    return list(interval) if interval is not None and all(map(math.isfinite, interval)) else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
