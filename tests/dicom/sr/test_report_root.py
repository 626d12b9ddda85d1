"""The report is the root of an image's results: it refers to all that is written of the image, and to nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from monai_chexmask_u.dicom.numbering import Numbering
from monai_chexmask_u.dicom.source import SourceImage
from monai_chexmask_u.dicom.write import BUILDERS, write_object
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation

Results = Callable[..., LandmarkSegmentation]
Radiographs = Callable[[str], Radiograph]


@pytest.fixture(scope="module")
def objects(
    radiograph: Radiograph, result: LandmarkSegmentation, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Dataset]:
    """All objects of one image, the report last, as in a run."""
    folder, numbering = tmp_path_factory.mktemp("run"), Numbering()
    for kind in BUILDERS:
        write_object(kind, result, SourceImage(radiograph), folder / f"{kind}.dcm", numbering)
    return {kind: pydicom.dcmread(folder / f"{kind}.dcm") for kind in BUILDERS}


def references(item: Dataset) -> Iterator[Dataset]:
    """Walk the image references of a content tree."""
    if item.ValueType == "IMAGE":
        yield item.ReferencedSOPSequence[0]
    for child in item.get("ContentSequence", []):
        yield from references(child)


def evidence(report: Dataset) -> dict[str, tuple[str, str]]:
    """Series and storage class of each object in the report's evidence, by its UID."""
    return {
        instance.ReferencedSOPInstanceUID: (series.SeriesInstanceUID, instance.ReferencedSOPClassUID)
        for study in report.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    }


def test_evidence_names_the_image_and_every_object(objects: dict[str, Dataset], radiograph: Radiograph) -> None:
    others = [dataset for kind, dataset in objects.items() if kind != "sr"]
    expected = {d.SOPInstanceUID: (d.SeriesInstanceUID, d.SOPClassUID) for d in [radiograph.header, *others]}
    assert evidence(objects["sr"]) == expected


def test_images_stand_in_the_image_library(objects: dict[str, Dataset]) -> None:
    (library,) = (
        item for item in objects["sr"].ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "111028"
    )
    named = {reference.ReferencedSOPInstanceUID for reference in references(library)}
    assert named >= {objects[kind].SOPInstanceUID for kind in ("seg", "seg-fractional", "seg-viewer")}
    assert objects["seg-labelmap"].SOPInstanceUID not in named  # else DCMTK could not read the report


def test_image_is_to_be_shown_with_the_presentation_state(objects: dict[str, Dataset], radiograph: Radiograph) -> None:
    shown = [r for r in references(objects["sr"]) if "ReferencedSOPSequence" in r]
    assert [r.ReferencedSOPInstanceUID for r in shown] == [radiograph.header.SOPInstanceUID]
    (state,) = shown[0].ReferencedSOPSequence
    assert state.ReferencedSOPInstanceUID == objects["pr"].SOPInstanceUID


def test_every_reference_is_in_the_evidence(objects: dict[str, Dataset]) -> None:
    assert {r.ReferencedSOPInstanceUID for r in references(objects["sr"])} <= set(evidence(objects["sr"]))


def test_validators_find_no_error(
    source_name: str,
    radiograph_of: Radiographs,
    result_for: Results,
    dciodvfy: Callable[[Path], list[str]],
    dsrdump: Callable[[Path], tuple[int, str]],
    tmp_path: Path,
) -> None:
    radiograph, numbering = radiograph_of(source_name), Numbering()
    for kind in ("seg", "pr", "sr"):
        write_object(kind, result_for(radiograph), SourceImage(radiograph), tmp_path / f"{kind}.dcm", numbering)
    assert dciodvfy(tmp_path / "sr.dcm") == []
    assert dsrdump(tmp_path / "sr.dcm")[0] == 0


def test_every_object_names_the_equipment_that_contributed(objects: dict[str, Dataset]) -> None:
    for kind, dataset in objects.items():
        purposes = {item.PurposeOfReferenceCodeSequence[0].CodeValue for item in dataset.ContributingEquipmentSequence}
        assert "109101" in purposes, kind  # that of the acquisition


def test_objects_of_another_image_are_not_referred_to(
    radiograph_of: Radiographs, result_for: Results, tmp_path: Path
) -> None:
    first, second, numbering = radiograph_of("dx"), radiograph_of("dx_monochrome1"), Numbering()
    write_object("seg", result_for(first), SourceImage(first), tmp_path / "seg.dcm", numbering)
    write_object("sr", result_for(second), SourceImage(second), tmp_path / "sr.dcm", numbering)
    assert set(evidence(pydicom.dcmread(tmp_path / "sr.dcm"))) == {second.header.SOPInstanceUID}
