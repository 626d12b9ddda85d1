"""Latent means of the images, kept beside the models and not in the datastore's file."""

from __future__ import annotations

import hashlib
import logging
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from monai_chexmask_u.files.atomic import atomic_path, prepare_folder

__all__ = ["LatentStore", "Latents"]

logger = logging.getLogger(__name__)

Latents = dict[str, NDArray[np.float32]]


class LatentStore:
    """Latent means by image id, one file for each model; several processes may share a folder.

    They are made from images and nothing else, so that a file that is lost or damaged is only work to do again.

    Args:
        folder: is made when something is kept.
        studies: folder or address of the images: ids are unique within one only.
    """

    def __init__(self, folder: Path, studies: str) -> None:
        """Remember where the files are; nothing is read yet."""
        self.folder = folder / hashlib.sha256(studies.encode()).hexdigest()[:16]
        self._read: tuple[Path, tuple[int, int], Latents] | None = None

    def of(self, model_sha256: str) -> Latents:
        """Return the latent means ``(latent,)`` by image id; NaN for images that could not be segmented.

        Args:
            model_sha256: of the weights that they were made with.
        """
        path = self._path(model_sha256)
        if not path.is_file():
            return {}
        status = path.stat()
        stamp = (status.st_mtime_ns, status.st_size)
        if self._read is None or self._read[:2] != (path, stamp):
            self._read = path, stamp, _load(path)
        return dict(self._read[2])

    def add(self, model_sha256: str, latents: Mapping[str, NDArray[np.float32]]) -> None:
        """Keep latent means; those of an image that is known already are replaced.

        Raises:
            OSError: if the folder cannot be written to.
        """
        prepare_folder(self.folder)
        path = self._path(model_sha256)
        with FileLock(str(self.folder / ".turns")):
            merged = {**(_load(path) if path.is_file() else {}), **latents}
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                np.savez(file, ids=np.array(list(merged)), latents=np.stack(list(merged.values())))

    def _path(self, model_sha256: str) -> Path:
        return self.folder / f"{model_sha256[:32]}.npz"


def _load(path: Path) -> Latents:
    try:
        with np.load(path) as arrays:
            return dict(zip(arrays["ids"].tolist(), arrays["latents"].astype(np.float32), strict=True))
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        logger.warning("%s: cannot be read (%s); its images are segmented again", path, error)
        return {}
