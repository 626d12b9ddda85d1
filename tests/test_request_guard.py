from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monai_chexmask_u.request_guard import RequestGuard, is_loopback, is_wildcard

Headers = Sequence[tuple[bytes, bytes]]
PORT = 7860
OWN = b"http://127.0.0.1:7860"
HOST = (b"host", b"127.0.0.1:7860")
SHARING = {
    "access-control-allow-origin": "*",
    "Access-Control-Allow-Credentials": "true",
    "access-control-expose-headers": "*",
    "timing-allow-origin": "*",
}


def answer(
    headers: Headers,
    *,
    path: str = "/data",
    method: str = "GET",
    kind: str = "http",
    server: tuple[str, int | None] | None = ("127.0.0.1", PORT),
    inner: Mapping[str, str] | None = None,
    extensions: Mapping[str, Any] | None = None,
    scheme: str | None = None,
    **options: Any,
) -> tuple[int, str, dict[str, str], list[tuple[bytes, bytes]]]:
    """Return status (0 for a closed websocket), body and headers of the answer, and the headers that the app got."""
    got: list[tuple[bytes, bytes]] = []
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        got.extend(scope["headers"])
        prefix = "" if scope["type"] == "http" else "websocket.http."
        start = "http.response." if scope["type"] == "http" else "response."
        own = [(name.encode(), value.encode()) for name, value in (inner or {}).items()]
        await send({"type": f"{prefix}{start}start", "status": 200, "headers": own})
        await send({"type": f"{prefix}{start}body", "body": b"inner"})

    async def receive() -> Any:
        raise AssertionError("a refused request is not read")

    async def send(message: Any) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": kind,
        "path": path,
        "headers": list(headers),
        "server": server,
        "scheme": scheme or ("http" if kind == "http" else "ws"),
        "extensions": extensions,
    }
    if kind == "http":
        scope["method"] = method
    asyncio.run(RequestGuard(app, **options)(scope, receive, send))
    if sent[0]["type"] == "websocket.close":
        return 0, "", {}, got
    body = b"".join(message.get("body", b"") for message in sent)
    names = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], body.decode(), names, got


def status(headers: Headers, **options: Any) -> int:
    return answer(headers, **options)[0]


@pytest.mark.parametrize(
    "host",
    [
        *(b"127.0.0.1:7860", b"localhost:7860", b"LocalHost:7860", b"localhost.:7860", b"[::1]:7860"),
        *(b"[0:0:0:0:0:0:0:1]:7860", b" localhost:7860 "),
    ],
)
def test_loopback_names_with_the_own_port_are_answered(host: bytes) -> None:
    assert status([(b"host", host)]) == 200


@pytest.mark.parametrize(
    "host",
    [
        *(b"evil.example", b"evil.example:7860", b"localhost", b"localhost:80", b"localhost:7861", b"127.0.0.2:7860"),
        *(b"localhost.evil.example:7860", b"127.0.0.1.nip.example:7860", b"127.1:7860", b"2130706433:7860"),
        *(b"0x7f000001:7860", b"[::ffff:127.0.0.1]:7860", b"0.0.0.0:7860", b"[::]:7860", b"xn--localhost:7860"),
    ],
)
def test_other_hosts_are_refused_in_one_sentence(host: bytes) -> None:
    code, body, _, got = answer([(b"host", host)])
    assert code == 403
    assert "--allow-host" in body
    assert body.count("\n") == 1
    assert got == []


@pytest.mark.parametrize(
    "host",
    [
        *(b"", b" ", b"localhost:", b"localhost:0", b"localhost:78600", b"localhost:7860:7860", b"localhost..:7860"),
        *(b"user@localhost:7860", b"localhost:7860@evil.example", b"localhost:7860,evil.example", b"localhost/x:7860"),
        *(b"http://localhost:7860", b"localhost:7860#", b"localhost:7860?", b"loc%61lhost:7860", b"[::1:7860"),
        *(b"[::1%25lo]:7860", b"[::1%lo]:7860", b"::1:7860", b"localhost\x00:7860", b"local host:7860", b".:7860"),
        *("locälhost:7860".encode(), "\uff4cocalhost:7860".encode(), b"localhost:\xd9\xa7\xd9\xa8", b"localhost:+7860"),
        *(b"localhost\\@evil.example:7860", b"localhost:7860\r\nx: y", b"-localhost:7860", b"localhost:7860 evil"),
    ],
)
def test_malformed_hosts_are_refused(host: bytes) -> None:
    code, body, _, _ = answer([(b"host", host)])
    assert code == 400
    assert "one host" in body


