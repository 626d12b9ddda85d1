"""A real archive takes what is sent, and gives it back as it was."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import FileDataset
from pydicom.uid import RLELossless, generate_uid
from support.samples.dicom import make_cr, make_dx, save
from support.servers.orthanc_server import Orthanc

from monai_chexmask_u.archive.delivery import Delivery, deliver
from monai_chexmask_u.archive.failures import ArchiveUnusable
from monai_chexmask_u.archive.fetch import fetch_study
from monai_chexmask_u.archive.objects import DicomFile, read_dicom_file
from monai_chexmask_u.archive.settings import DicomwebArchive, DimseNode
from monai_chexmask_u.archive.waiting import Backoff

pytestmark = pytest.mark.usefixtures("no_secrets_told")

StudyFiles = dict[str, DicomFile]
ONCE = Backoff(attempts=1)
BY_WEB, BY_STORE = "STOW-RS", "C-STORE"
both_ways = pytest.mark.parametrize("way", [BY_WEB, BY_STORE])


def send(orthanc: Orthanc, way: str, outbox: Path, *files: DicomFile) -> Delivery:
    target = DicomwebArchive(orthanc.url) if way == BY_WEB else DimseNode.parse(orthanc.node)
    return deliver([file.path for file in files], target, outbox, backoff=ONCE)


def assert_stored(orthanc: Orthanc, file: DicomFile, way: str) -> None:
    """See that the archive has an object as it was sent: by C-STORE, its file gets another meta header."""
    stored = orthanc.file(file.sop_instance_uid)
    if way == BY_WEB:
        assert stored == file.path.read_bytes()
    received = pydicom.dcmread(io.BytesIO(stored))
    assert received.file_meta.TransferSyntaxUID == file.transfer_syntax_uid
    assert received == pydicom.dcmread(file.path)


@both_ways
def test_results_are_delivered_and_lie_there_as_they_were(
    orthanc: Orthanc, study_files: StudyFiles, tmp_path: Path, way: str
) -> None:
    delivery = send(orthanc, way, tmp_path / "outbox", *study_files.values())
    assert delivery.is_complete, delivery
    assert set(delivery.sent) == {file.sop_instance_uid for file in study_files.values()}
    for file in study_files.values():
        assert_stored(orthanc, file, way)


@both_ways
def test_compressed_radiograph_is_delivered_as_it_was(orthanc: Orthanc, tmp_path: Path, way: str) -> None:
    dataset = make_cr(rows=20, columns=10)
    dataset.compress(RLELossless, generate_instance_uid=False)
    file = read_dicom_file(save(dataset, tmp_path / "rle.dcm"))
    assert send(orthanc, way, tmp_path / "outbox", file).is_complete
    assert_stored(orthanc, file, way)


@both_ways
def test_object_that_is_sent_twice_is_there_once(
    orthanc: Orthanc, small_files: list[DicomFile], tmp_path: Path, way: str
) -> None:
    for _ in range(2):
        assert send(orthanc, way, tmp_path / "outbox", small_files[0]).is_complete
    assert small_files[0].sop_instance_uid in orthanc.instances()  # which sees that no UID is there twice


def filled(orthanc: Orthanc, tmp_path: Path, accession: str) -> dict[str, FileDataset]:
    """Store a study of two DX, a scanned film and a report, and another patient's study with a longer accession."""
    study = {
        name: make_dx(rows=30, columns=20, seed=number) for number, name in enumerate(("pa", "ap", "radiograph", "sr"))
    }
    study["ap"].compress(RLELossless, generate_instance_uid=False)
    study["radiograph"].Modality, study["sr"].Modality = "OT", "SR"
    for dataset in study.values():
        dataset.StudyInstanceUID, dataset.AccessionNumber = study["pa"].StudyInstanceUID, accession
    other = make_dx(rows=30, columns=20)
    other.AccessionNumber, other.PatientID = f"{accession}2", "SYN-0002"
    files = [save(each, tmp_path / f"{number}.dcm") for number, each in enumerate((*study.values(), other))]
    delivery = deliver(files, DicomwebArchive(orthanc.url), tmp_path / "outbox")
    assert delivery.is_complete, delivery
    return study


