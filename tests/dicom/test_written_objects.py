"""Other people's readers and the standard's tables are content with every object that this project writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from support import judges
from support.samples.written_objects import KINDS, WrittenObjects

from monai_chexmask_u.anatomy import HEART, LEFT_LUNG, NODE_COUNT, ORGANS, RIGHT_LUNG
from monai_chexmask_u.dicom.numbering import Numbering
from monai_chexmask_u.dicom.source import SourceImage
from monai_chexmask_u.dicom.write import write_object

Objects = Callable[[str], WrittenObjects]
Available = Callable[[Any], Any]

SOURCES = ("dx_monochrome1", "non_square", "japanese", "bad_header")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("source", SOURCES)
def test_judges_are_content(source: str, kind: str, objects_of: Objects) -> None:
    path = objects_of(source).paths[kind]
    installed = [judge for judge in judges.judges_of(path) if judges.is_available(judge)]
    assert {judge.__name__: judge(path) for judge in installed} == {judge.__name__: [] for judge in installed}
    missing = set(judges.judges_of(path)) - set(installed)
    if missing:
        pytest.skip(f"the others are content; not installed: {sorted(judges.NEEDS[judge] for judge in missing)}")


@pytest.mark.parametrize("kind", KINDS)
def test_patient_and_study_are_those_of_the_source(kind: str, source_name: str, objects_of: Objects) -> None:
    objects = objects_of(source_name)
    header, built = SourceImage(objects.radiograph).header, pydicom.dcmread(objects.paths[kind])
    for keyword in (
        *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
        *("StudyInstanceUID", "StudyID", "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName"),
    ):
        assert (built[keyword].value or None) == (header[keyword].value or None), keyword
    assert built.get("StudyDescription") == header.get("StudyDescription")
    assert not [element for element in built.iterall() if element.tag.is_private]
    assert built.SpecificCharacterSet == "ISO_IR 192"


@pytest.mark.parametrize("source", ["dx_monochrome1", "non_square"])
def test_all_objects_agree_on_patient_and_study(source: str, objects_of: Objects, available: Available) -> None:
    objects = objects_of(source)
    assert available(judges.dcentvfy)([objects.radiograph.path, *objects.paths.values()]) == []


@pytest.mark.parametrize("source", SOURCES)
def test_presentation_state_draws_what_it_holds(source: str, objects_of: Objects, available: Available) -> None:
    objects = objects_of(source)
    image = objects.radiograph.path
    assert available(judges.itkwasm_presentation)(objects.paths["pr"], image) == []
    layers, _ = judges.presented(objects.paths["pr"], image)
    assert len(layers["UNCERTAINTY"].shapes) == NODE_COUNT
    for organ in ORGANS:
        drawn = layers[organ.name.upper()]
        assert (drawn.texts, [kind for kind, _ in drawn.shapes]) == ((organ.title,), ["POLYLINE"])


@pytest.mark.parametrize("source", SOURCES)
def test_presentation_state_shows_the_mediastinum_bright(
    source: str, objects_of: Objects, available: Available
) -> None:
    objects = objects_of(source)
    regions = masks(objects)
    lungs = regions[RIGHT_LUNG.title] | regions[LEFT_LUNG.title]
    heart = regions[HEART.title]
    state, image = objects.paths["pr"], objects.radiograph.path
    assert available(judges.polarity)(state, image, bright=heart, dark=lungs & ~heart) == []
    _, rendered = available(judges.presented)(state, image)
    assert rendered[heart].mean() > rendered[lungs & ~heart].mean() + 50


@pytest.mark.parametrize("kind", ["seg", "seg-viewer", "seg-labelmap", "seg-fractional"])
def test_dcmqi_reads_the_masks(kind: str, objects_of: Objects, available: Available) -> None:
    objects = objects_of("non_square")
    expected = masks(objects)
    if kind == "seg-labelmap":
        expected = {organ.title: objects.result.label_mask() == organ.label for organ in ORGANS}
    elif kind == "seg-fractional":
        expected = {organ.title: objects.result.membership(organ) > 0 for organ in ORGANS}
    assert available(judges.dcmqi_segmentation)(objects.paths[kind], expected) == []


def test_viewer_copy_needs_no_help_to_be_read(objects_of: Objects, available: Available) -> None:
    found = available(judges.segments)(objects_of("non_square").paths["seg-viewer"])
    np.testing.assert_equal(found, masks(objects_of("non_square")))


def test_report_that_refers_to_a_label_map_can_be_read(
    objects_of: Objects, available: Available, tmp_path: Path
) -> None:
    objects, numbering = objects_of("dx_monochrome1"), Numbering()
    for kind in ("seg-labelmap", "sr"):
        write_object(kind, objects.result, SourceImage(objects.radiograph), tmp_path / f"{kind}.dcm", numbering)
    assert available(judges.dsrdump)(tmp_path / "sr.dcm") == []


def masks(objects: WrittenObjects) -> dict[str, Any]:
    return {organ.title: objects.result.mask(organ) for organ in ORGANS}
