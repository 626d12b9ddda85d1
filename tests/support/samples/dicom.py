"""Synthetic chest radiographs as standard-conformant DICOM: no patient, no network, no files in the repository.

`dciodvfy -new` accepts what `make_dx` and `make_cr` return with their default arguments.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    PYDICOM_IMPLEMENTATION_UID,
    UID,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    ExplicitVRLittleEndian,
    generate_uid,
)

from monai_chexmask_u.anatomy import HEART, LEFT_LUNG, RIGHT_LUNG, Organ

__all__ = [
    "chest_phantom",
    "code_item",
    "make_cr",
    "make_dx",
    "phantom_landmarks",
    "save",
    "set_pixels",
    "stored_values",
]

# Each organ is an ellipse: x and y of its center and its two half axes, in parts of the image's width and height.
ELLIPSES: Final[dict[Organ, tuple[float, float, float, float]]] = {
    RIGHT_LUNG: (0.30, 0.45, 0.15, 0.33),
    LEFT_LUNG: (0.70, 0.45, 0.15, 0.33),
    HEART: (0.55, 0.62, 0.15, 0.16),
}


def chest_phantom(rows: int, columns: int, *, seed: int = 0) -> NDArray[np.float32]:
    """Return a chest of ellipses ``(rows, columns)`` in 0..1, bright = dense, heart bigger to the patient's left."""
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    x, y = x / columns, y / rows
    body = _soft(np.abs(x - 0.5) / 0.46)
    right, left, heart = (_soft(_radius(x, y, organ)) for organ in (RIGHT_LUNG, LEFT_LUNG, HEART))
    air = np.maximum(right, left) * (1 - heart)
    ribs = 0.08 * np.sin(60 * y) * air
    noise = np.random.default_rng(seed).normal(0, 0.01, (rows, columns))
    brightness: NDArray[np.float32] = np.clip(0.75 * body - 0.5 * air + ribs + noise, 0, 1).astype(np.float32)
    return brightness


def phantom_landmarks(rows: int, columns: int) -> NDArray[np.float64]:
    """Return the outlines of the phantom's organs ``(120, 2)``, (x, y), (0, 0) at the center of the first pixel."""
    outlines = []
    for organ in (RIGHT_LUNG, LEFT_LUNG, HEART):
        center_x, center_y, half_x, half_y = ELLIPSES[organ]
        angle = np.linspace(0, 2 * np.pi, organ.node_count, endpoint=False) - np.pi / 2
        x, y = center_x + half_x * np.cos(angle), center_y + half_y * np.sin(angle)
        outlines.append(np.stack([x * columns, y * rows], axis=1))
    return np.concatenate(outlines)


def make_dx(
    *,
    rows: int = 500,
    columns: int = 400,
    photometric: str = "MONOCHROME2",
    bits: int = 14,
    spacing: float | tuple[float, float] | None = 0.7,
    processing: bool = False,
    seed: int = 0,
) -> FileDataset:
    """Make a DX chest PA; `spacing` is its ImagerPixelSpacing in mm, which DX requires (None: not conformant)."""
    sop_class = DigitalXRayImageStorageForProcessing if processing else DigitalXRayImageStorageForPresentation
    dataset = _new_image(sop_class, "DX")
    dataset.PresentationIntentType = "FOR PROCESSING" if processing else "FOR PRESENTATION"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", ""]
    dataset.ImageLaterality = "U"
    dataset.AnatomicRegionSequence = [code_item("816094009", "SCT", "Chest")]
    view = code_item("272479007", "SCT", "postero-anterior")
    view.ViewModifierCodeSequence = []
    dataset.ViewCodeSequence = [view]
    dataset.PositionerType = ""
    dataset.PresentationLUTShape = "INVERSE" if photometric == "MONOCHROME1" else "IDENTITY"
    dataset.PixelIntensityRelationship = "LOG"
    dataset.PixelIntensityRelationshipSign = 1 if photometric == "MONOCHROME1" else -1
    dataset.LossyImageCompression = "00"
    dataset.DetectorType = "DIRECT"
    dataset.AcquisitionContextSequence = []
    _finish(dataset, chest_phantom(rows, columns, seed=seed), photometric, bits, False, spacing)
    if processing:
        del dataset.WindowCenter, dataset.WindowWidth
    return dataset