@pytest.mark.parametrize(
    "headers", [[], [HOST, HOST], [HOST, (b"Host", b"evil.example")], [(b"hosts", b"localhost:7860")]]
)
def test_no_host_and_two_hosts_are_refused(headers: Headers) -> None:
    assert status(headers) == 400


@pytest.mark.parametrize("path", ["*", "http://localhost:7860/data", "", "data"])
def test_a_target_that_is_no_path_is_refused(path: str) -> None:
    assert status([HOST], path=path) == 400


@given(st.binary(max_size=60))
def test_whatever_the_host_says_only_own_names_pass(host: bytes) -> None:
    own = {b"localhost:7860", b"localhost.:7860", b"127.0.0.1:7860", b"127.0.0.1.:7860", b"[::1]:7860"}
    assert (status([(b"host", host)]) == 200) == (host.strip().lower() in own)


@given(
    name=st.sampled_from(["localhost", "127.0.0.1", "[::1]"]),
    flips=st.lists(st.booleans(), min_size=9, max_size=9),
    before=st.text("./@:\\%#?, x", max_size=3),
    after=st.text("./@:\\%#?, x0", min_size=1, max_size=3),
)
def test_case_is_ignored_and_nothing_may_stand_around_a_name(
    name: str, flips: list[bool], before: str, after: str
) -> None:
    spelled = "".join(letter.upper() if flip else letter for letter, flip in zip(name, flips, strict=False))
    spelled += name[len(flips) :]
    assert status([(b"host", f"{spelled}:7860".encode())]) == 200
    around = f"{before}{spelled}{after}:7860"
    if around.strip().lower() not in (f"{name}:7860", f"{name.strip('[]')}.:7860"):
        assert status([(b"host", around.encode())]) in (400, 403)


@pytest.mark.parametrize(
    ("entry", "host", "expected"),
    [
        ("Radiographs.Example", b"radiographs.example:7860", 200),
        ("radiographs.example", b"radiographs.example", 200),
        ("radiographs.example", b"radiographs.example:81", 403),
        ("radiographs.example", b"x.radiographs.example:7860", 403),
        ("radiographs.example:81", b"radiographs.example:81", 200),
        ("radiographs.example:81", b"radiographs.example:7860", 403),
        ("localhost:80", b"localhost", 200),
        ("https://radiographs.example", b"radiographs.example", 200),
        ("https://radiographs.example", b"radiographs.example:443", 200),
        ("https://radiographs.example:8443", b"radiographs.example:8443", 200),
        ("röntgen.example", b"xn--rntgen-wxa.example:7860", 200),
        ("fe80::1", b"[fe80::1]:7860", 200),
        ("[fe80::1]:81", b"[fe80::1]:81", 200),
    ],
)
def test_named_hosts_are_answered_at_their_port(entry: str, host: bytes, expected: int) -> None:
    assert status([(b"host", host)], hosts=[entry]) == expected


@pytest.mark.parametrize(
    "entry", ["", "*", "*.example", "a b", "ftp://a", "http://", "a/b", "u@a", "a:b", "a:99999", "."]
)
def test_what_is_no_host_is_not_taken_as_one(entry: str) -> None:
    with pytest.raises(ValueError, match="write name"):
        RequestGuard(None, hosts=[entry])  # type: ignore[arg-type]


@pytest.mark.parametrize("entry", ["", "*", "null", "a", "https://", "https://a/", "https://u@a", "file://a"])
def test_what_is_no_origin_is_not_taken_as_one(entry: str) -> None:
    with pytest.raises(ValueError, match="write https"):
        RequestGuard(None, origins=[entry])  # type: ignore[arg-type]


