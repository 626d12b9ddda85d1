"""The viewer that comes with MONAI Label is served so that it shows and segments radiographs; it asks the archive."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("monailabel")

from fastapi import FastAPI
from fastapi.testclient import TestClient
from monailabel.endpoints import ohif as stock
from support.servers.archive_servers import Answer, WebServer

from monai_chexmask_u.archive.credentials import Credentials
from monai_chexmask_u.archive.settings import DicomwebArchive, Timeouts

INSTALLED = Path(stock.__file__).parent / "static" / "ohif"


@pytest.fixture(scope="module")
def viewer() -> TestClient:
    from label.server import ohif

    app = FastAPI()
    app.include_router(ohif.router)
    return TestClient(app)


@pytest.fixture
def archive() -> Iterator[WebServer]:
    server = WebServer()
    yield server
    server.close()


def proxy(url: str) -> TestClient:
    from label.server.dicomweb_proxy import make_router

    app = FastAPI()
    app.include_router(make_router(DicomwebArchive(url, Credentials("me", "open-sesame"), timeouts=Timeouts(1, 2))))
    return TestClient(app)


def scripts() -> dict[str, str]:
    """Return the installed scripts that mention this mode of the viewer, but for the largest, by their names."""
    small = [path for path in INSTALLED.glob("[0-9]*.bundle.*.js") if path.stat().st_size < 500_000]
    texts = {path.name: path.read_text(encoding="utf-8") for path in small}
    return {name: text for name, text in texts.items() if "monai-label/src" in text}


def test_two_scripts_are_adapted_in_all_places(viewer: TestClient) -> None:
    from label.server.ohif import ADAPTATIONS

    served = {name: viewer.get(f"/ohif/{name}") for name in scripts()}
    changed = {name for name, answer in served.items() if answer.text != scripts()[name]}
    assert len(changed) == len(ADAPTATIONS) == 2
    for name in changed:
        assert served[name].status_code == 200
        assert "javascript" in served[name].headers["content-type"]
    everything = "".join(served[name].text for name in changed)
    for replacements in ADAPTATIONS:
        for known, wanted in replacements:
            assert wanted in everything
            assert known not in everything.replace(wanted, "")


def test_adapted_scripts_are_still_scripts(viewer: TestClient, tmp_path: Path) -> None:
    try:
        subprocess.run(["node", "--version"], check=True, capture_output=True)
    except OSError:
        pytest.skip("node is not installed")
    for name in scripts():
        path = tmp_path / f"{name}.js"
        path.write_text(viewer.get(f"/ohif/{name}").text, encoding="utf-8")
        checked = subprocess.run(["node", "--check", path], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr


def test_everything_else_is_as_installed(viewer: TestClient) -> None:
    assert viewer.get("/ohif/app-config.js").text == (INSTALLED / "app-config.js").read_text(encoding="utf-8")
    page = (INSTALLED / "index.html").read_text(encoding="utf-8")
    assert viewer.get("/ohif/monai-label?StudyInstanceUIDs=1.2.3").text == page
    assert viewer.get("/ohif/../../../etc/passwd").status_code == 404
    assert viewer.get("/ohif/..%2f..%2fconfig.py").text == page


def test_scripts_of_another_version_are_left_alone() -> None:
    from label.server.ohif import ADAPTATIONS, adapt

    mode = "\n".join(known for known, _ in ADAPTATIONS[0])
    assert adapt(mode) != mode
    assert adapt(mode.replace("hangingProtocol", "protocol")) is None


@pytest.mark.parametrize("service", ["wado/", "qido/", ""])
def test_a_request_reaches_the_archive_with_its_query(service: str, archive: WebServer) -> None:
    archive.answers = [Answer(body=b"[]")]
    answer = proxy(archive.url).get(f"/proxy/dicom/{service}studies?00100020=P1&includefield=00081030%2C00080060")
    assert (answer.status_code, answer.text) == (200, "[]")
    assert answer.headers["content-type"] == "application/dicom+json"
    [request] = archive.requests
    assert request.path == "/dicom-web/studies?00100020=P1&includefield=00081030%2C00080060"
    assert request.headers["Authorization"].startswith("Basic ")


def test_an_archive_that_is_away_is_told_without_an_error_page() -> None:
    answer = proxy("http://127.0.0.1:1/dicom-web").get("/proxy/dicom/qido/studies")
    assert answer.status_code == 502
    assert "cannot be reached" in answer.json()["detail"]
