"""What dcmqi, with which researchers read segmentations, takes from one."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from support.judges.programs import run

__all__ = ["dcmqi_segmentation", "segments", "with_plane_geometry"]

_NIFTI_TYPES: Final = {2: "u1", 4: "<i2", 512: "<u2"}
_NIFTI_HEADER: Final = 352


def segments(path: Path) -> dict[str, NDArray[np.bool_]]:
    """Return the masks ``(row, column)`` of a segmentation, by the labels of their segments; fractions count as inside.

    dcmqi reads segmentations with a plane geometry only, which projections do not have: see `with_plane_geometry`.

    Raises:
        ValueError: if dcmqi's segimage2itkimage does not read it.
    """
    with tempfile.TemporaryDirectory() as folder:
        arguments = ("--inputDICOM", path, "--outputDirectory", folder, "--outputType", "nii")
        code, text = run("segimage2itkimage", *arguments)
        if code:
            raise ValueError(f"segimage2itkimage fails: {' '.join(text.splitlines()[-3:])}")
        found = {}
        attributes = json.loads((Path(folder) / "meta.json").read_text(encoding="utf-8"))["segmentAttributes"]
        for number, group in enumerate(attributes, 1):
            plane = _read_nifti(Path(folder) / f"{number}.nii.gz")
            for segment in group:  # only label maps have several in one file; fractions keep their stored values
                is_alone = len(group) == 1
                found[str(segment["SegmentLabel"])] = plane != 0 if is_alone else plane == segment["labelID"]
        return found


def dcmqi_segmentation(path: Path, masks: Mapping[str, NDArray[Any]]) -> list[str]:
    """Return which segments dcmqi reads otherwise than they should be, or not at all.

    Args:
        path: a segmentation with or without a plane geometry; one is lent to the latter.
        masks: ``(row, column)``, by the labels of the segments.
    """
    dataset = pydicom.dcmread(path)
    with tempfile.TemporaryDirectory() as folder:
        lent = Path(folder) / "plane.dcm"
        with_plane_geometry(dataset).save_as(lent)
        try:
            found = segments(lent)
        except ValueError as error:
            return [str(error)]
    complaints = [f"segments {[*found]} instead of {[*masks]}"] if found.keys() != masks.keys() else []
    different = [name for name in masks.keys() & found.keys() if not np.array_equal(masks[name], found[name])]
    return complaints + [f"the mask of {name!r} differs" for name in sorted(different)]


def with_plane_geometry(dataset: Dataset) -> Dataset:
    """Give a segmentation of a projection an invented place in space, and return it; one that has a place keeps it."""
    shared = dataset.SharedFunctionalGroupsSequence[0]
    if "PlaneOrientationSequence" in shared:
        return dataset
    shared.PixelMeasuresSequence = [_item(PixelSpacing=[1, 1], SliceThickness=1)]
    shared.PlaneOrientationSequence = [_item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])]
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        frame.PlanePositionSequence = [_item(ImagePositionPatient=[0, 0, 0])]
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = generate_uid(), ""
    return dataset


def _item(**attributes: Any) -> Dataset:
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item


def _read_nifti(path: Path) -> NDArray[Any]:
    """Return the first plane ``(row, column)`` of a NIfTI-1 file, which this needs no package for."""
    data = gzip.decompress(path.read_bytes())
    columns, rows = (int.from_bytes(data[start : start + 2], "little") for start in (42, 44))
    kind = _NIFTI_TYPES[int.from_bytes(data[70:72], "little")]
    return np.frombuffer(data, kind, rows * columns, _NIFTI_HEADER).reshape(rows, columns)
