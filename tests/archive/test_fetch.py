"""A study arrives as files named after their objects, whole, and nothing of another study or patient with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import FileDataset
from pydicom.uid import UID
from support.samples.study_archive import ACCESSION, STUDY, StudyArchive, dicom_bytes
from support.servers.archive_servers import WebServer

from monai_chexmask_u.archive import failures, fetch
from monai_chexmask_u.archive.failures import ArchiveUnusable, OutOfTime, TryLater
from monai_chexmask_u.archive.fetch import fetch_study
from monai_chexmask_u.archive.settings import DicomwebArchive, Timeouts
from monai_chexmask_u.archive.waiting import Backoff

pytestmark = pytest.mark.usefixtures("no_secrets_told")


@pytest.fixture
def study_archive(web_server: WebServer) -> StudyArchive:
    archive = StudyArchive()
    web_server.answers = [archive]
    return archive


@pytest.fixture
def radiographs(study_archive: StudyArchive) -> list[str]:
    """The UIDs of the study's two DX and two CR images, in the order of their listing."""
    return [uid for uid, each in study_archive.objects.items() if each.Modality != "SR"]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_radiographs_arrive_series_by_series(
    web_server: WebServer, study_archive: StudyArchive, radiographs: list[str], tmp_path: Path
) -> None:
    steps: list[tuple[int, int]] = []
    archive = DicomwebArchive(web_server.url)
    paths = fetch_study(archive, tmp_path, study_uid=STUDY, progress=lambda *step: steps.append(step))
    assert paths == [tmp_path / f"{uid}.dcm" for uid in radiographs]
    assert [path.read_bytes() for path in paths] == [dicom_bytes(study_archive.objects[uid]) for uid in radiographs]
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_other_modalities_can_be_chosen(web_server: WebServer, study_archive: StudyArchive, tmp_path: Path) -> None:
    archive = DicomwebArchive(web_server.url)
    paths = fetch_study(archive, tmp_path, accession_number=ACCESSION, modalities=["SR"])
    assert [path.stem for path in paths] == [
        uid for uid, each in study_archive.objects.items() if each.Modality == "SR"
    ]


def test_cut_transfer_is_tried_again(
    web_server: WebServer, study_archive: StudyArchive, tmp_path: Path, backoff: Backoff, pauses: list[float]
) -> None:
    study_archive.breaks_off = 2
    assert len(fetch_study(DicomwebArchive(web_server.url), tmp_path, study_uid=STUDY, backoff=backoff)) == 4
    assert pauses == [1.0, 2.0]


def test_transfer_that_stays_cut_keeps_what_is_whole(
    web_server: WebServer, study_archive: StudyArchive, tmp_path: Path, backoff: Backoff
) -> None:
    study_archive.breaks_off = 100
    with pytest.raises(TryLater):
        fetch_study(DicomwebArchive(web_server.url), tmp_path, study_uid=STUDY, backoff=backoff)
    assert [path.stem for path in tmp_path.iterdir()] == list(study_archive.objects)[:1]


def test_missing_package_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "find_spec", lambda name: None)
    with pytest.raises(ArchiveUnusable, match="the package requests is missing"):
        fetch_study(DicomwebArchive("http://127.0.0.1:9"), tmp_path, study_uid=STUDY)


def other_study(dataset: FileDataset) -> None:
    dataset.StudyInstanceUID = "1.2.3"


def other_series(dataset: FileDataset) -> None:
    dataset.SeriesInstanceUID = "1.2.3"


def other_object(dataset: FileDataset) -> None:
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3")


def other_accession_number(dataset: FileDataset) -> None:
    dataset.AccessionNumber = "A10"


def no_accession_number(dataset: FileDataset) -> None:
    dataset.AccessionNumber = ""


def other_modality(dataset: FileDataset) -> None:
    dataset.Modality = "CT"


def other_patient(dataset: FileDataset) -> None:
    dataset.PatientID = "OTHER-0002"


def other_issuer(dataset: FileDataset) -> None:
    dataset.IssuerOfPatientID = "ELSEWHERE"


def no_patient(dataset: FileDataset) -> None:
    del dataset.PatientID


WRONG = (
    *(other_study, other_series, other_object, other_accession_number, no_accession_number),
    *(other_modality, other_patient, other_issuer, no_patient),
)


@pytest.mark.parametrize("change", WRONG)
@pytest.mark.parametrize("place", [0, 1])
def test_object_that_was_not_asked_for_is_refused_and_the_others_come(
    web_server: WebServer,
    study_archive: StudyArchive,
    radiographs: list[str],
    tmp_path: Path,
    change: Callable[[FileDataset], None],
    place: int,
) -> None:
    change(study_archive.objects[radiographs[place]])
    with pytest.raises(ArchiveUnusable, match=f"{radiographs[place]}") as caught:
        fetch_study(DicomwebArchive(web_server.url), tmp_path, accession_number=ACCESSION)
    assert names(tmp_path) == sorted(f"{uid}.dcm" for uid in radiographs if uid != radiographs[place])
    assert str(caught.value).count("\n") == 0
    for word in ("A10", "OTHER-0002", "ELSEWHERE", "HOSPITAL"):
        assert word not in str(caught.value)


