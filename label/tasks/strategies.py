"""Strategies: which image to annotate next."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.exception import MONAILabelError, MONAILabelException
from monailabel.interfaces.tasks.strategy import Strategy

from label.tasks.latents import Latents, LatentStore
from label.tasks.model_versions import ModelStore

__all__ = ["MostUncertain", "UncertainAndDiverse", "distances_to_nearest"]

logger = logging.getLogger(__name__)

SERVED_FOR: Final = 24 * 60 * 60
"""Seconds for which an image that was handed out counts as being worked on; MONAI Label's own strategies take a day."""


@dataclass(frozen=True)
class Candidate:
    """An image that may be annotated next.

    Attributes:
        image_id: in the datastore.
        uncertainty: its score, None until it is scored.
        rejected: the verdict is reject: most likely no upright frontal chest radiograph.
        served: when it was last handed out by any strategy, in seconds since 1970; 0 if not lately.
    """

    image_id: str
    uncertainty: float | None
    rejected: bool
    served: int


class MostUncertain(Strategy):
    """Hands out the image with the highest score.

    The order is a rule: images that were handed out within a day come after those that were not, the one handed out
    longest ago first; images without a score come after scored ones, since a score will be there soon and says more
    than none; images that the verdict rejects come last, since annotating a hand teaches nothing; images that cannot be
    segmented are never handed out. Ties go by the image's id.
    """

    def __init__(self, description: str = "The image that the model is most unsure of") -> None:
        """Describe the strategy."""
        super().__init__(description)

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any] | None:
        """Choose the next image.

        Args:
            request: ``label_tag`` and ``labels``, which the datastore reads.
            datastore: of the images.

        Returns:
            ``id``, ``score``, and ``why`` in words; None if there is no image to annotate.
        """
        candidates = candidates_in(datastore, request)
        if not candidates:
            return None
        chosen = min(candidates, key=lambda each: _order(each, each.uncertainty))
        return _result(chosen, len(candidates), {"score": chosen.uncertainty})


class UncertainAndDiverse(Strategy):
    """Hands out an image that the model is unsure of and that is unlike those that are annotated or handed out.

    An image's worth is ``uncertainty ** (1 - balance) * distance ** balance``, where the distance is the one to the
    nearest annotated image, or image handed out within a day, in latent space (k-center, greedily); units do not
    matter to its order. Nothing annotated yet: the most uncertain image comes first. Otherwise the rule is that of
    `MostUncertain`; an image whose place in latent space is unknown counts as not scored.

    Args:
        store: of the models.
        latents: of the images.
        balance: 0 looks at uncertainty alone, 1 at distance alone.

    Raises:
        ValueError: if the balance is not in 0..1.
    """

    def __init__(self, store: ModelStore, latents: LatentStore, balance: float = 0.5) -> None:
        """Keep where latent means are."""
        super().__init__("An image that the model is unsure of and that is unlike those annotated already")
        self.store = store
        self.latents = latents
        self.balance = _balance(balance)

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any] | None:
        """Choose the next image.

        Args:
            request: ``balance`` for this call; ``label_tag`` and ``labels``, which the datastore reads.
            datastore: of the images.

        Returns:
            ``id``, ``score``, ``distance`` to the nearest annotated image (None if there is none), ``worth``, and
            ``why`` in words; None if there is no image to annotate.

        Raises:
            MONAILabelException: if ``balance`` is not in 0..1.
        """
        try:
            balance = _balance(request.get("balance", self.balance))
        except ValueError as error:
            raise MONAILabelException(MONAILabelError.INVALID_INPUT, str(error)) from error
        candidates = candidates_in(datastore, request)
        if not candidates:
            return None
        known = {name: mean for name, mean in self._latents().items() if np.isfinite(mean).all()}
        served = {each.image_id for each in candidates if each.served}
        unlabeled = set(datastore.get_unlabeled_images(request.get("label_tag"), request.get("labels")))
        covered = [name for name in datastore.list_images() if name in served or name not in unlabeled]
        distance = distances_to_nearest(known, [each.image_id for each in candidates], covered)
        worth = {
            each.image_id: _worth(each.uncertainty, distance[each.image_id], balance)
            for each in candidates
            if each.image_id in known
        }
        chosen = min(candidates, key=lambda each: _order(each, worth.get(each.image_id)))
        near = distance[chosen.image_id]
        details = {"score": chosen.uncertainty, "distance": near, "worth": worth.get(chosen.image_id)}
        return _result(chosen, len(candidates), details)

    def _latents(self) -> Latents:
        return self.latents.of(self.store.current().sha256)


