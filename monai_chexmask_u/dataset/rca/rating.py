"""Reverse classification accuracy: how good a segmentation is, judged by outlined radiographs that look alike.

The radiograph is laid on each of a few references by a registration; if its outlines are right, they then lie on the
true ones of the reference. The Dice of the two stands for the Dice with the unknown truth. How well it does so, and how
it compares with the uncertainty, is measured in ``benchmarks/README.md``.

References:
    [1] Valindria et al., Reverse Classification Accuracy, https://arxiv.org/abs/1702.03407
    [2] Gaggion et al., CheXmask, https://arxiv.org/abs/2307.03293
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from monai_chexmask_u.anatomy import HEART, LEFT_LUNG, NODE_COUNT, RIGHT_LUNG
from monai_chexmask_u.dataset.rca.registration import REGISTRATION_SETTINGS, REGISTRATION_SIZE, register, require_itk
from monai_chexmask_u.geometry import fill_polygon

if TYPE_CHECKING:
    from monai_chexmask_u.segmenter import Segmenter

__all__ = ["NEIGHBORS", "Rating", "ReferenceSet", "label_map", "load_references", "overlap", "rate"]

NEIGHBORS: Final = 5
MASK_SIZE: Final = 256
"""Side in pixels of the masks whose overlap is measured."""
LABELS: Final = {RIGHT_LUNG: 1, LEFT_LUNG: 1, HEART: 2}
"""Values of the published label maps, in the order of filling: the heart covers the lungs."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ReferenceSet:
    """Outlined radiographs to judge by, small enough to be sent to other processes.

    Attributes:
        names: of the radiographs.
        images: ``(radiograph, size, size)`` float32 in 0..1, shrunk network images.
        landmarks: ``(radiograph, 120, 2)`` float64, the true ones, in the network frame.
        latent_means: ``(radiograph, latent)`` float64, what the segmenting network makes of each radiograph.
        digests: SHA-256 of each radiograph's network image in 8 bits.
        network_size: side of the network images that the radiographs were made of, which is part of the frame.
    """

    names: tuple[str, ...]
    images: NDArray[np.float32]
    landmarks: Floats
    latent_means: Floats
    digests: tuple[str, ...]
    network_size: int

    @property
    def settings(self) -> dict[str, Any]:
        """All that ratings depend on besides the rated radiograph, as JSON types."""
        return {"references": self.fingerprint, "neighbors": NEIGHBORS, "registration": REGISTRATION_SETTINGS}

    @property
    def fingerprint(self) -> str:
        """SHA-256 over names, landmarks and images, which tells sets of references apart."""
        digest = hashlib.sha256(f"rca/1 {self.network_size}".encode())
        for name, points, image in zip(self.names, self.landmarks, self.digests, strict=True):
            digest.update(f"\n{name}\n{image}\n".encode())
            digest.update(np.ascontiguousarray(points, dtype="<f8").tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Rating:
    """What the references say of one segmentation; None where no registration succeeded.

    Attributes:
        dice_mean: mean over the references of (Dice of the lungs + Dice of the heart) / 2.
        dice_max: the same, of the best reference.
        lungs_mean: mean Dice of both lungs without the heart.
        lungs_max: the same, of the best reference.
        heart_mean: mean Dice of the heart.
        heart_max: the same, of the best reference.
        references: names of the references that the radiograph could be laid on, nearest first.
    """

    dice_mean: float | None = None
    dice_max: float | None = None
    lungs_mean: float | None = None
    lungs_max: float | None = None
    heart_mean: float | None = None
    heart_max: float | None = None
    references: tuple[str, ...] = ()


def load_references(folder: str | Path | Sequence[str | Path], segmenter: Segmenter) -> ReferenceSet:
    """Read outlined radiographs to judge by; those that lack an organ are left out.

    Args:
        folder: of radiographs with landmarks, in a layout that `monai_chexmask_u.data.landmark_datalist` knows, or
            several.
        segmenter: the one that will segment the radiographs to be rated: nearness is nearness in its latent space.

    Raises:
        ValueError: if the package itk is missing, there are no such radiographs, or one of them cannot be read.
    """
    import torch

    from monai_chexmask_u.data import landmark_datalist
    from monai_chexmask_u.networks.network_image import to_network_image
    from monai_chexmask_u.reading import read_radiograph

    require_itk()
    items = [item for item in landmark_datalist(folder) if np.isfinite(item["label"]).all()]
    if not items:
        raise ValueError(f"{folder}: no radiograph with the outlines of both lungs and the heart, so no reference")
    images, landmarks, latent_means, digests = [], [], [], []
    for item in items:
        try:
            radiograph = read_radiograph(Path(item["image"]))
        except ValueError as error:
            raise ValueError(f"{item['image']}: {error}") from error
        posterior, frame = segmenter.infer(radiograph)
        image = to_network_image(torch.from_numpy(radiograph.pixels), frame)[0].numpy()
        images.append(_shrunk(image))
        landmarks.append(frame.to_network(item["label"]))
        latent_means.append(posterior.latent_mean[0].double().cpu().numpy())
        digests.append(_digest(image))
    names = tuple(str(item["name"]) for item in items)
    stacked = np.stack(images), np.stack(landmarks), np.stack(latent_means)
    return ReferenceSet(names, *stacked, tuple(digests), segmenter.network.image_size)


def rate(
    image: NDArray[np.float32],
    landmarks: NDArray[np.floating],
    latent_mean: NDArray[np.floating],
    references: ReferenceSet,
    *,
    neighbors: int = NEIGHBORS,
) -> Rating:
    """Rate one segmentation by the references that are nearest to its radiograph in latent space.

    A reference whose network image has the same gray levels is the radiograph itself and left out. The outlines are
    moved and then filled, instead of moving a mask: nothing is lost to the size of the pixels that are registered.

    Args:
        image: the radiograph's network image ``(size, size)`` in 0..1, of the side that the references were made with.
        landmarks: ``(120, 2)``, the segmentation, in the network frame.
        latent_mean: ``(latent,)``, of the radiograph.
        references: to judge by, loaded with the same network.
        neighbors: how many of them.

    Returns:
        The rating; references that the radiograph cannot be laid on do not count.

    Raises:
        ValueError: if the package itk is missing, or an argument does not fit the references.
    """
    _check(image, landmarks, latent_mean, references, neighbors)
    require_itk()
    if not (np.isfinite(image).all() and np.isfinite(landmarks).all() and np.isfinite(latent_mean).all()):
        return Rating()
    item, size = _shrunk(image), references.network_size
    names, dice = [], []
    for index in _nearest(latent_mean, _digest(image), references, neighbors):
        alignment = register(item, references.images[index])
        if alignment is None:
            continue
        moved = alignment.move(_pixels(landmarks, size, len(item)))
        found = label_map((moved + 0.5) * (MASK_SIZE / len(item)) - 0.5, MASK_SIZE)
        true = label_map(_pixels(references.landmarks[index], size, MASK_SIZE), MASK_SIZE)
        names.append(references.names[index])
        dice.append(overlap(found, true))
    return _summary(np.array(dice), tuple(names)) if dice else Rating()


def label_map(points: Floats, size: int) -> NDArray[np.uint8]:
    """Fill the outlines of lungs and heart to a label map as published.

    Args:
        points: ``(120, 2)``, (x, y) in pixels of the map; may leave it.
        size: its side.

    Returns:
        ``(size, size)``: 0 background, 1 lungs, 2 heart, which covers the lungs.
    """
    labels = np.zeros((size, size), dtype=np.uint8)
    for organ, label in LABELS.items():
        labels[fill_polygon(points[organ.nodes], labels.shape)] = label
    return labels


def overlap(found: NDArray[np.uint8], true: NDArray[np.uint8]) -> tuple[float, float]:
    """Return the Dice of lungs and heart of two label maps; 1 where both lack the organ."""
    dice = []
    for label in sorted(set(LABELS.values())):
        first, second = found == label, true == label
        both = int(first.sum()) + int(second.sum())
        dice.append(2 * int((first & second).sum()) / both if both else 1.0)
    return dice[0], dice[1]


def _summary(dice: Floats, names: tuple[str, ...]) -> Rating:
    """Summarize the Dice ``(reference, 2)`` of lungs and heart."""
    columns = np.column_stack([dice.mean(axis=1), dice])
    mean, best = columns.mean(axis=0).tolist(), columns.max(axis=0).tolist()
    return Rating(mean[0], best[0], mean[1], best[1], mean[2], best[2], names)


def _nearest(
    latent_mean: NDArray[np.floating], digest: str, references: ReferenceSet, neighbors: int
) -> NDArray[np.intp]:
    """Return the references nearest by Euclidean distance, without the radiograph itself; ties keep their order."""
    distance = np.linalg.norm(references.latent_means - np.asarray(latent_mean, dtype=np.float64), axis=1)
    order = np.argsort(distance, kind="stable")
    others = np.array([references.digests[index] != digest for index in order], dtype=np.bool_)
    return order[others][:neighbors]


def _shrunk(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average a square image down to the size of registration, or as near above it as whole factors allow."""
    factor = 1
    while image.shape[0] % (2 * factor) == 0 and image.shape[0] // (2 * factor) >= REGISTRATION_SIZE:
        factor *= 2
    side = image.shape[0] // factor
    blocks: Floats = image.reshape(side, factor, side, factor).mean(axis=(1, 3), dtype=np.float64)
    return blocks.astype(np.float32)


def _pixels(points: NDArray[np.floating], network_size: int, size: int) -> Floats:
    """Take points from the network frame to pixels of the same square at another size; edges meet edges."""
    return (np.asarray(points, dtype=np.float64) * network_size + 0.5) * (size / network_size) - 0.5


def _digest(image: NDArray[np.float32]) -> str:
    """Return the SHA-256 of an image in 8 bits, by which the same radiograph is known again."""
    levels = np.rint(np.nan_to_num(image) * 255).clip(0, 255).astype(np.uint8)
    return hashlib.sha256(levels.tobytes()).hexdigest()


def _check(
    image: NDArray[np.float32],
    landmarks: NDArray[np.floating],
    latent_mean: NDArray[np.floating],
    references: ReferenceSet,
    neighbors: int,
) -> None:
    size, latent = references.network_size, references.latent_means.shape[1]
    given = (np.shape(image), np.shape(landmarks), np.shape(latent_mean))
    expected = ((size, size), (NODE_COUNT, 2), (latent,))
    if given != expected:
        raise ValueError(f"expected image, landmarks and latent mean of shapes {expected}, got {given}")
    if neighbors < 1:
        raise ValueError(f"neighbors must be at least 1, got {neighbors}")
