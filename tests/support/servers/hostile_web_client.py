"""A client of a web server that plays tricks: what it sends, and how it reads the answer.

What is said here of hosts, origins and paths holds for any server; `PageClient` speaks to the web page.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import select
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

__all__ = [
    "FOREIGN_HOSTS",
    "FOREIGN_ORIGINS",
    "Answer",
    "Canaries",
    "PageClient",
    "file_data_tricks",
    "path_spellings",
    "raw_request",
    "request",
    "slow_request",
]

SECRET = b"CANARY-b7f2"

FOREIGN_HOSTS = (
    *("evil.example", "evil.example:{port}", "localhost.evil.example:{port}", "127.0.0.1.evil.example:{port}"),
    *("127.0.0.1:{port}@evil.example", "evil@127.0.0.1:{port}", "127.0.0.1:{port}.evil.example", "127.0.0.1:1"),
    *("127.1:{port}", "2130706433:{port}", "0x7f000001:{port}", "0177.0.0.1:{port}", "0.0.0.0:{port}", "[::]:{port}"),
    *("[::ffff:127.0.0.1]:{port}", "localhost..:{port}", "localhost:{port}:{port}", "localhost/:{port}"),
    *("localhost%00:{port}", "localhost:0{port}0", "local\u00adhost:{port}", ""),
)
"""Values of `Host` that no server at 127.0.0.1 goes by."""

FOREIGN_ORIGINS = (
    *("null", "http://evil.example", "http://localhost:1", "http://127.0.0.1:1", "https://127.0.0.1:{port}"),
    *("http://127.0.0.1:{port}.evil.example", "http://127.0.0.1:{port}@evil.example", "http://evil.example:{port}"),
    *("http://127.0.0.1:{port}/", "http://127.0.0.1:{port}, http://evil.example", "file://", "http://127.0.0.1"),
    *("http://localhost:{port}", "chrome-extension://evil", "http://127.0.0.1:{port}\\@evil.example"),
)
"""Values of `Origin` that are not of the server at http://127.0.0.1:{port}."""


