"""A viewer's request reaches the archive as it is, with the credentials, and nothing else of the machine."""

from __future__ import annotations

import pytest
from support.servers.archive_servers import Answer, WebServer

from monai_chexmask_u.archive.credentials import Credentials
from monai_chexmask_u.archive.failures import ArchiveUnusable, TryLater
from monai_chexmask_u.archive.passing_on import Passed, pass_on
from monai_chexmask_u.archive.settings import DicomwebArchive

pytestmark = pytest.mark.usefixtures("no_secrets_told")


def ask(url: str, path: str = "studies", query: str = "", *, method: str = "GET", body: bytes = b"") -> Passed:
    archive = DicomwebArchive(url, Credentials("me", "open-sesame"))
    headers = {"Accept": "application/dicom+json"}
    return pass_on(archive, method=method, path=path, query=query, headers=headers, body=body)


def test_query_headers_and_credentials_arrive(web_server: WebServer) -> None:
    web_server.answers = [Answer(body=b"[]")]
    assert ask(web_server.url, query="00100020=A%2CB&limit=2").content == b"[]"
    request = web_server.requests[0]
    assert request.path == "/dicom-web/studies?00100020=A%2CB&limit=2"
    assert request.headers["Accept"] == "application/dicom+json"
    assert request.headers["Authorization"].startswith("Basic ")


def test_what_the_archive_refuses_is_passed_on(web_server: WebServer) -> None:
    web_server.answers = [Answer(status=404, body=b"gone")]
    passed = ask(web_server.url, "studies/1.2/metadata")
    assert (passed.status, passed.content) == (404, b"gone")


def test_an_object_to_store_is_passed_on(web_server: WebServer) -> None:
    web_server.answers = [Answer(body=b"{}")]
    ask(web_server.url, method="POST", body=b"object")
    assert web_server.requests[0].body == b"object"


@pytest.mark.parametrize(
    "path",
    [
        "../system",
        "studies/../../system",
        "",
        "/system",
        "studies//1",
        "studies?x",
        "a#b",
        "%2e%2e/system",
        "studies/%2E%2E/x",
    ],
)
def test_paths_that_lead_elsewhere_are_not_asked(path: str, web_server: WebServer) -> None:
    with pytest.raises(ArchiveUnusable, match="does not lead to"):
        ask(web_server.url, path)
    assert not web_server.requests


def test_other_methods_are_not_passed_on(web_server: WebServer) -> None:
    with pytest.raises(ValueError, match="got DELETE"):
        ask(web_server.url, method="DELETE")


def test_an_archive_that_is_away_is_told() -> None:
    with pytest.raises(TryLater, match="cannot be reached"):
        ask("http://127.0.0.1:1/dicom-web")
