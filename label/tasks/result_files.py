"""Results as files, by the ending that a client asks for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import SimpleITK as sitk

from monai_chexmask_u.annotations.slicer_plane import slicer_plane
from monai_chexmask_u.files.atomic import atomic_path
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation
from monai_chexmask_u.writers.images import write_mask
from monai_chexmask_u.writers.markups import write_markups
from monai_chexmask_u.writers.record import segmentation_record

__all__ = ["LANDMARK_WRITERS", "MASK_WRITERS", "ResultWriter"]

ResultWriter = Callable[[LandmarkSegmentation, Radiograph, Path, str, bool], None]

DTYPES: Final = ("uint8", "uint16", "int16", "int32", "float32")


def _write_volume(
    segmentation: LandmarkSegmentation, radiograph: Radiograph, path: Path, dtype: str, compress: bool
) -> None:
    """Write the mask as a volume of one slice, which lies in space where 3D Slicer puts the image.

    Raises:
        ValueError: if the data type is none of `DTYPES`.
    """
    if dtype not in DTYPES:
        raise ValueError(f"result_dtype {dtype!r} is not one of {', '.join(DTYPES)}")
    plane = slicer_plane(radiograph)
    steps = np.array([plane.column_step, plane.row_step])
    spacing = np.linalg.norm(steps, axis=1)
    along = steps / spacing[:, None]
    volume = sitk.GetImageFromArray(segmentation.label_mask()[None].astype(dtype))
    volume.SetSpacing([*spacing.tolist(), 1.0])
    volume.SetOrigin(plane.origin)
    volume.SetDirection(np.stack([*along, np.cross(*along)], axis=1).ravel().tolist())
    with atomic_path(path) as temporary:
        sitk.WriteImage(volume, str(temporary), useCompression=compress)  # OHIF reads no compressed NRRD


def _write_png(
    segmentation: LandmarkSegmentation, radiograph: Radiograph, path: Path, dtype: str, compress: bool
) -> None:
    """Write the mask as an image, of 8 bits whatever is asked for."""
    write_mask(segmentation, radiograph, path)


def _write_markups(
    segmentation: LandmarkSegmentation, radiograph: Radiograph, path: Path, dtype: str, compress: bool
) -> None:
    write_markups(segmentation, radiograph, path)


def _write_record(
    segmentation: LandmarkSegmentation, radiograph: Radiograph, path: Path, dtype: str, compress: bool
) -> None:
    record = segmentation_record(segmentation, radiograph)
    del record["image"]["path"]
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")


# The first is what a client gets that does not ask.
MASK_WRITERS: Final[Mapping[str, ResultWriter]] = {
    ".nrrd": _write_volume,
    ".nii.gz": _write_volume,
    ".png": _write_png,
    ".mrk.json": _write_markups,
    ".json": _write_record,
}
LANDMARK_WRITERS: Final[Mapping[str, ResultWriter]] = {".mrk.json": _write_markups, ".json": _write_markups}
