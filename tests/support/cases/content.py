"""Cases on what a file holds: object, body part, species, frames, color, graphics."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydicom.dataset import Dataset, FileDataset
from pydicom.fileset import FileSet
from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    CTImageStorage,
    DigitalXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from support.cases.case import Case, changed, made
from support.samples.dicom import code_item, make_cr, make_dx

from monai_chexmask_u.dicom.reading.header_size import MOST_ELEMENTS

__all__ = ["CONTENT"]

CONTENT: Final[list[Case]] = []
of_object = partial(changed, CONTENT, "Object")
subject = partial(changed, CONTENT, "Body part and species")
content = partial(changed, CONTENT, "Frames, color, graphics")
CR: Final[dict[str, Any]] = {"base": lambda: make_cr(photometric="MONOCHROME2"), "spacing_mm": (0.8, 0.8)}


def set_class(dataset: FileDataset, sop_class: UID) -> None:
    """Make a sample another kind of object."""
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class


@of_object("taken", **CR)
def computed_radiography(_: FileDataset) -> None:
    """CR."""


@of_object("raw detector data", code="for_processing", base=lambda: make_dx(processing=True))
def for_processing(dataset: FileDataset) -> None:
    """DX FOR PROCESSING."""
    assert dataset.SOPClassUID == DigitalXRayImageStorageForProcessing


@of_object("raw detector data", code="for_processing", base=make_cr)
def for_processing_by_intent(dataset: FileDataset) -> None:
    """CR with PresentationIntentType FOR PROCESSING."""
    dataset.PresentationIntentType = "FOR PROCESSING"


@of_object("taken, as research archives keep radiographs", notes=("secondary_capture",), **CR)
def secondary_capture(dataset: FileDataset) -> None:
    """Secondary capture of modality CR."""
    set_class(dataset, SecondaryCaptureImageStorage)


@of_object("no radiograph", code="wrong_modality")
def secondary_capture_of_something(dataset: FileDataset) -> None:
    """Secondary capture of modality OT."""
    set_class(dataset, SecondaryCaptureImageStorage)
    dataset.Modality = "OT"


@of_object("no radiograph", code="wrong_modality")
def ct(dataset: FileDataset) -> None:
    """CT image."""
    set_class(dataset, CTImageStorage)
    dataset.Modality = "CT"


@of_object("no radiograph", code="wrong_modality")
def segmentation_object(dataset: FileDataset) -> None:
    """Segmentation object."""
    set_class(dataset, SegmentationStorage)
    dataset.Modality = "SEG"


@of_object("no radiograph, which is told before its size", code="wrong_modality")
def long_report(dataset: FileDataset) -> None:
    """Structured report of more attributes than a radiograph may have."""
    set_class(dataset, Comprehensive3DSRStorage)
    dataset.Modality = "SR"
    del dataset.PixelData
    dataset.ContentSequence = [Dataset() for _ in range(MOST_ELEMENTS)]


@of_object("that of the file's meta information, which must be the same")
def class_in_meta_alone(dataset: FileDataset) -> None:
    """No SOPClassUID but in the meta information."""
    del dataset.SOPClassUID


@made(CONTENT, "Object", "no image; a folder is searched without it", code="wrong_modality", notes=())
def dicomdir(folder: Path) -> Path:
    """DICOMDIR of a medium that holds a chest."""
    files = FileSet()
    files.add(make_dx())
    files.write(folder / "medium")
    return folder / "medium" / "DICOMDIR"


@subject("taken: the names of chest, thorax, lung, heart and ribs", **CR)
def thorax(dataset: FileDataset) -> None:
    """BodyPartExamined in other words."""
    dataset.BodyPartExamined = "PORT THORAX"


@subject("taken, with doubt", notes=("body_part_unknown",), **CR)
def no_body_part(dataset: FileDataset) -> None:
    """No BodyPartExamined."""
    del dataset.BodyPartExamined


@subject("not the chest", code="wrong_body_part", base=make_cr)
def hand(dataset: FileDataset) -> None:
    """BodyPartExamined HAND."""
    dataset.BodyPartExamined = "HAND"


@subject("not the chest", code="wrong_body_part")
def spine_code(dataset: FileDataset) -> None:
    """AnatomicRegionSequence thoracic spine, although BodyPartExamined says CHEST."""
    dataset.AnatomicRegionSequence = [code_item("122495006", "SCT", "Thoracic spine")]


@subject("not human", code="not_human")
def feline(dataset: FileDataset) -> None:
    """PatientSpeciesDescription Feline."""
    dataset.PatientSpeciesDescription = "Feline"


@subject("not human", code="not_human")
def dog_code(dataset: FileDataset) -> None:
    """PatientSpeciesCodeSequence dog."""
    dataset.PatientSpeciesCodeSequence = [code_item("448771007", "SCT", "Canis lupus subspecies familiaris")]


@subject("not human: only animals have a breed", code="not_human")
def breed(dataset: FileDataset) -> None:
    """PatientBreedDescription Maine Coon, no species."""
    dataset.PatientBreedDescription = "Maine Coon"


@subject("not human: it is said of animals only", code="not_human")
def neutered(dataset: FileDataset) -> None:
    """PatientSexNeutered ALTERED, no species."""
    dataset.PatientSexNeutered = "ALTERED"


@subject("taken; outputs leave it out")
def human(dataset: FileDataset) -> None:
    """PatientSpeciesDescription Homo sapiens."""
    dataset.PatientSpeciesDescription = "Homo sapiens"


@subject("taken; the verdict is at best review: the model knows adults", notes=("child",))
def child(dataset: FileDataset) -> None:
    """PatientAge 007Y."""
    dataset.PatientAge = "007Y"


@subject("taken; the verdict is at best review", notes=("child",))
def child_by_dates(dataset: FileDataset) -> None:
    """No PatientAge, born eleven years before the image."""
    dataset.PatientBirthDate = f"{int(dataset.AcquisitionDate[:4]) - 11}0101"


@content("no single radiograph", code="multi_frame")
def two_frames(dataset: FileDataset) -> None:
    """Two frames."""
    dataset.NumberOfFrames, dataset.PixelData = 2, 2 * dataset.PixelData


@content("taken")
def one_frame(dataset: FileDataset) -> None:
    """NumberOfFrames 1."""
    dataset.NumberOfFrames = 1


@content("no radiograph", code="color")
def rgb(dataset: FileDataset) -> None:
    """RGB."""
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelData = 7, bytes(3 * 500 * 400)


@content("no radiograph", code="color")
def palette(dataset: FileDataset) -> None:
    """PALETTE COLOR."""
    dataset.PhotometricInterpretation = "PALETTE COLOR"


@content("taken; results that show pixels say so, too", notes=("burned_in_annotation",))
def burned_in(dataset: FileDataset) -> None:
    """BurnedInAnnotation YES."""
    dataset.BurnedInAnnotation = "YES"


@content("not drawn: it is no part of the radiograph", notes=("overlay_ignored",))
def overlay(dataset: FileDataset) -> None:
    """Overlay plane 60xx."""
    dataset.add_new(0x60000010, "US", 500)
    dataset.add_new(0x60000011, "US", 400)
    dataset.add_new(0x60000040, "CS", "G")
    dataset.add_new(0x60000050, "SS", [1, 1])
    dataset.add_new(0x60000100, "US", 1)
    dataset.add_new(0x60000102, "US", 0)
    dataset.add_new(0x60003000, "OW", np.packbits(np.ones(500 * 400, np.uint8)).tobytes())


@content("too small for a chest", code="implausible_size", base=lambda: make_dx(rows=63, columns=63))
def too_small(_: FileDataset) -> None:
    """63 x 63 pixels."""


@content("too narrow for a chest", code="implausible_size", base=lambda: make_dx(rows=500, columns=100))
def too_narrow(_: FileDataset) -> None:
    """Five times as high as wide."""
