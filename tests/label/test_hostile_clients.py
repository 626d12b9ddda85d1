"""What a foreign page or a hostile program asks of the label server, each trick a parameter."""

from __future__ import annotations

import gzip
import http.client
import io
import json
import os
import shutil
import tarfile
import time
import tracemalloc
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests

pytest.importorskip("monailabel")

if TYPE_CHECKING:
    from label_server import LabelServer

SECRET = "the other patient"
VIEWER = "https://viewer.example"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that the server has, and files of others that no client may see or touch."""
    home = tmp_path_factory.mktemp("home")
    for folder in ("studies", "temporary", "others"):
        (home / folder).mkdir()
    (home / "others" / "letter.txt").write_text(SECRET)
    return home


@pytest.fixture(scope="module")
def label_server(films: list[Path], chest_cr: Path, home: Path) -> Iterator[LabelServer]:
    from label_server import LabelServer

    shutil.copy(films[0], home / "studies" / "film.jpg")
    shutil.copy(films[0], home / "others" / "film.jpg")
    environment = {"MONAI_LABEL_AUTO_UPDATE_SCORING": "false", "TMPDIR": str(home / "temporary")}
    environment |= {"MONAI_LABEL_CORS_ORIGINS": json.dumps([f"{VIEWER}/"])}
    server = LabelServer(home / "studies", home / "server", environment=environment)
    server.command += ["--allow-host", "label.example", "--allow-origin", "http://second.example:8080"]
    with server:
        yield server


@pytest.fixture(autouse=True)
def nothing_of_others_is_touched(label_server: LabelServer, home: Path) -> Iterator[None]:
    said = len(label_server.log.read_text())
    yield
    assert (home / "others" / "letter.txt").read_text() == SECRET
    assert sorted(path.name for path in (home / "others").iterdir()) == ["film.jpg", "letter.txt"]
    assert requests.get(f"{label_server.url}/info/", timeout=60).status_code == 200
    assert "Traceback" not in label_server.log.read_text()[said:]


def ask(
    server: LabelServer, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Send a request as it is written here, dots and all; return status, headers and body."""
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    try:
        connection.putrequest(method, path, skip_host="host" in (headers or {}))
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("content-length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


PAGES = ["/", "/docs", "/ohif/"]  # to which links of other sites may lead
ROUTES = [
    ("GET", "/"),
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
    ("GET", "/favicon.ico"),
    ("GET", "/static/ohif/index.html"),
    ("GET", "/info/"),
    ("GET", "/logs/"),
    ("GET", "/logs/gpu"),
    ("GET", "/ohif/"),
    ("GET", "/ohif/app-config.js"),
    ("GET", "/datastore/?output=all"),
    ("GET", "/datastore/image?image=film"),
    ("DELETE", "/datastore/image?id=film"),
    ("DELETE", "/datastore/?id=film"),
    ("PUT", "/datastore/image?image=new"),
    ("PUT", "/datastore/label?image=film"),
    ("DELETE", "/datastore/label?id=film&tag=final"),
    ("GET", "/datastore/dataset"),
    ("PUT", "/session/"),
    ("GET", "/session/00000000-0000-0000-0000-000000000000"),
    ("POST", "/infer/chest_segmentation?image=film"),
    ("POST", "/train/chest_landmarks"),
    ("POST", "/train/"),
    ("DELETE", "/train/"),
    ("POST", "/scoring/landmark_uncertainty"),
    ("POST", "/activelearning/random"),
    ("POST", "/batch/infer/chest_segmentation"),
    ("GET", "/model/chest_segmentation"),
    ("GET", "/proxy/dicom/studies"),
    ("POST", "/reload"),
    ("OPTIONS", "/datastore/image?id=film"),
    ("GET", "/nothing"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_no_route_answers_a_foreign_page_or_another_host(
    label_server: LabelServer, home: Path, method: str, path: str
) -> None:
    port = urlsplit(label_server.url).port
    tricks: list[dict[str, str]] = [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": f"http://127.0.0.1:{(port or 0) + 1}"},
        {"origin": f"https://127.0.0.1:{port}"},
        {"origin": f"http://127.0.0.1.evil.example:{port}"},
        {"host": f"evil.example:{port}"},
        {"host": f"evil.example:{port}", "origin": f"http://evil.example:{port}"},
        {"host": "127.0.0.1:1"},
        {"host": ""},
        {"host": f"127.0.0.1:{port}@evil.example"},
        {"host": f"evil.example:{port}", "x-forwarded-host": f"127.0.0.1:{port}"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
        {"referer": "http://evil.example/page"},
    ]
    for headers in tricks[: None if path not in PAGES else -1]:
        status, answered, _ = ask(label_server, method, path, {"access-control-request-method": "PUT", **headers})
        assert status in (400, 403), headers
        assert not [name for name in answered if name.startswith("access-control-")], headers
    assert (home / "studies" / "film.jpg").is_file()


@pytest.mark.parametrize("page", PAGES)
def test_a_link_of_another_site_may_lead_to_a_page(label_server: LabelServer, page: str) -> None:
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert ask(label_server, "GET", page, link)[0] == 200
    assert ask(label_server, "GET", "/datastore/image?image=film", link)[0] == 403


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


PATHS = [
    "/ohif/..",
    "/ohif/../../../../../../etc/passwd",
    "/ohif/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "/ohif//etc/passwd",
    "/ohif/..%2f..%2f..%2fapp.py",
    "/ohif/..%5c..%5capp.py",
    "/static/../app.py",
    "/static/%2e%2e/%2e%2e/app.py",
    "/static/..%2f..%2fapp.py",
    "/static//etc/passwd",
    "/session/..",
    "/session/%2e%2e",
    "/session/..%2fothers",
    "/model/..",
    "/model/..%2f..%2fother",
    "/datastore/image?image=../others/film",
    "/datastore/image?image=..%2fothers%2ffilm.jpg",
    "/datastore/image?image=film%00",
    "/datastore/image?image={home}/others/film.jpg",
    "/datastore/image/info?image=../others/film",
    "/datastore/label?label=../../others/letter&tag=..",
    "/datastore/label?label=film&tag=../../others",
    "/logs/?lines=-1",
    "/logs/gpu",
    "/logs/..%2f..%2fothers%2fletter.txt",
]


@pytest.mark.parametrize("path", PATHS)
def test_no_path_leads_to_a_file_of_others(label_server: LabelServer, home: Path, path: str) -> None:
    status, _, body = ask(label_server, "GET", path.format(home=home))
    assert status in (200, 307, 400, 404, 422), body
    assert b"root:" not in body
    assert b"FastAPI" not in body
    assert SECRET.encode() not in body
    if not path.startswith(("/ohif", "/logs")):  # the viewer's own page stands for what it has not
        assert status != 200


def put_session(server: LabelServer, *files: tuple[str, bytes], **options: Any) -> requests.Response:
    sent = [("files", (name, content)) for name, content in files]
    return requests.put(f"{server.url}/session/", params=options, files=sent, timeout=60)


def infer(server: LabelServer, **options: Any) -> requests.Response:
    asked = {"output": "json", **options}
    return requests.post(f"{server.url}/infer/chest_segmentation", params=asked, timeout=120)


def test_a_session_holds_what_was_sent_and_tells_no_place_of_the_server(label_server: LabelServer, home: Path) -> None:
    film = (home / "studies" / "film.jpg").read_bytes()
    answer = put_session(label_server, ("C:\\films\\film.jpg", film)).json()
    assert str(home) not in json.dumps(answer)
    session = answer["session_id"]
    assert infer(label_server, session_id=session).status_code == 200
    got = requests.get(f"{label_server.url}/session/{session}?image=true", timeout=60)
    assert (got.status_code, got.content) == (200, film)
    assert requests.delete(f"{label_server.url}/session/{session}", timeout=60).status_code == 200
    assert requests.get(f"{label_server.url}/session/{session}", timeout=60).status_code == 404
    assert infer(label_server, session_id=session).status_code == 404


@pytest.mark.parametrize("inner", ["", "/{image}", "/files", "/files/..", "/", "/.", "/../{id}", "%00"])
@pytest.mark.parametrize("target", ["letter.txt", "film.jpg", "nothing"])
def test_notes_that_a_client_sends_are_no_notes_of_a_session(
    label_server: LabelServer, home: Path, inner: str, target: str
) -> None:
    notes = {"name": "x", "path": "x", "image": str(home / "others" / target), "expiry": 3600}
    notes |= {"create_ts": 2**40, "last_access_ts": 2**40}
    text = json.dumps(notes).encode()
    answer = put_session(label_server, ("meta.info", text), ("film.txt", b"x")).json()
    session, image = answer["session_id"], Path(answer["session_info"]["image"]).name
    asked = f"{session}{inner}".replace("{id}", session).replace("{image}", image)
    for name in (asked, "../others", str(home / "others"), "..", ".", ""):
        answer = infer(label_server, session_id=name)
        assert answer.status_code in (400, 404), answer.text
        assert str(home) not in answer.text
        assert ask(label_server, "DELETE", f"/session/{name.replace('/', '%2f')}")[0] != 500


NAMES = ["..", ".", "/", "../../others/new", "/etc/new", "a/../../b", "..\\..\\new", "\x00", "a\nb.jpg", "a" * 5000]
NAMES += ["\u202egpj.exe", "\ud7ff.jpg", "film.jpg\x00.png", "con", "film.jpg/", "%2e%2e%2fnew", "a." + "b" * 300]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:20])
def test_names_of_files_that_are_sent_lead_nowhere(label_server: LabelServer, home: Path, name: str) -> None:
    before = everything(home)
    film = (home / "studies" / "film.jpg").read_bytes()
    url = label_server.url
    sent = {"file": (name, film)}
    answers = [
        requests.post(f"{url}/infer/chest_segmentation?output=json", files=sent, timeout=120),
        requests.put(f"{url}/datastore/image", params={"image": "../x"}, files=sent, timeout=60),
        requests.put(f"{url}/datastore/label?image=film", files={"label": (name, film)}, timeout=60),
        requests.post(f"{url}/infer/wsi_v2/chest_segmentation", files=sent, timeout=60),
    ]
    session = put_session(label_server, (name, film), (name, film))
    answers.append(session)
    assert all(answer.status_code in (200, 400, 404, 422) for answer in answers), [each.text for each in answers]
    if session.status_code == 200:
        requests.delete(f"{url}/session/{session.json()['session_id']}", timeout=60)
    assert_unchanged(home, before)


def assert_unchanged(home: Path, before: list[str]) -> None:
    """See that nothing came or went, when the server has had time to remove what it has for an answer."""
    deadline = time.monotonic() + 5
    while (came := set(everything(home)) - set(before)) and time.monotonic() < deadline:
        time.sleep(0.1)
    gone = set(before) - set(everything(home))
    assert (came, {name for name in gone if not name.startswith("temporary/")}) == (set(), set())


def everything(home: Path) -> list[str]:
    """Return all files and folders but those that only tell of locks and logs."""
    # Not by `rglob`, which fails where a folder goes meanwhile.
    paths = (Path(place) / name for place, folders, files in os.walk(home) for name in (*folders, *files))
    found = (str(path.relative_to(home)) for path in paths)
    return sorted(name for name in found if not name.endswith((".lock", ".log", "sessions")))


IDS = ["../new", "labels", "LABELS", "datastore_v2.json", ".hidden", "a" * 201, "\u00e4" * 150, "a/b", "a\\b", "a\x7f"]
IDS += ["new\u202e", "\u0085", "a\nb"]


@pytest.mark.parametrize("name", IDS, ids=lambda name: ascii(name)[:20])
def test_ids_and_tags_that_are_no_plain_names_are_refused(label_server: LabelServer, home: Path, name: str) -> None:
    before = everything(home)
    film = (home / "studies" / "film.jpg").read_bytes()
    url = f"{label_server.url}/datastore"
    image = requests.put(f"{url}/image", params={"image": name}, files={"file": ("a", film)}, timeout=60)
    label = {"image": "film", "tag": name}
    tagged = requests.put(f"{url}/label", params=label, files={"label": ("a.png", film)}, timeout=60)
    saved = {"params": json.dumps({"save_label": True, "label_tag": name})}
    kept = requests.post(f"{label_server.url}/infer/chest_segmentation?image=film", data=saved, timeout=120)
    assert [answer.status_code for answer in (image, tagged, kept)] == [400, 400, 400]
    assert_unchanged(home, before)


def archive_of(kind: Any, members: Mapping[str, bytes]) -> bytes:
    content = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, data in members.items():
                packed.writestr(name, data)
    else:
        mode: Any = f"w:{kind}"
        with tarfile.open(fileobj=content, mode=mode) as tar:
            for name, data in members.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return content.getvalue()


def links(name: str, target: str) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            member = tarfile.TarInfo(f"{name}{kind.decode()}")
            member.type, member.linkname = kind, target
            tar.addfile(member)
    return content.getvalue()


@pytest.mark.parametrize("kind", ["zip", "", "gz", "xz"])
def test_archives_are_unpacked_flat_inside_their_session(label_server: LabelServer, home: Path, kind: str) -> None:
    film = (home / "studies" / "film.jpg").read_bytes()
    sent = archive_of(kind, {"folder/film.jpg": film})
    session = put_session(label_server, ("a.bin", sent), uncompress=True).json()["session_id"]
    assert infer(label_server, session_id=session).status_code == 200
    before = everything(home)
    for name in ("../escaped.jpg", "/etc/escaped.jpg", "a/../../../escaped.jpg", "..\\escaped.jpg"):
        answer = put_session(label_server, ("a.bin", archive_of(kind, {name: film})), uncompress=True)
        assert answer.status_code in (200, 400)
        if answer.status_code == 200:
            requests.delete(f"{label_server.url}/session/{answer.json()['session_id']}", timeout=60)
    assert_unchanged(home, before)


def test_links_and_devices_of_an_archive_are_left_out(label_server: LabelServer, home: Path) -> None:
    sent = links("link", str(home / "others" / "film.jpg"))
    session = put_session(label_server, ("a.tar", sent), uncompress=True).json()["session_id"]
    assert [path.name for path in (home / "server" / "models" / "sessions" / session / "files").iterdir()] == []
    assert infer(label_server, session_id=session).status_code == 400


@pytest.mark.parametrize("kind", ["zip", "gz", "xz", "bz2"])
def test_an_archive_that_unpacks_to_gigabytes_is_refused(label_server: LabelServer, home: Path, kind: Any) -> None:
    content = io.BytesIO()
    zeros = bytes(2**20)
    if kind == "zip":
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed, packed.open("a", "w") as member:
            for _ in range(1100):
                member.write(zeros)
    else:
        about = tarfile.TarInfo("a")
        about.size = 2**40  # what it says is enough: nothing of it is unpacked
        mode: Any = f"w:{kind}"
        with tarfile.open(fileobj=content, mode=mode) as tar:
            tar.addfile(tarfile.TarInfo("b"))
            tar.fileobj.write(about.tobuf())
    before = everything(home)
    answer = put_session(label_server, ("a.bin", content.getvalue()), uncompress=True)
    assert answer.status_code == 400
    assert "cannot be unpacked" in answer.json()["detail"]
    assert_unchanged(home, before)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_a_header_of_a_member_that_would_fill_the_memory_is_not_read(tmp_path: Path, kind: bytes) -> None:
    from label.sessions import FilmSessions

    about = tarfile.TarInfo("a")
    about.type, about.size = kind, 64 * 2**20
    packed = gzip.compress(about.tobuf(tarfile.USTAR_FORMAT) + bytes(about.size), 1)
    tracemalloc.start()
    try:
        with pytest.raises(shutil.ReadError):
            FilmSessions(str(tmp_path)).add([("a.tgz", io.BytesIO(packed))], uncompress=True)
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
    answer = requests.put(f"{label_server.url}/datastore/label", params={"image": "film"}, files=sent, timeout=60)
    letter.unlink()
    assert answer.status_code == 400
    assert "is no label" not in answer.json()["detail"]  # which would tell a byte of it


@pytest.mark.parametrize(
    ("route", "params"),
    [
        ("train/chest_landmarks", {"bundle_path": "{home}/others"}),
        ("train/", {"chest_landmarks": {"bundle_path": "{home}/others"}}),
        ("train/", {"bundle_path": "{home}/others"}),
        ("scoring/landmark_uncertainty", {"bundle_path": "{home}/others"}),
        ("scoring/", {"landmark_uncertainty": {"bundle_path": "{home}/others"}}),
        ("activelearning/random", {"bundle_path": "{home}/others"}),
        ("batch/infer/chest_segmentation", {"bundle_path": "{home}/others"}),
        ("train/chest_landmarks", {"gpus": "0; touch {home}/others/new"}),
        ("train/chest_landmarks", {"filler": "x" * 200_000}),
    ],
)
def test_parameters_do_not_reach_the_processes_that_work_on_them(
    label_server: LabelServer, home: Path, route: str, params: dict[str, Any]
) -> None:
    """A folder that a client had filled would be on the search path for programs of the process."""
    text = json.dumps(params).replace("{home}", str(home))
    answer = requests.post(f"{label_server.url}/{route}", json=json.loads(text), timeout=60)
    assert answer.status_code == 400, answer.text
    assert str(home) not in answer.text
