"""The label server's datastore on a real archive: which films there are, and what is kept of them."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("monailabel")

from archive_servers import Answer, WebServer
from dicom_samples import make_cr, make_dx, save
from monailabel.interfaces.exception import ImageNotFoundException, MONAILabelException
from orthanc_server import Orthanc, find_orthanc
from pydicom.dataset import FileDataset

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.dicom.annotation import write_annotation
from monai_chexmask_u.dicom.archive.credentials import Credentials
from monai_chexmask_u.dicom.archive.failures import ArchiveError, ArchiveUnusable, TryLater
from monai_chexmask_u.dicom.archive.objects import read_dicom_file
from monai_chexmask_u.dicom.archive.settings import DicomwebArchive, Timeouts
from monai_chexmask_u.dicom.archive.stow import StowSender
from monai_chexmask_u.radiograph import RadiographError
from monai_chexmask_u.reading import read_radiograph

if TYPE_CHECKING:
    from label.dicomweb_datastore import ChestDICOMwebDatastore

Store = Callable[..., FileDataset]
Open = Callable[..., "ChestDICOMwebDatastore"]

pytestmark = pytest.mark.skipif(find_orthanc() is None, reason="Orthanc with its DICOMweb plug-in is not installed")


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[Orthanc]:
    folder = tmp_path / "archive"
    folder.mkdir()
    server = Orthanc(folder)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def store(orthanc: Orthanc, tmp_path: Path) -> Store:
    """Puts an image into the archive."""

    def send(dataset: FileDataset, **changes: str) -> FileDataset:
        for keyword, value in changes.items():
            setattr(dataset, keyword, value)
        StowSender(DicomwebArchive(orthanc.url)).send(read_dicom_file(save(dataset, tmp_path / "sent.dcm")))
        return dataset

    return send


@pytest.fixture
def open_datastore(orthanc: Orthanc, tmp_path: Path) -> Open:
    from label.dicomweb_datastore import ChestDICOMwebDatastore

    def build(url: str | None = None, cache: str = "cache", **options: Any) -> ChestDICOMwebDatastore:
        archive = DicomwebArchive(url or orthanc.url, timeouts=Timeouts(1.0, 2.0))
        return ChestDICOMwebDatastore(archive, tmp_path / cache, **({"expiry_s": 0.0} | options))

    return build


@pytest.fixture
def label_of(orthanc: Orthanc, tmp_path: Path) -> Callable[[FileDataset], str]:
    """Puts a person's label of a stored image into the archive, as another program would."""

    def send(dataset: FileDataset) -> str:
        radiograph = read_radiograph(save(dataset, tmp_path / "labeled.dcm"))
        masks = {organ: np.zeros(radiograph.shape, dtype=bool) for organ in ORGANS}
        for organ in ORGANS:
            masks[organ][10 * organ.label : 10 * organ.label + 8, 20:40] = True
        path = tmp_path / "label.dcm"
        series = write_annotation(masks, radiograph, path, algorithm_type="MANUAL")
        StowSender(DicomwebArchive(orthanc.url)).send(read_dicom_file(path))
        return series

    return send


def test_films_of_both_modalities_are_listed_and_nothing_else(store: Store, open_datastore: Open) -> None:
    films = {str(store(dataset).SeriesInstanceUID) for dataset in (make_dx(), make_cr())}
    store(make_cr(), Modality="OT")
    datastore = open_datastore()
    assert set(datastore.list_images()) == set(datastore.get_unlabeled_images()) == films
    assert datastore.status()["total"] == 2
    assert len(open_datastore(cache="other", modalities=("CR", "DX", "OT")).list_images()) == 3


def test_an_empty_archive_has_no_films(open_datastore: Open) -> None:
    datastore = open_datastore()
    assert datastore.list_images() == []
    assert datastore.datalist() == []
    assert datastore.json()["objects"] == {}


