"""What is noted of radiographs, and which labels they have in the archive."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("monailabel")

from monailabel.interfaces.exception import ImageNotFoundException, LabelNotFoundException, MONAILabelException
from pydicom.dataset import FileDataset
from support.samples.dicom import make_cr, make_dx
from support.servers.orthanc_server import Orthanc, find_orthanc

from monai_chexmask_u.archive.objects import read_dicom_file
from monai_chexmask_u.radiograph import RadiographError
from monai_chexmask_u.reading import read_radiograph

if TYPE_CHECKING:
    from label.images.dicomweb_datastore import ChestDICOMwebDatastore

Store = Callable[..., FileDataset]
Open = Callable[..., "ChestDICOMwebDatastore"]

pytestmark = pytest.mark.skipif(find_orthanc() is None, reason="Orthanc with its DICOMweb plug-in is not installed")


def test_a_label_from_elsewhere_is_found_and_the_latest_counts(
    store: Store, label_of: Callable[[FileDataset], str], open_datastore: Open
) -> None:
    radiograph, other = store(make_dx()), store(make_cr())
    image_id = str(radiograph.SeriesInstanceUID)
    datastore = open_datastore()
    assert datastore.get_label_uri(image_id, "final") == ""
    for _ in range(2):
        series = label_of(radiograph)
        assert datastore.get_labeled_images() == [image_id]
        assert datastore.get_unlabeled_images() == [str(other.SeriesInstanceUID)]
        [pair] = datastore.datalist()
        assert read_radiograph(Path(pair["image"])).header.SOPInstanceUID == radiograph.SOPInstanceUID
        assert read_dicom_file(Path(pair["label"])).study_instance_uid == radiograph.StudyInstanceUID
        assert datastore.get_label_info(image_id, "final")["SeriesInstanceUID"] == series
    assert datastore.status()["completed"] == 1


def test_a_series_that_is_deleted_leaves_list_and_cache(
    store: Store, orthanc: Orthanc, label_of: Callable[[FileDataset], str], open_datastore: Open, tmp_path: Path
) -> None:
    radiograph = store(make_dx())
    image_id = str(radiograph.SeriesInstanceUID)
    label_of(radiograph)
    datastore = open_datastore()
    datastore.datalist()
    assert len(list((tmp_path / "cache").rglob("*.dcm"))) == 2
    for uid in orthanc.instances():
        orthanc.delete(uid)
    assert datastore.list_images() == []
    assert not list((tmp_path / "cache").rglob("*.dcm"))
    with pytest.raises(ImageNotFoundException):
        datastore.get_image_uri(image_id)


def test_notes_of_two_processes_are_both_kept(store: Store, open_datastore: Open) -> None:
    image_id = str(store(make_dx()).SeriesInstanceUID)
    server, scoring = open_datastore(), open_datastore()
    server.update_image_info(image_id, {"strategy": {"ts": 1}})
    scoring.update_image_info(image_id, {"landmark_uncertainty": 3.5})
    server.update_image_info(image_id, {"strategy": {"ts": 2}})
    for datastore in (server, scoring, open_datastore()):
        info = datastore.get_image_info(image_id)
        assert (info["landmark_uncertainty"], info["strategy"]) == (3.5, {"ts": 2})


def test_notes_of_radiographs_that_cannot_be_used_are_kept(store: Store, open_datastore: Open) -> None:
    lateral = str(store(make_cr(), ViewPosition="LL").SeriesInstanceUID)
    datastore = open_datastore()
    datastore.update_image_infos({lateral: {"landmark_uncertainty_error": "not_frontal"}, "1.2.3": {"gone": True}})
    with pytest.raises(RadiographError):
        datastore.get_image_uri(lateral)
    assert open_datastore().get_image_info(lateral)["landmark_uncertainty_error"] == "not_frontal"
    with pytest.raises(ImageNotFoundException):
        datastore.update_image_info("1.2.3", {"gone": True})


def test_what_the_archive_decides_is_refused(store: Store, open_datastore: Open) -> None:
    image_id = str(store(make_dx()).SeriesInstanceUID)
    datastore = open_datastore()
    for change in (
        lambda: datastore.add_image("x", "x.dcm", {}),
        lambda: datastore.remove_image(image_id),
        lambda: datastore.remove_label(image_id, "final"),
    ):
        with pytest.raises(MONAILabelException, match="archive"):
            change()
    assert datastore.list_images() == [image_id]


@pytest.mark.parametrize("tag", ["../../../../elsewhere", "/elsewhere", "a/b", ".hidden", ""])
def test_tags_that_are_no_plain_names_are_refused(store: Store, open_datastore: Open, tmp_path: Path, tag: str) -> None:
    image_id = str(store(make_dx()).SeriesInstanceUID)
    label = tmp_path / "label.png"
    label.write_bytes(b"of any kind")
    datastore = open_datastore()
    datastore.get_image_uri(image_id)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(MONAILabelException, match="plain name"):
        datastore.save_label(image_id, str(label), tag, {})
    with pytest.raises(LabelNotFoundException):
        datastore.remove_label(image_id, tag)
    assert sorted(tmp_path.rglob("*")) == before


def test_scoring_works_on_an_archive_and_tries_again_what_it_did_not_give(
    store: Store, orthanc: Orthanc, open_datastore: Open, calibrated_bundle: Path, tmp_path: Path
) -> None:
    from label.tasks.latents import LatentStore
    from label.tasks.model_versions import ModelStore
    from label.tasks.scoring import LandmarkUncertaintyScoring

    radiographs = [str(store(make_dx(seed=seed)).SeriesInstanceUID) for seed in range(2)]
    lateral = str(store(make_cr(), ViewPosition="LL").SeriesInstanceUID)
    scoring = LandmarkUncertaintyScoring(
        ModelStore(tmp_path / "models", calibrated_bundle), LatentStore(tmp_path / "latents", orthanc.url), device="cpu"
    )
    datastore = open_datastore(expiry_s=600.0)
    datastore.list_images()
    datastore.get_labeled_images()
    orthanc.kill()
    assert scoring({}, datastore)["failed"] == 3
    orthanc.start()
    assert scoring({}, datastore)["failed"] == 1
    infos = {uid: datastore.get_image_info(uid) for uid in (*radiographs, lateral)}
    assert all(infos[uid]["landmark_uncertainty"] > 0 for uid in radiographs)
    assert infos[lateral]["landmark_uncertainty_error"]["code"] == "not_frontal"
    assert scoring({}, datastore)["executed"] == 0
