"""Reading a DICOM Segmentation of a radiograph: the masks of its organs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from highdicom.seg import SegmentDescription, segread
from numpy.typing import NDArray

from monai_chexmask_u.anatomy import ORGANS, Organ, organ_called
from monai_chexmask_u.dicom.codes import ORGAN_CODES
from monai_chexmask_u.dicom.reading.quiet import no_warnings
from monai_chexmask_u.dicom.reading.read import is_bounded
from monai_chexmask_u.radiograph import Radiograph

__all__ = ["read_segmentation"]

_MOST_SEGMENTS: Final = 16  # of which all but one for each organ are empty
_INSIDE: Final = 0.5  # of a fractional segment


@no_warnings()
def read_segmentation(path: Path, radiograph: Radiograph) -> dict[Organ, NDArray[np.bool_]]:
    """Read the masks of lungs and heart from a DICOM Segmentation.

    An organ is known by the codes that this project writes, else by its segment's label; other segments are left out.

    Args:
        path: of a binary, fractional or label map segmentation.
        radiograph: the image; the segmentation must refer to it.

    Returns:
        Masks ``(row, column)`` of the image as stored, by organ.

    Raises:
        ValueError: if the file is no segmentation, is of another image or size, or has no segment of these organs.

    References:
        DICOM PS3.3, A.51 Segmentation IOD
    """
    uid = str(getattr(radiograph.header, "SOPInstanceUID", ""))
    try:
        if not is_bounded(path):
            raise ValueError("more than any segmentation of a radiograph has")
        segmentation: Any = segread(path)
        sources = {str(instance) for _, _, instance in segmentation.get_source_image_uids()}
    except Exception as error:  # highdicom and pydicom raise nearly anything on damaged files
        raise ValueError(f"{path.name}: cannot be read as a DICOM segmentation") from error
    if not uid or uid not in sources:
        raise ValueError(f"{path.name}: this segmentation is of another image")
    if (segmentation.Rows, segmentation.Columns) != radiograph.shape:
        size = f"{segmentation.Rows}x{segmentation.Columns}"
        rows, columns = radiograph.shape
        raise ValueError(f"{path.name}: the segmentation has {size} pixels, the image {rows}x{columns}")
    numbers = {number: organ for number, organ in _organs(segmentation) if organ is not None}
    if not numbers:
        raise ValueError(f"{path.name}: no segment of the right lung, the left lung or the heart in it")
    if len(numbers) > _MOST_SEGMENTS:  # each takes as much memory as the image has pixels
        raise ValueError(f"{path.name}: {len(numbers)} segments show the lungs and the heart; keep one of each")
    frames = segmentation.get_pixels_by_source_instance(
        [uid],
        segment_numbers=list(numbers),
        ignore_spatial_locations=True,
        assert_missing_frames_are_empty=True,
    )
    masks: dict[Organ, NDArray[np.bool_]] = {}
    for index, organ in enumerate(numbers.values()):
        inside = np.asarray(frames[0, :, :, index] >= _INSIDE)
        if organ in masks and masks[organ].any() and inside.any():
            raise ValueError(f"{path.name}: two segments show the {organ.title.lower()}; keep one of them")
        masks[organ] = masks[organ] | inside if organ in masks else inside
    return masks


def _organs(segmentation: Any) -> list[tuple[int, Organ | None]]:
    numbers: Sequence[int] = segmentation.segment_numbers
    return [(number, _organ(segmentation.get_segment_description(number))) for number in numbers]


def _organ(segment: SegmentDescription) -> Organ | None:
    item = segment.SegmentedPropertyTypeCodeSequence[0]
    modifiers = {code.CodeValue for code in item.get("SegmentedPropertyTypeModifierCodeSequence", [])}
    for organ in ORGANS:
        code = ORGAN_CODES[organ.name]
        side = {code.laterality.value} if code.laterality else set()
        if item.CodeValue == code.structure.value and side == modifiers:
            return organ
    return organ_called(str(segment.get("SegmentLabel", "")))
