"""Every judge is content with a good object and notices a broken one: what finds no defect proves nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from support import judges
from support.cases.defects import DEFECTS, Defect
from support.judges import Measurement
from support.judges.programs import find_program
from support.samples.written_objects import WrittenObjects

from monai_chexmask_u.anatomy import HEART, ORGANS, RIGHT_LUNG
from monai_chexmask_u.dicom.reading.read import read_dicom

CASES = [
    pytest.param(kind, damage, judge, words, id=f"{kind}-{damage.__name__}-{judge.__name__}")
    for kind, damage, noticed in DEFECTS
    for judge, words in noticed.items()
]
JUDGES = {kind: {judge for case, _, noticed in DEFECTS for judge in noticed if case == kind} for kind, _, _ in DEFECTS}
GROUPS_KEPT = slice(4, -1)  # the groups on all landmarks but the last are taken out, for speed


@pytest.fixture(scope="module")
def objects(objects_of: Callable[[str], WrittenObjects]) -> WrittenObjects:
    return objects_of("dx_monochrome1")


@pytest.fixture(scope="module")
def good(objects: WrittenObjects, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Dataset]:
    """Gives a good object to break, by its kind; the report is shortened."""
    report = pydicom.dcmread(objects.paths["sr"])
    del report.ContentSequence[-1].ContentSequence[GROUPS_KEPT]
    short = tmp_path_factory.mktemp("short") / "sr.dcm"
    report.save_as(short)
    return lambda kind: pydicom.dcmread(short if kind == "sr" else objects.paths[kind])


@pytest.mark.parametrize("kind", JUDGES)
def test_judges_are_content_with_what_is_broken_later(
    kind: str, good: Callable[[str], Dataset], objects: WrittenObjects, tmp_path: Path
) -> None:
    good(kind).save_as(tmp_path / "good.dcm")
    installed = [judge for judge in JUDGES[kind] if judges.is_available(judge)]
    assert {judge.__name__ for judge in installed if complaints(judge, tmp_path / "good.dcm", objects)} == set()


@pytest.mark.parametrize(("kind", "damage", "judge", "words"), CASES)
def test_judge_notices_the_defect(
    kind: str,
    damage: Defect,
    judge: Any,
    words: str,
    good: Callable[[str], Dataset],
    objects: WrittenObjects,
    available: Callable[[Any], Any],
    tmp_path: Path,
) -> None:
    broken = good(kind)
    damage(broken)
    with pydicom.config.disable_value_validation():
        broken.save_as(tmp_path / "broken.dcm")
    found = complaints(available(judge), tmp_path / "broken.dcm", objects)
    assert any(words in complaint for complaint in found), found


def test_every_judge_has_a_defect_to_notice() -> None:
    noticing = {judge for _, _, noticed in DEFECTS for judge in noticed} | {judges.dcentvfy}
    assert {name for name in judges.__all__ if is_judge(name)} == {judge.__name__ for judge in noticing}


@pytest.mark.parametrize(("keyword", "value"), [("PatientID", "OTHER"), ("StudyDate", "20200101")])
def test_dcentvfy_notices_contradictions_in_a_study(
    keyword: str, value: str, objects: WrittenObjects, available: Callable[[Any], Any], tmp_path: Path
) -> None:
    broken = pydicom.dcmread(objects.paths["seg"])
    setattr(broken, keyword, value)
    broken.save_as(tmp_path / "broken.dcm")
    found = available(judges.dcentvfy)([objects.paths["pr"], tmp_path / "broken.dcm"])
    assert any(keyword in complaint for complaint in found), found


def test_judges_of_a_file_follow_from_its_kind(objects: WrittenObjects) -> None:
    everywhere = {judges.dciodvfy, judges.iod_tables, judges.code_meanings}
    of_report = {judges.dsrdump, judges.dcmqi_report, judges.itkwasm_report, judges.sr_templates}
    assert set(judges.judges_of(objects.paths["seg"])) == everywhere
    assert set(judges.judges_of(objects.paths["pr"])) == everywhere | {judges.dcmpschk}
    assert set(judges.judges_of(objects.paths["sr"])) == everywhere | of_report


def test_judge_is_available_if_its_program_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    beside = Path(sys.executable).with_name("python3")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not judges.is_available(judges.dciodvfy)
    assert judges.is_available(judges.iod_tables)
    assert find_program("python3") == (str(beside) if beside.is_file() else None)
    with pytest.raises(FileNotFoundError, match="dciodvfy is not installed"):
        judges.dciodvfy(tmp_path / "x.dcm")
    program = tmp_path / "dciodvfy"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert judges.is_available(judges.dciodvfy)


def complaints(judge: Any, path: Path, objects: WrittenObjects) -> list[str]:
    """Return what a judge says of an object, and give it what else it wants to see."""
    masks = {organ.title: objects.result.mask(organ) for organ in ORGANS}
    image, heart = objects.radiograph.path, masks[HEART.title]
    found: list[str]
    if judge is judges.polarity:
        found = judge(path, image, bright=heart, dark=masks[RIGHT_LUNG.title] & ~heart)
    elif judge is judges.gray_values:
        found = judge(path, image, read_dicom(image).pixels, objects.radiograph.notes)
    elif judge is judges.itkwasm_presentation:
        found = judge(path, image)
    elif judge is judges.dcmqi_segmentation:
        if "LABELMAP" in pydicom.dcmread(path, specific_tags=["SegmentationType"]).SegmentationType:
            masks = {organ.title: objects.result.label_mask() == organ.label for organ in ORGANS}
        found = judge(path, masks)
    elif judge is judges.measurement_differences:
        found = judge(path, {"H25": last_landmark(objects)})
    else:
        found = judge(path)
    return found


def last_landmark(objects: WrittenObjects) -> list[Measurement]:
    (x, y), result = objects.result.std[-1], objects.result
    assert result.distance_mm is not None
    assert result.radius90 is not None
    return [
        Measurement("Spatial Displacement X Component", x, "{pixels}", "Standard Deviation"),
        Measurement("Spatial Displacement Y Component", y, "{pixels}", "Standard Deviation"),
        Measurement("Distance", result.distance_mm[-1], "mm", "Root Mean Square"),
        Measurement("Radius that holds the true landmark with 90 % probability", result.radius90[-1], "{pixels}"),
    ]


def is_judge(name: str) -> bool:
    """Tell whether a public name is a judge: it returns complaints."""
    return getattr(getattr(judges, name), "__annotations__", {}).get("return") == "list[str]"
