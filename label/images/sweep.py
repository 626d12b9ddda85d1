"""Removal, at the next start, of what a killed server, training or scoring left in the folders of images and models."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from monai_chexmask_u.files.leftovers import remove_leftovers

__all__ = ["sweep_cache", "sweep_models", "sweep_radiographs"]

# Folders that are filled under a lock, by the lock's file: a process that holds the lock is alive.
UNDER_LOCK: Final = {".publishing": ".publish-*", ".training.lock": ".training-*"}


def sweep_radiographs(folder: Path) -> None:
    """Remove half-written files from a folder of radiographs and from those of their labels."""
    labels = folder / "labels"
    for place in (folder, labels, *(labels.iterdir() if labels.is_dir() else ())):
        if place.is_dir() and not place.is_symlink():
            remove_leftovers(place)


def sweep_models(folder: Path) -> None:
    """Remove half-made models from the folder of the models, and half-written files from it and those in it."""
    if not folder.is_dir():
        return
    for lock, pattern in UNDER_LOCK.items():
        with suppress(Timeout, OSError), FileLock(str(folder / lock), timeout=0):
            for stale in folder.glob(pattern):
                shutil.rmtree(stale, ignore_errors=True)
    for place in (folder, folder / "latents", *(folder / "latents").glob("*/")):
        remove_leftovers(place)


def sweep_cache(folder: Path) -> None:
    """Remove half-written files from a folder of copies of an archive's radiographs."""
    for place in (folder, *folder.glob("**/")):
        remove_leftovers(place)
