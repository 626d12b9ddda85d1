"""The gate in front of Gradio's server: it passes what the page needs, and nothing else.

Gradio offers many more addresses than a page uses: files of the machine by their path, addresses to fetch, functions by
name. Here is the list of those that are answered; what the page sends is checked value by value and written again, so
that nothing that is not a value of one of its controls reaches Gradio.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from monai_chexmask_u.request_guard import Application, Message, Receive, Scope, Send

__all__ = ["MAX_EVENT_BYTES", "OPEN_ROUTES", "Check", "Gate", "is_choice", "is_flag", "is_number", "is_text"]

Check = Callable[[Any], bool]
"""Whether a value is one of a control."""

MAX_EVENT_BYTES: Final = 2_100_000
EVENT_SECONDS: Final = 30.0
MOST_WAITING: Final = 6
_SESSION: Final = "[A-Za-z0-9_-]{1,64}"
_NAME: Final = "[A-Za-z0-9_-][A-Za-z0-9_.-]{0,200}"
JOIN: Final = "/gradio_api/queue/join"
DATA: Final = "/gradio_api/queue/data"
HEARTBEAT: Final = "/gradio_api/heartbeat/"
OPEN_ROUTES: Final = {
    re.compile(r"/"): ("GET", "HEAD"),
    re.compile(rf"/(assets|static)(/{_NAME}){{1,6}}"): ("GET", "HEAD"),
    re.compile(r"/theme\.css|/favicon\.ico"): ("GET", "HEAD"),
    re.compile(rf"{HEARTBEAT}{_SESSION}"): ("GET",),
    re.compile(DATA): ("GET",),
    re.compile(JOIN): ("POST",),
    re.compile(rf"/uploads/{_SESSION}/[0-9a-f]{{64}}"): ("POST",),
    re.compile(rf"/(images|results)/{_NAME}/{_NAME}"): ("GET",),
}
"""Paths that are answered, and by which methods."""

# The page loads nothing from elsewhere, and says so to the browser. Gradio's own scripts are inline.
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
        "connect-src 'self' data: blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class _Refusal(Exception):
    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Gate:
    """ASGI middleware that passes on what the page sends, and nothing else.

    Args:
        app: what answers the page.
        events: the checks of the values of each function that the page calls, by its number.
        waiting: how many events of a session wait, run, or have results that nobody has fetched; None for a session
            that is not known.

    Attributes:
        open_pages: how many pages are open, by the name of the session.
    """

    def __init__(
        self, app: Application, *, events: Mapping[int, Sequence[Check]], waiting: Callable[[str], int | None]
    ) -> None:
        """Keep the rules."""
        self.app = app
        self.open_pages: Counter[str] = Counter()
        self.events = events
        self.waiting = waiting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it in one sentence."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        sending = _Sending(send)
        try:
            _check_route(scope)
            with self._page(scope["path"]):
                await self.app(*await self._rewritten(scope, receive), sending)
        except _Refusal as refusal:
            await _refuse(sending, refusal)
        except KeyError:
            # So ends Gradio's stream of messages whose client has left, if another one of that session has ended.
            if scope["path"] != DATA or not sending.has_begun:
                raise

    @contextmanager
    def _page(self, path: str) -> Iterator[None]:
        """Count a page as open while it listens to the server's heartbeat."""
        if not path.startswith(HEARTBEAT):
            yield
            return
        session = path.removeprefix(HEARTBEAT)
        self.open_pages[session] += 1
        try:
            yield
        finally:
            self.open_pages[session] -= 1
            self.open_pages += Counter()  # drops those at zero

    async def _rewritten(self, scope: Scope, receive: Receive) -> tuple[Scope, Receive]:
        """Return a request with no more in it than the page needs."""
        query = b""
        if scope["path"] == DATA:
            found = re.fullmatch(rf"session_hash=({_SESSION})", scope["query_string"].decode("latin-1"))
            if found is None:
                raise _Refusal(400, "The page has lost its session; reload it.")
            if self.waiting(found[1]) is None:
                raise _Refusal(404, "There is nothing to wait for; reload the page.")
            query = found[0].encode()
        elif scope["path"] == JOIN:
            receive = _whole(self._event(await _body(scope, receive)), receive)
        kept = [(name, value) for name, value in scope["headers"] if name.lower() != b"cookie"]
        if scope["path"] == JOIN:
            kept = [(name, value) for name, value in kept if name.lower() not in (b"content-length", b"content-type")]
            kept.append((b"content-type", b"application/json"))
        return {**scope, "query_string": query, "headers": kept}, receive

    def _event(self, body: bytes) -> bytes:
        """Return an event of the page, written again from its checked values.

        Raises:
            _Refusal: if it is none.
        """
        event = _parsed(body)
        session, number, data = (event.get(name) for name in ("session_hash", "fn_index", "data"))
        if not isinstance(session, str) or not re.fullmatch(_SESSION, session):
            raise _Refusal(400, "The page has lost its session; reload it.")
        checks = self.events.get(number) if type(number) is int else None
        trigger = event.get("trigger_id")
        if checks is None or not (trigger is None or (type(trigger) is int and 0 <= trigger < 10_000)):
            raise _Refusal(400, "The page has no such control; reload it.")
        if not isinstance(data, list) or len(data) != len(checks):
            raise _Refusal(400, "The values are not those of the page's controls; reload it.")
        if not all(check(value) for check, value in zip(checks, data, strict=True)):
            raise _Refusal(422, "A value is out of the range of its control; choose one that the page offers.")
        if (self.waiting(session) or 0) >= MOST_WAITING:
            raise _Refusal(429, "This page has asked for much already; wait for its results.")
        clean = {"session_hash": session, "fn_index": number, "data": data, "trigger_id": trigger, "event_data": None}
        return json.dumps(clean).encode()


