"""All DICOM objects of one result, written in one run: what the judges judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from monai_chexmask_u.dicom.numbering import Numbering
from monai_chexmask_u.dicom.write import BUILDERS, write_object
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation

__all__ = ["WrittenObjects", "write_objects"]


@dataclass(frozen=True)
class WrittenObjects:
    """The files of a run, by the kind of the object, and what they were made from."""

    radiograph: Radiograph
    result: LandmarkSegmentation
    paths: Mapping[str, Path]


def write_objects(result: LandmarkSegmentation, radiograph: Radiograph, folder: Path) -> WrittenObjects:
    """Write every kind of object; the report, which refers to the others, last."""
    numbering = Numbering()
    paths = {kind: folder / f"{radiograph.path.stem}.{kind}.dcm" for kind in BUILDERS}
    for kind, path in sorted(paths.items(), key=lambda item: item[0] == "sr"):
        # No report refers to the label map: DCMTK 3.6.7 would not read it, see tests/dicom/test_written_objects.py.
        write_object(kind, result, radiograph, path, Numbering() if kind == "seg-labelmap" else numbering)
    return WrittenObjects(radiograph, result, paths)
