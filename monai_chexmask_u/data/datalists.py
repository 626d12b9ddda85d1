"""Folders of radiographs, with landmarks or without, as MONAI data lists."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monai_chexmask_u.annotations.landmark_files import read_arrays, read_organ_folders, read_table
from monai_chexmask_u.files.naming import output_names
from monai_chexmask_u.radiograph import RadiographError
from monai_chexmask_u.reading import is_candidate, list_inputs, read_radiograph

__all__ = ["dicom_datalist", "landmark_datalist", "radiograph_datalist"]

logger = logging.getLogger(__name__)


def landmark_datalist(folder: str | Path | Sequence[str | Path]) -> list[dict[str, Any]]:
    """List the images of a folder, or of several, together with their landmarks, in one of three layouts.

    Images lie in ``images/`` (or ``Images/``), one per name. The landmarks lie beside it, in

    - ``landmarks.npz``: ``names`` and ``landmarks`` ``(image, 120, 2)``, (x, y) in pixels of each image;
    - ``landmarks.csv``: columns ``name``, ``id`` (``RL00`` to ``H25``), ``x``, ``y``, one row per landmark, likewise;
    - the folders ``RL/``, ``LL/`` and ``H/`` (perhaps inside ``landmarks/``) of the published landmark data set: one
      ``NAME.npy`` per image and organ, (x, y) in the square of 1024 pixels that the image is fitted into.

    Organs may be missing, such as the heart in a data set of lungs: their landmarks are NaN, which the loss and the
    metrics leave out.

    Args:
        folder: of one of these layouts; several folders give one list, in their order.

    Returns:
        One item per image: ``image`` (its path), ``label`` ``(120, 2)`` float32, (x, y) in pixels of the image, and
        ``name``.

    Raises:
        ValueError: if there are no landmarks or they are broken, counts are wrong, or an image is missing; it names
            the file.
    """
    if not isinstance(folder, str | Path):
        return [item for each in folder for item in landmark_datalist(each)]
    folder = Path(folder)
    images = _images(folder)
    inside = [folder, folder / "landmarks", folder / "Landmarks"]
    organs = next((parent for parent in inside if (parent / "RL").is_dir()), None)
    if (folder / "landmarks.npz").is_file():
        source, landmarks = folder / "landmarks.npz", read_arrays(folder / "landmarks.npz")
    elif (folder / "landmarks.csv").is_file():
        source, landmarks = folder / "landmarks.csv", read_table(folder / "landmarks.csv")
    elif organs is not None:
        source, landmarks = organs, read_organ_folders(organs, images)
    else:
        raise ValueError(_nothing_in(folder))
    if not landmarks:
        raise ValueError(f"{source}: there are no landmarks in it")
    missing = [name for name in landmarks if name not in images]
    if missing:
        raise ValueError(f"{folder / 'images'}: {len(missing)} images of {source.name} are missing, e.g. {missing[:3]}")
    return [{"image": str(images[name]), "label": points, "name": name} for name, points in landmarks.items()]


def _images(folder: Path) -> dict[str, Path]:
    """Return the images of a data set by their name, which is that of the file without its suffix."""
    images: dict[str, Path] = {}
    for place in (folder / "images", folder / "Images"):
        for path in sorted(place.iterdir()) if place.is_dir() else ():
            if not is_candidate(path):
                continue
            if path.stem in images and not path.samefile(images[path.stem]):
                raise ValueError(f"{path}: {images[path.stem].name} has the same name; keep one of them")
            images[path.stem] = path
    return images


def _nothing_in(folder: Path) -> str:
    if not folder.is_dir():
        return f"{folder}: there is no such folder; give a folder with images/ and landmarks.npz"
    inner = [name for name in ("train", "val", "test") if (folder / name).is_dir()]
    if inner:
        return f"{folder}: no landmarks here, but folders {', '.join(inner)}; give one of them"
    return f"{folder}: no landmarks.npz, landmarks.csv or folders RL, LL and H with landmarks here"


def radiograph_datalist(folder: str | Path) -> list[dict[str, str]]:
    """List the usable radiographs below a folder; others are logged with their reason and left out.

    A MONAI data loader stops at the first item that fails, so each file is read once here. Copies of a DICOM image are
    left out, and all of several images that differ, but have one SOP Instance UID.

    Args:
        folder: searched with its subfolders; a single file is fine too.

    Returns:
        One item per image: ``image`` (its path) and ``name`` (unique, for output files).

    Raises:
        RadiographError: if the folder does not exist or holds no usable radiograph.
    """
    usable = _usable(folder)
    if not usable:
        raise RadiographError("no_input", f"{folder}: no usable radiograph found (DICOM, PNG, JPEG or TIFF)")
    return _items(usable)


def dicom_datalist(folder: str | Path) -> list[dict[str, str]]:
    """List the usable DICOM radiographs of studies, each image once however many copies there are.

    Args:
        folder: searched with its subfolders.

    Returns:
        As `radiograph_datalist`.

    Raises:
        RadiographError: if the folder does not exist or holds no usable DICOM radiograph.
    """
    usable = _usable(folder, dicom_only=True)
    if not usable:
        raise RadiographError("no_input", f"{folder}: no usable DICOM radiograph found; images need inference.json")
    return _items(usable)


def _usable(folder: str | Path, *, dicom_only: bool = False) -> list[Path]:
    """Return the files to take, each image once."""
    from monai_chexmask_u.dicom.same_image import ImageKey, ImageRegister, image_key  # keeps pydicom out of `--help`

    register, keys = ImageRegister(), dict[Path, ImageKey | None]()
    for path in list_inputs([Path(folder)], on_problem=_leave_out):
        try:
            key = image_key(read_radiograph(path))
        except (RadiographError, OSError) as error:
            _leave_out(path, error)
            continue
        if key is not None or not dicom_only:
            register.note(key)
            keys[path] = key
    taken = []
    for path, key in keys.items():
        try:
            register.check(key)
            taken.append(path)
        except RadiographError as error:
            _leave_out(path, error)
    return taken


def _leave_out(path: Path, error: Exception) -> None:
    logger.warning("%s is left out: %s [%s]", path, error, getattr(error, "code", "not_readable"))


def _items(paths: list[Path]) -> list[dict[str, str]]:
    return [{"image": str(path), "name": name} for path, name in zip(paths, output_names(paths), strict=True)]