def test_the_address_of_arrival_and_what_is_listened_at_count() -> None:
    machine = socket.gethostname().lower().encode()
    for host, listen, expected in (
        (b"10.0.0.5:7860", "0.0.0.0", 200),
        (b"10.0.0.5:7860", "", 200),
        (b"10.0.0.6:7860", "0.0.0.0", 403),
        (b"10.0.0.5", "0.0.0.0", 403),
        (machine + b":7860", "::", 200),
        (machine + b":7860", "127.0.0.1", 403),
        (b"radiographs.example:7860", "radiographs.example", 200),
        (b"radiographs.example:7860", "0.0.0.0", 403),
        (b"0.0.0.0:7860", "0.0.0.0", 403),
    ):
        assert status([(b"host", host)], listen=listen, server=("::ffff:10.0.0.5", PORT)) == expected, (host, listen)
    assert status([(b"host", b"[fe80::1]:7860")], listen="::", server=("fe80::1%eth0", PORT)) == 200


def test_a_server_that_does_not_know_its_port_compares_none() -> None:
    assert status([(b"host", b"localhost:1")], server=None) == 200
    assert status([(b"host", b"evil.example")], server=("/run/socket", None)) == 403


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "HEAD", "PUT"])
@pytest.mark.parametrize(
    "origin",
    [
        *(
            b"null",
            b"",
            b"http://evil.example",
            b"http://localhost:7860",
            b"http://127.0.0.1",
            b"http://127.0.0.1:7861",
        ),
        *(b"https://127.0.0.1:7860", b"http://127.0.0.1:7860/", b"http://127.0.0.1:7860 http://evil.example"),
        *(b"http://127.0.0.1:7860.evil.example", b"http://evil@127.0.0.1:7860", b"127.0.0.1:7860", b"//127.0.0.1:7860"),
        *(b"file://", b"chrome-extension://abc", b"http://127.0.0.1:7860\x00", b"\xff", b"http://[::1]:7860"),
    ],
)
def test_foreign_origins_are_refused_for_every_method(origin: bytes, method: str, kind: str) -> None:
    options: dict[str, Any] = {"kind": kind, "method": method, "path": "/"}
    options["extensions"] = {"websocket.http.response": {}}
    code, body, headers, got = answer([HOST, (b"origin", origin)], inner=SHARING, **options)
    assert code == 403
    assert "another origin" in body
    assert not [name for name in headers if name.startswith("access-control")]
    assert got == []
    assert status([HOST, (b"origin", OWN), (b"origin", origin)], **options) == 403


def test_a_websocket_of_a_foreign_page_is_closed_where_no_answer_can_be_given() -> None:
    assert status([HOST, (b"origin", b"http://evil.example")], kind="websocket") == 0
    assert status([HOST, (b"origin", OWN)], kind="websocket") == 200


@given(st.binary(max_size=60))
def test_whatever_the_origin_says_only_the_own_one_passes(origin: bytes) -> None:
    own = (OWN, b"http://127.0.0.1.:7860")
    assert (status([HOST, (b"origin", origin)]) == 200) == (origin.strip().lower() in own)


def test_the_own_origin_passes_with_the_port_of_its_scheme() -> None:
    for host, origin, scheme in (
        (b"127.0.0.1:80", b"http://127.0.0.1", "http"),
        (b"127.0.0.1", b"http://127.0.0.1:80", "ws"),
        (b"127.0.0.1:80", b"HTTP://127.0.0.1", "http"),
    ):
        assert status([(b"host", host), (b"origin", origin)], server=("127.0.0.1", 80), scheme=scheme) == 200
    headers = [(b"host", b"127.0.0.1"), (b"origin", b"https://127.0.0.1")]
    assert status(headers, server=("127.0.0.1", 443), scheme="https") == 200
    assert status(headers, server=("127.0.0.1", 443), scheme="wss") == 200


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 200),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "Cross-Site"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}, 403),
        ({"sec-fetch-site": "none", "referer": "http://evil.example/"}, 200),
        ({"sec-fetch-site": "cross-site", "referer": "http://127.0.0.1:7860/"}, 403),
        ({"referer": "http://127.0.0.1:7860/page"}, 200),
        ({"referer": "http://evil.example/http://127.0.0.1:7860/"}, 403),
        ({"referer": "http://127.0.0.1:7860@evil.example/"}, 403),
        ({"referer": "http://[::1"}, 403),
        ({"referer": "about:blank"}, 403),
        ({"referer": ""}, 200),
    ],
)
def test_without_an_origin_it_is_told_by_what_browsers_say_else(headers: dict[str, str], expected: int) -> None:
    given_headers = [HOST, *((name.encode(), value.encode()) for name, value in headers.items())]
    assert status(given_headers) == expected


