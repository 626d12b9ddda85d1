"""Landmarks of what annotators submit: masks, or the markups that 3D Slicer saves."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.annotations.slicer_markups import read_landmarks
from monai_chexmask_u.annotations.slicer_plane import slicer_plane
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.transforms.network_frame import LANDMARK_MARGIN, fit_frame

__all__ = ["UPRIGHT_SIDE", "read_submitted"]

UPRIGHT_SIDE: Final = 1024
"""Side of the square in which nodes are placed; a mask tells in which orientation it is by its radiograph."""


def read_submitted(label: Path, radiograph: Radiograph) -> NDArray[np.float32]:
    """Read the landmarks of a submitted label.

    Args:
        label: a mask with the labels 1 right lung, 2 left lung, 3 heart, in a format that `read_masks` knows, or
            markups (``.json``).
        radiograph: the image that was annotated.

    Returns:
        Landmarks ``(120, 2)``, (x, y) in pixels of the image; NaN where an organ is not outlined.

    Raises:
        ValueError: if the label cannot be read, does not belong to the image, or outlines nothing.
    """
    if label.suffix.lower() == ".json":
        frame = fit_frame(radiograph, UPRIGHT_SIDE)
        landmarks = read_landmarks([label], slicer_plane(radiograph), radiograph.shape, frame=frame)
    else:
        landmarks = _landmarks_of_mask(label, radiograph)
    known = [organ.title.lower() for organ in ORGANS if np.isfinite(landmarks[organ.nodes]).all()]
    if not known:
        raise ValueError(f"{label.name}: no organ is outlined")
    rows, columns = radiograph.shape
    beyond = float(np.nanmax([-landmarks, landmarks - (columns - 1, rows - 1)]))
    if beyond > LANDMARK_MARGIN * max(rows, columns):
        raise ValueError(f"{label.name}: the outline reaches {beyond:.0f} pixels beyond the image")
    return landmarks.astype(np.float32)


def _landmarks_of_mask(label: Path, radiograph: Radiograph) -> NDArray[np.float64]:
    from monai_chexmask_u.annotations.landmark_placement import landmarks_of_masks
    from monai_chexmask_u.annotations.mask_files import read_masks

    return landmarks_of_masks(read_masks(label, radiograph), frame=fit_frame(radiograph, UPRIGHT_SIDE))
