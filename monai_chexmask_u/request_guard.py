"""Which requests a server of this project answers: those by its own names, and from its own pages.

A foreign page, open in the browser of a person who may reach the server, can make that browser send requests
to it. Two checks stop this: the request must name a host that the server has (not a name that was bound to the
server's address a moment ago, DNS rebinding), and it must not come from a page of another origin.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

__all__ = ["RequestGuard", "is_loopback", "is_wildcard", "names_loopback"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK_NAMES: Final = ("127.0.0.1", "localhost", "::1")
DEFAULT_PORTS: Final = {"http": 80, "https": 443}
# A host with no user, no path and no escapes: DNS names, IPv4, IPv6 in brackets (RFC 3986, section 3.2.2).
_AUTHORITY: Final = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9_](?:[a-z0-9_.-]{0,252}[a-z0-9_])?\.?)(?::([0-9]{1,5}))?")
# Headers that may claim another host, address or prefix than the request has; frameworks believe some of them.
_FOREIGN_CLAIMS: Final = re.compile(
    rb"forwarded|x-host|x-forwarded-(?!for$|proto$).*|x-original-.*|x-rewrite-.*", re.DOTALL
)
_WRONG_HOST: Final = (
    "This server does not go by that host name and port; open it by the address that it printed, "
    "or name the host when it is started (--allow-host)."
)
_BAD_HOST: Final = "The request must name one host, as in 'Host: localhost:8000'."
_BAD_TARGET: Final = "The request must name a path that starts with a slash."
_WRONG_ORIGIN: Final = "This server does not answer to pages of another origin; open its own address."


class _Host(NamedTuple):
    """A host in one spelling, and its port where one is named."""

    name: str
    port: int | None


class _Origin(NamedTuple):
    """What browsers compare pages by (RFC 6454, section 4)."""

    scheme: str
    name: str
    port: int


class _Refusal(Exception):
    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


class RequestGuard:
    """ASGI middleware that refuses requests by foreign names and from foreign pages, and answers them in one sentence.

    A request may name the loopback names, what `listen` is, the numeric address at which it arrived, and `hosts`; its
    port must be the server's own, unless an entry of `hosts` has another one. If the server listens at all addresses,
    this machine's name counts as well.

    A request with an `Origin` must come from the origin that it goes to, or from a named one. Without, what browsers
    say of it instead (`Sec-Fetch-Site`, and `Referer` where they do not send this) must not be foreign, but for links
    to `pages`. Programs that are no browsers send none of these headers, and pass. Answers allow no origin to read them
    but the named ones.

    Args:
        app: what answers the requests that pass.
        listen: address or name that the server listens at.
        hosts: further names of the server: `name`, `name:port`, or `https://name` behind a proxy that speaks TLS.
        origins: pages of other servers that may use this one, such as `https://viewer.example`.
        pages: paths that links of other sites may lead to; they must hold nothing private.

    Raises:
        ValueError: if an entry of `hosts` or `origins` is none.
    """

    def __init__(
        self,
        app: Application,
        *,
        listen: str = "127.0.0.1",
        hosts: Iterable[str] = (),
        origins: Iterable[str] = (),
        pages: Iterable[str] = ("/",),
    ) -> None:
        """Read the names once."""
        self.app = app
        self._pages = frozenset(pages)
        self._origins = {_named_origin(text) for text in origins}
        self._own_names = set(LOOPBACK_NAMES)
        self._hosts: set[_Host] = set()
        if is_wildcard(listen):
            self._add_host(socket.gethostname(), strict=False)
        else:
            self._add_host(listen, strict=False)
        for text in hosts:
            self._add_host(text)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = [(name.lower(), value.strip()) for name, value in scope["headers"]]
        try:
            host = self._check_host(scope, headers)
            named = self._check_source(scope, headers, host)
        except _Refusal as refusal:
            await _refuse(scope, refusal, send)
            return
        kept = [(name, value) for name, value in scope["headers"] if not _FOREIGN_CLAIMS.fullmatch(name.lower())]

        async def send_without_sharing(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.accept", "websocket.http.response.start"):
                message = {**message, "headers": _unshared(message.get("headers", ()), named)}
            await send(message)

        await self.app({**scope, "headers": kept}, receive, send_without_sharing)

    def _add_host(self, text: str, *, strict: bool = True) -> None:
        """Add a name of the server, with the origin of its pages where a scheme is given."""
        scheme, separator, rest = text.strip().lower().rpartition("://")
        host = _host(_written(rest))
        if host is None or (separator and scheme not in DEFAULT_PORTS):
            if strict:
                raise ValueError(f"{text!r} is no name of a host; write name, name:port or https://name")
            return
        if separator:
            origin = _Origin(scheme, host.name, host.port or DEFAULT_PORTS[scheme])
            self._origins.add(origin)
            self._hosts |= {_Host(origin.name, origin.port), _Host(origin.name, None)}
        else:
            self._hosts.add(host)
            if host.port is None:
                self._own_names.add(host.name)

    def _check_host(self, scope: Scope, headers: list[tuple[bytes, bytes]]) -> _Origin:
        """Return the origin that the request goes to.

        Raises:
            _Refusal: if it names no host, several, or one that is not the server's.
        """
        if not scope["path"].startswith("/"):
            raise _Refusal(400, _BAD_TARGET)
        values = _values(headers, b"host")
        host = _host(values[0]) if len(values) == 1 else None
        if host is None:
            raise _Refusal(400, _BAD_HOST)
        scheme = "https" if scope.get("scheme") in ("https", "wss") else "http"
        port = DEFAULT_PORTS[scheme] if host.port is None else host.port
        arrived, own_port = _server(scope)
        is_own = host.name in self._own_names or host.name == arrived
        by_port = own_port is None or port == own_port
        if not ((is_own and by_port) or host in self._hosts or _Host(host.name, port) in self._hosts):
            raise _Refusal(403, _WRONG_HOST)
        return _Origin(scheme, host.name, port)

    def _check_source(self, scope: Scope, headers: list[tuple[bytes, bytes]], own: _Origin) -> str | None:
        """Return the named origin that the request comes from, None if it is the server's own or none.

        Raises:
            _Refusal: if the request comes from elsewhere.
        """
        sources = _values(headers, b"origin")
        if sources:
            origin = _origin(sources[0]) if len(sources) == 1 else None
            if origin is None or (origin != own and origin not in self._origins):
                raise _Refusal(403, _WRONG_ORIGIN)
            return sources[0] if origin in self._origins else None
        if self._is_foreign(headers, own) and not self._is_link(scope, headers):
            raise _Refusal(403, _WRONG_ORIGIN)
        return None

    def _is_foreign(self, headers: list[tuple[bytes, bytes]], own: _Origin) -> bool:
        """Return whether a request without an origin comes from elsewhere, by what else browsers say."""
        sites = _values(headers, b"sec-fetch-site")
        if sites:
            return any(site not in ("same-origin", "none") for site in sites)
        referrers = [value for value in _values(headers, b"referer") if value]
        return any(_origin_of_address(value) not in (own, *self._origins) for value in referrers)

    def _is_link(self, scope: Scope, headers: list[tuple[bytes, bytes]]) -> bool:
        """Return whether a browser goes to one of the pages, by a link or a redirection, in a window of its own."""
        return (
            scope["type"] == "http"
            and scope["method"] in ("GET", "HEAD")
            and scope["path"] in self._pages
            and all(value == "navigate" for value in _values(headers, b"sec-fetch-mode"))
            and all(value == "document" for value in _values(headers, b"sec-fetch-dest"))
        )


def is_wildcard(listen: str) -> bool:
    """Return whether an address to listen at means all addresses of the machine."""
    try:
        return not listen or ipaddress.ip_address(listen.strip("[]")).is_unspecified
    except ValueError:
        return False


def is_loopback(listen: str) -> bool:
    """Return whether only this machine reaches a numeric address, or the name `localhost`.

    Example:
        >>> [is_loopback(address) for address in ("127.0.0.2", "::1", "localhost", "0.0.0.0", "10.0.0.5")]
        [True, True, True, False, False]
    """
    try:
        return _plain_address(listen.strip("[]")).is_loopback
    except ValueError:
        return listen.lower() == "localhost"


def names_loopback(host: str) -> bool:
    """Return whether an entry of the guard's `hosts` is a loopback name, whatever its port.

    Example:
        >>> [names_loopback(host) for host in ("localhost:9000", "::1", "https://radiology.example", "10.0.0.5")]
        [True, True, False, False]
    """
    named = _host(_written(host.strip().lower().rpartition("://")[2]))
    return named is not None and is_loopback(named.name)


def _plain_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return an address, that of IPv4 where it is mapped into one of IPv6."""
    address = ipaddress.ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address


