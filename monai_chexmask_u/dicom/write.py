"""DICOM outputs as files, which are there whole or not at all."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import Dataset

from monai_chexmask_u.dicom.report import build_report
from monai_chexmask_u.dicom.segmentation import build_segmentation
from monai_chexmask_u.dicom.source import no_warnings
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation
from monai_chexmask_u.writers.atomic import atomic_path

__all__ = ["write_report", "write_segmentation"]


def write_segmentation(segmentation: LandmarkSegmentation, radiograph: Radiograph, path: Path) -> None:
    """Write the organs as a DICOM Segmentation.

    Args:
        segmentation: the result for that radiograph.
        radiograph: read from a DICOM file.
        path: the file to write; one that is there is replaced.

    Raises:
        ValueError: if no Segmentation can be made of them.
        OSError: if the file cannot be written.
    """
    _write(build_segmentation(segmentation, radiograph), path)


def write_report(segmentation: LandmarkSegmentation, radiograph: Radiograph, path: Path) -> None:
    """Write landmarks, measurements and uncertainty as a DICOM structured report.

    Args:
        segmentation: the result for that radiograph.
        radiograph: read from a DICOM file.
        path: the file to write; one that is there is replaced.

    Raises:
        ValueError: if no report can be made of them.
        OSError: if the file cannot be written.
    """
    _write(build_report(segmentation, radiograph), path)


def _write(dataset: Dataset, path: Path) -> None:
    with atomic_path(path) as temporary, no_warnings():
        dataset.save_as(temporary, enforce_file_format=True)
