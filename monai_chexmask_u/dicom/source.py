"""What DICOM outputs take over from the image that they are made from, and how they are linked to each other."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field
from typing import Any, Final

from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import UID, generate_uid

from monai_chexmask_u.dicom.reading.charsets import settle_character_sets
from monai_chexmask_u.dicom.reading.header import CR
from monai_chexmask_u.dicom.reading.identity import IDENTIFIERS, clean_identity
from monai_chexmask_u.dicom.reading.quiet import no_warnings
from monai_chexmask_u.dicom.reading.values import is_valid
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation

__all__ = ["SourceImage", "TrackingIds"]

_REQUIRED: Final = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Rows", "Columns")

_DIRECTION: Final = re.compile("[LRAPHF]{1,3}")


@dataclass(frozen=True)
class TrackingIds:
    """Tracking UIDs: the same thing has the same UID in the segmentation, the report and the presentation state.

    They follow from the source image and the weights, so that files written at different times agree.

    Attributes:
        source_uid: SOP Instance UID of the source image.
        model_sha256: SHA-256 of the weights file.
    """

    source_uid: str
    model_sha256: str

    @classmethod
    def of(cls, segmentation: LandmarkSegmentation, header: Dataset) -> TrackingIds:
        """Return the tracking UIDs of one result for one source image."""
        return cls(str(header.SOPInstanceUID), segmentation.model.sha256)

    def uid(self, name: str) -> UID:
        """Return the tracking UID of what a name stands for.

        Args:
            name: an organ's name such as ``heart``, a node id such as ``RL00``, or ``image`` for the whole image.

        Example:
            >>> ids = TrackingIds("1.2.3", "ab" * 32)
            >>> ids.uid("heart") == ids.uid("heart"), ids.uid("heart") == ids.uid("RL00")
            (True, False)
        """
        return generate_uid(entropy_srcs=[self.source_uid, self.model_sha256, name])


@dataclass(frozen=True, eq=False)
class SourceImage:
    """The image that DICOM outputs are made from; its header is checked and cleaned once, for all of them.

    Attributes:
        radiograph: read from a DICOM file.
        header: a copy of the file's header that highdicom accepts and that is safe to copy from; not to be changed. It
            has the text decoded for UTF-8, of patient and study what `clean_identity` leaves, and of all else what is
            valid: no spacing that is not positive, no orientation of other than two directions.

    Raises:
        ValueError: if there is no DICOM header, or one that names no study, series or instance, or another image size.

    References:
        DICOM PS3.3, C.7.1.1 Patient, C.7.2.1 General Study
    """

    radiograph: Radiograph
    header: Dataset = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Clean the header."""
        object.__setattr__(self, "header", _cleaned_header(self.radiograph))

    def header_without(self, *keywords: str) -> Dataset:
        """Return a copy of the header without some attributes that an output must not take over."""
        header = copy.deepcopy(self.header)
        for keyword in keywords:
            header.pop(keyword, None)
        return header

    def check_result(self, segmentation: LandmarkSegmentation) -> None:
        """Check that a result belongs to this image, as far as sizes can tell.

        Raises:
            ValueError: if their rows and columns differ.
        """
        shape = self.radiograph.shape
        if segmentation.shape != shape:
            raise ValueError(
                f"segmentation and radiograph must be of one image, got shapes {segmentation.shape}, {shape}"
            )


@no_warnings()
def _cleaned_header(radiograph: Radiograph) -> Dataset:
    if radiograph.why_no_dicom:
        raise ValueError(f"no DICOM outputs can be made of {radiograph.path.name}: {radiograph.why_no_dicom}")
    header: Dataset = copy.deepcopy(radiograph.header)
    missing = [keyword for keyword in _REQUIRED if not header.get(keyword)]
    if missing:
        raise ValueError(f"{radiograph.path.name} cannot be referred to, its header has no {', '.join(missing)}")
    if (header.Rows, header.Columns) != radiograph.shape:
        raise ValueError(f"header must be of the image, got {header.Rows}x{header.Columns} and {radiograph.shape}")
    settle_character_sets(header)
    clean_identity(header)
    # Of the right type, whatever the file says.
    header.add_new("SpecificCharacterSet", "CS", "ISO_IR 192")
    for keyword in _REQUIRED:
        header.add_new(keyword, dictionary_VR(keyword), header[keyword].value)
    for tag in list(header.keys()):
        keyword = keyword_for_tag(tag)
        if keyword not in _REQUIRED and not _can_be_copied(header, keyword):
            del header[tag]
    header.setdefault("Modality", "CR" if header.SOPClassUID == CR else "DX")  # highdicom's reports look at it
    return header


def _can_be_copied(header: Dataset, keyword: str) -> bool:
    try:
        element = header[keyword]
        if element.VR not in dictionary_VR(element.tag).split(" or "):
            return False
        if keyword in ("PixelSpacing", "ImagerPixelSpacing"):
            return _is_pair(element.value) and all(0 < float(side) < float("inf") for side in element.value)
        if keyword == "PatientOrientation":
            return _is_pair(element.value) and all(_DIRECTION.fullmatch(side) for side in element.value)
        return keyword in IDENTIFIERS or (is_valid(element) and not element.is_empty)
    except Exception:  # pydicom converts on access, and what a damaged element raises depends on its type
        return False


def _is_pair(value: Any) -> bool:
    """Tell whether there are two values, none of them empty."""
    return isinstance(value, MultiValue) and len(value) == 2 and all(str(side).strip() for side in value)