def test_refusals_are_counted_and_an_older_file_stays(
    web_server: WebServer, study_archive: StudyArchive, radiographs: list[str], tmp_path: Path
) -> None:
    for uid in radiographs[:3]:
        other_study(study_archive.objects[uid])
    older = tmp_path / f"{radiographs[0]}.dcm"
    older.write_text("older")
    with pytest.raises(ArchiveUnusable, match=r"\(and 2 more like it\)"):
        fetch_study(DicomwebArchive(web_server.url), tmp_path, study_uid=STUDY)
    assert names(tmp_path) == sorted([older.name, f"{radiographs[3]}.dcm"])
    assert older.read_text() == "older"


def test_other_accession_number_does_not_matter_where_the_uid_was_asked_for(
    web_server: WebServer, study_archive: StudyArchive, radiographs: list[str], tmp_path: Path
) -> None:
    other_accession_number(study_archive.objects[radiographs[0]])
    assert len(fetch_study(DicomwebArchive(web_server.url), tmp_path, study_uid=STUDY)) == 4


@pytest.mark.parametrize("change", [other_patient, other_issuer, no_patient])
def test_objects_of_two_patients_are_all_refused_where_the_archive_does_not_say_whose_the_study_is(
    web_server: WebServer,
    study_archive: StudyArchive,
    radiographs: list[str],
    tmp_path: Path,
    change: Callable[[FileDataset], None],
) -> None:
    def tell_nothing(level: str, item: dict[str, Any]) -> None:
        item.pop("00100020"), item.pop("00100021")

    study_archive.list_change = tell_nothing
    change(study_archive.objects[radiographs[2]])
    steps: list[tuple[int, int]] = []
    with pytest.raises(ArchiveUnusable, match="of several patients, and the archive does not say whose it is"):
        fetch_study(
            DicomwebArchive(web_server.url),
            tmp_path,
            study_uid=STUDY,
            progress=lambda *step: steps.append(step),
        )
    assert names(tmp_path) == []
    assert steps[-1] == (0, 4)


def test_devices_that_name_no_issuer_are_of_the_same_patient(
    web_server: WebServer, study_archive: StudyArchive, radiographs: list[str], tmp_path: Path
) -> None:
    del study_archive.objects[radiographs[1]].IssuerOfPatientID
    assert len(fetch_study(DicomwebArchive(web_server.url), tmp_path, study_uid=STUDY)) == 4


def test_accession_number_is_compared_in_its_character_set(
    web_server: WebServer, study_archive: StudyArchive, tmp_path: Path
) -> None:
    for each in study_archive.objects.values():
        each.AccessionNumber, each.SpecificCharacterSet = "Ü 1", "ISO_IR 100"

    def rename(level: str, item: dict[str, Any]) -> None:
        item["00080050"]["Value"] = [" Ü 1"]

    study_archive.list_change = rename
    assert len(fetch_study(DicomwebArchive(web_server.url), tmp_path, accession_number="Ü 1")) == 4


def test_a_list_of_more_images_than_a_study_has_is_refused(
    web_server: WebServer, study_archive: StudyArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "MOST_OBJECTS", 3)
    with pytest.raises(ArchiveUnusable, match="the study has 4 images, more than 3"):
        fetch_study(DicomwebArchive(web_server.url), tmp_path, study_uid=STUDY)
    assert names(tmp_path) == []


@pytest.mark.parametrize("level", ["series", "instances"])
@pytest.mark.parametrize("tag", ["0020000D", "0020000E"])
def test_a_list_of_another_study_or_series_is_refused(
    web_server: WebServer, study_archive: StudyArchive, tmp_path: Path, level: str, tag: str
) -> None:
    if (level, tag) == ("series", "0020000E"):
        pytest.skip("this is what is asked for")

    def change(at: str, item: dict[str, Any]) -> None:
        if at == level:
            item[tag]["Value"] = ["1.2.3"]

    study_archive.list_change = change
    with pytest.raises(ArchiveUnusable, match="belongs to another study or series than was asked for"):
        fetch_study(DicomwebArchive(web_server.url), tmp_path, study_uid=STUDY)
    assert names(tmp_path) == []


def test_all_attempts_for_an_object_share_one_time(
    web_server: WebServer, study_archive: StudyArchive, tmp_path: Path, pauses: list[float]
) -> None:
    study_archive.breaks_off = 100
    archive = DicomwebArchive(web_server.url, timeouts=Timeouts(answer_s=0.9))
    with pytest.raises(TryLater) as caught:
        fetch_study(archive, tmp_path, study_uid=STUDY, backoff=Backoff(sleep=pauses.append, jitter=lambda: 1.0))
    assert pauses == []
    assert not isinstance(caught.value, OutOfTime)
