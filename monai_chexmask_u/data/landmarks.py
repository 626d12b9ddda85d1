"""Images with true landmarks, as a MONAI data list."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from monai_chexmask_u.anatomy import NODE_COUNT

__all__ = ["landmark_datalist"]


def landmark_datalist(folder: str | Path) -> list[dict[str, Any]]:
    """List the images of a folder that holds ``images/`` and ``landmarks.npz``.

    Args:
        folder: ``landmarks.npz`` in it has ``names`` (file names without suffix) and ``landmarks`` ``(image, 120, 2)``,
            (x, y) in pixels of each image.

    Returns:
        One item per image: ``image`` (its path), ``label`` ``(120, 2)`` float32 and ``name``.

    Raises:
        ValueError: if the file is missing or broken, a shape is wrong, or an image is missing; it names the file.
    """
    folder = Path(folder)
    table = folder / "landmarks.npz"
    try:
        with np.load(table) as arrays:
            names, landmarks = [str(name) for name in arrays["names"]], arrays["landmarks"].astype(np.float32)
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{table}: cannot be read as arrays 'names' and 'landmarks' ({error})") from error
    if landmarks.shape != (len(names), NODE_COUNT, 2) or not np.isfinite(landmarks).all():
        raise ValueError(f"{table}: landmarks must be finite, ({len(names)}, {NODE_COUNT}, 2), got {landmarks.shape}")
    files = {path.stem: path for path in sorted((folder / "images").glob("*")) if not path.name.startswith(".")}
    missing = [name for name in names if name not in files]
    if missing:
        raise ValueError(f"{folder / 'images'}: {len(missing)} images of landmarks.npz are missing, e.g. {missing[:3]}")
    return [{"image": str(files[n]), "label": p, "name": n} for n, p in zip(names, landmarks, strict=True)]
