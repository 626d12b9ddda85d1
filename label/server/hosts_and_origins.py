"""Which requests the server answers: those by its own names and from its own pages, on every route.

MONAI Label takes requests of every origin, with credentials. `monai_chexmask_u.request_guard` stands before all of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Final

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.middleware import Middleware

from monai_chexmask_u.request_guard import RequestGuard

__all__ = ["ORIGINS_VARIABLE", "check_names", "guard", "named_origins"]

ORIGINS_VARIABLE: Final = "MONAI_LABEL_CORS_ORIGINS"

# Where links of other sites, such as a worklist, may lead: pages that hold nothing but their own program.
PAGES: Final = ("/", "/docs", "/ohif/", "/ohif/viewer", "/ohif/monai-label")


def guard(server: FastAPI, conf: Mapping[str, str]) -> None:
    """Put the checks before everything that the server does; it may be called again after a reload.

    Args:
        server: is not answering requests.
        conf: ``listen``, the address that the server listens at; ``allow_hosts`` and ``allow_origins``, as
            `RequestGuard` takes them, separated by spaces.

    Raises:
        ValueError: if a name of a host or an origin is none.
    """
    origins = conf.get("allow_origins", "").split()
    kept = [each for each in server.user_middleware if each.cls not in (CORSMiddleware, RequestGuard)]
    sharing = Middleware(
        CORSMiddleware, allow_origins=origins, allow_credentials=True, allow_methods=["*"], allow_headers=["*"]
    )
    checking = Middleware(
        RequestGuard,
        listen=conf.get("listen", "0.0.0.0"),  # what MONAI Label's own command listens at
        hosts=conf.get("allow_hosts", "").split(),
        origins=origins,
        pages=PAGES,
    )
    server.user_middleware[:] = [checking, *([sharing] if origins else []), *kept]
    server.middleware_stack = None  # the next request builds it
    # MONAI Label cannot write this setting into the requests of the processes that it starts.
    os.environ.pop(ORIGINS_VARIABLE, None)


def named_origins(given: Sequence[str], variable: str | None) -> list[str]:
    """Return the origins that may use the server, as browsers write them.

    Args:
        given: of the command line.
        variable: value of MONAI Label's own setting: a list in JSON, or None.

    Raises:
        ValueError: if one is no origin, or the setting is no list.
    """
    try:
        listed = json.loads(variable) if variable else []
    except ValueError:
        listed = None
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise ValueError(f'{ORIGINS_VARIABLE} must be a list in JSON, as ["https://viewer.example"]')
    origins = [each.strip().lower().removesuffix("/") for each in (*given, *listed)]
    check_names(origins=origins)
    ends = {"http": ":80", "https": ":443"}  # which browsers leave out
    return [each.removesuffix(ends[each.partition(":")[0]]) for each in dict.fromkeys(origins)]


def check_names(*, hosts: Sequence[str] = (), origins: Sequence[str] = ()) -> None:
    """See that the guard will take these.

    Raises:
        ValueError: if not; it names the one.
    """

    async def nothing(*_: object) -> None:
        """Stand in for a server."""

    if spaced := [name for name in (*hosts, *origins) if len(name.split()) != 1]:
        raise ValueError(f"{spaced[0]!r} is no name of a host or an origin")
    RequestGuard(nothing, hosts=hosts, origins=origins)
