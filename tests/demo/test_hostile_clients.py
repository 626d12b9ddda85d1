"""A real server of the page, and clients that play tricks on it."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from hostile_web_client import (
    FOREIGN_HOSTS,
    FOREIGN_ORIGINS,
    SECRET,
    Answer,
    Canaries,
    PageClient,
    file_data_tricks,
    path_spellings,
    raw_request,
    request,
)
from web_page import page_server, wait_until

from monai_chexmask_u.demo.examples import draw_phantom

pytest.importorskip("gradio")

_names = count()


class Page:
    """A server, its folder, and what lies around it."""

    def __init__(self, address: str, folder: Path, canaries: Canaries, outside: str, asked: list[str]) -> None:
        self.address, self.folder, self.canaries, self.outside, self.asked = address, folder, canaries, outside, asked
        self.port = urlsplit(address).port

    @property
    def own_folder(self) -> Path:
        return next(self.folder.glob("chexmask-u-demo-*"))

    def client(self) -> PageClient:
        return PageClient(self.address, f"client{next(_names)}")

    def log(self) -> str:
        return (self.folder / "server.log").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def radiograph() -> bytes:
    buffer = io.BytesIO()
    draw_phantom().resize((256, 256)).save(buffer, "PNG")
    return buffer.getvalue()


def as_nobody() -> list[str]:
    """Return the command that runs another as a user who may do nothing, or skip."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can run the page as another user, with setpriv")
    prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    tried = subprocess.run([*prefix, sys.executable, "-c", "import monai_chexmask_u"], capture_output=True)
    if tried.returncode != 0:
        pytest.skip("another user cannot run this Python")
    return prefix


