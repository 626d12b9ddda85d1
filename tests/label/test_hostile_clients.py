"""What a foreign page or a hostile program asks of the label server, each trick a parameter."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import tarfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests

pytest.importorskip("monailabel")

from support.servers.hostile_label_client import (
    BOMBS,
    IDS,
    INNER_PLACES,
    NAMES,
    OUTSIDE_NAMES,
    PAGES,
    PARAMETERS,
    PATHS,
    ROUTES,
    SECRET,
    VIEWER,
    archive_of,
    ask,
    bomb_of,
    changes_since,
    everything,
    foreign_headers,
    guarded_server,
    infer,
    is_untouched,
    keep_under,
    links,
    make_home,
    put_notes,
    put_session,
    send_under,
    start_process,
)

if TYPE_CHECKING:
    from support.servers.label_server import LabelServer


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that the server has, and files of others that no client may see or touch."""
    home = tmp_path_factory.mktemp("home")
    make_home(home)
    return home


@pytest.fixture(scope="module")
def label_server(radiographs: list[Path], chest_cr: Path, home: Path) -> Iterator[LabelServer]:
    with guarded_server(home, radiographs[0]) as server:
        yield server


@pytest.fixture(autouse=True)
def nothing_of_others_is_touched(label_server: LabelServer, home: Path) -> Iterator[None]:
    said = len(label_server.log.read_text())
    yield
    assert is_untouched(home)
    assert requests.get(f"{label_server.url}/info/", timeout=60).status_code == 200
    assert "Traceback" not in label_server.log.read_text()[said:]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_no_route_answers_a_foreign_page_or_another_host(
    label_server: LabelServer, home: Path, method: str, path: str
) -> None:
    tricks = foreign_headers(label_server.url)
    for headers in tricks[: None if path not in PAGES else -1]:
        status, answered, _ = ask(label_server, method, path, {"access-control-request-method": "PUT", **headers})
        assert status in (400, 403), headers
        assert not [name for name in answered if name.startswith("access-control-")], headers
    assert (home / "studies" / "radiograph.jpg").is_file()


@pytest.mark.parametrize("page", PAGES)
def test_a_link_of_another_site_may_lead_to_a_page(label_server: LabelServer, page: str) -> None:
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert ask(label_server, "GET", page, link)[0] == 200
    assert ask(label_server, "GET", "/datastore/image?image=radiograph", link)[0] == 403


@pytest.mark.parametrize("origin", [VIEWER, "http://second.example:8080"])
def test_a_named_page_may_read_and_write(label_server: LabelServer, origin: str) -> None:
    status, headers, _ = ask(label_server, "GET", "/info/", {"origin": origin})
    assert (status, headers["access-control-allow-origin"]) == (200, origin)
    asked = {"origin": origin, "access-control-request-method": "PUT"}
    status, headers, _ = ask(label_server, "OPTIONS", "/datastore/label", asked)
    assert (status, headers["access-control-allow-origin"]) == (200, origin)


def test_its_own_names_and_programs_without_an_origin_are_answered(label_server: LabelServer) -> None:
    """3D Slicer's client says nothing of where it comes from, and names what was typed."""
    port = urlsplit(label_server.url).port
    for headers in (
        {},
        {"host": f"localhost:{port}"},
        {"host": f"LOCALHOST:{port}"},
        {"host": f"label.example:{port}"},
        {"origin": label_server.url},
        {"host": f"localhost:{port}", "origin": f"http://localhost:{port}"},
        {"sec-fetch-site": "same-origin"},
    ):
        status, answered, _ = ask(label_server, "GET", "/info/", headers)
        assert status == 200, headers
        assert "access-control-allow-origin" not in answered


def test_what_is_said_at_the_start_is_true(label_server: LabelServer) -> None:
    said = label_server.log.read_text()
    assert f"Allow Origins: ['{label_server.url}', 'http://second.example:8080', '{VIEWER}']" in said
    assert f"from its own pages and of http://second.example:8080, {VIEWER}" in said
    assert "['*']" not in said


def test_it_is_so_after_a_reload(label_server: LabelServer) -> None:
    assert ask(label_server, "POST", "/reload")[0] == 200
    assert ask(label_server, "GET", "/info/")[0] == 200
    assert ask(label_server, "GET", "/info/", {"origin": "http://evil.example"})[0] == 403
    assert ask(label_server, "GET", "/info/", {"origin": VIEWER})[1]["access-control-allow-origin"] == VIEWER
    assert ask(label_server, "GET", "/info/", {"host": "evil.example"})[0] == 403


@pytest.mark.parametrize("path", PATHS)
def test_no_path_leads_to_a_file_of_others(label_server: LabelServer, home: Path, path: str) -> None:
    status, _, body = ask(label_server, "GET", path.format(home=home))
    assert status in (200, 307, 400, 404, 422), body
    assert b"root:" not in body
    assert b"FastAPI" not in body
    assert SECRET.encode() not in body
    if not path.startswith(("/ohif", "/logs")):  # the viewer's own page stands for what it has not
        assert status != 200


def test_a_session_holds_what_was_sent_and_tells_no_place_of_the_server(label_server: LabelServer, home: Path) -> None:
    radiograph = (home / "studies" / "radiograph.jpg").read_bytes()
    answer = put_session(label_server, ("C:\\radiographs\\radiograph.jpg", radiograph)).json()
    assert str(home) not in json.dumps(answer)
    session = answer["session_id"]
    assert infer(label_server, session_id=session).status_code == 200
    got = requests.get(f"{label_server.url}/session/{session}?image=true", timeout=60)
    assert (got.status_code, got.content) == (200, radiograph)
    assert requests.delete(f"{label_server.url}/session/{session}", timeout=60).status_code == 200
    assert requests.get(f"{label_server.url}/session/{session}", timeout=60).status_code == 404
    assert infer(label_server, session_id=session).status_code == 404


