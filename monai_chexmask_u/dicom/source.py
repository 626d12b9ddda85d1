"""What DICOM outputs take over from their source image, who made them, and how they are linked to each other."""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import UID, generate_uid
from pydicom.valuerep import DA, TM

from monai_chexmask_u import __version__
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation

__all__ = [
    "CONTENT_CREATOR",
    "EQUIPMENT",
    "MANUFACTURER",
    "MODEL_NAME",
    "TrackingIds",
    "check_same_image",
    "no_warnings",
    "source_header",
]

MANUFACTURER: Final = "monai-chexmask-u project"
MODEL_NAME: Final = "monai-chexmask-u"

CONTENT_CREATOR: Final = f"{MODEL_NAME}^{__version__}"  # in the form of a person's name, as the attribute wants it

# Arguments that every highdicom object takes; software has no serial number, but the attribute must have a value.
EQUIPMENT: Final = {
    "manufacturer": MANUFACTURER,
    "manufacturer_model_name": MODEL_NAME,
    "software_versions": __version__,
    "device_serial_number": "0",
}

_REQUIRED: Final = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Rows", "Columns")
# Type 2 (may be empty) in every output; highdicom wants them to be there in the source, too.
_MAY_BE_EMPTY: Final = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
)

# What the value representation allows (PS3.5, 6.2), in characters.
_LONGEST: Final = {"PatientID": 64, "AccessionNumber": 16, "StudyID": 16}
# Type 3 (may be absent), copied where it is there.
_PATTERNS: Final = {
    "PatientAge": re.compile(r"\d{3}[DWMY]"),
    **dict.fromkeys(("PatientSize", "PatientWeight"), re.compile(r"(?=.{1,16}$)[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")),
}


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


@contextmanager
def no_warnings() -> Iterator[None]:
    """Silence warnings: those of pydicom and highdicom quote values from the header, which may be patient data."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def check_same_image(segmentation: LandmarkSegmentation, radiograph: Radiograph) -> None:
    """Check that a result belongs to a radiograph, as far as sizes can tell.

    Raises:
        ValueError: if their rows and columns differ.
    """
    if segmentation.shape != radiograph.shape:
        raise ValueError(
            f"segmentation and radiograph must be of one image, got shapes {segmentation.shape}, {radiograph.shape}"
        )


@no_warnings()
def source_header(radiograph: Radiograph) -> Dataset:
    """Return a copy of the source's header that highdicom accepts and that is safe to copy from.

    Text is decoded to UTF-8, absent attributes that may be empty are empty, and private attributes are removed.
    Values that no output may carry over are removed, too: two names or identifiers in place of one, too long ones,
    dates that are none, spacings that are not positive, an orientation of other than two directions.

    Args:
        radiograph: read from a DICOM file.

    Raises:
        ValueError: if it has no DICOM header, or one that names no study, series or instance, or another image size.

    References:
        DICOM PS3.3, C.7.1.1 Patient, C.7.2.1 General Study
    """
    if radiograph.header is None:
        raise ValueError(f"DICOM outputs need a DICOM input, got {radiograph.path.name}")
    header: Dataset = copy.deepcopy(radiograph.header)
    missing = [keyword for keyword in _REQUIRED if not header.get(keyword)]
    if missing:
        raise ValueError(f"{radiograph.path.name} cannot be referred to, its header has no {', '.join(missing)}")
    if (header.Rows, header.Columns) != radiograph.shape:
        raise ValueError(f"header must be of the image, got {header.Rows}x{header.Columns} and {radiograph.shape}")
    # Private first: what nobody can interpret need not be decoded.
    header.remove_private_tags()
    header.decode()
    header.SpecificCharacterSet = "ISO_IR 192"
    for keyword in _MAY_BE_EMPTY:
        if keyword not in header or not _can_be_copied(keyword, header[keyword].value):
            setattr(header, keyword, None)
    for keyword, pattern in _PATTERNS.items():
        if keyword in header and not pattern.fullmatch(str(header[keyword].value or "")):
            delattr(header, keyword)
    for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
        if keyword in header and not _is_spacing(header[keyword].value):
            delattr(header, keyword)
    if "PatientOrientation" in header and not _is_pair(header.PatientOrientation):
        del header.PatientOrientation
    return header


def _can_be_copied(keyword: str, value: Any) -> bool:
    """Tell whether highdicom takes a value; it raises for names, dates, times and sexes that are none."""
    if not value:
        return True
    if keyword in _LONGEST:
        return not isinstance(value, MultiValue) and len(str(value)) <= _LONGEST[keyword]
    if keyword.endswith("Name"):
        return not isinstance(value, MultiValue)
    if keyword == "PatientSex":
        return value in ("M", "F", "O")
    try:
        if keyword.endswith("Date"):
            DA(value)
        elif keyword.endswith("Time"):
            TM(value)
    except (TypeError, ValueError):
        return False
    return True


def _is_spacing(value: Any) -> bool:
    try:
        return _is_pair(value) and all(0 < float(side) < float("inf") for side in value)
    except (TypeError, ValueError):
        return False


def _is_pair(value: Any) -> bool:
    """Tell whether there are two values, none of them empty."""
    return isinstance(value, MultiValue) and len(value) == 2 and all(str(side).strip() for side in value)