@pytest.mark.parametrize(
    ("headers", "path", "method", "expected"),
    [
        ({}, "/", "GET", 200),
        ({}, "/data", "GET", 403),
        ({}, "//", "GET", 403),
        ({}, "/", "POST", 403),
        ({"sec-fetch-mode": "no-cors"}, "/", "GET", 403),
        ({"sec-fetch-mode": "cors"}, "/", "GET", 403),
        ({"sec-fetch-dest": "iframe"}, "/", "GET", 403),
        ({"sec-fetch-dest": "image"}, "/", "GET", 403),
        ({"origin": "http://evil.example"}, "/", "GET", 403),
    ],
)
def test_links_of_other_sites_lead_to_the_page_alone(
    headers: dict[str, str], path: str, method: str, expected: int
) -> None:
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"} | headers
    given_headers = [HOST, *((name.encode(), value.encode()) for name, value in link.items())]
    assert status(given_headers, path=path, method=method) == expected
    if not headers:
        assert status([HOST, (b"referer", b"http://evil.example/")], path=path, method=method) == expected


def test_answers_are_shared_with_named_origins_alone() -> None:
    viewer = b"https://viewer.example"
    for origin, allowed, kept in (
        (viewer, viewer, True),
        (viewer, b"*", False),
        (viewer, b"https://evil.example", False),
        (OWN, OWN, False),
        (None, b"*", False),
        (None, viewer, False),
    ):
        inner = SHARING | {"access-control-allow-origin": allowed.decode(), "vary": "Origin"}
        headers = [HOST, *([] if origin is None else [(b"origin", origin)])]
        code, _, names, _ = answer(headers, inner=inner, origins=["https://viewer.example"])
        assert code == 200
        assert ("access-control-allow-origin" in names) == kept, (origin, allowed)
        assert ("access-control-allow-credentials" in names) == kept
        assert "vary" in names


def test_pages_behind_a_proxy_that_speaks_tls_come_from_the_named_origin() -> None:
    headers = [(b"host", b"radiographs.example"), (b"origin", b"https://radiographs.example")]
    assert status(headers, hosts=["radiographs.example"]) == 403
    assert status(headers, hosts=["https://radiographs.example"]) == 200
    assert status([HOST, headers[1]], hosts=["https://radiographs.example"]) == 200
    assert status(headers, hosts=["radiographs.example"], scheme="https") == 200


def test_forwarded_hosts_neither_help_nor_reach_the_application() -> None:
    claims = [
        *((b"x-forwarded-host", b"localhost:7860"), (b"X-Forwarded-Prefix", b"/x"), (b"forwarded", b"host=localhost")),
        *(
            (b"x-original-url", b"/y"),
            (b"x-rewrite-url", b"/y"),
            (b"x-host", b"localhost"),
            (b"x-forwarded-port", b"1"),
        ),
    ]
    assert status([(b"host", b"evil.example"), *claims]) == 403
    other = [(b"x-forwarded-for", b"10.0.0.9"), (b"x-forwarded-proto", b"https"), (b"accept", b"*/*")]
    assert answer([HOST, *claims, *other])[3] == [HOST, *other]


def test_what_is_no_request_passes() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    asyncio.run(RequestGuard(app)({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
    assert seen == ["lifespan"]


@pytest.mark.parametrize(
    ("listen", "wildcard", "loopback"),
    [
        *(("127.0.0.1", False, True), ("127.9.9.9", False, True), ("::1", False, True), ("localhost", False, True)),
        *(("::ffff:127.0.0.1", False, True), ("0.0.0.0", True, False), ("::", True, False), ("[::]", True, False)),
        *(("", True, False), ("10.0.0.5", False, False), ("localhost.evil.example", False, False)),
    ],
)
def test_addresses_are_told_apart(listen: str, wildcard: bool, loopback: bool) -> None:
    assert (is_wildcard(listen), is_loopback(listen)) == (wildcard, loopback)
