"""What the label server says when the archive does not do what it is asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("monailabel")

from monailabel.interfaces.exception import ImageNotFoundException
from pydicom.dataset import FileDataset
from support.samples.dicom import make_dx
from support.servers.archive_servers import Answer, WebServer
from support.servers.orthanc_server import Orthanc, find_orthanc

from monai_chexmask_u.archive.credentials import Credentials
from monai_chexmask_u.archive.failures import ArchiveError, ArchiveUnusable, TryLater
from monai_chexmask_u.archive.settings import DicomwebArchive

if TYPE_CHECKING:
    from label.images.dicomweb_datastore import ChestDICOMwebDatastore

Store = Callable[..., FileDataset]
Open = Callable[..., "ChestDICOMwebDatastore"]

pytestmark = pytest.mark.skipif(find_orthanc() is None, reason="Orthanc with its DICOMweb plug-in is not installed")


@pytest.mark.parametrize("image_id", ["1.2.3", "", "../../etc/passwd", "*", "1.2.3/../4"])
def test_an_image_that_is_not_there_is_told(image_id: str, open_datastore: Open) -> None:
    with pytest.raises(ImageNotFoundException, match="not found"):
        open_datastore().get_image_uri(image_id)


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
    from label.images.dicomweb_datastore import ChestDICOMwebDatastore

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
