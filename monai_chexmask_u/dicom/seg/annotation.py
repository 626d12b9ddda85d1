"""What a person has outlined on a radiograph, as a DICOM Segmentation, and which segmentations in a study are such."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.seg import Segmentation, SegmentationTypeValues
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from monai_chexmask_u import __version__
from monai_chexmask_u.anatomy import ORGANS, Organ
from monai_chexmask_u.dicom import codes
from monai_chexmask_u.dicom.equipment import MANUFACTURER, MODEL_NAME
from monai_chexmask_u.dicom.numbering import SERIES_NUMBERS, Place
from monai_chexmask_u.dicom.reading.quiet import no_warnings
from monai_chexmask_u.dicom.seg.result import assemble, describe_organ
from monai_chexmask_u.dicom.source import SourceImage
from monai_chexmask_u.dicom.write import save_object
from monai_chexmask_u.radiograph import Radiograph

__all__ = ["AlgorithmType", "AnnotationFacts", "annotation_facts", "build_annotation", "write_annotation"]

AlgorithmType = Literal["MANUAL", "SEMIAUTOMATIC"]

_OF_PERSONS: Final = frozenset({"MANUAL", "SEMIAUTOMATIC"})


@dataclass(frozen=True)
class AnnotationFacts:
    """What an annotation is of.

    Attributes:
        image_series_uid: Series Instance UID of the image.
        image_uid: SOP Instance UID of the image.
        written: date and time of the content, so that later ones sort behind earlier ones.
    """

    image_series_uid: str
    image_uid: str
    written: str


@no_warnings()
def build_annotation(
    masks: Mapping[Organ, NDArray[np.bool_]], source: SourceImage, *, algorithm_type: AlgorithmType
) -> Segmentation:
    """Build a Segmentation object of what a person outlined: one binary segment per organ that was.

    It says nothing of a model's uncertainty, and names no person: who submits a label is not known for certain.

    Args:
        masks: ``(row, column)`` in the image as stored; organs that were not looked at are left out.
        source: the radiograph, with its cleaned header.
        algorithm_type: ``SEMIAUTOMATIC`` where a person corrected what a model proposed, ``MANUAL`` without a proposal.

    Raises:
        ValueError: if there is no mask, or one is not of the image.

    References:
        DICOM PS3.3, C.8.20.2 Segmentation Image, Segment Algorithm Type
    """
    organs = [organ for organ in ORGANS if organ in masks]
    if not organs:
        raise ValueError("an annotation needs at least one organ, this one has none")
    for organ in organs:
        if masks[organ].shape != source.radiograph.shape:
            shapes = f"{masks[organ].shape} instead of {source.radiograph.shape}"
            raise ValueError(f"the annotation's mask of the {organ.title.lower()} is not of the image's size: {shapes}")
    algorithm = None if algorithm_type == "MANUAL" else _proposal()
    descriptions = [
        describe_organ(
            organ, number=number, tracking_uid=generate_uid(), algorithm=algorithm, algorithm_type=algorithm_type
        )
        for number, organ in enumerate(organs, 1)
    ]
    return assemble(
        source,
        np.stack([masks[organ] for organ in organs], axis=-1)[None].astype(np.uint8),
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=descriptions,
        place=Place(generate_uid(), SERIES_NUMBERS["annotation"], generate_uid(), 1),
        content_description="Lungs and heart, as submitted by an annotator",
        series_description="Lungs and heart (annotation)",
    )


def write_annotation(
    masks: Mapping[Organ, NDArray[np.bool_]], radiograph: Radiograph, path: Path, *, algorithm_type: AlgorithmType
) -> str:
    """Write an annotation as `build_annotation` builds it, and return its Series Instance UID.

    Raises:
        ValueError: as `build_annotation`, and if the radiograph has no usable DICOM header.
        OSError: if the file cannot be written.
    """
    source = SourceImage(radiograph)
    built = build_annotation(masks, source, algorithm_type=algorithm_type)
    save_object(built, source, path)
    return str(built.SeriesInstanceUID)


@no_warnings()
def annotation_facts(metadata: Iterable[Mapping[str, Any]]) -> AnnotationFacts | None:
    """Return what an archive's series is an annotation of, or None if it is none.

    Segmentations by a model alone are none: an archive holds this project's own results, too.

    Args:
        metadata: of the series' instances, in DICOM JSON (PS3.18, annex F).
    """
    try:
        datasets = [Dataset.from_json(dict(item)) for item in metadata]
        found = [_facts(dataset) for dataset in datasets]
    except Exception:  # pydicom converts on access, and what a damaged element raises depends on its type
        return None
    return found[0] if len(found) == 1 else None


def _facts(dataset: Dataset) -> AnnotationFacts | None:
    segments = dataset.get("SegmentSequence") or []
    structures = {code.structure.value for code in codes.ORGAN_CODES.values()}
    by_person = [segment.get("SegmentAlgorithmType") in _OF_PERSONS for segment in segments]
    shown = [segment.SegmentedPropertyTypeCodeSequence[0].CodeValue in structures for segment in segments]
    images = {
        (str(series.SeriesInstanceUID), str(item.ReferencedSOPInstanceUID))
        for series in dataset.get("ReferencedSeriesSequence") or []
        for item in series.ReferencedInstanceSequence
    }
    if not segments or not all(by_person) or not all(shown) or len(images) != 1:
        return None
    date, time = (str(dataset.get(keyword) or "") for keyword in ("ContentDate", "ContentTime"))
    return AnnotationFacts(*images.pop(), f"{date}{time}")


def _proposal() -> AlgorithmIdentificationSequence:
    """Return what proposed the outlines; which of its models is not known any more once a person has edited them."""
    return AlgorithmIdentificationSequence(
        name=MODEL_NAME, family=codes.ARTIFICIAL_INTELLIGENCE, version=__version__, source=MANUFACTURER
    )