@pytest.mark.parametrize("make", [make_dx, make_cr])
def test_an_image_is_the_file_as_it_was_sent(
    make: Callable[..., FileDataset], store: Store, open_datastore: Open, tmp_path: Path
) -> None:
    dataset = store(make(photometric="MONOCHROME1"))
    fetched = read_radiograph(Path(open_datastore().get_image_uri(str(dataset.SeriesInstanceUID))))
    sent = read_radiograph(tmp_path / "sent.dcm")
    np.testing.assert_array_equal(fetched.pixels, sent.pixels)
    assert "photometric_inverted" in fetched.notes
    assert fetched.header.SOPInstanceUID == dataset.SOPInstanceUID


def test_nothing_of_the_patient_is_noted(store: Store, open_datastore: Open, tmp_path: Path) -> None:
    series = str(store(make_dx(), PatientName="Secret^Name", PatientID="SECRET-ID").SeriesInstanceUID)
    datastore = open_datastore()
    datastore.get_image_uri(series)
    told = str(datastore.json()) + str(datastore.get_image_info(series))
    told += "".join(str(path) for path in (tmp_path / "cache").rglob("*"))
    told += "".join(path.read_text() for path in (tmp_path / "cache").rglob("*.json"))
    assert series in told
    assert "secret" not in told.lower()


def test_the_frontal_view_of_a_series_is_chosen(store: Store, open_datastore: Open) -> None:
    frontal = store(make_cr())
    series, study = str(frontal.SeriesInstanceUID), str(frontal.StudyInstanceUID)
    for number in range(2):
        store(make_cr(seed=number), SeriesInstanceUID=series, StudyInstanceUID=study, ViewPosition="LL")
    path = Path(open_datastore().get_image_uri(series))
    assert read_radiograph(path).header.SOPInstanceUID == frontal.SOPInstanceUID


def test_a_series_with_two_frontal_films_is_refused_and_not_served(store: Store, open_datastore: Open) -> None:
    first = store(make_cr())
    series, study = str(first.SeriesInstanceUID), str(first.StudyInstanceUID)
    store(make_cr(seed=1), SeriesInstanceUID=series, StudyInstanceUID=study)
    datastore = open_datastore()
    for _ in range(2):
        with pytest.raises(RadiographError, match="holds 2 frontal chest films") as refusal:
            datastore.get_image_uri(series)
        assert refusal.value.code == "ambiguous_series"
    assert datastore.list_images() == []


def test_a_lateral_film_is_refused_until_the_frontal_one_arrives(store: Store, open_datastore: Open) -> None:
    lateral = store(make_cr(), ViewPosition="LL")
    series, study = str(lateral.SeriesInstanceUID), str(lateral.StudyInstanceUID)
    datastore = open_datastore()
    assert datastore.list_images() == [series]  # what it is shows when it is read
    with pytest.raises(RadiographError, match="holds no frontal chest film") as refusal:
        datastore.get_image_uri(series)
    assert refusal.value.code == "not_frontal"
    assert datastore.list_images() == []
    frontal = store(make_cr(seed=1), SeriesInstanceUID=series, StudyInstanceUID=study)
    path = Path(datastore.get_image_uri(series))
    assert read_radiograph(path).header.SOPInstanceUID == frontal.SOPInstanceUID
    assert datastore.list_images() == [series]


@pytest.mark.parametrize("image_id", ["1.2.3", "", "../../etc/passwd", "*", "1.2.3/../4"])
def test_an_image_that_is_not_there_is_told(image_id: str, open_datastore: Open) -> None:
    with pytest.raises(ImageNotFoundException, match="not found"):
        open_datastore().get_image_uri(image_id)