def candidates_in(datastore: Datastore, request: Mapping[str, Any]) -> list[Candidate]:
    """Return the images that may be annotated: without a final label, and not known to be unusable."""
    now, found, unusable = int(time.time()), [], 0
    for image_id in datastore.get_unlabeled_images(request.get("label_tag"), request.get("labels")):
        info = datastore.get_image_info(image_id)
        if info.get("landmark_uncertainty_error") is not None:
            unusable += 1
            continue
        served = _served(info.get("strategy"))
        recent = served if now - served < SERVED_FOR else 0
        rejected = info.get("verdict") == "reject"
        found.append(Candidate(image_id, _number(info.get("landmark_uncertainty")), rejected, recent))
    if unusable and not found:
        logger.warning("No image is left to annotate; %d cannot be segmented, their info says why", unusable)
    return found


def _number(note: Any) -> float | None:
    """Return a number that was noted, None for what is none: clients note what they like."""
    is_number = isinstance(note, int | float) and not isinstance(note, bool) and 0 <= note <= sys.float_info.max
    return float(note) if is_number else None


def _served(notes: Any) -> int:
    """Return when an image was handed out last, 0 if it never was."""
    each = notes.values() if isinstance(notes, dict) else ()
    return int(max((_number(note.get("ts")) or 0 for note in each if isinstance(note, dict)), default=0))


def distances_to_nearest(latents: Latents, images: Sequence[str], covered: Sequence[str]) -> dict[str, float | None]:
    """Return how far images are from the nearest covered image other than themselves.

    It is the Euclidean distance of the latent means, in standard deviations of the latent space's prior. On radiographs
    with outlines it follows the distance of the outlines far better than one that gives all dimensions the same
    weight, since most dimensions say little (`benchmarks/active_learning.py`).

    Args:
        latents: latent means by image.
        images: whose distances are wanted.
        covered: those to which; unknown ones are left out.

    Returns:
        Distance by image; None where it is not known or nothing is covered.
    """
    from scipy.spatial.distance import cdist

    targets = [name for name in covered if name in latents]
    asked = [name for name in images if name in latents]
    distances: dict[str, float | None] = dict.fromkeys(images)
    if not targets or not asked:
        return distances
    between = cdist(np.stack([latents[name] for name in asked]), np.stack([latents[name] for name in targets]))
    between[np.array(asked)[:, None] == np.array(targets)[None, :]] = np.inf
    nearest = between.min(axis=1)
    found = zip(asked, nearest, strict=True)
    return distances | {name: float(value) for name, value in found if np.isfinite(value)}


def _order(candidate: Candidate, worth: float | None) -> tuple[Any, ...]:
    """Return what candidates are sorted by; the first in order is handed out."""
    unknown = worth is None
    return candidate.rejected, candidate.served, unknown, -(worth or 0.0), candidate.image_id


def _worth(uncertainty: float | None, distance: float | None, balance: float) -> float | None:
    if uncertainty is None or distance is None:  # no distance: nothing is annotated yet
        return uncertainty
    return float(uncertainty ** (1 - balance) * distance**balance)


def _balance(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number <= 1:
        raise ValueError(f"balance must be a number from 0 (uncertainty alone) to 1 (diversity alone), got {value!r}")
    return number


def _result(chosen: Candidate, count: int, details: Mapping[str, float | None]) -> dict[str, Any]:
    """Say what was chosen and why."""
    known = ", ".join(f"{name} {value:.3g}" for name, value in details.items() if value is not None)
    why = [f"first of {count} images ({known or 'none is scored yet'})"]
    if chosen.rejected:
        why.append("only images are left that do not look like an upright frontal chest radiograph")
    if chosen.served:
        why.append("all were handed out within a day; this one longest ago")
    logger.info("Next image: %s; %s", chosen.image_id, "; ".join(why))
    return {"id": chosen.image_id, **details, "why": "; ".join(why)}
