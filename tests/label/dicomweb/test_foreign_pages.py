"""In front of an archive, too, the server answers its own pages alone: `/proxy` has the archive's credentials."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import requests

pytest.importorskip("monailabel")

from support.servers.archive_servers import Answer, WebServer

if TYPE_CHECKING:
    from support.servers.label_server import LabelServer

STUDIES = b'[{"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Other^Patient"}]}}]'
FOREIGN = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Host": "evil.example:8000"},
    {"Host": "evil.example:8000", "Origin": "http://evil.example:8000"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"},
    {"Referer": "http://evil.example/"},
]
PATHS = ["studies", "qido/studies", "wado/studies/1.2/series", "stow/studies", "studies/../studies", "%73tudies"]


@pytest.fixture(scope="module")
def archive() -> Iterator[WebServer]:
    server = WebServer()
    # Other lists, for which the server asks by itself, are empty.
    server.answers = [lambda request: Answer(body=STUDIES if request.path.endswith("/studies") else b"[]")]
    yield server
    server.close()


@pytest.fixture(scope="module")
def server(archive: WebServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelServer]:
    from support.servers.label_server import LabelServer

    folder = tmp_path_factory.mktemp("server")
    environment = {
        "MONAI_LABEL_AUTO_UPDATE_SCORING": "false",
        "MONAI_LABEL_DICOMWEB_USERNAME": "me",
        "MONAI_LABEL_DICOMWEB_PASSWORD": "open-sesame",
        "MONAI_LABEL_DICOMWEB_CACHE_PATH": str(folder / "cache"),
        "TMPDIR": str(folder),
    }
    with LabelServer(archive.url, folder, environment=environment) as started:
        yield started


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_foreign_page_reaches_no_archive(server: LabelServer, archive: WebServer, method: str, path: str) -> None:
    before = len(archive.requests)
    for headers in FOREIGN:
        answer = requests.request(method, f"{server.url}/proxy/dicom/{path}", headers=headers, data=b"x", timeout=60)
        assert answer.status_code == 403, headers
        assert b"Other^Patient" not in answer.content
    assert len(archive.requests) == before


def test_its_own_page_reaches_the_archive(server: LabelServer) -> None:
    for headers in ({}, {"Origin": server.url}, {"Sec-Fetch-Site": "same-origin"}):
        answer = requests.get(f"{server.url}/proxy/dicom/studies", headers=headers, timeout=60)
        assert (answer.status_code, answer.content) == (200, STUDIES)
        assert "access-control-allow-origin" not in answer.headers
