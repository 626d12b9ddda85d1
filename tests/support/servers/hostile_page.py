"""The web page with files around it that no client may touch, and what hostile clients send to it."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from support.servers.hostile_web_client import SECRET, Answer, Canaries, PageClient, request
from support.servers.web_page import page_server

__all__ = [
    "HOSTILE_VALUES",
    "HOST_ROUTES",
    "IMPOSSIBLE_UPLOADS",
    "NO_EVENTS",
    "PATH_TRICKS",
    "USELESS_FILES",
    "Page",
    "from_host",
    "from_origin",
    "guarded_page",
    "in_addresses",
    "in_calls_by_name",
    "in_component_functions",
    "in_events",
    "in_settings",
    "in_uploads",
    "refused",
]

_names = count()


class Page:
    """A server, its folder, and what lies around it."""

    def __init__(
        self, address: str, folder: Path, canaries: Canaries, outside: str, asked: list[str], pid: int
    ) -> None:
        self.address, self.folder, self.canaries, self.outside, self.asked = address, folder, canaries, outside, asked
        self.pid = pid
        self.port = urlsplit(address).port

    @property
    def own_folder(self) -> Path:
        return next(self.folder.glob("chexmask-u-demo-*"))

    def client(self) -> PageClient:
        return PageClient(self.address, f"client{next(_names)}")

    def log(self) -> str:
        return (self.folder / "server.log").read_text(encoding="utf-8")


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


@contextmanager
def guarded_page(prefix: Sequence[str] = ()) -> Iterator[Page]:
    """Run a page with canaries beside it; the prefix is a command that runs the page's."""
    with tempfile.TemporaryDirectory() as name, elsewhere() as (outside, asked):
        folder = Path(name)
        folder.chmod(0o777)
        canaries = Canaries(folder / "canaries")
        prefix = ["env", f"HOME={folder}", *prefix] if prefix else []
        with page_server(folder, prefix=prefix) as (address, process):
            yield Page(address, folder, canaries, outside, asked, process.pid)


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
            *("/static/", "/assets/", "/svelte/", "/static/../", "/assets/..%2f..%2f", "/results/", "/images/"),
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


PATH_TRICKS: Final[list[Callable[[Page, Any], list[Answer]]]] = [
    in_events,
    in_calls_by_name,
    in_component_functions,
    in_addresses,
    in_uploads,
]


HOSTILE_VALUES: Final[list[Any]] = [
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


NO_EVENTS: Final = [
    *(b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000, b'{"data": NaN}', b"9" * 10_000),
    *(b'{"session_hash": "a", "fn_index": 0, "data": [Infinity]}', b'{"session_hash": "a/../b", "fn_index": 0}'),
    *(
        b'{"session_hash": ["a"], "fn_index": 0, "data": []}',
        b'{"session_hash": "a", "fn_index": true, "data": []}',
    ),
    *(b'{"session_hash": "a", "fn_index": 19, "data": []}', b'{"session_hash": "a", "fn_index": -1, "data": []}'),
    *(b'{"session_hash": "a", "fn_index": 1e0, "data": []}', b'{"session_hash": "a", "fn_index": 0, "data": {}}'),
    b'{"session_hash": "a", "fn_index": 18, "data": [], "trigger_id": {"a": 1}}',
]
"""Bodies that put nothing into the queue."""

IMPOSSIBLE_UPLOADS: Final[list[tuple[bytes, dict[str, str], int]]] = [
    (b"", {}, 400),
    (b"x", {"Content-Length": str(10**12)}, 413),
    (b"x", {"Content-Length": str(201 * 1024**2)}, 413),
    (b"1\r\nx\r\n0\r\n\r\n", {"Transfer-Encoding": "chunked"}, 411),
    (b"x", {"Content-Length": "+1"}, 400),
    (b"x", {"Content-Length": "1, 2"}, 400),
    (b"x", {"Content-Length": "-1"}, 400),
]
"""Content and headers of uploads, with the status that each gets."""

USELESS_FILES: Final = [b"x", b"\x89PNG\r\n\x1a\n", b"<svg onload=alert(1)>", b"\x00" * 200, b"DICM" * 50]

HOST_ROUTES: Final = (("GET", "/"), ("POST", "/gradio_api/queue/join"), ("GET", "/images/a/b.jpg"))


def from_host(page: Page, host: str) -> list[Answer]:
    """Ask in the name of another host."""
    headers = {"Host": host.format(port=page.port)}
    return [request(page.address, method, path, b"{}", headers) for method, path in HOST_ROUTES]


def from_origin(page: Page, origin: str) -> list[Answer]:
    """Ask as a page of another site does."""
    headers = {"Origin": origin.format(port=page.port), "Access-Control-Request-Method": "POST"}
    paths = ("/", "/gradio_api/queue/join", f"/uploads/a/{'0' * 64}", "/images/a/b.jpg", "/results/a/b")
    methods = ("GET", "POST", "OPTIONS", "HEAD")
    return [request(page.address, method, path, b"{}", headers) for method in methods for path in paths]


def in_settings(page: Page, value: Any) -> list[Answer]:
    """Press Segment with a value in each place where no control has it."""
    client = page.client()
    good: list[Any] = [0, 0, 0, 5, "", "", "predictive", False, "noise"]
    fit: dict[int, list[Any]] = {0: [5.5], 1: [5.5], 2: [], 4: [""], 5: [""], 7: [True]}
    answers = []
    for place in range(len(good)):
        data = [*good[:place], value, *good[place + 1 :]]
        if not any(value is each or (value == each and type(value) is type(each)) for each in fit.get(place, [])):
            answers.append(client.join(client.function("segment", "click"), data))
    return answers
