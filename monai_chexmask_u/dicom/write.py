"""DICOM outputs as files, which are there whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from monai_chexmask_u.dicom.encapsulated_pdf import build_encapsulated_pdf
from monai_chexmask_u.dicom.equipment import add_acquisition_equipment
from monai_chexmask_u.dicom.numbering import Numbering
from monai_chexmask_u.dicom.pr.presentation_state import build_presentation_state
from monai_chexmask_u.dicom.reading.quiet import no_warnings
from monai_chexmask_u.dicom.secondary_capture import build_secondary_capture
from monai_chexmask_u.dicom.seg.result import (
    build_fractional_segmentation,
    build_labelmap_segmentation,
    build_segmentation,
    build_viewer_segmentation,
)
from monai_chexmask_u.dicom.source import SourceImage
from monai_chexmask_u.dicom.sr.report import build_report
from monai_chexmask_u.files.atomic import atomic_path
from monai_chexmask_u.segmentation import LandmarkSegmentation

__all__ = ["BUILDERS", "save_object", "write_capture", "write_document", "write_object"]

BUILDERS: Final[dict[str, Callable[[LandmarkSegmentation, SourceImage, Numbering], Dataset]]] = {
    "seg": build_segmentation,
    "seg-fractional": build_fractional_segmentation,
    "seg-labelmap": build_labelmap_segmentation,
    "seg-viewer": build_viewer_segmentation,
    "pr": build_presentation_state,
    "sr": build_report,
}


def write_object(
    kind: str,
    segmentation: LandmarkSegmentation,
    source: SourceImage,
    path: Path,
    numbering: Numbering,
) -> None:
    """Write one DICOM object that follows from the result alone.

    Args:
        kind: key of `BUILDERS`.
        segmentation: the result for that radiograph.
        source: the radiograph, with its cleaned header.
        path: the file to write; one that is there is replaced.
        numbering: of the run.

    Raises:
        ValueError: if no such object can be made of them.
        OSError: if the file cannot be written.
    """
    _write(BUILDERS[kind](segmentation, source, numbering), source, path, numbering)


def write_capture(
    image: NDArray[np.uint8],
    segmentation: LandmarkSegmentation,
    source: SourceImage,
    path: Path,
    numbering: Numbering,
) -> None:
    """Write an image of the result, ``(row, column, 3)``, as a Secondary Capture; else as `write_object`."""
    built = build_secondary_capture(image, segmentation, source, numbering)
    _write(built, source, path, numbering)


def write_document(
    document: bytes,
    segmentation: LandmarkSegmentation,
    source: SourceImage,
    path: Path,
    numbering: Numbering,
) -> None:
    """Write a PDF on the result as an Encapsulated PDF; else as `write_object`."""
    _write(build_encapsulated_pdf(document, segmentation, source, numbering), source, path, numbering)


def save_object(dataset: Dataset, source: SourceImage, path: Path) -> None:
    """Write an object that is built, with the name of the equipment that took the image it was made from.

    Raises:
        OSError: if the file cannot be written.
    """
    with atomic_path(path) as temporary, no_warnings():
        add_acquisition_equipment(dataset, source.header)
        dataset.save_as(temporary, enforce_file_format=True)


def _write(dataset: Dataset, source: SourceImage, path: Path, numbering: Numbering) -> None:
    """Write an object, and note it as written, so that the report can refer to it."""
    save_object(dataset, source, path)
    numbering.keep(source.header, dataset)
