"""How old a patient was, by the header; the model knows adults alone.

Importing this does not import pydicom, so that the choice of a reader stays quick.
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Final

from monai_chexmask_u.dicom.reading.attributes import text

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["is_child"]

ADULT_YEARS: Final = 16
OLDEST_YEARS: Final = 130
PER_YEAR: Final = {"D": 365.25, "W": 52.18, "M": 12, "Y": 1}
DATES: Final = ("AcquisitionDate", "ContentDate", "StudyDate")


def is_child(header: Dataset) -> bool:
    """Say whether the header says that the patient was under 16.

    PatientAge counts, or else the time from the patient's birth to the image. What is malformed or impossible says
    nothing.

    Args:
        header: a data set.

    References:
        DICOM PS3.5, 6.2, Age String
    """
    years = _told(header)
    if years is None:
        years = _counted(header)
    return years is not None and years < ADULT_YEARS


def _told(header: Dataset) -> float | None:
    age = re.fullmatch(r"(\d{3})([DWMY])", text(header, "PatientAge"))
    years = int(age[1]) / PER_YEAR[age[2]] if age else None
    return years if years is not None and years <= OLDEST_YEARS else None


def _counted(header: Dataset) -> float | None:
    born = _date(text(header, "PatientBirthDate"))
    taken = next(filter(None, (_date(text(header, keyword)) for keyword in DATES)), None)
    if born is None or taken is None:
        return None
    years = (taken - born).days / PER_YEAR["D"]
    return years if 0 <= years <= OLDEST_YEARS else None


def _date(value: str) -> date | None:
    try:
        return date(int(value[:4]), int(value[4:6]), int(value[6:])) if re.fullmatch(r"\d{8}", value) else None
    except ValueError:
        return None
