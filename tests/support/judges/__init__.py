"""Independent judges of DICOM files: other people's readers and validators, and checks against the standard's tables.

A judge is a function of a file that returns its complaints; an empty list means that it is content. What each finds and
misses stands in `docs/dicom_judges.md`. Judges never agree with the code under test by construction: none of them
imports it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pydicom
from support.judges.codes import code_meanings, wrong_codes
from support.judges.dcmqi_reports import Group, Measurement, dcmqi_report, measurement_differences, measurement_groups
from support.judges.dcmqi_segmentations import dcmqi_segmentation, segments, with_plane_geometry
from support.judges.dcmtk import dcmpschk, dsrdump, gray_values, polarity, rendered, report_tree
from support.judges.dicom3tools import LABEL_MAP_SEGMENTATION, dcentvfy, dciodvfy
from support.judges.iod import iod_tables
from support.judges.itkwasm import Layer, itkwasm_presentation, itkwasm_report, presented, report_text
from support.judges.programs import is_installed
from support.judges.templates import sr_templates

__all__ = [
    "LABEL_MAP_SEGMENTATION",
    "NEEDS",
    "Group",
    "Judge",
    "Layer",
    "Measurement",
    "code_meanings",
    "dcentvfy",
    "dciodvfy",
    "dcmpschk",
    "dcmqi_report",
    "dcmqi_segmentation",
    "dsrdump",
    "gray_values",
    "iod_tables",
    "is_available",
    "itkwasm_presentation",
    "itkwasm_report",
    "judges_of",
    "measurement_differences",
    "measurement_groups",
    "polarity",
    "presented",
    "rendered",
    "report_text",
    "report_tree",
    "segments",
    "sr_templates",
    "with_plane_geometry",
    "wrong_codes",
]

Judge = Callable[[Path], list[str]]

# The program or package that a function needs; what is not named here is always available.
NEEDS: Final[dict[Callable[..., Any], str]] = {
    dcentvfy: "dcentvfy",
    dciodvfy: "dciodvfy",
    dcmpschk: "dcmpschk",
    dcmqi_report: "tid1500reader",
    dcmqi_segmentation: "segimage2itkimage",
    dsrdump: "dsrdump",
    gray_values: "dcmp2pgm",
    itkwasm_presentation: "itkwasm_dicom_wasi",
    itkwasm_report: "itkwasm_dicom_wasi",
    measurement_differences: "tid1500reader",
    measurement_groups: "tid1500reader",
    polarity: "dcmp2pgm",
    presented: "itkwasm_dicom_wasi",
    rendered: "dcmp2pgm",
    report_text: "itkwasm_dicom_wasi",
    report_tree: "dsrdump",
    segments: "segimage2itkimage",
}

_ALL: Final[tuple[Judge, ...]] = (dciodvfy, iod_tables, code_meanings)
_REPORT: Final[tuple[Judge, ...]] = (dsrdump, dcmqi_report, itkwasm_report, sr_templates)
_OF_MODALITY: Final[dict[str, tuple[Judge, ...]]] = {"SR": _REPORT, "PR": (dcmpschk,)}


def is_available(judge: Callable[..., Any]) -> bool:
    """Tell whether what a judge needs is installed."""
    return judge not in NEEDS or is_installed(NEEDS[judge])


def judges_of(path: Path) -> tuple[Judge, ...]:
    """Return the judges of a file that need no other one, installed or not, by what kind of object it is."""
    modality = str(pydicom.dcmread(path, specific_tags=["Modality"]).get("Modality"))
    return _ALL + _OF_MODALITY.get(modality, ())