@dataclass(frozen=True)
class Answer:
    """What a server answered; status 0 where it closed the connection."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def request(
    address: str,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    timeout: float = 20,
) -> Answer:
    """Send one request as it is, without cleaning its path; a `Host` among the headers replaces the own one."""
    parts = urlsplit(address)
    given = {name.lower(): value for name, value in (headers or {}).items()}
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", given.pop("host", parts.netloc).encode())
        if body is not None and "content-length" not in given and "transfer-encoding" not in given:
            connection.putheader("Content-Length", str(len(body)))
        for name, value in given.items():
            connection.putheader(name, value.encode())
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may have answered already
            connection.endheaders(body)
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    except (http.client.HTTPException, ConnectionError):
        return Answer(0)
    finally:
        connection.close()


def raw_request(address: str, data: bytes, *, timeout: float = 20) -> bytes:
    """Send bytes, and return what comes back until the server closes or says nothing more."""
    parts = urlsplit(address)
    received = b""
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=timeout) as connection:
        try:
            connection.sendall(data)
            while chunk := connection.recv(65536):
                received += chunk
        except (TimeoutError, ConnectionError):
            pass
    return received


def slow_request(address: str, head: bytes, pieces: Iterable[bytes], *, pause_s: float, longest_s: float = 20) -> bytes:
    """Send a head, and then a piece after each pause, until the server closes; return what it answered.

    Raises:
        TimeoutError: if the server has not closed in time.
    """
    parts = urlsplit(address)
    received, left, end = b"", iter(pieces), time.monotonic() + longest_s
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=longest_s) as connection:
        try:
            connection.sendall(head)
            while time.monotonic() < end:
                if select.select([connection], [], [], pause_s)[0]:
                    chunk = connection.recv(65536)
                    if not chunk:
                        return received
                    received += chunk
                else:
                    connection.sendall(next(left, b""))
        except ConnectionError:
            return received
    raise TimeoutError(f"the server held the connection for {longest_s:g} s")


class Canaries:
    """Folders and files that no trick may touch, and that tell whether it did.

    Args:
        folder: to be made, readable by everybody so that another user's server could reach it.
    """

    def __init__(self, folder: Path) -> None:
        """Put them there."""
        self.folder = folder
        folder.mkdir()
        self.file = folder / "patient.png"
        self.file.write_bytes(SECRET)
        (folder / "inner").mkdir()
        (folder / "inner" / "other.dcm").write_bytes(SECRET)
        os.mkfifo(folder / "fifo", 0o666)
        (folder / "link.png").symlink_to(self.file)
        for path in (folder, folder / "inner"):
            path.chmod(0o777)
        for path in (self.file, folder / "inner" / "other.dcm"):
            path.chmod(0o666)
            os.utime(path, (0, 86400 * 365))  # what is read gets a new time of access, also with `relatime`
        self.before = self._state()

    def are_untouched(self) -> bool:
        """Return whether all are there, as they were and unread."""
        return self._state() == self.before

    def _state(self) -> list[tuple[str, int, int, float]]:
        found = []
        for path in sorted(self.folder.rglob("*")):
            status = path.lstat()
            read = status.st_atime if path.suffix in (".png", ".dcm") and not path.is_symlink() else 0
            found.append((path.name, status.st_mode, status.st_size, read))
        return found


def path_spellings(path: Path, own_folder: Path) -> Iterator[str]:
    """Yield ways to name a path, as absolute and as relative to a folder of the server."""
    yield str(path)
    yield f"/{path}"
    yield f"{path.parent}/./{path.name}"
    yield f"{own_folder}/..{path}"
    yield f"{own_folder}/../../../../../../../..{path}"
    yield os.path.relpath(path, own_folder)
    yield f"../../../../../../..{path}"
    yield f"file://{path}"
    yield f"file:///..{path}"
    yield f"/proc/self/root{path}"
    yield f"/proc/self/cwd/../../../../..{path}"
    yield str(path).replace("/", "%2f")
    yield str(path).replace("/", "%252f")
    yield str(path).replace("/", "\\")
    yield f"{path}\x00.png"
    yield f"{path}/"
    yield f" {path} "
    yield str(path).replace("a", "\u0430")
    yield f"~root/../..{path}"
    yield "$HOME/../.." + str(path)


def file_data_tricks(path: str, url: str) -> Iterator[dict[str, Any]]:
    """Yield what stands for an uploaded file in Gradio's protocol, with a path of the client's choice."""
    meta = {"_type": "gradio.FileData"}
    yield {"path": path, "meta": meta}
    yield {"path": path}
    yield {"path": path, "meta": meta, "is_stream": True}
    yield {"path": path, "meta": meta, "is_stream": True, "orig_name": "../x.png", "size": -1}
    yield {"path": path, "url": f"file://{path}", "meta": meta}
    yield {"path": url, "url": url, "meta": meta}
    yield {"path": "x.png", "url": url, "meta": meta}
    yield {"path": path, "orig_name": path, "mime_type": "image/png", "size": 10**30, "meta": meta}
    yield {"name": path, "data": None, "is_file": True}
    yield {"name": path, "data": f"data:image/png;base64,{'A' * 40}", "is_file": False}


class PageClient:
    """A page of its own, without a browser.

    Args:
        address: of the server, such as `http://127.0.0.1:7860/`.
        session: name; a new one for each client.
        headers: of each request.
    """

    def __init__(self, address: str, session: str, headers: Mapping[str, str] | None = None) -> None:
        """Read the page."""
        self.address, self.session, self.headers = address.rstrip("/"), session, dict(headers or {})
        page = request(self.address, "GET", "/", headers=self.headers)
        assert page.status == 200, page
        found = re.search(rb"window\.gradio_config = (\{.*?\});\s*</script>", page.body, re.DOTALL)
        assert found
        config = json.loads(found[1])
        names = {item["id"]: item["props"].get("elem_id") for item in config["components"]}
        self.functions: dict[tuple[str | None, str], list[int]] = {}
        for dependency in config["dependencies"]:
            for target, event in dependency["targets"]:
                self.functions.setdefault((names.get(target), event), []).append(dependency["id"])

    def function(self, element: str | None, event: str) -> int:
        """Return the number of the function that an event of an element calls."""
        return self.functions[element, event][0]

    def join(self, number: Any, data: Any, **more: Any) -> Answer:
        """Put an event into the queue."""
        body = {"session_hash": self.session, "fn_index": number, "data": data, "trigger_id": None} | more
        return self.post("/gradio_api/queue/join", body)

    def post(self, path: str, body: Any) -> Answer:
        """Send JSON."""
        headers = {"Content-Type": "application/json", **self.headers}
        return request(self.address, "POST", path, json.dumps(body).encode(), headers)

    def call(self, number: int, data: Any, *, seconds: float = 60) -> dict[str, Any]:
        """Put an event into the queue and return its output, or the error's."""
        joined = self.join(number, data)
        assert joined.status == 200, joined
        event = json.loads(joined.body)["event_id"]
        for message in self._messages(seconds):
            if message.get("msg") == "process_completed" and message.get("event_id") == event:
                return {"success": message["success"], **(message["output"] or {})}
        raise AssertionError("the event was not completed")

    def upload(self, content: bytes) -> Answer:
        """Send a file to the address of the session; the answer's body is what opens it."""
        headers = {"Content-Type": "application/octet-stream", **self.headers}
        return request(self.address, "POST", self.upload_path(), content, headers)

    def upload_path(self) -> str:
        """Return the path to which the session sends its files."""
        output = self.call(self.functions[None, "load"][0], [])
        return f"/{output['data'][0]['props']['address']}"

    def open(self, content: bytes) -> dict[str, Any]:
        """Send a radiograph and open it."""
        sent = self.upload(content)
        assert sent.status == 200, sent
        return self.call(self.function("upload", "input"), [sent.body.decode()])

    def segment(self, **changed: Any) -> dict[str, Any]:
        """Press Segment."""
        values = {"noise": 0, "blur": 0, "contrast": 0, "samples": 5, "drawing": "", "cover": ""} | changed
        settings = [values[name] for name in ("noise", "blur", "contrast", "samples", "drawing", "cover")]
        return self.call(self.function("segment", "click"), [*settings, "predictive", False, "noise"])

    def _messages(self, seconds: float) -> Iterator[dict[str, Any]]:
        parts = urlsplit(self.address)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=seconds)
        end = time.monotonic() + seconds
        try:
            connection.request("GET", f"/gradio_api/queue/data?session_hash={self.session}", headers=self.headers)
            answer = connection.getresponse()
            assert answer.status == 200, answer.status
            while time.monotonic() < end and (line := answer.readline()):
                if line.startswith(b"data:"):
                    yield json.loads(line[5:])
        finally:
            connection.close()
