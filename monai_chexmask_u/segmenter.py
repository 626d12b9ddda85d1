"""Segmenter: the one path from a radiograph to its segmentation, which every door of the project uses."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.dicom.reading.header import check_size
from monai_chexmask_u.dicom.reading.pixels import stretched
from monai_chexmask_u.geometry import Frame, cardiothoracic_ratio, has_possible_sizes, polygon_area
from monai_chexmask_u.model import Model, load_model
from monai_chexmask_u.networks.examiner import SCORES
from monai_chexmask_u.networks.network_image import fit_frame, to_network_image
from monai_chexmask_u.networks.posterior_sampler import PosteriorSampler
from monai_chexmask_u.posterior import LandmarkPosterior
from monai_chexmask_u.radiograph import REVIEWED_NOTES, Radiograph, RadiographError
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.segmentation import Estimate, LandmarkSegmentation, ModelIdentity, Origin
from monai_chexmask_u.uncertainty import (
    NOT_CALIBRATED,
    PUBLISHED_IMAGE_SIZE,
    assess,
    latent_uncertainty,
    organ_uncertainty,
    predictive_uncertainty,
)
from monai_chexmask_u.uncertainty.calibration import Calibration
from monai_chexmask_u.uncertainty.joint_errors import draw_landmarks, interval90

__all__ = ["ImageGeometry", "Segmenter", "radiograph_of_array", "segment", "segmentation_from_posterior"]

DRAWS: Final = 100
"""Of the true landmarks, from their expected errors, with the same random numbers for every radiograph."""


def segment(
    image: Path | str | NDArray[Any] | Radiograph,
    *,
    model: Model | Path | str | None = None,
    num_samples: int = 50,
    seed: int = 0,
    device: str = "auto",
    crop_border: bool = False,
    bright_is_dense: bool = True,
    spacing_mm: tuple[float, float] | None = None,
) -> LandmarkSegmentation:
    """Segment one radiograph; for many, load the model once or use `segment_folder`.

    Args:
        image: a file (DICOM, PNG, JPEG, TIFF), an array as for `radiograph_of_array`, or a `Radiograph`.
        model: from `load_model`, or its path; the project's own by default.
        num_samples: as for `Segmenter`, like `seed`, `device` and `crop_border`.
        seed: of the samples.
        device: where the network runs.
        crop_border: leave out the black border around the exposed field.
        bright_is_dense: of an array: bone is bright. Files and radiographs say themselves what they are.
        spacing_mm: of an array: height and width of a pixel.

    Raises:
        RadiographError: if the image cannot be used; `code` tells why.
        CheckpointError: if there is no model, or it is broken.
        CalibrationError: if the model's calibration is broken.
        TypeError: if the image is none of these.
        ValueError: if an argument does not fit.

    Example:
        ``segment("chest.png").reliability.verdict``
    """
    if isinstance(image, np.ndarray):
        radiograph = radiograph_of_array(image, bright_is_dense=bright_is_dense, spacing_mm=spacing_mm)
    elif not isinstance(image, Path | str | Radiograph):
        raise TypeError(f"expected a path, a NumPy array (H, W) or a Radiograph, got {type(image).__name__}")
    elif not bright_is_dense or spacing_mm is not None:
        raise ValueError("bright_is_dense and spacing_mm are for arrays alone; files and radiographs say it themselves")
    else:
        radiograph = image if isinstance(image, Radiograph) else _read(Path(image))
    loaded = model if isinstance(model, Model) else load_model(model)
    segmenter = Segmenter(loaded, num_samples=num_samples, seed=seed, device=device, crop_border=crop_border)
    return segmenter.segment(radiograph)


def radiograph_of_array(
    pixels: NDArray[Any], *, bright_is_dense: bool = True, spacing_mm: tuple[float, float] | None = None
) -> Radiograph:
    """Make a radiograph of an array; the patient is taken to stand upright, the right lung on the left.

    Args:
        pixels: ``(H, W)`` of an integer or floating-point type. 8-bit values, and floating-point ones in 0..1, are
            taken as they are; others are stretched over most of their range, as those of image files are.
        bright_is_dense: bone is bright; else the gray levels are inverted.
        spacing_mm: height and width of a pixel, if known.

    Raises:
        ValueError: if shape or type do not fit, or a value is not finite.
        RadiographError: if the image is blank, too large or too small.
    """
    found = f"an array of shape {pixels.shape} and type {pixels.dtype}"
    if pixels.ndim != 2 or not (np.issubdtype(pixels.dtype, np.integer) or np.issubdtype(pixels.dtype, np.floating)):
        raise ValueError(f"expected one gray image (H, W) of integers or floating-point numbers, got {found}")
    check_size(*pixels.shape)
    if not np.isfinite(pixels).all():
        count = int(np.count_nonzero(~np.isfinite(pixels)))
        raise ValueError(f"expected finite values, got {found} with {count} that are NaN or infinite; replace them")
    low, high = pixels.min(), pixels.max()
    if low == high:
        raise RadiographError("constant_image", f"all pixels have one value in {found}")
    notes = ["orientation_assumed", "view_unknown", *(["spacing_unknown"] if spacing_mm is None else [])]
    if pixels.dtype == np.uint8:
        gray = pixels.astype(np.float32) / np.float32(255)
    elif np.issubdtype(pixels.dtype, np.floating) and low >= 0 and high <= 1:
        gray = pixels.astype(np.float32)
    else:
        exact = pixels.astype(np.float64) if pixels.dtype == np.float16 else pixels
        gray = stretched(exact, exact)
        notes.insert(0, "intensity_stretched")
    if not bright_is_dense:
        gray = np.float32(1) - gray
        notes.insert(0, "photometric_inverted")
    shown = np.ascontiguousarray(gray, dtype=np.float32)
    return Radiograph(shown, Path("array"), spacing_mm=spacing_mm, notes=tuple(notes))


def _read(path: Path) -> Radiograph:
    try:
        return read_radiograph(path)
    except RadiographError as error:
        raise RadiographError(error.code, f"{path}: {error}") from error


class ImageGeometry(Protocol):
    """What of an image a segmentation depends on besides the network's output; a `Radiograph` has it."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        ...

    @property
    def spacing_mm(self) -> tuple[float, float] | None:
        """Height and width of a pixel, or None."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What was decided when it was read."""
        ...


