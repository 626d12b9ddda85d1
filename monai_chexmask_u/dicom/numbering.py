"""Which series and instance each output object is, and which objects of a source image are written already."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.uid import UID, generate_uid

from monai_chexmask_u import __version__
from monai_chexmask_u.dicom.same_image import patient_of
from monai_chexmask_u.segmentation import LandmarkSegmentation

__all__ = ["SERIES_NUMBERS", "Numbering", "Place"]

# One series per kind of object, far above what modalities count to.
SERIES_NUMBERS: Final = {
    "seg": 101,
    "sr": 102,
    "pr": 103,
    "sc": 104,
    "pdf": 105,
    "seg-fractional": 106,
    "seg-labelmap": 107,
    "seg-viewer": 108,
    "annotation": 109,
}
# What it takes to refer to an object.
_REFERENCED: Final = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality"),
    *("Rows", "Columns"),  # of images
)


@dataclass(frozen=True)
class Place:
    """Where an output object stands in its study."""

    series_uid: UID
    series_number: int
    instance_uid: UID
    instance_number: int

    def arguments(self) -> dict[str, Any]:
        """Return it as arguments that every highdicom object takes."""
        return {
            "series_instance_uid": self.series_uid,
            "series_number": self.series_number,
            "sop_instance_uid": self.instance_uid,
            "instance_number": self.instance_number,
        }


class Numbering:
    """Gives the outputs of one run their UIDs and numbers: per study and kind one series, its instances from 1 on.

    Images of two patients never share a series, even if their headers name one study.

    Args:
        reproducible: derive the UIDs from the source image (its UIDs and its pixels), the patient, the model, seed and
            number of samples, this software's version and what else goes into an object, so that another run gives
            the same ones to the same objects, with any number of threads. A result whose landmarks are not those that
            were computed gets others. By default they are new.
    """

    def __init__(self, *, reproducible: bool = False) -> None:
        """Start with instance 1 in every series."""
        self._run = "" if reproducible else str(generate_uid())
        self._counts: Counter[UID] = Counter()
        self._written: defaultdict[tuple[str, ...], list[Dataset]] = defaultdict(list)

    def place(self, kind: str, segmentation: LandmarkSegmentation, header: Dataset, *contents: str) -> Place:
        """Return the place of the next object.

        Args:
            kind: key of `SERIES_NUMBERS`.
            segmentation: the result.
            header: of its source image.
            contents: what the object holds beside the result, such as references to others.
        """
        model = segmentation.model
        asked = [model.sha256, model.calibration_sha256 or "", str(segmentation.sample_count), __version__]
        series = self._uid(kind, *asked, str(header.StudyInstanceUID), patient_of(header))
        self._counts[series] += 1
        # What the result was computed from, and not its numbers: these differ in the last digits between machines.
        instance = self._uid(kind, *asked, *_image_of(header), segmentation.identity, *contents)
        return Place(series, SERIES_NUMBERS[kind], instance, self._counts[series])

    def keep(self, header: Dataset, written: Dataset) -> None:
        """Note that an object of a source image is on the disk."""
        reference = Dataset()
        for keyword in _REFERENCED:
            if keyword in written:
                setattr(reference, keyword, written[keyword].value)
        self._written[_image_of(header)].append(reference)

    def written(self, header: Dataset) -> list[Dataset]:
        """Return what is written of a source image, objects that a report may refer to, without their contents."""
        return list(self._written[_image_of(header)])

    def _uid(self, *parts: str) -> UID:
        return generate_uid(entropy_srcs=[self._run, *parts])


def _image_of(header: Dataset) -> tuple[str, str, str]:
    """Return what names an image: files of two patients may have one SOP Instance UID by mistake."""
    return str(header.StudyInstanceUID), patient_of(header), str(header.SOPInstanceUID)
