from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monai_chexmask_u.demo.gate import Gate, is_choice, is_flag, is_number, is_text
from monai_chexmask_u.model import Model

pytest.importorskip("gradio")


def ask(app: Any, method: str, path: str, body: bytes = b"", query: bytes = b"") -> tuple[int, dict[str, str]]:
    sent: list[Any] = []
    messages = [{"type": "http.request", "body": body, "more_body": False}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return messages.pop(0) if len(messages) > 1 else messages[0]

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"cookie", b"a=b")]
    scope = {"type": "http", "method": method, "path": path, "query_string": query, "headers": headers}
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}


class Inner:
    """Notes what comes through."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen.append((scope, await receive() if scope["method"] == "POST" else None))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def routes_of(routes: list[Any]) -> Iterator[tuple[str, str]]:
    """Yield method and path of each route, also of mounted applications and included routers."""
    for route in routes:
        for inner in (getattr(route, "app", None), getattr(route, "original_router", None)):
            yield from routes_of(getattr(inner, "routes", None) or [])
        for method in getattr(route, "methods", None) or ():
            yield method, route.path


def test_of_all_routes_of_gradio_these_alone_are_answered(tiny_model: Model, tmp_path: Path) -> None:
    from monai_chexmask_u.demo.server import build_app

    gate: Any = build_app(tiny_model, tmp_path, device="cpu")
    inner = Inner()
    listed = Gate(inner, events={}, waiting=lambda name: 0)
    found = set(routes_of(gate.app.routes))
    assert len(found) > 60  # of Gradio and our own
    answered = set()
    for method, path in found:
        filled = re.sub(r"\{[^}]*\}", "a" * 64, path)
        query = b"session_hash=a" if path.endswith("/queue/data") else b""
        if ask(listed, method, filled, query=query)[0] != 404 and ask(listed, method, filled, query=query)[0] != 405:
            answered.add((method, path))
    assert answered == {
        *(("GET", "/"), ("HEAD", "/"), ("GET", "/theme.css"), ("GET", "/favicon.ico")),
        *(("GET", "/assets/{path:path}"), ("GET", "/static/{path:path}")),
        *(("GET", "/gradio_api/heartbeat/{session_hash}"), ("GET", "/gradio_api/queue/data")),
        ("POST", "/gradio_api/queue/join"),
        *(
            ("POST", "/uploads/{session}/{key}"),
            ("GET", "/results/{token}/{name}"),
            ("GET", "/images/{token}/{name}"),
        ),
    }


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/assets/../x",
            "/assets/..",
            "/assets//x",
            "/static/a/../../x",
            "/assets/%2e%2e/x",
            "/assets/a\\..\\x",
            "//",
        ),
        *("/assets/.\x00", "/assets/a\n", "/theme.css/", "/Theme.css", "/gradio_api/heartbeat/a/b", "/images/a/b/c"),
        *("/gradio_api/heartbeat/é", "/uploads/a/b", "/index.html", "/assets/" + "a" * 300, "/./", "/assets/a;b", ""),
    ],
)
def test_no_other_path_comes_through(path: str) -> None:
    inner = Inner()
    assert ask(Gate(inner, events={}, waiting=lambda name: 0), "GET", path)[0] in (404, 405)
    assert inner.seen == []


def test_an_event_is_written_anew(tmp_path: Path) -> None:
    inner = Inner()
    gate = Gate(inner, events={3: [is_flag]}, waiting=lambda name: 0)
    more = b'"event_id": "x", "batched": true, "event_data": {"a": 1}, "oauth_token": "x", "simple_format": true'
    body = b'{"session_hash": "a", "fn_index": 3, "data": [true], ' + more + b"}"
    assert ask(gate, "POST", "/gradio_api/queue/join", body, b"__x=1")[0] == 200
    scope, message = inner.seen[0]
    clean = b'{"session_hash": "a", "fn_index": 3, "data": [true], "trigger_id": null, "event_data": null}'
    assert message["body"] == clean
    assert scope["query_string"] == b""
    assert [name for name, _ in scope["headers"]] == [b"host", b"content-type"]


def test_a_session_that_waits_for_much_waits(tmp_path: Path) -> None:
    body = b'{"session_hash": "a", "fn_index": 3, "data": []}'
    for waiting, status in ((None, 200), (0, 200), (5, 200), (6, 429), (99, 429)):
        gate = Gate(Inner(), events={3: []}, waiting={"a": waiting}.__getitem__)
        assert ask(gate, "POST", "/gradio_api/queue/join", body)[0] == status
        expected = 404 if waiting is None else 200
        assert ask(gate, "GET", "/gradio_api/queue/data", query=b"session_hash=a")[0] == expected


def test_bodies_without_an_end_are_refused() -> None:
    gate = Gate(Inner(), events={}, waiting=lambda name: 0)
    sent: list[Any] = []
    pieces = [0]

    async def receive() -> Any:
        pieces[0] += 1
        return {"type": "http.request", "body": b"x" * 100_000, "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/gradio_api/queue/join", "query_string": b"", "headers": []}
    asyncio.run(gate(scope, receive, send))
    assert sent[0]["status"] == 413
    assert pieces[0] < 30


def test_checks_know_the_values_of_controls() -> None:
    slider = is_number(2, 200, whole=True)
    assert [slider(value) for value in (2, 200, 1, 201, 2.0, True, "2", None, float("nan"), 10**400)] == [True] * 2 + [
        False
    ] * 8
    real = is_number(0, 0.95)
    assert [real(value) for value in (0, 0.5, float("inf"), float("nan"), -(10**400))] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert is_choice(["a"])("a")
    assert not any(is_choice(["a"])(value) for value in ("b", "", None, ["a"], {"a": 1}))
    assert is_text("[a-z]*", 3)("abc")
    assert not any(is_text("[a-z]*", 3)(value) for value in ("abcd", "a\n", "A", None, ["a"]))


def test_every_answer_restricts_the_browser() -> None:
    for path in ("/", "/none"):
        headers = ask(Gate(Inner(), events={}, waiting=lambda name: 0), "GET", path)[1]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["cross-origin-resource-policy"] == "same-origin"


def test_pages_count_while_they_listen() -> None:
    gate: Any = None
    seen: list[dict[str, int]] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        seen.append(dict(gate.open_pages))
        raise ConnectionError

    gate = Gate(inner, events={}, waiting=lambda name: 0)
    for path in ("/gradio_api/heartbeat/a", "/theme.css"):
        with pytest.raises(ConnectionError):
            ask(gate, "GET", path)
    assert seen == [{"a": 1}, {}]
    assert gate.open_pages == {}
