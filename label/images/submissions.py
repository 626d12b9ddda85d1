"""What annotators submit as a label of one image, markups from 3D Slicer or a mask: as masks and as landmarks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from label.images.image_names import label_extension
from label.images.label_names import organs_of_values
from monai_chexmask_u.anatomy import LEFT_LUNG, ORGANS, RIGHT_LUNG, Organ
from monai_chexmask_u.annotations.mask_files import read_masks
from monai_chexmask_u.annotations.slicer_markups import read_landmarks
from monai_chexmask_u.annotations.slicer_plane import slicer_plane
from monai_chexmask_u.dicom.seg.annotation import AlgorithmType
from monai_chexmask_u.geometry import fill_polygon
from monai_chexmask_u.networks.network_image import fit_frame
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.transforms.network_frame import LANDMARK_MARGIN

__all__ = ["Submission", "read_submission", "read_submitted"]

UPRIGHT_SIDE: Final = 1024
"""Side of the square in which nodes are placed; a mask has the orientation of its radiograph."""

_MARKUPS: Final = (".mrk.json", ".json")
_ALGORITHM_TYPES: Final = ("MANUAL", "SEMIAUTOMATIC")


@dataclass(frozen=True)
class Submission:
    """A label of one image.

    Attributes:
        masks: ``(row, column)`` in the image as stored, of the organs that were outlined.
        is_exact: the file holds outlines, of which masks are a rounding.
        algorithm_type: whether a person corrected a model's proposal, or drew all of it.
    """

    masks: Mapping[Organ, NDArray[np.bool_]]
    is_exact: bool
    algorithm_type: AlgorithmType


def read_submission(path: Path, radiograph: Radiograph, info: Mapping[str, Any]) -> Submission:
    """Read a label file.

    Args:
        path: markups or a mask; its name says which.
        radiograph: the image.
        info: what was submitted with it: the names of its values (`organs_of_values`), and ``algorithm_type``:
            ``MANUAL`` says that no model proposed anything. Without it the label counts as corrected, which claims
            less.

    Raises:
        ValueError: if it is no label of that image; the message names the cause and what to do.
    """
    algorithm_type = info.get("algorithm_type", "SEMIAUTOMATIC")
    if algorithm_type not in _ALGORITHM_TYPES:
        raise ValueError(f"a label's algorithm_type must be one of {', '.join(_ALGORITHM_TYPES)}")
    is_exact = label_extension(path.name) in _MARKUPS
    masks = _filled(path, radiograph) if is_exact else _named_masks(path, radiograph, info)
    centers = {organ: float(np.nonzero(mask)[1].mean()) for organ, mask in masks.items()}
    _check_sides(centers, radiograph, path.name)
    return Submission(masks, is_exact, cast(AlgorithmType, algorithm_type))


def _filled(path: Path, radiograph: Radiograph) -> dict[Organ, NDArray[np.bool_]]:
    """Return what markups outline; an organ without an outline is left out."""
    landmarks = read_landmarks(
        [path], slicer_plane(radiograph), radiograph.shape, frame=fit_frame(radiograph, UPRIGHT_SIDE)
    )
    contours = {organ: landmarks[organ.nodes] for organ in ORGANS}
    return {
        organ: fill_polygon(contour, radiograph.shape)
        for organ, contour in contours.items()
        if np.isfinite(contour).all()
    }


def read_submitted(label: Path, radiograph: Radiograph, info: Mapping[str, Any]) -> NDArray[np.float32]:
    """Read the landmarks of a submitted label.

    Args:
        label: a mask in a format that `read_masks` knows, or markups (``.json``).
        radiograph: the image that was annotated.
        info: what was submitted with it: the names of its values.

    Returns:
        Landmarks ``(120, 2)``, (x, y) in pixels of the image; NaN where an organ is not outlined.

    Raises:
        ValueError: if the label cannot be read, does not belong to the image, or outlines nothing.
    """
    if label.suffix.lower() == ".json":
        frame = fit_frame(radiograph, UPRIGHT_SIDE)
        landmarks = read_landmarks([label], slicer_plane(radiograph), radiograph.shape, frame=frame)
    else:
        landmarks = _landmarks_of_mask(label, radiograph, info)
    centers = {organ: float(landmarks[organ.nodes, 0].mean()) for organ in ORGANS}
    centers = {organ: center for organ, center in centers.items() if np.isfinite(center)}
    if not centers:
        raise ValueError(f"{label.name}: no organ is outlined")
    _check_sides(centers, radiograph, label.name)
    rows, columns = radiograph.shape
    beyond = float(np.nanmax([-landmarks, landmarks - (columns - 1, rows - 1)]))
    if beyond > LANDMARK_MARGIN * max(rows, columns):
        raise ValueError(f"{label.name}: the outline reaches {beyond:.0f} pixels beyond the image")
    return landmarks.astype(np.float32)


def _landmarks_of_mask(label: Path, radiograph: Radiograph, info: Mapping[str, Any]) -> NDArray[np.float64]:
    from monai_chexmask_u.annotations.landmark_placement import landmarks_of_masks

    return landmarks_of_masks(_named_masks(label, radiograph, info), frame=fit_frame(radiograph, UPRIGHT_SIDE))


def _named_masks(path: Path, radiograph: Radiograph, info: Mapping[str, Any]) -> dict[Organ, NDArray[np.bool_]]:
    return read_masks(path, radiograph, labels=organs_of_values(info, mirrored=radiograph.mirrored))


def _check_sides(centers: Mapping[Organ, float], radiograph: Radiograph, name: str) -> None:
    """See that the lungs are not taken for each other.

    Args:
        centers: column of each organ's center.
        radiograph: the image.
        name: of the label's file.

    Raises:
        ValueError: if the right lung's center is on the left one's side.
    """
    if not {RIGHT_LUNG, LEFT_LUNG} <= centers.keys():
        return
    if (centers[RIGHT_LUNG] > centers[LEFT_LUNG]) is not radiograph.mirrored:
        raise ValueError(
            f"{name}: the right lung lies where the patient's left one is; right and left are the patient's, not the "
            "viewer's: exchange the names of the two"
        )
