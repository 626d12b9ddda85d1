"""Access by a token in the address, as with Jupyter: for who started the page, and whom they give it to."""

from __future__ import annotations

import hmac
import secrets
from typing import Final
from urllib.parse import parse_qsl, urlencode

from monai_chexmask_u.request_guard import Application, Receive, Scope, Send

__all__ = ["AccessToken"]

_CLOSED: Final = (
    b"This page needs its token: open the address that the server printed when it was started, "
    b"which ends in ?token=...\n"
)


class AccessToken:
    """ASGI middleware that answers those alone who came by the address with the token.

    That address sets a cookie and redirects to the page without the token, so that it does not stay in the browser's
    address bar. The cookie has a value of its own: who reads it does not learn the token.

    Args:
        app: what answers those who may enter.
        token: that the address holds.
        port: of the server; cookies of a machine are shared by all its ports.
    """

    def __init__(self, app: Application, *, token: str, port: int) -> None:
        """Draw the cookie's value."""
        self.app = app
        self.cookie = f"chexmask-u-{port}"
        self._token = token.encode()
        self._pass = secrets.token_urlsafe(32)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, let it in, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        elif self._brings_token(scope):
            await self._let_in(scope, send)
        elif self._brings_cookie(scope):
            await self.app(scope, receive, send)
        else:
            await _answer(send, 401, [(b"connection", b"close")], _CLOSED)

    def _brings_token(self, scope: Scope) -> bool:
        if scope["path"] != "/" or scope["method"] not in ("GET", "HEAD"):
            return False
        tokens = [value for name, value in _query(scope) if name == "token"]
        return len(tokens) == 1 and hmac.compare_digest(tokens[0].encode(errors="surrogateescape"), self._token)

    def _brings_cookie(self, scope: Scope) -> bool:
        # Of several of that name, set for other paths or by other ports, one may be ours.
        return any(hmac.compare_digest(value, self._pass.encode()) for value in _cookies(scope, self.cookie.encode()))

    async def _let_in(self, scope: Scope, send: Send) -> None:
        rest = urlencode([(name, value) for name, value in _query(scope) if name != "token"], errors="surrogateescape")
        # Lax: a link in a mail leads to the page, and no other site's requests carry the cookie.
        secure = "; Secure" if scope.get("scheme") == "https" else ""
        cookie = f"{self.cookie}={self._pass}; Path=/; HttpOnly; SameSite=Lax{secure}"
        headers = [
            (b"location", f"./{'?' if rest else ''}{rest}".encode()),
            (b"set-cookie", cookie.encode()),
            (b"referrer-policy", b"no-referrer"),
        ]
        await _answer(send, 303, headers, b"")


def _query(scope: Scope) -> list[tuple[str, str]]:
    try:
        text = scope.get("query_string", b"").decode("ascii", errors="surrogateescape")
        return parse_qsl(text, keep_blank_values=True, errors="surrogateescape", max_num_fields=20)
    except ValueError:
        return []


def _cookies(scope: Scope, name: bytes) -> list[bytes]:
    """Return the values of the cookies of a name (RFC 6265, section 4.2)."""
    headers = [value for key, value in scope["headers"] if key.lower() == b"cookie"]
    pairs = [part.strip().partition(b"=") for header in headers for part in header.split(b";")]
    return [value for key, _, value in pairs if key == name]


async def _answer(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    own = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": [*own, *headers]})
    await send({"type": "http.response.body", "body": body})
