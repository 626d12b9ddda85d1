"""All DICOM objects of one result, written in one run: what the judges judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from monai_chexmask_u.dicom.numbering import Numbering
from monai_chexmask_u.dicom.source import SourceImage
from monai_chexmask_u.dicom.write import write_capture, write_document, write_object
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation

__all__ = ["KINDS", "WrittenObjects", "write_objects"]

# In the order of writing: the report, which refers to the others, is the last.
KINDS: Final = ("seg", "seg-fractional", "seg-labelmap", "seg-viewer", "pr", "sc", "pdf", "sr")


@dataclass(frozen=True)
class WrittenObjects:
    """The files of a run, by the kind of the object, and what they were made from."""

    radiograph: Radiograph
    result: LandmarkSegmentation
    paths: Mapping[str, Path]


def write_objects(result: LandmarkSegmentation, radiograph: Radiograph, folder: Path) -> WrittenObjects:
    """Write one object of every kind; image and document are empty ones."""
    source, numbering = SourceImage(radiograph), Numbering()
    paths = {kind: folder / f"{radiograph.path.stem}.{kind}.dcm" for kind in KINDS}
    for kind, path in paths.items():
        if kind == "sc":
            write_capture(np.zeros((*radiograph.shape, 3), np.uint8), result, source, path, numbering)
        elif kind == "pdf":
            write_document(b"%PDF-1.4\n%%EOF\n", result, source, path, numbering)
        else:
            write_object(kind, result, source, path, numbering)
    return WrittenObjects(radiograph, result, paths)
