"""What becomes of radiographs: decoded, segmented, completed to rows. Engines map these steps over chunks."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from monai_chexmask_u.dataset.building.radiograph_files import RadiographFile
from monai_chexmask_u.dataset.building.segmentation_row import segmentation_row
from monai_chexmask_u.dataset.schema import FAILURE_SCHEMA, rows_table
from monai_chexmask_u.files.faults import fault_of
from monai_chexmask_u.geometry import Frame
from monai_chexmask_u.model import load_model
from monai_chexmask_u.networks.network_image import fit_frame, to_network_image
from monai_chexmask_u.posterior import LandmarkPosterior
from monai_chexmask_u.radiograph import without_spacing
from monai_chexmask_u.segmenter import Segmenter

if TYPE_CHECKING:
    from monai_chexmask_u.dataset.rca.rating import ReferenceSet

__all__ = ["Chunk", "Decoded", "Finished", "Inferred", "RadiographWork", "Recipe", "radiograph_seed"]


@dataclass(frozen=True)
class Recipe:
    """All that a row depends on besides its radiograph.

    Attributes:
        image_size: side of the network's square.
        model: path of the model, or None for the shipped one.
        samples: latent samples per radiograph.
        seed: of the whole data set; each radiograph's own derives from it and the radiograph's id.
        crop_border: leave out the black border around the exposed field.
        source: title of the data set that the radiographs are from, or None.
        masks: write the masks, which follow from the landmarks.
        device: where the network runs.
    """

    image_size: int
    model: Path | None = None
    samples: int = 50
    seed: int = 0
    crop_border: bool = False
    source: str | None = None
    masks: bool = True
    device: str = "cpu"


@dataclass(frozen=True)
class Chunk:
    """Radiographs that are worked on together; all of one shard.

    Attributes:
        shard: its number.
        number: of the chunk within the shard.
        radiographs: in the order of their ids.
        damaged: ids of radiographs that end the process that reads them.
    """

    shard: int
    number: int
    radiographs: tuple[RadiographFile, ...]
    damaged: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False)
class Decoded:
    """A radiograph as the network sees it, and what is needed to come back; it stands in for its radiograph.

    Attributes:
        file: where it came from.
        image: ``(1, size, size)`` float32.
        frame: from its pixels to the network's.
        shape: rows and columns of the radiograph.
        spacing_mm: height and width of a pixel, or None.
        view: ``PA``, ``AP`` or None.
        notes: what was decided when it was read.
        sha256: of its bytes.
    """

    file: RadiographFile
    image: NDArray[np.float32]
    frame: Frame
    shape: tuple[int, int]
    spacing_mm: tuple[float, float] | None
    view: str | None
    notes: tuple[str, ...]
    sha256: str


Failure = dict[str, str]
_TENSORS: Final = ("mean", "covariance", "latent_mean", "latent_std", "samples", "error_covariance", "scores")


@dataclass(frozen=True, eq=False)
class Inferred:
    """A chunk behind the network: radiographs with their posteriors as arrays, and what failed so far."""

    chunk: Chunk
    radiographs: tuple[tuple[Decoded, dict[str, NDArray[np.float32]]], ...]
    failures: tuple[Failure, ...]


@dataclass(frozen=True, eq=False)
class Finished:
    """A chunk that is done: its rows and what failed of it, in the order of its radiographs."""

    chunk: Chunk
    rows: pa.Table
    failures: pa.Table


class RadiographWork:
    """The three steps from radiographs to rows. Each process makes its own and loads what its steps need.

    Args:
        recipe: what the rows depend on.
        references: radiographs to rate against, for the columns of reverse classification accuracy.
    """

    def __init__(self, recipe: Recipe, references: ReferenceSet | None = None) -> None:
        """Keep what is needed; load nothing yet."""
        self.recipe = recipe
        self.references = references
        # Matrix products that are split over threads round differently; processes take the place of threads.
        torch.set_num_threads(1)

    @cached_property
    def segmenter(self) -> Segmenter:
        """The network on its device."""
        return Segmenter(load_model(self.recipe.model), num_samples=self.recipe.samples, device=self.recipe.device)

    def decode(self, chunk: Chunk) -> tuple[Chunk, list[Decoded | Failure]]:
        """Read the radiographs of a chunk and fit them to the network."""
        return chunk, [
            _damaged(file) if file.image_id in chunk.damaged else self._decode(file) for file in chunk.radiographs
        ]

    def infer(self, decoded: tuple[Chunk, Sequence[Decoded | Failure]]) -> Inferred:
        """Put the radiographs of a chunk through the network."""
        chunk, radiographs = decoded
        usable = [each for each in radiographs if isinstance(each, Decoded)]
        failures = tuple(each for each in radiographs if not isinstance(each, Decoded))
        if not usable:
            return Inferred(chunk, (), failures)
        images = torch.from_numpy(np.stack([each.image for each in usable]))
        seeds = [radiograph_seed(self.recipe.seed, each.file.image_id) for each in usable]
        posteriors = self.segmenter.infer_images(images, seeds)
        arrays = [{name: posterior[name].numpy() for name in _TENSORS} for posterior in posteriors]
        return Inferred(chunk, tuple(zip(usable, arrays, strict=True)), failures)

    def complete(self, inferred: Inferred) -> Finished:
        """Turn posteriors into rows."""
        rows, failures = [], list(inferred.failures)
        for decoded, arrays in inferred.radiographs:
            try:
                rows.append(self._row(decoded, arrays))
            except Exception as error:  # whatever is wrong with one radiograph, the others are still done
                _raise_if_of_the_machine(error)
                failures.append(_failure(decoded.file, *fault_of(error)))
        order = {file.image_id: place for place, file in enumerate(inferred.chunk.radiographs)}
        failures.sort(key=lambda each: order[each["image_id"]])
        return Finished(inferred.chunk, rows_table(rows), pa.Table.from_pylist(failures, schema=FAILURE_SCHEMA))

    def __call__(self, chunk: Chunk) -> Finished:
        """Do all three steps."""
        return self.complete(self.infer(self.decode(chunk)))

    def _decode(self, file: RadiographFile) -> Decoded | Failure:
        try:
            radiograph = file.read()
            frame = fit_frame(radiograph, self.recipe.image_size, crop_border=self.recipe.crop_border)
            image = to_network_image(torch.from_numpy(radiograph.pixels), frame).numpy()
        except Exception as error:  # whatever is wrong with one radiograph, the others are still done
            _raise_if_of_the_machine(error)
            return _failure(file, *fault_of(error))
        return Decoded(
            file,
            image,
            frame,
            radiograph.shape,
            radiograph.spacing_mm,
            radiograph.view,
            radiograph.notes,
            str(radiograph.sha256),
        )

    def _row(self, decoded: Decoded, arrays: dict[str, NDArray[np.float32]]) -> dict[str, Any]:
        posterior = LandmarkPosterior(**{name: torch.from_numpy(array) for name, array in arrays.items()})
        result = self.segmenter.finish(posterior, decoded.frame, decoded)
        row = segmentation_row(result, decoded.frame, masks=self.recipe.masks)
        is_invalid = decoded.spacing_mm is not None and result.spacing_mm is None
        row |= {
            "image_id": decoded.file.image_id,
            "image_path": decoded.file.image_path,
            "source": self.recipe.source,
            "view": decoded.view,
            "notes": list(without_spacing(decoded.notes) if is_invalid else decoded.notes),
            "latent_mean": arrays["latent_mean"][0],
            "latent_std": arrays["latent_std"][0],
            "seed": radiograph_seed(self.recipe.seed, decoded.file.image_id),
            "image_sha256": decoded.sha256,
        }
        return row | self._rating(decoded, arrays)

    def _rating(self, decoded: Decoded, arrays: dict[str, NDArray[np.float32]]) -> dict[str, float | None]:
        """Return the columns of reverse classification accuracy, none without references."""
        if self.references is None:
            return {}
        from monai_chexmask_u.dataset.rca.rating import rate  # of another extra

        rating = rate(decoded.image[0], arrays["mean"][0], arrays["latent_mean"][0], self.references)
        return {"dice_rca_mean": rating.dice_mean, "dice_rca_max": rating.dice_max}


_OF_THE_MACHINE: Final = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ESTALE, errno.ENOTCONN)


def _raise_if_of_the_machine(error: Exception) -> None:
    """Let an error pass that the radiograph is not to blame for, so that the build stops instead of giving it up."""
    if isinstance(error, MemoryError):
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)) from error
    if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
        raise error


def _failure(file: RadiographFile, code: str, message: str) -> Failure:
    """Return the row of a radiograph that has none in the table."""
    return {"image_id": file.image_id, "image_path": file.image_path, "code": code, "message": message}


def _damaged(file: RadiographFile) -> Failure:
    return _failure(file, "crashed", "reading the radiograph ends the process, so its file is damaged; fetch it again")


def radiograph_seed(seed: int, image_id: str) -> int:
    """Return the seed of a radiograph's samples: it does not depend on what other radiographs there are.

    Example:
        >>> radiograph_seed(0, "chest.png") == radiograph_seed(0, "chest.png") != radiograph_seed(1, "chest.png")
        True
    """
    digest = hashlib.sha256(f"{seed}:{image_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
