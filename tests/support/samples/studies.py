"""Images that come with a chest radiograph in one study."""

from __future__ import annotations

from pydicom.dataset import FileDataset
from pydicom.uid import CTImageStorage
from support.samples.dicom import make_cr, make_dx

__all__ = ["in_study", "make_ct", "make_lateral"]


def in_study(dataset: FileDataset, first: FileDataset) -> FileDataset:
    """Put an image into the series of another one."""
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = first.StudyInstanceUID, first.SeriesInstanceUID
    return dataset


def make_lateral() -> FileDataset:
    dataset = make_dx()
    dataset.ViewPosition, dataset.PatientOrientation = "LL", ["A", "F"]
    del dataset.ViewCodeSequence
    return dataset


def make_ct() -> FileDataset:
    dataset = make_cr(rows=64, columns=64, photometric="MONOCHROME2")
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.Modality = "CT"
    return dataset
