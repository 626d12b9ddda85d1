"""Scoring: how unsure the network is of each image without annotation."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.exception import ImageNotFoundException
from monailabel.interfaces.tasks.scoring import ScoringMethod
from numpy.typing import NDArray

from label.tasks.latents import LatentStore
from label.tasks.model_versions import ModelStore
from monai_chexmask_u.archive.failures import ArchiveError
from monai_chexmask_u.model import Model
from monai_chexmask_u.radiograph import RadiographError
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.segmentation import ModelIdentity
from monai_chexmask_u.segmenter import Segmenter

__all__ = ["LandmarkUncertaintyScoring"]

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_WRITES: Final = 10.0
"""A local datastore writes its whole file at each change, so that changes are gathered."""


class LandmarkUncertaintyScoring(ScoringMethod):
    """Segments images and notes the score, the verdict and its reasons with each; keeps its place in latent space.

    Images that the model in use has seen are skipped. Annotated images get their place in latent space alone, which
    tells how far other images are from what is annotated already. An image that cannot be segmented gets
    ``landmark_uncertainty_error`` (code and sentence) and does not stop the others; if it could not be fetched, it
    is tried again the next time.

    Args:
        store: of the models.
        latents: of the images.
        device: for the network, as `Segmenter` takes it.
    """

    def __init__(self, store: ModelStore, latents: LatentStore, device: str = "auto") -> None:
        """Keep where things are; the model is loaded when there is something to score."""
        super().__init__("Landmark uncertainty of each unlabeled image, for active learning")
        self.store = store
        self.latents = latents
        self.device = device

    def pending(self, datastore: Datastore) -> list[str]:
        """Return the images that the model in use has not seen, those to annotate first; cheap."""
        model = self.store.load().identity
        known = self.latents.of(model.sha256)
        unlabeled = sorted(datastore.get_unlabeled_images())
        rest = sorted(set(datastore.list_images()) - set(unlabeled))
        unscored = [
            each for each in unlabeled if each not in known or not _is_scored(datastore.get_image_info(each), model)
        ]
        return unscored + [each for each in rest if each not in known]

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Score what is pending.

        Args:
            request: ``again`` (score all images, also those that are scored), ``max_samples`` (no more than so many
                now), ``device``.
            datastore: of the images.

        Returns:
            Counts: ``total`` images, ``executed``, of them ``failed``, ``skipped`` because they were scored before, and
            the ``latency`` in seconds.
        """
        started = time.monotonic()
        images = sorted(datastore.list_images()) if request.get("again") else self.pending(datastore)
        total = len(datastore.list_images())
        images = images[: int(request.get("max_samples") or 0) or None]
        failed = self._score(images, datastore, str(request.get("device") or self.device)) if images else 0
        result = {
            "total": total,
            "executed": len(images),
            "failed": failed,
            "skipped": total - len(images),
            "model_sha256": self.store.load().identity.sha256,
            "latency": round(time.monotonic() - started, 3),
        }
        logger.info("Landmark uncertainty: %s", result)
        return result

    def _score(self, images: list[str], datastore: Datastore, device: str) -> int:
        """Score images, and write what came out every few seconds and at the end; returns how many failed."""
        model = self.store.load()
        segmenter = Segmenter(model, device=device)
        gathered = _Gathered(self.latents, model.identity, datastore)
        unlabeled = set(datastore.get_unlabeled_images())
        failed = 0
        for number, image_id in enumerate(images, start=1):
            info, latent = _examine(image_id, datastore, segmenter, model)
            failed += "landmark_uncertainty_error" in info and info["landmark_uncertainty_error"] is not None
            gathered.add(image_id, info if image_id in unlabeled else {}, latent)
            if gathered.write_if_due():
                logger.info("Landmark uncertainty: %d of %d images, %d failed", number, len(images), failed)
        gathered.write()
        return failed


class _Gathered:
    """Results that wait to be written, latent means first: an image counts as scored once its info says so."""

    def __init__(self, latents: LatentStore, model: ModelIdentity, datastore: Datastore) -> None:
        self.latents, self.model, self.datastore = latents, model, datastore
        self.infos: dict[str, dict[str, Any]] = {}
        self.means: dict[str, NDArray[np.float32]] = {}
        self.written = time.monotonic()

    def add(self, image_id: str, info: dict[str, Any], latent: NDArray[np.float32] | None) -> None:
        if info:
            self.infos[image_id] = info
        if latent is not None:
            self.means[image_id] = latent

    def write_if_due(self) -> bool:
        due = time.monotonic() - self.written > SECONDS_BETWEEN_WRITES
        if due:
            self.write()
        return due

    def write(self) -> None:
        if self.means:
            self.latents.add(self.model.sha256, self.means)
        self.datastore.update_image_infos(self.infos)  # with one write; an image may be gone meanwhile
        self.infos, self.means, self.written = {}, {}, time.monotonic()


def _examine(
    image_id: str, datastore: Datastore, segmenter: Segmenter, model: Model
) -> tuple[dict[str, Any], NDArray[np.float32] | None]:
    """Return what to note with an image, and its latent mean: NaN if it cannot be used, None if that may change."""
    nowhere = np.full(model.network.latent_size, np.nan, np.float32)
    try:
        radiograph = read_radiograph(Path(datastore.get_image_uri(image_id)))
        posterior, frame = segmenter.infer(radiograph)
        result = segmenter.finish(posterior, frame, radiograph)
    except ImageNotFoundException:  # somebody has deleted it meanwhile
        return _failure("not_readable", "the image is gone"), None
    except ArchiveError as error:  # it may answer next time
        return _failure("not_readable", str(error)), None
    except OSError as error:
        return _failure(
            "not_readable", f"the image could not be fetched ({error.strerror or type(error).__name__})"
        ), None
    except RadiographError as error:
        return _failure(error.code, str(error), model.identity), nowhere
    except Exception as error:  # one image must not keep the others from being scored
        logger.exception("%s could not be segmented", image_id)
        return _failure("not_segmented", f"segmentation failed ({type(error).__name__})", model.identity), nowhere
    info = _info(model.identity) | {
        "landmark_uncertainty": float(result.score),
        "verdict": result.reliability.verdict,
        "reasons": list(result.reliability.reasons),
    }
    return info, posterior.latent_mean[0].cpu().numpy().astype(np.float32)


def _info(model: ModelIdentity | None) -> dict[str, Any]:
    """Return all keys that scoring writes: a datastore merges them, and what was there before must not stay."""
    return {
        "landmark_uncertainty": None,
        "landmark_uncertainty_error": None,
        "verdict": None,
        "reasons": [],
        "model_sha256": model.sha256 if model else None,
        "calibration_sha256": model.calibration_sha256 if model else None,
    }


def _failure(code: str, sentence: str, model: ModelIdentity | None = None) -> dict[str, Any]:
    return _info(model) | {"landmark_uncertainty_error": {"code": code, "message": sentence}}


def _is_scored(info: Mapping[str, Any], model: ModelIdentity) -> bool:
    """Tell whether a score, or the reason why there is none, is that of this model with this calibration."""
    said = info.get("landmark_uncertainty") is not None or info.get("landmark_uncertainty_error") is not None
    same = (info.get("model_sha256"), info.get("calibration_sha256")) == (model.sha256, model.calibration_sha256)
    return said and same
