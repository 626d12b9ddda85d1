"""The files that masks come in: images, volumes as 3D Slicer and MONAI write them, DICOM segmentations.

A volume (NRRD, NIfTI, MetaImage) is laid on its radiograph by where both lie in space.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from monai_chexmask_u.anatomy import ORGANS, Organ, organ_called
from monai_chexmask_u.annotations.slicer_plane import slicer_plane
from monai_chexmask_u.geometry import ImagePlane
from monai_chexmask_u.radiograph import Radiograph

__all__ = ["LABELS", "MASK_SUFFIXES", "read_masks"]

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Masks = dict[Organ, NDArray[np.bool_]]
Naming = Mapping[int, Organ] | Callable[[NDArray[np.integer[Any]]], Mapping[int, Organ]]

LABELS: Final[Mapping[int, Organ]] = {organ.label: organ for organ in ORGANS}
_IMAGES: Final = (".png", ".tif", ".tiff", ".bmp")
_VOLUMES: Final = (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd")
_DICOM: Final = (".dcm",)
MASK_SUFFIXES: Final = (*_IMAGES, *_VOLUMES, *_DICOM)
_OFF_PIXEL: Final = 0.51  # half a pixel, and what rounding adds
_LOST: Final = 0.01  # of the mask's area that may lie off the image
_READERS: Final = {".nrrd": "NrrdImageIO", ".nhdr": "NrrdImageIO", ".mha": "MetaImageIO", ".mhd": "MetaImageIO"}
_HEADER_BYTES: Final = 1024**2
_DATA_FILE: Final = re.compile(rb"data[ \t_-]*file[ \t]*:", re.IGNORECASE)
_MOST_VALUES: Final = 2**26  # three layers of the largest radiographs; compressed ones may claim any number


def read_masks(path: Path, radiograph: Radiograph, *, labels: Naming | None = None) -> Masks:
    """Read the mask of a radiograph.

    An image file is taken pixel by pixel and must have the radiograph's size. A volume (NRRD, NIfTI, MetaImage) says
    where its pixels lie in space, and is laid on the radiograph where 3D Slicer shows it (`slicer_plane`); one that
    says nothing, at the origin with pixels of 1 mm, and has the radiograph's size, is taken pixel by pixel. A
    segmentation of 3D Slicer (``.seg.nrrd``) and a DICOM segmentation name their organs.

    Args:
        path: of the mask; its suffix tells the format.
        radiograph: the one that was segmented.
        labels: which organ each value is, where the file does not name it, or what tells it of the values
            ``(row, column)``; 1 right lung, 2 left lung and 3 heart by default. 0 is background.

    Returns:
        Masks ``(row, column)`` of the image as stored, of the organs that have a pixel.

    Raises:
        ValueError: if the file is broken, of another image, has unknown labels or nothing in it; it names the file.
        ImportError: if the file needs SimpleITK and that is not installed.
    """
    suffix = next((each for each in MASK_SUFFIXES if path.name.lower().endswith(each)), None)
    labels = LABELS if labels is None else labels
    if suffix in _DICOM:
        from monai_chexmask_u.dicom.seg.masks import read_segmentation

        found = read_segmentation(path, radiograph)
    elif suffix in _VOLUMES:
        found = _read_volume(path, slicer_plane(radiograph), radiograph.shape, labels)
    elif suffix in _IMAGES:
        found = _masks_of_labels(_image(path, radiograph.shape), labels, path.name)
    else:
        lossy = " (JPEG changes labels)" if path.suffix.lower() in (".jpg", ".jpeg") else ""
        raise ValueError(f"{path.name}: masks come as {', '.join(MASK_SUFFIXES)}{lossy}")
    found = {organ: mask for organ, mask in found.items() if mask.any()}
    if not found:
        raise ValueError(f"{path.name}: there is nothing in this mask; draw at least one organ")
    return found


def _masks_of_labels(values: NDArray[np.integer], naming: Naming, name: str) -> Masks:
    """Split a label image ``(row, column)``.

    Raises:
        ValueError: if it has a value that is neither 0 nor named.
    """
    try:
        labels = naming(values) if callable(naming) else naming
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    unknown = sorted(set(np.unique(values).tolist()) - {0, *labels})
    if unknown:
        known = ", ".join(f"{value} {organ.title.lower()}" for value, organ in sorted(labels.items()))
        raise ValueError(f"{name}: value {unknown[0]} is no label; known are 0 background, {known}")
    return {organ: values == value for value, organ in labels.items()}


def _image(path: Path, shape: tuple[int, int]) -> NDArray[np.integer]:
    try:
        with Image.open(path, formats=("PNG", "TIFF", "BMP")) as image:
            if image.mode not in ("1", "L", "P", "I", "I;16"):
                raise ValueError(f"{path.name}: a mask has one channel of labels, this image is {image.mode}")
            if getattr(image, "n_frames", 1) > 1:
                raise ValueError(f"{path.name}: holds several images; save the mask as a single one")
            size = (image.height, image.width)
            values = np.asarray(image) if size == shape else np.empty((0, 0), np.uint8)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        cause = getattr(error, "strerror", None) or "it is broken"  # Pillow's own text quotes the whole path
        raise ValueError(f"{path.name}: cannot be read as an image ({cause})") from error
    if size != shape:
        raise ValueError(f"{path.name}: the mask has {size[0]}x{size[1]} pixels, the image {shape[0]}x{shape[1]}")
    return values.astype(np.int64)


@dataclass(frozen=True, eq=False)
class _Volume:
    """A file of labels: layers ``(layer, slice, row, column)``, its affine map from indices to LPS, and its texts."""

    layers: Labels
    matrix: Floats
    origin: Floats
    texts: Mapping[str, str]

    @property
    def says_nothing(self) -> bool:
        """Whether the file does not tell where it lies."""
        return bool(np.allclose(np.abs(self.matrix), np.eye(3)) and np.allclose(self.origin, 0))


def _read_volume(path: Path, plane: ImagePlane, shape: tuple[int, int], labels: Naming) -> dict[Organ, Any]:
    """Read a volume of labels, or a segmentation of 3D Slicer, that lies on an image.

    Args:
        path: of the file.
        plane: where the image lies.
        shape: its rows and columns.
        labels: of values, where the file does not name its segments.

    Returns:
        Masks ``(row, column)`` by organ.

    Raises:
        ValueError: if the file is broken, does not lie on the image, or has labels or segments that are unknown.
        ImportError: if SimpleITK is not installed.
    """
    volume = _load(path)
    layers = _on_image(volume, plane, shape, path.name)
    segments = _segments(volume.texts, path.name)
    if not segments:
        if len(layers) > 1:
            raise ValueError(f"{path.name}: a mask has one channel of labels, this file {len(layers)}")
        return _masks_of_labels(layers[0], labels, path.name)
    masks: Masks = {}
    for name, layer, value in segments:
        if layer >= len(layers):
            raise ValueError(f"{path.name}: segment {name!r} lies in a layer that is not in the file; save it again")
        mask = layers[layer] == value
        organ = organ_called(name)
        if organ is None and mask.any():
            raise ValueError(f"{path.name}: segment {name!r} is none of Right lung, Left lung and Heart; rename it")
        if organ in masks and mask.any() and masks[organ].any():  # a slip of naming would join two organs
            raise ValueError(f"{path.name}: two segments are called {organ.title}; rename or join them")
        if organ is not None and (organ not in masks or mask.any()):
            masks[organ] = mask
    return masks


def _load(path: Path) -> _Volume:
    try:
        import SimpleITK
    except ImportError as error:
        raise ImportError(f"{path.name}: reading this format needs SimpleITK: pip install SimpleITK") from error
    try:
        reader = SimpleITK.ImageFileReader()
        reader.SetFileName(str(path))
        reader.SetImageIO(_reader_of(path))  # else the content would choose it
        _check_header(reader, path)
        image: Any = reader.Execute()
        values = SimpleITK.GetArrayFromImage(image)
    except RuntimeError as error:  # ITK's message quotes the path and its own source
        raise ValueError(f"{path.name}: cannot be read as a volume; save it again") from error
    dimension = image.GetDimension()
    if dimension not in (2, 3) or not np.array_equal(values, np.round(values)):
        raise ValueError(f"{path.name}: a mask has two or three dimensions and whole numbers")
    matrix, origin = np.eye(3), np.zeros(3)
    direction = np.array(image.GetDirection()).reshape(dimension, dimension)
    matrix[:dimension, :dimension] = direction * np.array(image.GetSpacing())
    origin[:dimension] = image.GetOrigin()
    components = image.GetNumberOfComponentsPerPixel()
    layers = np.moveaxis(values, -1, 0) if components > 1 else values[None]
    layers = layers[:, None] if dimension == 2 else layers
    texts = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
    return _Volume(layers.astype(np.int64), matrix, origin, texts)


def _reader_of(path: Path) -> str:
    name = path.name.lower()
    return next((reader for suffix, reader in _READERS.items() if name.endswith(suffix)), "NiftiImageIO")


def _check_header(reader: Any, path: Path) -> None:
    """See that a file holds no more values than a mask has, and that they are its own.

    Raises:
        ValueError: if not.
    """
    if path.name.lower().endswith(".nrrd"):  # one whose values lie elsewhere ends in .nhdr; this one may be a client's
        with path.open("rb") as file:
            header = re.split(rb"\n\r?\n", file.read(_HEADER_BYTES), maxsplit=1)
        if len(header) < 2:
            raise ValueError(f"{path.name}: cannot be read as a volume; save it again")
        if _DATA_FILE.search(header[0]):
            raise ValueError(f"{path.name}: its values lie in another file; save it as one file")
    reader.ReadImageInformation()
    if math.prod(reader.GetSize()) * reader.GetNumberOfComponents() > _MOST_VALUES:
        raise ValueError(f"{path.name}: it has more than {_MOST_VALUES:,} values, which no mask of a radiograph has")


def _segments(texts: Mapping[str, str], owner: str) -> list[tuple[str, int, int]]:
    """Return name, layer and value of the segments that 3D Slicer's file names; empty for other files.

    Raises:
        ValueError: if a layer or a value is no whole number.
    """
    numbers = sorted({key.split("_")[0] for key in texts if key.startswith("Segment") and key.endswith("_LabelValue")})
    for key in (f"{each}_{entry}" for each in numbers for entry in ("Layer", "LabelValue")):
        if not texts.get(key, "0").strip().isdecimal():
            raise ValueError(f"{owner}: its entry {key} is no whole number; save it again")
    return [
        (texts.get(f"{each}_Name", each), int(texts.get(f"{each}_Layer", 0)), int(texts[f"{each}_LabelValue"]))
        for each in numbers
    ]


def _on_image(volume: _Volume, plane: ImagePlane, shape: tuple[int, int], name: str) -> Labels:
    """Return the layers ``(layer, row, column)`` in the image's pixels.

    Raises:
        ValueError: if what is labeled does not lie on the image.
    """
    _, depth, rows, columns = volume.layers.shape
    if depth == 1 and (rows, columns) == shape and volume.says_nothing:
        return volume.layers[:, 0]
    y, x = np.mgrid[: shape[0], : shape[1]]
    positions = plane.to_space(np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float64))
    place = (positions - volume.origin) @ np.linalg.inv(volume.matrix).T
    nearest = np.round(place).astype(np.int64)
    size = np.array([columns, rows, depth])
    inside = ((nearest >= 0) & (nearest < size)).all(axis=1) & (np.abs(place - nearest) < _OFF_PIXEL).all(axis=1)
    laid = np.zeros((len(volume.layers), *shape), dtype=np.int64)
    i, j, k = nearest[inside].T
    laid.reshape(len(laid), -1)[:, inside] = volume.layers[:, k, j, i]
    _check_nothing_lost(volume, plane, laid, name)
    return laid


def _check_nothing_lost(volume: _Volume, plane: ImagePlane, laid: Labels, name: str) -> None:
    steps = np.cross(np.array(plane.column_step), np.array(plane.row_step))
    thickness = float(np.linalg.norm(volume.matrix, axis=0)[2])
    own = float((volume.layers > 0).sum()) * abs(float(np.linalg.det(volume.matrix))) / thickness
    found = float((laid > 0).sum()) * float(np.linalg.norm(steps))
    rounding = 4 * np.sqrt(max(own, found)) * float(np.linalg.norm(volume.matrix, axis=0)[:2].max())
    if own == 0:
        return
    if abs(found - own) > _LOST * own + rounding or found == 0:
        share = round(100 * found / own)
        raise ValueError(
            f"{name}: the mask does not lie on the image ({share} % of its area does); "
            "draw it on the image that the server gave, or save it as an image of the same size"
        )