class Segmenter:
    """Segments radiographs: fits them to the network, samples the posterior, and takes it back to image pixels.

    Args:
        model: from `monai_chexmask_u.model.load_model`.
        num_samples: latent samples per image.
        seed: of the samples; the same image, weights and seed give the same result, to the last bit on one machine with
            one number of threads, and within 0.01 pixels of the image with any number.
        device: ``cpu``, ``cuda``, ``cuda:1`` ..., or ``auto`` for a GPU when there is one.
        crop_border: leave out the black border around the exposed field.

    Raises:
        ValueError: if the device does not exist or a number is too small.

    Example:
        ``Segmenter(load_model()).segment(read_radiograph("chest.dcm")).cardiothoracic_ratio``
    """

    def __init__(
        self,
        model: Model,
        *,
        num_samples: int = 50,
        seed: int = 0,
        device: str = "auto",
        crop_border: bool = False,
    ) -> None:
        """Move the network to its device."""
        self.identity = model.identity
        self.calibration = model.calibration
        examiner = self.calibration.examiner if self.calibration else None
        self.sampler = PosteriorSampler(num_samples, seed, examiner=examiner)
        self.device = _device(device)
        self.network = model.network.eval().to(self.device)
        self.crop_border = crop_border

    def segment(self, radiograph: Radiograph) -> LandmarkSegmentation:
        """Segment one radiograph.

        Raises:
            ValueError: if the network's output is not finite.
        """
        return self.finish(*self.infer(radiograph), radiograph)

    def finish(self, posterior: LandmarkPosterior, frame: Frame, radiograph: ImageGeometry) -> LandmarkSegmentation:
        """Take a posterior of `infer` back to its image.

        Args:
            posterior: a batch of one.
            frame: how the image was shown to the network.
            radiograph: the image; with its geometry alone, the result does not say what it was computed from.

        Raises:
            ValueError: if the posterior is of several images or not finite.
        """
        result = segmentation_from_posterior(posterior, radiograph, frame, self.identity, self.calibration)
        doubts = [note for note in radiograph.notes if note in REVIEWED_NOTES]
        result = replace(result, reliability=result.reliability.with_doubts(doubts))
        if not isinstance(radiograph, Radiograph):
            return result
        return replace(result, origin=Origin(self._digest(radiograph), result.landmarks.copy()))

    def _digest(self, radiograph: Radiograph) -> str:
        """Return the SHA-256 of all that determines a result, but for how the device rounds."""
        settings = {
            "shape": radiograph.shape,
            "spacing_mm": radiograph.spacing_mm,
            "pixel_aspect": radiograph.pixel_aspect,
            "mirrored": radiograph.mirrored,
            "upside_down": radiograph.upside_down,
            "crop_border": self.crop_border,
            "weights": self.identity.sha256,
            "calibration": self.identity.calibration_sha256,
            "seed": self.sampler.seed,
            "samples": self.sampler.num_samples,
            "notes": [note for note in radiograph.notes if note in REVIEWED_NOTES],
        }
        digest = hashlib.sha256(json.dumps(settings).encode())
        digest.update(np.ascontiguousarray(radiograph.pixels).data)
        return digest.hexdigest()

    def infer(self, radiograph: Radiograph) -> tuple[LandmarkPosterior, Frame]:
        """Return the posterior of one radiograph, in the network frame, and the frame."""
        frame = fit_frame(radiograph, self.network.image_size, crop_border=self.crop_border)
        image = to_network_image(torch.from_numpy(radiograph.pixels), frame)
        return self.sampler.infer(image.unsqueeze(0).to(self.device), self.network)[0], frame

    def infer_images(self, images: Tensor, seeds: Sequence[int]) -> list[LandmarkPosterior]:
        """Return the posterior of each of several network images, on the CPU.

        On a CPU the images pass the network one by one: matrix products of other sizes round differently, and a batch
        is no faster. So the result of an image does not depend on its company in a single bit. On a GPU they pass
        together, and the results of other batches differ by rounding.

        Args:
            images: ``(batch, 1, size, size)`` in 0..1.
            seeds: of the samples, one per image.
        """
        size = 1 if self.device.type == "cpu" else max(len(images), 1)
        found: list[LandmarkPosterior] = []
        for start in range(0, len(images), size):
            part = images[start : start + size].to(self.device)
            posterior, _ = self.sampler.infer(part, self.network, seeds[start : start + size])
            rows = {name: value.cpu() for name, value in posterior.items()}
            found += [
                LandmarkPosterior(**{name: value[index : index + 1] for name, value in rows.items()})
                for index in range(len(part))
            ]
        return found


