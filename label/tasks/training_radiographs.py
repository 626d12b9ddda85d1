"""What annotators submitted, as radiographs to train on and radiographs to validate on."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from monailabel.interfaces.datastore import Datastore
from numpy.typing import NDArray

from label.images.submissions import read_submitted
from monai_chexmask_u.annotations.landmark_files import write_arrays
from monai_chexmask_u.archive.failures import ArchiveError
from monai_chexmask_u.data import landmark_datalist
from monai_chexmask_u.radiograph import RadiographError
from monai_chexmask_u.reading import read_radiograph

__all__ = [
    "TrainingRadiograph",
    "collect_radiographs",
    "hold_out",
    "radiograph_digest",
    "replay_radiographs",
    "write_radiographs",
]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class TrainingRadiograph:
    """A radiograph with landmarks.

    Attributes:
        image_id: in the datastore, or the radiograph's name in its data set.
        path: the image's file.
        landmarks: ``(120, 2)``, (x, y) in pixels of the image, NaN where an organ is not outlined.
    """

    image_id: str
    path: Path
    landmarks: NDArray[np.float32]

    @property
    def digest(self) -> str:
        """What the radiograph is known by in records, which do not hold image ids."""
        return radiograph_digest(self.image_id)


def radiograph_digest(image_id: str) -> str:
    """Return the first half of the SHA-256 of an image's id."""
    return hashlib.sha256(image_id.encode()).hexdigest()[:32]


def collect_radiographs(datastore: Datastore, tag: str) -> tuple[list[TrainingRadiograph], dict[str, str]]:
    """Read all labels of a tag.

    Returns:
        The radiographs with landmarks by image id, and, by image id, why a label is left out.
    """
    radiographs, left_out = [], {}
    for image_id in sorted(datastore.list_images()):
        label_id = datastore.get_labels_by_image_id(image_id).get(tag)
        if not label_id:
            continue
        try:
            path = Path(datastore.get_image_uri(image_id))
            label, info = Path(datastore.get_label_uri(label_id, tag)), datastore.get_label_info(label_id, tag)
            landmarks = read_submitted(label, read_radiograph(path), info)
            radiographs.append(TrainingRadiograph(image_id, path, landmarks))
        except (RadiographError, ArchiveError, ValueError) as error:
            left_out[image_id] = str(error)
        except OSError as error:
            left_out[image_id] = (
                f"the image or its label could not be fetched ({error.strerror or type(error).__name__})"
            )
        except Exception as error:  # one label must not keep the others from being learned from
            logger.exception("The label of %s cannot be used", image_id)
            left_out[image_id] = f"the label cannot be used ({type(error).__name__})"
    return radiographs, left_out


def hold_out(
    radiographs: Sequence[TrainingRadiograph], fraction: float, learned: Collection[str]
) -> tuple[list[TrainingRadiograph], list[TrainingRadiograph]]:
    """Split radiographs into those to learn from and those to validate on.

    A radiograph is held out if the hash of its id is below the fraction; if none is, the one with the smallest hash is.
    Radiographs that come later do not make a radiograph that was learned from one that is held out, and a radiograph
    whose digest is among those that the model has learned from is never held out.

    Args:
        radiographs: all radiographs.
        fraction: to hold out, in 0..1; half of the radiographs at most are.
        learned: digests of the radiographs that the model in use, or one it was trained from, has learned from.

    Returns:
        Radiographs to learn from and radiographs held out; the latter is empty if all radiographs have been learned
        from.
    """
    fresh = sorted(
        (radiograph for radiograph in radiographs if radiograph.digest not in learned),
        key=lambda radiograph: radiograph.digest,
    )
    below = [radiograph for radiograph in fresh if int(radiograph.digest[:8], 16) / 2**32 < fraction] or fresh[:1]
    held_out = below[: max(1, len(radiographs) // 2)]
    return [radiograph for radiograph in radiographs if radiograph not in held_out], held_out


def replay_radiographs(folder: Path, count: int) -> list[TrainingRadiograph]:
    """Take radiographs of a data set, evenly over its list.

    Args:
        folder: a data set with ``train/``, or such a part itself, in a layout of `landmark_datalist`.
        count: take no more than so many.

    Raises:
        ValueError: if the folder cannot be used; it names the file.
    """
    items = landmark_datalist(folder / "train" if (folder / "train").is_dir() else folder)
    chosen = np.unique(np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int))
    picked = [items[index] for index in chosen]
    return [TrainingRadiograph(item["name"], Path(item["image"]), np.asarray(item["label"])) for item in picked]


def write_radiographs(radiographs: Iterable[TrainingRadiograph], folder: Path, prefix: str) -> None:
    """Lay out radiographs as a data set, with links to their images; names are numbers, since ids may be anything.

    Args:
        radiographs: at least one.
        folder: is made.
        prefix: of the names, unique in one training.

    Raises:
        OSError: if the folder cannot be written to.
    """
    images = folder / "images"
    images.mkdir(parents=True)
    landmarks = {}
    for number, radiograph in enumerate(radiographs):
        suffix = radiograph.path.suffix if not radiograph.path.suffix[1:].isdigit() else ".dcm"
        name = f"{prefix}{number:05d}"
        (images / f"{name}{suffix or '.dcm'}").symlink_to(radiograph.path.resolve())
        landmarks[name] = radiograph.landmarks
    write_arrays(folder / "landmarks.npz", landmarks)
