from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monai_chexmask_u.demo.access_token import AccessToken

TOKEN = "right-token"


async def inner(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"inner"})


@pytest.fixture(scope="module")
def door() -> AccessToken:
    return AccessToken(inner, token=TOKEN, port=7860)


def ask(
    door: AccessToken,
    path: str = "/",
    query: bytes = b"",
    cookies: tuple[bytes, ...] = (),
    *,
    method: str = "GET",
    scheme: str = "http",
) -> tuple[int, dict[str, str], str]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "path": path,
        "query_string": query,
        "method": method,
        "scheme": scheme,
        "headers": [(b"cookie", cookie) for cookie in cookies],
    }
    asyncio.run(door(scope, None, send))  # type: ignore[arg-type]
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, sent[1]["body"].decode()


def enter(door: AccessToken) -> bytes:
    return ask(door, query=b"token=right-token")[1]["set-cookie"].partition(";")[0].encode()


def test_the_token_is_exchanged_for_a_cookie_and_leaves_the_address(door: AccessToken) -> None:
    status, headers, _ = ask(door, query=b"__theme=dark&token=right-token")
    assert (status, headers["location"]) == (303, "./?__theme=dark")
    assert ask(door, query=b"token=right-token")[1]["location"] == "./"
    name, *attributes = headers["set-cookie"].split("; ")
    assert set(attributes) == {"Path=/", "HttpOnly", "SameSite=Lax"}
    assert name.startswith("chexmask-u-7860=")
    assert TOKEN not in name
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert "Secure" in ask(door, query=b"token=right-token", scheme="https")[1]["set-cookie"]


@pytest.mark.parametrize("path", ["/", "/theme.css", "/gradio_api/queue/join", "/images/a/b", "/none"])
def test_every_address_needs_the_cookie(door: AccessToken, path: str) -> None:
    for cookies in ((), (b"",), (b"chexmask-u-7860=",), (b"chexmask-u-7861=" + enter(door).partition(b"=")[2],)):
        for method in ("GET", "POST", "OPTIONS"):
            status, _, body = ask(door, path, cookies=cookies, method=method)
            assert status == 401
            assert "?token=" in body
    assert ask(door, path, cookies=(enter(door),))[0] == 200
    assert ask(door, path, cookies=(b"a=b; " + enter(door) + b" ;c", b"d=e"))[0] == 200
    assert ask(door, path, cookies=(b"chexmask-u-7860=wrong; " + enter(door),))[0] == 200


@pytest.mark.parametrize("path", ["//evil.example/", "/x", "/theme.css", "/\\evil.example"])
def test_the_token_leads_nowhere_but_to_the_page(door: AccessToken, path: str) -> None:
    status, headers, _ = ask(door, path, b"token=right-token")
    assert status == 401
    assert "location" not in headers
    assert "\n" not in ask(door, query=b"token=right-token&a=%0d%0aset-cookie:x")[1]["location"]


@pytest.mark.parametrize(
    "query",
    [
        *(
            b"",
            b"token",
            b"token=",
            b"token=right-toke",
            b"token=right-token%00",
            b"token=right-token+",
            b"Token=right-token",
        ),
        *(
            "token=rïght".encode(),
            b"token=%ff",
            b"token=%ed%b2%80",
            b"token=right-token&token=right-token",
            b"\xff=\xff",
        ),
        *(b"token=" + b"x" * 100_000, b"&".join([b"a=b"] * 1000) + b"&token=right-token", b"tokenright-token"),
    ],
    ids=lambda query: query[:30].decode("latin-1"),
)
def test_other_tokens_are_refused(door: AccessToken, query: bytes) -> None:
    assert ask(door, query=query)[0] == 401


@given(st.binary(max_size=60))
def test_whatever_is_sent_as_token_or_cookie_is_refused(data: bytes) -> None:
    door = AccessToken(inner, token=TOKEN, port=7860)
    assert ask(door, query=b"token=" + data)[0] == (303 if data == TOKEN.encode() else 401)
    assert ask(door, cookies=(data, b"chexmask-u-7860=" + data))[0] == 401


def test_tokens_are_sent_by_get_alone_and_are_not_passes(door: AccessToken) -> None:
    assert ask(door, query=b"token=right-token", method="POST")[0] == 401
    assert ask(door, cookies=(b"chexmask-u-7860=right-token",))[0] == 401
    value = enter(door).partition(b"=")[2]
    assert ask(door, query=b"token=" + value)[0] == 401
    assert AccessToken(inner, token=TOKEN, port=1)._pass != door._pass
