"""A study arrives as files named after their objects; what breaks off leaves whole files alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from archive_servers import Answer, Request, WebServer

from monai_chexmask_u.dicom.archive import failures
from monai_chexmask_u.dicom.archive.failures import ArchiveUnusable, TryLater
from monai_chexmask_u.dicom.archive.fetch import fetch_study
from monai_chexmask_u.dicom.archive.objects import DicomFile
from monai_chexmask_u.dicom.archive.retry import Backoff
from monai_chexmask_u.dicom.archive.settings import DicomwebArchive

pytestmark = pytest.mark.usefixtures("no_secrets_told")

SERIES = {"1.2.1": "DX", "1.2.2": "SR", "1.2.3": "CR"}


class SmallArchive:
    """Has one study of three series with two objects each, and breaks off as often as it is told."""

    def __init__(self, files: list[DicomFile]) -> None:
        self.files = {file.sop_instance_uid: file.path for file in files}
        self.breaks_off = 0

    def __call__(self, request: Request) -> Answer:
        address = urlsplit(request.path)
        parts = address.path.removeprefix("/dicom-web/").split("/")
        if "offset" in address.query:
            return Answer(204)
        if parts[-1] in ("studies", "series", "instances"):
            return Answer(body=json.dumps(self._list(parts)).encode())
        if self.breaks_off and list(self.files).index(parts[-1]) == 1:
            self.breaks_off -= 1
            return Answer(200, b"half", "application/dicom", missing=100)
        return Answer(200, self.files[parts[-1]].read_bytes(), "application/dicom")

    def _list(self, parts: list[str]) -> list[dict[str, Any]]:
        if parts[-1] == "studies":
            return [item({"0020000D": "1.2", "00080050": "A1"})]
        if parts[-1] == "series":
            return [item({"0020000E": uid, "00080060": modality}) for uid, modality in SERIES.items()]
        first = 2 * list(SERIES).index(parts[-2])
        return [item({"00080018": uid}) for uid in list(self.files)[first : first + 2]]


def item(values: dict[str, str]) -> dict[str, Any]:
    return {tag: {"vr": "LO", "Value": [value]} for tag, value in values.items()}


@pytest.fixture
def small_archive(web_server: WebServer, small_files: list[DicomFile]) -> SmallArchive:
    archive = SmallArchive(small_files)
    web_server.answers = [archive]
    return archive


def test_radiographs_arrive_series_by_series(
    web_server: WebServer, small_archive: SmallArchive, small_files: list[DicomFile], tmp_path: Path
) -> None:
    steps: list[tuple[int, int]] = []
    archive = DicomwebArchive(web_server.url)
    paths = fetch_study(archive, tmp_path, study_uid="1.2", progress=lambda *step: steps.append(step))
    wanted = [small_files[number] for number in (0, 1, 4, 5)]
    assert paths == [tmp_path / f"{file.sop_instance_uid}.dcm" for file in wanted]
    assert [path.read_bytes() for path in paths] == [file.path.read_bytes() for file in wanted]
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_other_modalities_can_be_chosen(web_server: WebServer, small_archive: SmallArchive, tmp_path: Path) -> None:
    archive = DicomwebArchive(web_server.url)
    paths = fetch_study(archive, tmp_path, accession_number="A1", modalities=["SR"])
    assert [path.stem for path in paths] == list(small_archive.files)[2:4]


def test_cut_transfer_is_tried_again(
    web_server: WebServer, small_archive: SmallArchive, tmp_path: Path, backoff: Backoff, pauses: list[float]
) -> None:
    small_archive.breaks_off = 2
    assert len(fetch_study(DicomwebArchive(web_server.url), tmp_path, study_uid="1.2", backoff=backoff)) == 4
    assert pauses == [1.0, 2.0]


def test_transfer_that_stays_cut_keeps_what_is_whole(
    web_server: WebServer, small_archive: SmallArchive, tmp_path: Path, backoff: Backoff
) -> None:
    small_archive.breaks_off = 100
    with pytest.raises(TryLater):
        fetch_study(DicomwebArchive(web_server.url), tmp_path, study_uid="1.2", backoff=backoff)
    assert [path.stem for path in tmp_path.iterdir()] == list(small_archive.files)[:1]


def test_missing_package_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "find_spec", lambda name: None)
    with pytest.raises(ArchiveUnusable, match="the package requests is missing"):
        fetch_study(DicomwebArchive("http://127.0.0.1:9"), tmp_path, study_uid="1.2")