class _Sending:
    """Adds the headers that restrict what a browser does with an answer, and knows whether one has begun."""

    def __init__(self, send: Send) -> None:
        self.send = send
        self.has_begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_begun = True
            own = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
            names = {name for name, _ in own}
            rest = [(name, value) for name, value in message.get("headers", ()) if name.lower() not in names]
            message = {**message, "headers": [*rest, *own]}
        await self.send(message)


def is_flag(value: Any) -> bool:
    """Return whether a value is one of a checkbox."""
    return isinstance(value, bool)


def is_number(least: float, most: float, *, whole: bool = False) -> Check:
    """Return the check of a slider."""

    def check(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            return False
        return bool(least <= value <= most)  # false for NaN

    return check


def is_choice(choices: Sequence[str]) -> Check:
    """Return the check of a list of choices."""

    def check(value: Any) -> bool:
        return isinstance(value, str) and value in choices

    return check


def is_text(pattern: str, longest: int) -> Check:
    """Return the check of a text."""
    compiled = re.compile(pattern)

    def check(value: Any) -> bool:
        return isinstance(value, str) and len(value) <= longest and compiled.fullmatch(value) is not None

    return check


def _check_route(scope: Scope) -> None:
    path = scope["path"]
    methods = next((methods for pattern, methods in OPEN_ROUTES.items() if pattern.fullmatch(path)), None)
    if methods is None:
        raise _Refusal(404, "The page has no such address.")
    if scope["method"] not in methods:
        raise _Refusal(405, "The page does not use this address in that way.")


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        event = json.loads(body.decode())
    except (ValueError, RecursionError):
        event = None
    if not isinstance(event, dict):
        raise _Refusal(400, "This is no event of the page; reload it.")
    return event


async def _body(scope: Scope, receive: Receive) -> bytes:
    """Read a request's body within its size and time.

    Raises:
        _Refusal: if it has more of either, or ends early.
    """
    lengths = [value for name, value in scope["headers"] if name.lower() == b"content-length"]
    if any(not value.isdigit() or len(value) > 20 or int(value) > MAX_EVENT_BYTES for value in lengths):
        raise _Refusal(413, "The page sends less than that; reload it.")
    body = bytearray()
    end = asyncio.get_running_loop().time() + EVENT_SECONDS
    while True:
        try:
            message = await asyncio.wait_for(receive(), end - asyncio.get_running_loop().time())
        except TimeoutError as error:
            raise _Refusal(408, "The request came too slowly; try again.") from error
        if message["type"] != "http.request":
            raise _Refusal(400, "The request ended early.")
        body += message.get("body", b"")
        if len(body) > MAX_EVENT_BYTES:
            raise _Refusal(413, "The page sends less than that; reload it.")
        if not message.get("more_body", False):
            return bytes(body)


def _whole(body: bytes, rest: Receive) -> Receive:
    """Return what hands a body over at once, and then what else the client does."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        return await rest()

    return receive


async def _refuse(send: Send, refusal: _Refusal) -> None:
    body = json.dumps({"detail": str(refusal)}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