def test_a_label_from_elsewhere_is_found_and_the_latest_counts(
    store: Store, label_of: Callable[[FileDataset], str], open_datastore: Open
) -> None:
    film, other = store(make_dx()), store(make_cr())
    image_id = str(film.SeriesInstanceUID)
    datastore = open_datastore()
    assert datastore.get_label_uri(image_id, "final") == ""
    for _ in range(2):
        series = label_of(film)
        assert datastore.get_labeled_images() == [image_id]
        assert datastore.get_unlabeled_images() == [str(other.SeriesInstanceUID)]
        [pair] = datastore.datalist()
        assert read_radiograph(Path(pair["image"])).header.SOPInstanceUID == film.SOPInstanceUID
        assert read_dicom_file(Path(pair["label"])).study_instance_uid == film.StudyInstanceUID
        assert datastore.get_label_info(image_id, "final")["SeriesInstanceUID"] == series
    assert datastore.status()["completed"] == 1


def test_a_series_that_is_deleted_leaves_list_and_cache(
    store: Store, orthanc: Orthanc, label_of: Callable[[FileDataset], str], open_datastore: Open, tmp_path: Path
) -> None:
    film = store(make_dx())
    image_id = str(film.SeriesInstanceUID)
    label_of(film)
    datastore = open_datastore()
    datastore.datalist()
    assert len(list((tmp_path / "cache").rglob("*.dcm"))) == 2
    for identifier in orthanc.instances().values():
        address = orthanc.url.replace("/dicom-web", f"/instances/{identifier}")
        urllib.request.urlopen(urllib.request.Request(address, method="DELETE")).close()
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


def test_notes_of_films_that_cannot_be_used_are_kept(store: Store, open_datastore: Open) -> None:
    lateral = str(store(make_cr(), ViewPosition="LL").SeriesInstanceUID)
    datastore = open_datastore()
    datastore.update_image_infos({lateral: {"landmark_uncertainty_error": "not_frontal"}, "1.2.3": {"gone": True}})
    with pytest.raises(RadiographError):
        datastore.get_image_uri(lateral)
    assert open_datastore().get_image_info(lateral)["landmark_uncertainty_error"] == "not_frontal"
    with pytest.raises(ImageNotFoundException):
        datastore.update_image_info("1.2.3", {"gone": True})


def test_the_archive_may_go_and_come_back(store: Store, orthanc: Orthanc, open_datastore: Open) -> None:
    known, unknown = (str(store(make_dx(seed=seed)).SeriesInstanceUID) for seed in range(2))
    datastore = open_datastore(expiry_s=600.0)
    path = datastore.get_image_uri(known)
    orthanc.kill()
    assert datastore.get_image_uri(known) == path  # what is fetched is there
    with pytest.raises(TryLater, match="cannot be reached"):
        datastore.get_image_uri(unknown)
    with pytest.raises(TryLater, match="cannot be reached"):
        open_datastore().status()
    orthanc.start()
    assert Path(datastore.get_image_uri(unknown)).is_file()


def test_a_wrong_address_is_told(orthanc: Orthanc, open_datastore: Open) -> None:
    with pytest.raises(ArchiveUnusable, match="no DICOMweb service at this address"):
        open_datastore(orthanc.url + "/nowhere").list_images()


def test_credentials_are_asked_for_and_used(tmp_path: Path) -> None:
    from label.dicomweb_datastore import ChestDICOMwebDatastore

    (tmp_path / "secure").mkdir()
    orthanc = Orthanc(tmp_path / "secure", AuthenticationEnabled=True, RegisteredUsers={"me": "open-sesame"})
    orthanc.start()
    try:
        cache = tmp_path / "cache"
        allowed = DicomwebArchive(orthanc.url, Credentials("me", "open-sesame"))
        assert ChestDICOMwebDatastore(allowed, cache).list_images() == []
        for credentials in (Credentials(), Credentials("me", "wrong")):
            with pytest.raises(ArchiveUnusable, match="401"):
                ChestDICOMwebDatastore(DicomwebArchive(orthanc.url, credentials), cache).list_images()
    finally:
        orthanc.kill()


def test_a_slow_archive_is_told(open_datastore: Open) -> None:
    server = WebServer()
    server.answers = [Answer(body=b"[", missing=100)]
    try:
        with pytest.raises(ArchiveError, match=r"broke off|in time"):
            open_datastore(server.url).list_images()
    finally:
        server.close()


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
