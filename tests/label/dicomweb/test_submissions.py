"""A submitted label becomes a DICOM segmentation in the archive, which says that a person made it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support import judges

pytest.importorskip("monailabel")

from highdicom.seg import segread
from monailabel.interfaces.exception import MONAILabelException
from pydicom.dataset import FileDataset
from support.samples.dicom import make_cr, make_dx, phantom_landmarks, save
from support.servers.orthanc_server import Orthanc, find_orthanc

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.archive.failures import TryLater
from monai_chexmask_u.model import Model
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation
from monai_chexmask_u.segmenter import Segmenter
from monai_chexmask_u.writers.images import write_mask
from monai_chexmask_u.writers.markups import write_markups

if TYPE_CHECKING:
    from label.images.dicomweb_datastore import ChestDICOMwebDatastore

Open = Callable[..., "ChestDICOMwebDatastore"]

pytestmark = pytest.mark.skipif(find_orthanc() is None, reason="Orthanc with its DICOMweb plug-in is not installed")


@dataclass(frozen=True)
class Case:
    """A radiograph in the archive, its id, and a result that an annotator is content with, as markups and as a mask."""

    source: FileDataset
    image_id: str
    result: LandmarkSegmentation
    markups: Path
    mask: Path


@pytest.fixture(params=["DX", "CR"])
def case(request: pytest.FixtureRequest, store: Callable[..., FileDataset], tiny_model: Model, tmp_path: Path) -> Case:
    make: Callable[..., FileDataset] = make_dx if request.param == "DX" else make_cr
    source = store(make(photometric="MONOCHROME1"))
    radiograph = read_radiograph(save(source, tmp_path / "radiograph.dcm"))
    result = Segmenter(tiny_model, device="cpu").segment(radiograph)
    # Organs as in a person, and off the centers of pixels, where rounding decides.
    result = replace(result, landmarks=phantom_landmarks(*radiograph.shape) + 0.3)
    markups, mask = tmp_path / "label.mrk.json", tmp_path / "label.png"
    write_markups(result, radiograph, markups)
    write_mask(result, radiograph, mask)
    return Case(source, str(source.SeriesInstanceUID), result, markups, mask)


def stored(orthanc: Orthanc, case: Case, tmp_path: Path) -> Path:
    """Return the one object that the archive has beside the radiograph, as a file."""
    [uid] = orthanc.instances().keys() - {str(case.source.SOPInstanceUID)}
    path = tmp_path / "stored.dcm"
    path.write_bytes(orthanc.file(uid))
    return path


@pytest.mark.parametrize("info", [{}, {"algorithm_type": "MANUAL"}])
def test_markups_become_a_segmentation_that_names_the_radiograph(
    info: dict[str, Any], case: Case, orthanc: Orthanc, open_datastore: Open, tmp_path: Path
) -> None:
    datastore = open_datastore()
    assert datastore.save_label(case.image_id, str(case.markups), "final", info) == case.image_id
    path = stored(orthanc, case, tmp_path)
    for judge in judges.judges_of(path):
        if judges.is_available(judge):
            assert not judge(path)
    read = segread(path)
    kinds = {str(item.SegmentAlgorithmType) for item in read.SegmentSequence}
    assert kinds == {info.get("algorithm_type", "SEMIAUTOMATIC")}
    assert read.PatientID == case.source.PatientID
    pixels = read.get_pixels_by_source_instance([case.source.SOPInstanceUID])[0] != 0
    for organ in ORGANS:
        np.testing.assert_array_equal(pixels[..., organ.label - 1], case.result.mask(organ))


def test_a_labeled_radiograph_is_listed_with_the_file_that_was_submitted(case: Case, open_datastore: Open) -> None:
    datastore = open_datastore()
    datastore.save_label(case.image_id, str(case.markups), "final", {})
    assert datastore.get_labeled_images() == [case.image_id]
    assert datastore.get_unlabeled_images() == []
    [pair] = datastore.datalist()
    assert Path(pair["label"]).read_bytes() == case.markups.read_bytes()  # exact, where the mask is a rounding
    assert datastore.json()["objects"][case.image_id]["labels"]["final"]["ext"] == ".mrk.json"


def test_another_server_gets_the_label_from_the_archive(case: Case, open_datastore: Open) -> None:
    open_datastore().save_label(case.image_id, str(case.markups), "final", {})
    [pair] = open_datastore(cache="elsewhere").datalist()
    read = segread(pair["label"])
    pixels = read.get_pixels_by_source_instance([case.source.SOPInstanceUID])[0] != 0
    np.testing.assert_array_equal(pixels[..., 2], case.result.mask(ORGANS[2]))


def test_a_mask_is_kept_as_its_segmentation(case: Case, orthanc: Orthanc, open_datastore: Open, tmp_path: Path) -> None:
    datastore = open_datastore()
    datastore.save_label(case.image_id, str(case.mask), "final", {})
    [pair] = datastore.datalist()
    assert Path(pair["label"]).read_bytes() == stored(orthanc, case, tmp_path).read_bytes()
    labels = np.zeros(case.result.shape, dtype=np.uint8)
    pixels = segread(pair["label"]).get_pixels_by_source_instance([case.source.SOPInstanceUID])[0] != 0
    for organ in ORGANS:
        labels[pixels[..., organ.label - 1]] = organ.label
    np.testing.assert_array_equal(labels, case.result.label_mask())


def test_a_model_s_result_stays_on_the_server(case: Case, orthanc: Orthanc, open_datastore: Open) -> None:
    datastore = open_datastore()
    datastore.save_label(case.image_id, str(case.markups), "original", {"model": "chest_landmarks"})
    assert len(orthanc.instances()) == 1
    assert datastore.get_unlabeled_images() == [case.image_id]
    assert Path(datastore.get_label_uri(case.image_id, "original")).read_bytes() == case.markups.read_bytes()
    datastore.remove_label(case.image_id, "original")
    assert datastore.get_labels_by_image_id(case.image_id) == {}


def test_a_label_that_cannot_be_used_is_refused_and_changes_nothing(
    case: Case, orthanc: Orthanc, open_datastore: Open, tmp_path: Path
) -> None:
    datastore = open_datastore()
    broken = tmp_path / "broken.mrk.json"
    broken.write_text("{}")
    with pytest.raises(MONAILabelException) as refusal:
        datastore.save_label(case.image_id, str(broken), "final", {})
    assert "broken.mrk.json" in refusal.value.msg
    with pytest.raises(MONAILabelException) as refusal:
        datastore.save_label(case.image_id, str(case.markups), "final", {"algorithm_type": "AUTOMATIC"})
    assert "algorithm_type" in refusal.value.msg
    assert len(orthanc.instances()) == 1
    assert datastore.get_labeled_images() == []


def test_a_label_that_the_archive_did_not_take_is_not_saved(
    case: Case, orthanc: Orthanc, open_datastore: Open, tmp_path: Path
) -> None:
    datastore = open_datastore(expiry_s=600.0)
    datastore.get_image_uri(case.image_id)
    orthanc.kill()
    with pytest.raises(TryLater, match="cannot be reached"):
        datastore.save_label(case.image_id, str(case.markups), "final", {})
    assert not list((tmp_path / "cache").rglob("*.mrk.json"))
    orthanc.start()
    assert datastore.get_labeled_images() == []


def test_the_cache_can_be_thrown_away(case: Case, open_datastore: Open, tmp_path: Path) -> None:
    open_datastore().save_label(case.image_id, str(case.markups), "final", {})
    shutil.rmtree(tmp_path / "cache")
    datastore = open_datastore()
    assert datastore.get_labeled_images() == [case.image_id]
    assert Path(datastore.get_label_uri(case.image_id, "final")).suffix == ".dcm"


def test_a_label_that_is_deleted_in_the_archive_counts_no_more(
    case: Case, orthanc: Orthanc, open_datastore: Open
) -> None:
    datastore = open_datastore()
    datastore.save_label(case.image_id, str(case.markups), "final", {})
    assert datastore.status() == {"total": 1, "completed": 1, "label_tags": {"final": 1}}
    [segmentation] = orthanc.instances().keys() - {str(case.source.SOPInstanceUID)}
    orthanc.delete(segmentation)
    assert datastore.status() == {"total": 1, "completed": 0, "label_tags": {}}
    assert datastore.datalist() == []
    assert datastore.get_label_uri(case.image_id, "final") == ""
