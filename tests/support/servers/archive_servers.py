"""Archives that do what a test wants of them: a web server with prepared answers, a DIMSE node."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.events import Event

__all__ = ["Answer", "Node", "Request", "WebServer", "serve_node", "stored_answer"]


@dataclass(frozen=True)
class Answer:
    """What a web server says; `missing` bytes of what it promises never come, if it says how long its body is."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/dicom+json"
    headers: Mapping[str, str] = field(default_factory=dict)
    missing: int = 0
    says_length: bool = True


@dataclass(frozen=True)
class Request:
    """What a web server was asked."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class WebServer:
    """A web server on this machine that gives prepared answers in turn, and the last one again and again.

    Attributes:
        answers: what it will say; an answer may be a function of the request.
        requests: what it was asked.
    """

    def __init__(self) -> None:
        self.answers: list[Answer | Callable[[Request], Answer]] = []
        self.requests: list[Request] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/dicom-web"

    def close(self) -> None:
        """Stop it; then nobody listens at its address."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, request: Request) -> Answer:
        """Return the next answer."""
        with self._lock:
            self.requests.append(request)
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer if isinstance(answer, Answer) else answer(request)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                request = Request(self.command, self.path, dict(self.headers), self.rfile.read(length))
                answer = server.answer(request)
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.content_type)
                if answer.says_length:
                    self.send_header("Content-Length", str(len(answer.body) + answer.missing))
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)

            do_POST = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler


def stored_answer(*uids: str, failed: Mapping[str, int] | None = None, warning: int | None = None) -> Answer:
    """Return the answer to STOW-RS: objects that were stored, perhaps with a warning, and such that were not."""
    answer = Dataset()
    answer.ReferencedSOPSequence = [_referenced(uid) for uid in uids]
    for item in answer.ReferencedSOPSequence:
        if warning is not None:
            item.WarningReason = warning
    answer.FailedSOPSequence = [_referenced(uid) for uid in failed or {}]
    for item, reason in zip(answer.FailedSOPSequence, (failed or {}).values(), strict=True):
        item.FailureReason = reason
    return Answer(202 if failed else 200, json.dumps(answer.to_json_dict()).encode())


def _referenced(uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.66.4", uid
    return item


@dataclass
class Node:
    """A DIMSE node on this machine.

    Attributes:
        address: AE@host:port.
        statuses: what it says to objects in turn; then 0x0000.
        received: SOP Instance UIDs, transfer syntaxes and the encoded data sets.
        callers: AE titles of those who associated.
        hold: it answers no object before this is set.
    """

    address: str
    statuses: list[int] = field(default_factory=list)
    received: list[tuple[str, str, bytes]] = field(default_factory=list)
    callers: list[str] = field(default_factory=list)
    hold: threading.Event | None = None

    def store(self, event: Event) -> int:
        """Keep an object and give its status."""
        request: Any = event.request
        data = request.DataSet.getvalue()
        self.received.append((str(request.AffectedSOPInstanceUID), str(event.context.transfer_syntax), data))
        self.callers.append(event.assoc.requestor.ae_title)
        if self.hold is not None:
            self.hold.wait(10)
        return self.statuses.pop(0) if self.statuses else 0x0000


@contextmanager
def serve_node(
    *supported: tuple[str, str],
    called: str = "NODE",
    max_associations: int = 10,
    tls: ssl.SSLContext | None = None,
) -> Iterator[Node]:
    """Run a node that takes pairs of SOP class and transfer syntax."""
    entity = AE(called)
    entity.require_called_aet = True
    entity.maximum_associations = max_associations
    for sop_class, transfer_syntax in supported:
        entity.add_supported_context(sop_class, transfer_syntax)
    node = Node("")
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, ssl_context=tls, evt_handlers=[(evt.EVT_C_STORE, node.store)]
    )
    assert server is not None
    node.address = f"{called}@127.0.0.1:{server.server_address[1]}"
    try:
        yield node
    finally:
        server.shutdown()