@pytest.mark.parametrize("by", ["uid", "accession"])
def test_radiographs_of_a_study_are_fetched_as_they_were_sent(orthanc: Orthanc, tmp_path: Path, by: str) -> None:
    accession = f"2026/{by}"
    study = filled(orthanc, tmp_path, accession)
    chosen: dict[str, Any] = {"accession_number": accession}
    if by == "uid":
        chosen = {"study_uid": study["pa"].StudyInstanceUID}
    folder = tmp_path / "fetched"
    folder.mkdir()
    paths = fetch_study(DicomwebArchive(orthanc.url), folder, **chosen)
    assert {path.stem for path in paths} == {study[name].SOPInstanceUID for name in ("pa", "ap")}
    sent = {read_dicom_file(path).sop_instance_uid: path for path in tmp_path.glob("*.dcm")}
    for path in paths:
        assert path.read_bytes() == sent[path.stem].read_bytes()
        fetched = pydicom.dcmread(path)
        np.testing.assert_array_equal(fetched.pixel_array, pydicom.dcmread(sent[path.stem]).pixel_array)
    assert {str(pydicom.dcmread(path).file_meta.TransferSyntaxUID) for path in paths} > {RLELossless}
    radiographs = fetch_study(DicomwebArchive(orthanc.url), folder, **chosen, modalities=("OT", "SC"))
    assert [path.stem for path in radiographs] == [study["radiograph"].SOPInstanceUID]


def test_study_that_is_not_there_is_not_found(orthanc: Orthanc, tmp_path: Path) -> None:
    for chosen in ({"study_uid": generate_uid()}, {"accession_number": "NOWHERE"}):
        with pytest.raises(ArchiveUnusable, match="no study with this"):
            fetch_study(DicomwebArchive(orthanc.url), tmp_path, **chosen)


def test_address_without_the_service_is_explained(
    orthanc: Orthanc, small_files: list[DicomFile], tmp_path: Path
) -> None:
    for wrong in ("", "/studies", "/app"):
        archive = DicomwebArchive(orthanc.url.removesuffix("/dicom-web") + wrong)
        with pytest.raises(ArchiveUnusable, match=r"no DICOMweb service at this address; .* ends with /dicom-web"):
            fetch_study(archive, tmp_path, study_uid="1.2.3")
        delivery = deliver([small_files[0].path], archive, tmp_path / f"outbox{wrong.replace('/', '_')}")
        assert delivery.waiting == (small_files[0].sop_instance_uid,)
        assert "no DICOMweb service at this address" in str(delivery.problem)


def test_independent_client_finds_what_was_delivered(orthanc: Orthanc, study_files: StudyFiles, tmp_path: Path) -> None:
    files = study_files.values()
    assert send(orthanc, BY_WEB, tmp_path / "outbox", *files).is_complete
    client = DICOMwebClient(orthanc.url)
    study = study_files["dx"].study_instance_uid
    found = [pydicom.Dataset.from_json(item) for item in client.search_for_instances(study)]
    assert {item.SOPInstanceUID for item in found} == {file.sop_instance_uid for file in files}
    for item in found:
        (file,) = (each for each in files if each.sop_instance_uid == item.SOPInstanceUID)
        received = client.retrieve_instance(study, item.SeriesInstanceUID, item.SOPInstanceUID)
        assert received == pydicom.dcmread(file.path)


def test_node_that_does_not_know_this_program_refuses_it(
    orthanc: Orthanc, small_files: list[DicomFile], tmp_path: Path
) -> None:
    """Orthanc lets those store that its configuration names."""
    node = DimseNode.parse(orthanc.node, own_ae_title="STRANGER")
    delivery = deliver([small_files[5].path], node, tmp_path / "outbox", backoff=ONCE)
    assert (delivery.sent, delivery.waiting) == ((), (small_files[5].sop_instance_uid,))
    assert small_files[5].sop_instance_uid not in orthanc.instances()


@pytest.fixture(scope="module")
def full_orthanc(start_orthanc: Callable[..., Orthanc]) -> Orthanc:
    """An archive that has no room for a radiograph of usual size."""
    return start_orthanc(largest_file=1_000_000)


@pytest.mark.parametrize(("way", "words"), [(BY_WEB, "did not confirm an object"), (BY_STORE, "out of resources")])
def test_full_archive_is_not_taken_for_one_that_has_stored(
    full_orthanc: Orthanc, small_files: list[DicomFile], tmp_path: Path, way: str, words: str
) -> None:
    """Over DICOMweb, Orthanc says 200 all the same."""
    large = read_dicom_file(save(make_dx(rows=1000, columns=1000), tmp_path / "large.dcm"))
    delivery = send(full_orthanc, way, tmp_path / "outbox", large, small_files[0])
    assert (delivery.sent, delivery.waiting) == ((small_files[0].sop_instance_uid,), (large.sop_instance_uid,))
    assert words in str(delivery.problem)
    assert set(full_orthanc.instances()) == {small_files[0].sop_instance_uid}
