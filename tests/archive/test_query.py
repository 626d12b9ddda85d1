"""The one study that is meant is found, or none: never that of another patient."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from support.servers.archive_servers import Answer, Request, WebServer

from monai_chexmask_u.archive import query as query_module
from monai_chexmask_u.archive.failures import ArchiveUnusable, TryLater
from monai_chexmask_u.archive.query import Query
from monai_chexmask_u.archive.settings import DicomwebArchive
from monai_chexmask_u.archive.waiting import Backoff
from monai_chexmask_u.archive.web_session import open_session

pytestmark = pytest.mark.usefixtures("no_secrets_told")

STUDY, SERIES, INSTANCE = "0020000D", "0020000E", "00080018"
ACCESSION, MODALITY = "00080050", "00080060"


@pytest.fixture
def query(web_server: WebServer, backoff: Backoff) -> Iterator[Query]:
    archive = DicomwebArchive(web_server.url)
    with open_session(archive) as session:
        yield Query(archive, session, backoff)


def item(**values: str) -> dict[str, Any]:
    return {tag.strip("_"): {"vr": "LO", "Value": [value]} for tag, value in values.items()}


def study(uid: str, accession: str = "A1") -> dict[str, Any]:
    return item(_0020000D=uid, _00080050=accession)


def series(uid: str, modality: str) -> dict[str, Any]:
    return item(_0020000D="1.2", _0020000E=uid, _00080060=modality)


def listing(*items: dict[str, Any], knows_offset: bool = True, portion: int = 100) -> Callable[[Request], Answer]:
    """Return what an archive answers that has some items and gives them in portions."""

    def answer(request: Request) -> Answer:
        offset = int(parse_qs(urlsplit(request.path).query).get("offset", ["0"])[0]) if knows_offset else 0
        return Answer(body=json.dumps(items[offset : offset + portion]).encode())

    return answer


def test_study_is_asked_for_by_its_uid(web_server: WebServer, query: Query) -> None:
    web_server.answers = [listing(study("1.2.3"))]
    assert query.study(study_uid="1.2.3").uid == "1.2.3"
    assert web_server.requests[0].path == "/dicom-web/studies?0020000D=1.2.3"
    assert web_server.requests[0].headers["Accept"] == "application/dicom+json"


def test_accession_number_is_quoted(web_server: WebServer, query: Query) -> None:
    web_server.answers = [listing(study("1.2.3", "A&B+ #1/ü"))]
    assert query.study(accession_number="A&B+ #1/ü").uid == "1.2.3"
    assert web_server.requests[0].path == "/dicom-web/studies?00080050=A%26B%2B%20%231/%C3%BC"


def test_missing_study_is_said(web_server: WebServer, query: Query) -> None:
    web_server.answers = [listing()]
    with pytest.raises(ArchiveUnusable, match="no study with this Study Instance UID in the archive"):
        query.study(study_uid="1.2.3")
    web_server.answers = [Answer(204)]
    with pytest.raises(ArchiveUnusable, match="no study with this accession number in the archive") as caught:
        query.study(accession_number="1234567")
    assert "1234567" not in str(caught.value)


def test_several_studies_are_not_one(web_server: WebServer, query: Query) -> None:
    web_server.answers = [listing(study("1.2"), study("1.3"))]
    with pytest.raises(ArchiveUnusable, match=r"2 studies with this accession number .* use the UID"):
        query.study(accession_number="A1")


def test_studies_that_were_not_asked_for_do_not_count(web_server: WebServer, query: Query) -> None:
    web_server.answers = [listing(study("1.2", "A10"), study("1.3", "A1 "), study("1.4", ""), item(_0020000D="1.5"))]
    assert query.study(accession_number="A1").uid == "1.3"
    with pytest.raises(ArchiveUnusable, match="no study"):
        query.study(accession_number="A2")
    assert query.study(study_uid="1.4").uid == "1.4"


@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"study_uid": ""},
        {"study_uid": "1.2", "accession_number": "A1"},
        {"accession_number": "A*"},
        {"accession_number": "A?"},
        {"accession_number": "A\\B"},
        {"accession_number": "A,B"},
        {"accession_number": " "},
        {"accession_number": "A\nB"},
        {"accession_number": "A\0"},
        {"study_uid": "1..2"},
        {"study_uid": "../1"},
        {"study_uid": "1.2,1.3"},
        {"study_uid": "1.2/series"},
    ],
)
def test_choice_of_no_or_several_studies_is_refused(
    web_server: WebServer, query: Query, chosen: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match=r"^a study is chosen by|cannot be: it holds characters that none has"):
        query.study(**chosen)
    assert web_server.requests == []


def test_series_of_wanted_modalities_are_chosen(web_server: WebServer, query: Query) -> None:
    web_server.answers = [listing(series("1", "DX"), series("2", "SR"), series("3", "CR"), series("4", "OT"))]
    assert query.series("1.2", ("CR", "DX")) == ["1", "3"]
    assert query.series("1.2", ("OT",)) == ["4"]
    assert web_server.requests[0].path == "/dicom-web/studies/1.2/series"


@pytest.mark.parametrize("modalities", [(), ("",), ("CR", "*"), ("CR\\DX",), ("cr",), ("A" * 17,)])
def test_modality_that_is_none_is_refused(web_server: WebServer, query: Query, modalities: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="a modality is a code of up to 16 capital letters and digits"):
        query.series("1.2", modalities)
    assert web_server.requests == []


def test_pages_have_an_end(web_server: WebServer, query: Query, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_module, "_MOST_PAGES", 3)
    items = [item(_00080018=f"1.{number}") for number in range(10)]
    web_server.answers = [listing(*items, portion=2)]
    with pytest.raises(ArchiveUnusable, match="does not end within"):
        query.instances("1.2", "1.3")
    monkeypatch.setattr(query_module, "_MOST_RESULTS", 5)
    web_server.answers = [listing(*items, portion=4)]
    with pytest.raises(ArchiveUnusable, match="does not end within"):
        query.instances("1.2", "1.3")


def test_study_without_radiographs_says_what_it_has(web_server: WebServer, query: Query) -> None:
    web_server.answers = [listing(series("1", "SR"), series("2", "CT"), item(_0020000D="1.2", _0020000E="3"))]
    with pytest.raises(ArchiveUnusable, match=r"no series of modality CR, DX \(it has: CT, SR\)"):
        query.series("1.2", ("CR", "DX"))
    web_server.answers = [listing()]
    with pytest.raises(ArchiveUnusable, match=r"\(it has: none\)"):
        query.series("1.2", ("CR", "DX"))


@pytest.mark.parametrize("knows_offset", [True, False])
def test_results_come_in_portions(web_server: WebServer, query: Query, knows_offset: bool) -> None:
    items = [item(_00080018=f"1.{number}") for number in range(7)]
    web_server.answers = [listing(*items, knows_offset=knows_offset, portion=3)]
    found = query.instances("1.2", "1.3")
    assert found == [f"1.{number}" for number in range(7 if knows_offset else 3)]
    assert web_server.requests[0].path == "/dicom-web/studies/1.2/series/1.3/instances"


def test_archive_that_is_busy_is_asked_again(web_server: WebServer, query: Query, pauses: list[float]) -> None:
    web_server.answers = [Answer(503), Answer(429, headers={"Retry-After": "9"}), listing(study("1.2"))]
    assert query.study(study_uid="1.2").uid == "1.2"
    assert pauses == [1.0, 9.0]


def test_archive_that_stays_busy_is_given_up(web_server: WebServer, query: Query, pauses: list[float]) -> None:
    web_server.answers = [Answer(503)]
    with pytest.raises(TryLater):
        query.study(study_uid="1.2")
    assert (len(web_server.requests), len(pauses)) == (4, 3)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(404),
        Answer(200, b"<html>Synthetic^Chest</html>", "text/html"),
        Answer(200, b'["0a9b", "3c4d"]', "application/json"),
        Answer(200, b'"yes"', "application/json"),
        Answer(200, b'[{"ID": "0a9b"}]', "application/json"),
        Answer(200, json.dumps([study("../../etc/passwd")]).encode()),
        Answer(200, b'[{"0020000D": {"vr": "UI"}}]'),
        Answer(200, b'["1.2"]'),
        Answer(200, b'[{"0020000D": null}]'),
        Answer(200, b'[{"0020000D": ["1.2"]}]'),
        Answer(200, b'[{"0020000D": {"Value": "1.2"}}]'),
        Answer(200, b'[{"0020000D": {"Value": {"a": "1.2"}}}]'),
        Answer(200, b'[{"0020000D": {"Value": ["1.2"]}, "00080050": "A1"}]'),
    ],
)
def test_other_servers_are_told_from_dicomweb(web_server: WebServer, query: Query, answer: Answer) -> None:
    web_server.answers = [answer]
    with pytest.raises(ArchiveUnusable, match="there is no DICOMweb service at this address"):
        query.study(study_uid="1.2")
    assert len(web_server.requests) == 1


def test_attributes_that_are_not_looked_at_may_be_anything(web_server: WebServer, query: Query) -> None:
    web_server.answers = [listing(study("1.2") | {"00081190": None})]
    assert query.study(study_uid="1.2").uid == "1.2"


def test_all_series_of_a_modality_are_listed_in_portions(web_server: WebServer, query: Query) -> None:
    found = [series(f"1.2.{number}", "DX") for number in range(5)]
    web_server.answers = [listing(*found, series("1.3", "CT"), portion=2)] * 5
    assert query.series_of_modality("DX") == {f"1.2.{number}": "1.2" for number in range(5)}
    assert web_server.requests[0].path == "/dicom-web/series?00080060=DX"
    assert web_server.requests[1].path == "/dicom-web/series?00080060=DX&offset=2"


def test_the_study_of_a_series_is_found(web_server: WebServer, query: Query) -> None:
    web_server.answers = [listing(series("1.2.3", "DX"), series("1.2.4", "DX"))]
    assert query.study_of_series("1.2.3") == "1.2"


def test_a_series_that_is_not_there_is_told(web_server: WebServer, query: Query) -> None:
    web_server.answers = [listing(series("1.2.4", "DX"))]
    with pytest.raises(ArchiveUnusable, match=r"does not have the series 1\.2\.3"):
        query.study_of_series("1.2.3")
    with pytest.raises(ValueError, match="named by its Series Instance UID"):
        query.study_of_series("../1")


def test_headers_of_a_series_are_given_whole(web_server: WebServer, query: Query) -> None:
    header = item(_00080018="1.2.9", _00100020="P")
    web_server.answers = [Answer(body=json.dumps([header]).encode())]
    assert query.metadata("1.2", "1.2.3") == [header]
    assert web_server.requests[0].path == "/dicom-web/studies/1.2/series/1.2.3/metadata"
