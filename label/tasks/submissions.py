"""What annotators submit as a label: markups from 3D Slicer, or a mask, of one image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from label.images.cached_datastore import label_extension
from label.tasks.submitted_landmarks import UPRIGHT_SIDE
from monai_chexmask_u.anatomy import ORGANS, Organ
from monai_chexmask_u.annotations.mask_files import read_masks
from monai_chexmask_u.annotations.slicer_markups import read_landmarks
from monai_chexmask_u.annotations.slicer_plane import slicer_plane
from monai_chexmask_u.dicom.seg.annotation import AlgorithmType
from monai_chexmask_u.geometry import fill_polygon
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.transforms.network_frame import fit_frame

__all__ = ["Submission", "read_submission"]

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
        path: markups or a mask; its name tells which.
        radiograph: the image.
        info: what was submitted with it: ``algorithm_type`` ``MANUAL`` says that no model proposed anything. Without
            it the label counts as corrected, which claims less.

    Raises:
        ValueError: if it is no label of that image; the message names the cause and the way out.
    """
    algorithm_type = info.get("algorithm_type", "SEMIAUTOMATIC")
    if algorithm_type not in _ALGORITHM_TYPES:
        raise ValueError(f"a label's algorithm_type must be one of {', '.join(_ALGORITHM_TYPES)}")
    is_exact = label_extension(path.name) in _MARKUPS
    masks = _filled(path, radiograph) if is_exact else read_masks(path, radiograph)
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
