"""A real archive, and datastores on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydicom.dataset import FileDataset
from support.samples.dicom import save
from support.servers.orthanc_server import Orthanc, find_orthanc

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.archive.objects import read_dicom_file
from monai_chexmask_u.archive.settings import DicomwebArchive, Timeouts
from monai_chexmask_u.archive.stow import StowSender
from monai_chexmask_u.dicom.seg.annotation import write_annotation
from monai_chexmask_u.reading import read_radiograph

if TYPE_CHECKING:
    from label.images.dicomweb_datastore import ChestDICOMwebDatastore

Store = Callable[..., FileDataset]
Open = Callable[..., "ChestDICOMwebDatastore"]


@pytest.fixture(scope="session")
def running_orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    if find_orthanc() is None:
        pytest.skip("Orthanc with its DICOMweb plug-in is not installed")
    server = Orthanc(tmp_path_factory.mktemp("archive"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def orthanc(running_orthanc: Orthanc) -> Orthanc:
    """An empty archive."""
    running_orthanc.empty()
    return running_orthanc


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
    from label.images.dicomweb_datastore import ChestDICOMwebDatastore

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