def _server(scope: Scope) -> tuple[str | None, int | None]:
    """Return address and port at which a request arrived, as far as the server says."""
    address, port = scope.get("server") or (None, None)
    try:
        return None if address is None else str(_plain_address(address.partition("%")[0])), port
    except ValueError:
        return None, port


def _values(headers: list[tuple[bytes, bytes]], name: bytes) -> list[str]:
    return [value.decode("latin-1").lower() for key, value in headers if key == name]


def _written(name: str) -> str:
    """Return a name as browsers send it: IPv6 in brackets, and in ASCII (RFC 3490)."""
    if name.isascii():
        return f"[{name}]" if name.count(":") > 1 and not name.startswith("[") else name
    try:
        return name.encode("idna").decode("ascii")
    except UnicodeError:
        return ""


def _host(text: str) -> _Host | None:
    """Return the host that a lower-case text names, None if it is malformed."""
    found = _AUTHORITY.fullmatch(text)
    if found is None:
        return None
    name, port = found[1], None if found[2] is None else int(found[2])
    if port is not None and not 0 < port < 65536:
        return None
    if name.startswith("["):
        try:
            return _Host(str(ipaddress.IPv6Address(name[1:-1])), port)
        except ValueError:
            return None
    return None if ".." in name else _Host(name.removesuffix("."), port)