def segmentation_from_posterior(
    posterior: LandmarkPosterior,
    radiograph: ImageGeometry,
    frame: Frame,
    identity: ModelIdentity,
    calibration: Calibration | None = None,
) -> LandmarkSegmentation:
    """Take the posterior of one image back to that image's pixels.

    A pixel spacing with which no chest could have this size is left out, of the result and of the radiograph it keeps.

    Args:
        posterior: a batch of one.
        radiograph: the image, or its geometry.
        frame: how it was shown to the network.
        identity: of the network.
        calibration: of the network; its examiner has made the posterior's expected errors and scores. If the inferer
            had no examiner, the result stays uncalibrated.

    Raises:
        ValueError: if the posterior is of several images or not finite.
    """
    if len(posterior.mean) != 1:
        raise ValueError(f"expected the posterior of one image, got {len(posterior.mean)}")
    samples = frame.to_image(posterior.samples[0].cpu().numpy())
    landmarks = frame.to_image(posterior.mean[0].cpu().numpy())
    ratios = cardiothoracic_ratio(samples)
    kept, spacing_mm = radiograph if isinstance(radiograph, Radiograph) else None, radiograph.spacing_mm
    if spacing_mm and not has_possible_sizes(landmarks, radiograph.shape, spacing_mm):
        kept, spacing_mm = kept and kept.without_spacing(), None
    result = LandmarkSegmentation(
        landmarks=landmarks,
        covariance=frame.covariance_to_image(posterior.covariance[0].cpu().numpy()),
        shape=radiograph.shape,
        spacing_mm=spacing_mm,
        sample_count=posterior.samples.shape[1],
        latent_uncertainty=float(latent_uncertainty(posterior.latent_std)[0]),
        predictive_px1024=float(predictive_uncertainty(posterior.samples)[0]),
        cardiothoracic_ratio=Estimate(float(np.mean(ratios)), float(np.std(ratios))),
        model=identity,
        reliability=NOT_CALIBRATED,
        area_std_px=tuple(float(np.std(polygon_area(samples[:, organ.nodes]))) for organ in ORGANS),
        samples=samples.astype(np.float32),
        radiograph=kept,
    )
    if calibration is None or not posterior.scores.shape[-1]:
        return result
    return _calibrated(result, posterior, frame, calibration)


def _calibrated(
    result: LandmarkSegmentation, posterior: LandmarkPosterior, frame: Frame, calibration: Calibration
) -> LandmarkSegmentation:
    """Add total uncertainty, radii, draws of the true landmarks, intervals, scores and the verdict."""
    network_covariance = calibration.expected(posterior.error_covariance[0].double().cpu().numpy())
    uncertainty = np.sqrt(np.diagonal(network_covariance, axis1=1, axis2=2)).mean(axis=1) * PUBLISHED_IMAGE_SIZE
    scores = dict(zip(SCORES, posterior.scores[0].tolist(), strict=True))
    covariance = frame.covariance_to_image(network_covariance)
    mean = posterior.mean[0].double().cpu().numpy()
    drawn = draw_landmarks(mean, network_covariance, calibration.error_correlation, count=DRAWS, seed=0)
    samples = frame.to_image(drawn)
    ratio = replace(result.cardiothoracic_ratio, interval90=interval90(cardiothoracic_ratio(samples)))
    return replace(
        result,
        samples=samples.astype(np.float32),
        cardiothoracic_ratio=ratio,
        area_interval90_px=tuple(interval90(polygon_area(samples[:, organ.nodes])) for organ in ORGANS),
        error_covariance=covariance,
        total_px1024=float(uncertainty.mean()),
        radius90=calibration.radius90(covariance),
        scores=scores,
        reliability=assess(scores, organ_uncertainty(network_covariance), calibration.limits),
    )


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device: torch.device | None = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError):  # no such name, or no such hardware
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise ValueError(f"device {name!r} cannot be used here; use 'auto' or 'cpu'")
    return device