@contextmanager
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """Run a web server that the page has no business with; yield its address and what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/x.png", asked
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module", params=["this user", pytest.param("nobody", marks=pytest.mark.slow)])
def page(request: pytest.FixtureRequest) -> Iterator[Page]:
    prefix = as_nobody() if request.param == "nobody" else []
    with tempfile.TemporaryDirectory() as name, elsewhere() as (outside, asked):
        folder = Path(name)
        folder.chmod(0o777)
        canaries = Canaries(folder / "canaries")
        prefix = ["env", f"HOME={folder}", *prefix] if prefix else []
        with page_server(folder, prefix=prefix) as (address, _):
            yield Page(address, folder, canaries, outside, asked)


def refused(answer: Answer) -> bool:
    """Return whether an answer says in one sentence that it is none, and nothing of the machine."""
    sentence = answer.body.decode("utf-8", errors="replace")
    silent = not any(part in sentence for part in ("Traceback", "canaries", "chexmask-u-demo-", "/tmp", "/root"))
    return 400 <= answer.status < 500 and len(sentence) < 300 and silent and SECRET not in answer.body


# Each sends one kind of trick with a path (or an address) in it, and returns the answers.


def in_events(page: Page, value: Any) -> list[Answer]:
    client = page.client()
    upload = client.function("upload", "input")
    answers = [client.join(upload, data) for data in ([value], value, [[value]], [{"value": value}], [value, None])]
    answers.append(client.join(upload, [None], event_data=value, request=value, batched=True, event_id="x"))
    settings = [0, 0, 0, 5, "", "", "predictive", False, "noise"]
    for place in range(len(settings)):
        changed = [*settings[:place], value, *settings[place + 1 :]]
        answers.append(client.join(client.function("segment", "click"), changed))
    answers += [client.join(client.function("example", "input"), [value])]
    answers += [client.join(client.function("measure", "input"), [value, False, "noise"])]
    return answers


def in_calls_by_name(page: Page, value: Any) -> list[Answer]:
    client = page.client()
    body = {"data": [value], "session_hash": client.session, "fn_index": client.function("upload", "input")}
    names = ("_open_upload", "predict", "segment", "_segment", "0", "lambda")
    routes = ("/gradio_api/run", "/gradio_api/api", "/gradio_api/call", "/gradio_api/call/v2", "/run", "/api", "/call")
    return [client.post(f"{route}/{name}{end}", body) for route in routes for name in names for end in ("", "/")]


def in_component_functions(page: Page, value: Any) -> list[Answer]:
    client = page.client()
    answers = []
    for function in ("upload", "postprocess", "preprocess", "read_from_flag", "as_example"):
        body = {"data": value, "component_id": 4, "fn_name": function, "session_hash": client.session}
        answers.append(client.post("/gradio_api/component_server", body))
    return answers


def in_addresses(page: Page, value: Any) -> list[Answer]:
    if not isinstance(value, str) or any(character in value for character in "\x00 "):
        return []
    answers = []
    for spelled in {value, quote(value), quote(value, safe=""), quote(quote(value, safe=""), safe="")}:
        text = spelled.encode("ascii", errors="ignore").decode()
        for before in (
            *("/gradio_api/file=", "/gradio_api/file/", "/file=", "/file/", "/gradio_api/proxy=", "/proxy="),
            *("/static/", "/assets/", "/svelte/", "/static/../", "/assets/..%2f..%2f", "/results/", "/pictures/"),
            *("/uploads/", "/gradio_api/custom_component/", "/gradio_api/stream/", "/", "//", "/theme.css/../"),
            *("/gradio_api/heartbeat/", "/gradio_api/queue/data/", "/gradio_api/deep_link/", "/?deep_link=../"),
        ):
            answer = request(page.address, "GET", f"{before}{text}")
            # A query of the page, and a name of a session that is none, are no paths.
            harmless = answer.status == 200 and SECRET not in answer.body and before == "/?deep_link=../"
            answers += [] if harmless else [answer]
    return answers


def in_uploads(page: Page, value: Any) -> list[Answer]:
    client = page.client()
    boundary = "b"
    name = json.dumps(str(value))[1:-1]
    disposition = f'Content-Disposition: form-data; name="files"; filename="{name}"'
    part = f"--{boundary}\r\n{disposition}\r\n\r\nx\r\n--{boundary}--\r\n"
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    body = part.encode()
    paths = ["/gradio_api/upload", "/upload", f"/gradio_api/upload?upload_id={client.session}", "/uploads/x/y"]
    paths += [f"/uploads/{client.session}/{'0' * 64}", "/gradio_api/process_recording", "/gradio_api/upload/"]
    return [request(page.address, "POST", path, body, headers) for path in paths]


TRICKS: list[Callable[[Page, Any], list[Answer]]] = [
    in_events,
    in_calls_by_name,
    in_component_functions,
    in_addresses,
    in_uploads,
]


@pytest.mark.parametrize("trick", TRICKS, ids=lambda trick: trick.__name__)
def test_no_path_of_a_client_is_opened_or_deleted(page: Page, trick: Callable[[Page, Any], list[Answer]]) -> None:
    canaries = page.canaries
    targets = (canaries.file, canaries.folder / "fifo", canaries.folder / "link.png", canaries.folder / "none.png")
    values: list[Any] = [text for path in targets[:1] for text in path_spellings(path, page.own_folder)]
    values += [str(path) for path in (*targets[1:], canaries.folder, canaries.folder / "inner")]
    values += [page.outside, page.outside.replace("http", "HTTP"), "file:///etc/passwd", "/etc/passwd"]
    if trick in (in_events, in_calls_by_name, in_component_functions):
        values = values[:3] + [one for path in targets for one in file_data_tricks(str(path), page.outside)]
    if trick is in_calls_by_name:
        values = values[::6]
    answers = [answer for value in values for answer in trick(page, value)]
    assert len(answers) > 50
    assert [answer for answer in answers if not refused(answer)] == []
    assert canaries.are_untouched()
    assert page.asked == []
    assert "Traceback" not in page.log()


def test_nothing_tells_whether_a_path_exists(page: Page) -> None:
    client, canaries = page.client(), page.canaries
    upload = client.function("upload", "input")
    for there, absent in ((canaries.file, canaries.folder / "absent.png"), (page.own_folder, canaries.folder / "no")):
        joined = [client.join(upload, [str(path)]) for path in (there, absent)]
        fetched = [request(page.address, "GET", f"/gradio_api/file={path}") for path in (there, absent)]
        for first, second in (joined, fetched):
            assert (first.status, first.body) == (second.status, second.body)


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_foreign_hosts_get_nothing(page: Page, host: str) -> None:
    for method, path in (("GET", "/"), ("POST", "/gradio_api/queue/join"), ("GET", "/pictures/a/b.jpg")):
        answer = request(page.address, method, path, b"{}", {"Host": host.format(port=page.port)})
        assert answer.status in (400, 403)
        assert answer.body.count(b"\n") <= 1
        forwarded = {
            "Host": "evil.example",
            "X-Forwarded-Host": f"127.0.0.1:{page.port}",
            "Forwarded": "host=localhost",
        }
        assert request(page.address, method, path, b"{}", forwarded).status == 403


def test_an_upload_opens_once_and_in_its_session_alone(page: Page, radiograph: bytes) -> None:
    mine, yours = page.client(), page.client()
    sent = mine.upload(radiograph)
    assert sent.status == 200
    name = sent.body.decode()
    number = mine.function("upload", "input")
    stolen, absent = (yours.call(number, [each]) for each in (name, "x" * len(name)))
    assert (stolen["success"], stolen["error"]) == (False, absent["error"])
    assert mine.call(number, [name])["success"]
    again = mine.call(number, [name])
    assert again["error"] == stolen["error"]
    path = f"/uploads/{mine.session}/{'0' * 64}"
    assert request(page.address, "POST", path, radiograph).status == 404
    assert list(page.own_folder.glob("upload-*")) == []
    assert yours.segment()["error"].startswith("Choose a film first")


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
def test_foreign_origins_get_nothing(page: Page, origin: str) -> None:
    own = f"http://127.0.0.1:{page.port}"
    for method in ("GET", "POST", "OPTIONS", "HEAD"):
        for path in ("/", "/gradio_api/queue/join", f"/uploads/a/{'0' * 64}", "/pictures/a/b.jpg", "/results/a/b"):
            headers = {"Origin": origin.format(port=page.port), "Access-Control-Request-Method": "POST"}
            answer = request(page.address, method, path, b"{}", headers)
            assert answer.status == 403
            assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert not [name for name in request(page.address, "GET", "/", headers={"Origin": own}).headers if "allow" in name]
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert request(page.address, "GET", "/", headers=link).status == 200
    assert request(page.address, "GET", "/theme.css", headers=link).status == 403


HOSTILE_VALUES: list[Any] = [
    *(None, True, -1, 10**9, 10**400, 1e308, "5", "", [], [5], {}, {"a": 1}, "../x", "<img src=x onerror=alert(1)>"),
    *(
        "noise\x00",
        "\uff4eoise",
        "data:image/png;base64,",
        "data:text/html;base64,AAAA",
        "data:image/png;base64,AA=A",
        5.5,
    ),
]


@pytest.mark.parametrize("value", HOSTILE_VALUES, ids=lambda value: repr(value)[:20])
def test_values_that_no_control_has_are_refused(page: Page, value: Any) -> None:
    client = page.client()
    good: list[Any] = [0, 0, 0, 5, "", "", "predictive", False, "noise"]
    fit: dict[int, list[Any]] = {0: [5.5], 1: [5.5], 2: [], 4: [""], 5: [""], 7: [True]}
    for place in range(len(good)):
        data = [*good[:place], value, *good[place + 1 :]]
        if not any(value is each or (value == each and type(value) is type(each)) for each in fit.get(place, [])):
            answer = client.join(client.function("segment", "click"), data)
            assert answer.status == 422, (place, value)
            assert refused(answer)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000, b'{"data": NaN}', b"9" * 10_000),
        *(b'{"session_hash": "a", "fn_index": 0, "data": [Infinity]}', b'{"session_hash": "a/../b", "fn_index": 0}'),
        *(
            b'{"session_hash": ["a"], "fn_index": 0, "data": []}',
            b'{"session_hash": "a", "fn_index": true, "data": []}',
        ),
        *(b'{"session_hash": "a", "fn_index": 19, "data": []}', b'{"session_hash": "a", "fn_index": -1, "data": []}'),
        *(b'{"session_hash": "a", "fn_index": 1e0, "data": []}', b'{"session_hash": "a", "fn_index": 0, "data": {}}'),
        b'{"session_hash": "a", "fn_index": 18, "data": [], "trigger_id": {"a": 1}}',
    ],
    ids=lambda body: body[:24].decode("latin-1"),
)
def test_what_is_no_event_is_refused(page: Page, body: bytes) -> None:
    answer = request(page.address, "POST", "/gradio_api/queue/join", body, {"Content-Type": "application/json"})
    assert refused(answer)
    assert "Traceback" not in page.log()


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"", {}, 400),
        (b"x", {"Content-Length": str(10**12)}, 413),
        (b"x", {"Content-Length": str(201 * 1024**2)}, 413),
        (b"1\r\nx\r\n0\r\n\r\n", {"Transfer-Encoding": "chunked"}, 411),
        (b"x", {"Content-Length": "+1"}, 400),
        (b"x", {"Content-Length": "1, 2"}, 400),
        (b"x", {"Content-Length": "-1"}, 400),
    ],
    ids=str,
)
def test_uploads_of_impossible_sizes_are_refused(
    page: Page, content: bytes, headers: dict[str, str], status: int
) -> None:
    client = page.client()
    sent = client.call(client.functions[None, "load"][0], [])
    path = "/" + sent["data"][0]["props"]["address"]
    assert request(page.address, "POST", path, content, headers).status == status
    assert list(page.own_folder.glob("upload-*")) == []


def test_an_upload_that_ends_early_leaves_nothing(page: Page, radiograph: bytes) -> None:
    client = page.client()
    path = "/" + client.call(client.functions[None, "load"][0], [])["data"][0]["props"]["address"]
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\nContent-Length: 100000\r\n\r\n"
    raw_request(page.address, head.encode() + radiograph[:1000], timeout=1)
    end = time.monotonic() + 10
    while list(page.own_folder.glob("upload-*")):
        assert time.monotonic() < end
        time.sleep(0.1)
    assert client.open(radiograph)["success"]


def test_huge_headers_are_refused(page: Page) -> None:
    for text in ("x" * 10**6, "\r\n".join(f"x{number}: y" for number in range(10**5))):
        head = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\nx: {text}\r\n\r\n"
        assert raw_request(page.address, head.encode())[9:12] in (b"400", b"431", b"")


@pytest.mark.parametrize("content", [b"x", b"\x89PNG\r\n\x1a\n", b"<svg onload=alert(1)>", b"\x00" * 200, b"DICM" * 50])
def test_files_of_no_use_are_named_in_a_sentence(page: Page, content: bytes) -> None:
    client = page.client()
    answer = client.open(content)
    assert answer["success"] is False
    assert "/" not in answer["error"]
    assert len(answer["error"]) < 200
    assert list(page.own_folder.glob("upload-*")) == []


def test_invented_sessions_lock_nobody_out(page: Page, radiograph: bytes) -> None:
    client = page.client()
    for number in range(120):
        client.join(client.function("measure", "input"), ["latent", False, "noise"])
        client.session = f"invented{number}"
    good = page.client()
    wait_until("the queue has room", lambda: good.join(good.functions[None, "load"][0], []).status == 200, seconds=10)
    assert good.open(radiograph)["success"]
    assert good.segment()["success"]
    assert len(list(page.own_folder.glob("session-*"))) <= 60


def test_one_session_cannot_fill_the_queue(page: Page, radiograph: bytes) -> None:
    client, other = page.client(), page.client()
    click = client.function("segment", "click")
    answers = [client.join(click, [0, 0, 0, 5, "", "", "predictive", False, "noise"]) for _ in range(20)]
    assert {answer.status for answer in answers} == {200, 429}
    assert other.open(radiograph)["success"]


def test_clients_that_listen_twice_and_leave_fill_no_log(page: Page, radiograph: bytes) -> None:
    client = page.client()
    assert client.open(radiograph)["success"]
    before = page.log()
    client.join(client.function("segment", "click"), [90, 0, 0, 100, "", "", "predictive", False, "noise"])
    head = f"GET /gradio_api/queue/data?session_hash={client.session} HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\n\r\n"
    listening = [socket.create_connection(("127.0.0.1", page.port)) for _ in range(3)]
    for connection in listening:
        connection.sendall(head.encode())
        assert b"200" in connection.recv(100)
    for connection in listening:
        connection.close()
    time.sleep(2)  # until the server has noticed
    assert page.log() == before
    assert page.client().open(radiograph)["success"]


def test_results_have_no_names_but_the_offered(page: Page, radiograph: bytes) -> None:
    client = page.client()
    client.open(radiograph)
    output = client.segment()
    links = [part for part in str(output["data"]).split('"') if part.startswith("results/")]
    assert request(page.address, "GET", f"/{links[0]}").status == 200
    token = links[0].split("/")[1]
    for name in ("..", "film.seg.dcm", "film.json%00", "film.json/", "..%2ffilm.json", "altered.json", "film.json%20"):
        assert refused(request(page.address, "GET", f"/results/{token}/{name}"))
    for wrong in (token[:-1], token + "A", token.swapcase(), "é".encode().hex(), "%ed%b2%80", "-"):
        assert refused(request(page.address, "GET", f"/results/{wrong}/film.json"))
        assert refused(request(page.address, "GET", f"/pictures/{wrong}/film.jpg"))
    assert list(page.own_folder.glob("*/results")) == []


def test_headers_restrict_what_a_browser_does(page: Page) -> None:
    for path in ("/", "/theme.css", "/nothing", "/pictures/a/b.jpg"):
        headers = request(page.address, "GET", path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


def test_the_page_names_no_path_of_the_machine(page: Page) -> None:
    body = request(page.address, "GET", "/").body.decode()
    for path in (page.folder, Path(sys.prefix), Path.cwd(), Path.home()):
        assert str(path) not in body


def test_a_sentence_about_a_file_is_no_html(page: Page, chest_cr: Path) -> None:
    import pydicom

    file = pydicom.dcmread(chest_cr)
    file.Modality = "<img src=x onerror=alert(1)>"[:16]
    file.ViewPosition = "<b onload=x>LAT"
    buffer = io.BytesIO()
    file.save_as(buffer)
    answer = page.client().open(buffer.getvalue())
    assert "<" not in str(answer.get("error", ""))


def test_the_page_still_works_after_all_of_this(page: Page, radiograph: bytes) -> None:
    client = page.client()
    assert client.open(radiograph)["success"]
    assert client.segment(noise=20)["success"]
    assert page.canaries.are_untouched()
    assert "Traceback" not in page.log()
    assert [line for line in page.log().splitlines() if "ERROR" in line] == []