@pytest.mark.parametrize("inner", INNER_PLACES)
@pytest.mark.parametrize("target", ["letter.txt", "radiograph.jpg", "nothing"])
def test_notes_that_a_client_sends_are_no_notes_of_a_session(
    label_server: LabelServer, home: Path, inner: str, target: str
) -> None:
    for name in put_notes(label_server, home, inner, target):
        answer = infer(label_server, session_id=name)
        assert answer.status_code in (400, 404), answer.text
        assert str(home) not in answer.text
        assert ask(label_server, "DELETE", f"/session/{name.replace('/', '%2f')}")[0] != 500


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:20])
def test_names_of_files_that_are_sent_lead_nowhere(label_server: LabelServer, home: Path, name: str) -> None:
    before = everything(home)
    radiograph = (home / "studies" / "radiograph.jpg").read_bytes()
    answers = send_under(label_server, radiograph, name)
    assert all(answer.status_code in (200, 400, 404, 422) for answer in answers), [each.text for each in answers]
    assert_unchanged(home, before)


def assert_unchanged(home: Path, before: list[str]) -> None:
    """See that nothing came or went."""
    assert changes_since(home, before) == (set(), set())


@pytest.mark.parametrize("name", IDS, ids=lambda name: ascii(name)[:20])
def test_ids_and_tags_that_are_no_plain_names_are_refused(label_server: LabelServer, home: Path, name: str) -> None:
    before = everything(home)
    radiograph = (home / "studies" / "radiograph.jpg").read_bytes()
    assert [answer.status_code for answer in keep_under(label_server, radiograph, name)] == [400, 400, 400]
    assert_unchanged(home, before)


@pytest.mark.parametrize("kind", ["zip", "", "gz", "xz"])
def test_archives_are_unpacked_flat_inside_their_session(label_server: LabelServer, home: Path, kind: str) -> None:
    radiograph = (home / "studies" / "radiograph.jpg").read_bytes()
    sent = archive_of(kind, {"folder/radiograph.jpg": radiograph})
    session = put_session(label_server, ("a.bin", sent), uncompress=True).json()["session_id"]
    assert infer(label_server, session_id=session).status_code == 200
    before = everything(home)
    for name in OUTSIDE_NAMES:
        answer = put_session(label_server, ("a.bin", archive_of(kind, {name: radiograph})), uncompress=True)
        assert answer.status_code in (200, 400)
        if answer.status_code == 200:
            requests.delete(f"{label_server.url}/session/{answer.json()['session_id']}", timeout=60)
    assert_unchanged(home, before)


def test_links_and_devices_of_an_archive_are_left_out(label_server: LabelServer, home: Path) -> None:
    sent = links("link", str(home / "others" / "radiograph.jpg"))
    session = put_session(label_server, ("a.tar", sent), uncompress=True).json()["session_id"]
    assert [path.name for path in (home / "server" / "models" / "sessions" / session / "files").iterdir()] == []
    assert infer(label_server, session_id=session).status_code == 400


@pytest.mark.parametrize("kind", BOMBS)
def test_an_archive_that_unpacks_to_gigabytes_is_refused(label_server: LabelServer, home: Path, kind: Any) -> None:
    before = everything(home)
    answer = put_session(label_server, ("a.bin", bomb_of(kind)), uncompress=True)
    assert answer.status_code == 400
    assert "cannot be unpacked" in answer.json()["detail"]
    assert_unchanged(home, before)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_a_header_of_a_member_that_would_fill_the_memory_is_not_read(tmp_path: Path, kind: bytes) -> None:
    from label.images.sessions import RadiographSessions

    about = tarfile.TarInfo("a")
    about.type, about.size = kind, 64 * 2**20
    packed = gzip.compress(about.tobuf(tarfile.USTAR_FORMAT) + bytes(about.size), 1)
    tracemalloc.start()
    try:
        with pytest.raises(shutil.ReadError):
            RadiographSessions(str(tmp_path)).add([("a.tgz", io.BytesIO(packed))], uncompress=True)
        assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["a.mha", "a.mhd", "a.nhdr", "a.nrrd", "a.seg.nrrd", "A.NRRD"])
def test_a_label_shows_nothing_of_other_files(label_server: LabelServer, home: Path, name: str) -> None:
    letter = home / "others" / "letter.raw"
    letter.write_bytes(b"Dear Ms Example, " * 10_000)
    meta = f"ObjectType = Image\nNDims = 2\nDimSize = 64 64\nElementType = MET_UCHAR\nElementDataFile = {letter}\n"
    nrrd = f"NRRD0004\ntype: uint8\ndimension: 2\nsizes: 64 64\nencoding: raw\nData File: {letter}\n\n"
    sent = {"label": (name, (meta if ".mh" in name else nrrd).encode())}
    answer = requests.put(f"{label_server.url}/datastore/label", params={"image": "radiograph"}, files=sent, timeout=60)
    letter.unlink()
    assert answer.status_code == 400
    assert "is no label" not in answer.json()["detail"]  # which would tell a byte of it


@pytest.mark.parametrize(("route", "params"), PARAMETERS)
def test_parameters_do_not_reach_the_processes_that_work_on_them(
    label_server: LabelServer, home: Path, route: str, params: dict[str, Any]
) -> None:
    """A folder that a client had filled would be on the search path for programs of the process."""
    answer = start_process(label_server, home, route, params)
    assert answer.status_code == 400, answer.text
    assert str(home) not in answer.text