def make_cr(
    *,
    rows: int = 500,
    columns: int = 400,
    photometric: str = "MONOCHROME1",
    bits: int = 12,
    signed: bool = False,
    spacing: float | tuple[float, float] | None = 0.8,
    seed: int = 0,
) -> FileDataset:
    """Make a CR chest PA; `spacing` is its ImagerPixelSpacing in mm, or None for none."""
    dataset = _new_image(ComputedRadiographyImageStorage, "CR")
    _finish(dataset, chest_phantom(rows, columns, seed=seed), photometric, bits, signed, spacing)
    return dataset


def save(dataset: FileDataset, path: Path) -> Path:
    """Write a DICOM file and return its path."""
    dataset.save_as(path, enforce_file_format=True)
    return path


def code_item(value: str, scheme: str, meaning: str) -> Dataset:
    """Return one item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def stored_values(brightness: NDArray[Any], *, bits: int, signed: bool = False) -> NDArray[Any]:
    """Return 0..1 as integers of so many bits; signed ones are centered on zero."""
    allocated = 8 if bits <= 8 else 16 if bits <= 16 else 32
    values = np.round(brightness.astype(np.float64) * (2**bits - 1)) - (2 ** (bits - 1) if signed else 0)
    integers: NDArray[Any] = values.astype(f"<{'i' if signed else 'u'}{allocated // 8}")
    return integers


def set_pixels(dataset: FileDataset, values: NDArray[Any], *, bits: int | None = None) -> None:
    """Put stored values ``(row, column)`` into a dataset, with all attributes that describe them."""
    allocated = 8 * values.dtype.itemsize
    dataset.Rows, dataset.Columns = values.shape
    dataset.BitsAllocated, dataset.BitsStored = allocated, bits or allocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(values.dtype.kind == "i")
    dataset.PixelData = values.tobytes() + b"\0" * (values.nbytes % 2)
    dataset["PixelData"].VR = "OB" if allocated == 8 else "OW"


def _new_image(sop_class: UID, modality: str) -> FileDataset:
    """Return all that CR and DX have in common, without pixels."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, generate_uid()
    meta.TransferSyntaxUID, meta.ImplementationClassUID = ExplicitVRLittleEndian, PYDICOM_IMPLEMENTATION_UID
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    dataset.PatientName, dataset.PatientID = "Synthetic^Chest", "SYN-0001"
    dataset.PatientBirthDate, dataset.PatientSex = "19700101", "O"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    for what in ("Study", "Series", "Acquisition", "Content"):
        setattr(dataset, f"{what}Date", "20260102")
        setattr(dataset, f"{what}Time", "102030")
    dataset.AccessionNumber, dataset.StudyID, dataset.ReferringPhysicianName = "A1", "1", ""
    dataset.StudyDescription = "CHEST PA"
    dataset.SeriesNumber, dataset.InstanceNumber = 1, 1
    dataset.Modality, dataset.Manufacturer = modality, "Synthetic"
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.PatientOrientation = ["L", "F"]
    dataset.BodyPartExamined, dataset.ViewPosition = "CHEST", "PA"
    dataset.BurnedInAnnotation = "NO"
    return dataset


def _finish(
    dataset: FileDataset,
    brightness: NDArray[np.float32],
    photometric: str,
    bits: int,
    signed: bool,
    spacing: float | tuple[float, float] | None,
) -> None:
    """Add pixels, a window over all their values, and the spacing."""
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, photometric
    shown = 1 - brightness if photometric == "MONOCHROME1" else brightness
    set_pixels(dataset, stored_values(shown, bits=bits, signed=signed), bits=bits)
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", "1", "US"
    dataset.WindowCenter = str(0 if signed else 2 ** (bits - 1))
    dataset.WindowWidth = str(2**bits)
    if spacing is not None:
        dataset.ImagerPixelSpacing = list(spacing) if isinstance(spacing, tuple) else [spacing, spacing]


def _radius(x: NDArray[np.float32], y: NDArray[np.float32], organ: Organ) -> NDArray[np.float32]:
    """Return the distance from an ellipse's center, 1 on its outline."""
    center_x, center_y, half_x, half_y = ELLIPSES[organ]
    radius: NDArray[np.float32] = np.hypot((x - center_x) / half_x, (y - center_y) / half_y)
    return radius


def _soft(radius: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return 1 inside, 0 outside and 0.5 on the outline."""
    inside: NDArray[np.float32] = np.reciprocal(1 + np.exp(np.minimum(40 * (radius - 1), 80)))
    return inside
