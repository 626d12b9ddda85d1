"""Which radiographs the label server finds in an archive, and what it keeps of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("monailabel")

from pydicom.dataset import FileDataset
from support.samples.dicom import make_cr, make_dx
from support.servers.orthanc_server import find_orthanc

from monai_chexmask_u.radiograph import RadiographError
from monai_chexmask_u.reading import read_radiograph

if TYPE_CHECKING:
    from label.images.dicomweb_datastore import ChestDICOMwebDatastore

Store = Callable[..., FileDataset]
Open = Callable[..., "ChestDICOMwebDatastore"]

pytestmark = pytest.mark.skipif(find_orthanc() is None, reason="Orthanc with its DICOMweb plug-in is not installed")


def test_radiographs_of_both_modalities_are_listed_and_nothing_else(store: Store, open_datastore: Open) -> None:
    radiographs = {str(store(dataset).SeriesInstanceUID) for dataset in (make_dx(), make_cr())}
    store(make_cr(), Modality="OT")
    datastore = open_datastore()
    assert set(datastore.list_images()) == set(datastore.get_unlabeled_images()) == radiographs
    assert datastore.status()["total"] == 2
    assert len(open_datastore(cache="other", modalities=("CR", "DX", "OT")).list_images()) == 3


def test_an_empty_archive_has_no_radiographs(open_datastore: Open) -> None:
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


def test_a_series_with_two_frontal_radiographs_is_refused_and_not_served(store: Store, open_datastore: Open) -> None:
    first = store(make_cr())
    series, study = str(first.SeriesInstanceUID), str(first.StudyInstanceUID)
    store(make_cr(seed=1), SeriesInstanceUID=series, StudyInstanceUID=study)
    datastore = open_datastore()
    for _ in range(2):
        with pytest.raises(RadiographError, match="holds 2 frontal chest radiographs") as refusal:
            datastore.get_image_uri(series)
        assert refusal.value.code == "ambiguous_series"
    assert datastore.list_images() == []


def test_a_lateral_radiograph_is_refused_until_the_frontal_one_arrives(store: Store, open_datastore: Open) -> None:
    lateral = store(make_cr(), ViewPosition="LL")
    series, study = str(lateral.SeriesInstanceUID), str(lateral.StudyInstanceUID)
    datastore = open_datastore()
    assert datastore.list_images() == [series]  # what it is shows when it is read
    with pytest.raises(RadiographError, match="holds no frontal chest radiograph") as refusal:
        datastore.get_image_uri(series)
    assert refusal.value.code == "not_frontal"
    assert datastore.list_images() == []
    frontal = store(make_cr(seed=1), SeriesInstanceUID=series, StudyInstanceUID=study)
    path = Path(datastore.get_image_uri(series))
    assert read_radiograph(path).header.SOPInstanceUID == frontal.SOPInstanceUID
    assert datastore.list_images() == [series]