def _origin(text: str) -> _Origin | None:
    """Return the origin that a lower-case text names; None for `null` and whatever is none."""
    scheme, separator, rest = text.partition("://")
    host = _host(rest) if separator and scheme in DEFAULT_PORTS else None
    return None if host is None else _Origin(scheme, host.name, host.port or DEFAULT_PORTS[scheme])


def _origin_of_address(text: str) -> _Origin | None:
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    return _origin(f"{parts.scheme}://{parts.netloc}")


def _named_origin(text: str) -> _Origin:
    scheme, _, rest = text.strip().lower().partition("://")
    origin = _origin(f"{scheme}://{_written(rest)}")
    if origin is None:
        raise ValueError(f"{text!r} is no origin of a page; write https://name or https://name:port")
    return origin


def _unshared(headers: Iterable[tuple[bytes, bytes]], named: str | None) -> list[tuple[bytes, bytes]]:
    """Return an answer's headers without those that let other origins read it, unless it is for a named origin."""
    kept = list(headers)
    allowed = [value for name, value in kept if name.lower() == b"access-control-allow-origin"]
    if named is not None and [value.decode("latin-1").strip().lower() for value in allowed] == [named]:
        return kept
    return [
        (name, value)
        for name, value in kept
        if not name.lower().startswith(b"access-control-") and name.lower() != b"timing-allow-origin"
    ]


async def _refuse(scope: Scope, refusal: _Refusal, send: Send) -> None:
    """Answer in one sentence, without having read what the client still sends."""
    body = f"{refusal.sentence}\n".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
    ]
    prefix = ""
    if scope["type"] == "websocket":
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close", "code": 1008, "reason": refusal.sentence[:120]})
            return
        prefix = "websocket."
    await send({"type": f"{prefix}http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": f"{prefix}http.response.body", "body": body})
