"""Whatever goes wrong over HTTP is said in one line, with a way out, and without what was asked or answered."""

from __future__ import annotations

import socket
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from support.servers.archive_servers import Answer, WebServer

from monai_chexmask_u.archive.credentials import Credentials
from monai_chexmask_u.archive.failures import ArchiveError, ArchiveUnusable, TryLater
from monai_chexmask_u.archive.settings import DicomwebArchive, Timeouts
from monai_chexmask_u.archive.web_session import open_session, read_body

pytestmark = pytest.mark.usefixtures("no_secrets_told")

SECRET = "open-sesame"
ASKED = "AccessionNumber=1234567"
QUICK = Timeouts(connect_s=2.0, silence_s=0.2)


def ask(archive: DicomwebArchive) -> bytes:
    with open_session(archive) as session, session.ask("GET", "studies", most_bytes=1000, params=ASKED) as response:
        return read_body(response)


def failure(archive: DicomwebArchive) -> ArchiveError:
    with pytest.raises(ArchiveError) as caught:
        ask(archive)
    text = str(caught.value)
    assert text.startswith(f"{archive.url}: ")
    assert "\n" not in text
    assert ASKED not in text
    return caught.value


@pytest.mark.parametrize(
    ("credentials", "sent"),
    [
        (Credentials(), None),
        (Credentials("ali", SECRET), "Basic YWxpOm9wZW4tc2VzYW1l"),
        (Credentials("Łuk", SECRET), "Basic xYF1azpvcGVuLXNlc2FtZQ=="),
        (Credentials(token="dG9rZW4tb2YtdGVzdHM"), "Bearer dG9rZW4tb2YtdGVzdHM"),
    ],
)
def test_credentials_are_sent(web_server: WebServer, credentials: Credentials, sent: str | None) -> None:
    web_server.answers = [Answer()]
    ask(DicomwebArchive(web_server.url, credentials))
    assert web_server.requests[0].headers.get("Authorization") == sent


def test_other_programs_settings_change_nothing(
    web_server: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login ali password {SECRET}\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    web_server.answers = [Answer()]
    ask(DicomwebArchive(web_server.url))
    assert "Authorization" not in web_server.requests[0].headers


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_redirection_is_not_followed(web_server: WebServer, code: int) -> None:
    web_server.answers = [Answer(code, headers={"Location": web_server.url + "/elsewhere"})]
    assert isinstance(failure(DicomwebArchive(web_server.url)), ArchiveUnusable)
    assert len(web_server.requests) == 1


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (400, "does not take such requests (400)"),
        (401, "asks for credentials (401); set CHEXMASK_U_DICOMWEB_USER"),
        (403, "does not allow this (403)"),
        (404, "no DICOMweb service at this address"),
        (405, "no DICOMweb service at this address"),
        (501, "does not take such requests (501)"),
    ],
)
def test_answer_that_will_not_change(web_server: WebServer, code: int, words: str) -> None:
    web_server.answers = [Answer(code, b"SYN-0001 is unknown")]
    error = failure(DicomwebArchive(web_server.url))
    assert isinstance(error, ArchiveUnusable)
    assert words in str(error)


def test_wrong_credentials_are_told_from_none(web_server: WebServer) -> None:
    web_server.answers = [Answer(401)]
    error = failure(DicomwebArchive(web_server.url, Credentials("ali", SECRET)))
    assert "does not accept the credentials (401)" in str(error)


@pytest.mark.parametrize(
    ("code", "unreachable"),
    [(408, False), (429, True), (500, False), (502, False), (503, True), (504, False), (507, False)],
)
def test_answer_that_may_change(web_server: WebServer, code: int, unreachable: bool) -> None:
    web_server.answers = [Answer(code)]
    error = failure(DicomwebArchive(web_server.url))
    assert isinstance(error, TryLater)
    assert (error.unreachable, error.retry_after_s) == (unreachable, None)


def test_archive_asks_for_a_pause_in_seconds(web_server: WebServer) -> None:
    web_server.answers = [Answer(429, headers={"Retry-After": "17"})]
    error = failure(DicomwebArchive(web_server.url))
    assert isinstance(error, TryLater)
    assert error.retry_after_s == 17


@pytest.mark.parametrize(("ahead", "least", "most"), [(3600, 3500, 3600), (-60, 0, 0)])
def test_archive_asks_for_a_pause_until_a_date(web_server: WebServer, ahead: int, least: int, most: int) -> None:
    date = datetime.now(UTC) + timedelta(seconds=ahead)
    web_server.answers = [Answer(503, headers={"Retry-After": format_datetime(date, usegmt=True)})]
    error = failure(DicomwebArchive(web_server.url))
    assert isinstance(error, TryLater)
    assert error.retry_after_s is not None
    assert least <= error.retry_after_s <= most


def test_pause_that_cannot_be_read_is_none(web_server: WebServer) -> None:
    web_server.answers = [Answer(503, headers={"Retry-After": "soon"})]
    error = failure(DicomwebArchive(web_server.url))
    assert isinstance(error, TryLater)
    assert error.retry_after_s is None


def test_nobody_listens() -> None:
    server = WebServer()
    server.close()
    error = failure(DicomwebArchive(server.url))
    assert isinstance(error, TryLater)
    assert error.unreachable
    assert "cannot be reached" in str(error)


def test_host_is_unknown() -> None:
    error = failure(DicomwebArchive("http://archive.invalid/dicom-web"))
    assert isinstance(error, TryLater)
    assert error.unreachable


def test_archive_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = failure(DicomwebArchive(f"http://127.0.0.1:{silent.getsockname()[1]}", timeouts=QUICK))
    assert isinstance(error, TryLater)
    assert not error.unreachable
    assert "does not answer in time" in str(error)


def test_transfer_is_cut(web_server: WebServer) -> None:
    web_server.answers = [Answer(body=b"half", missing=4)]
    error = failure(DicomwebArchive(web_server.url))
    assert isinstance(error, TryLater)
    assert not error.unreachable
    assert "broke off in the middle of a transfer" in str(error)


def test_https_is_asked_of_a_server_without_it(web_server: WebServer) -> None:
    error = failure(DicomwebArchive(web_server.url.replace("http:", "https:")))
    assert isinstance(error, ArchiveUnusable)
    assert "no TLS connection; check that the archive speaks https here" in str(error)


def test_server_hangs_up_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            server.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        error = failure(DicomwebArchive(f"http://127.0.0.1:{server.getsockname()[1]}"))
        thread.join()
    assert isinstance(error, TryLater)
    assert not error.unreachable
    assert "broke off the connection" in str(error)
