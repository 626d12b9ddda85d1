"""Largest size of a request: that of a radiograph."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

__all__ = ["MAX_BYTES", "UploadLimit"]

MAX_BYTES: Final = 512 * 1024 * 1024
"""Of a request: twice what an uncompressed radiograph of 16 bits has at most."""
MAX_TEXT_BYTES: Final = 2 * 1024 * 1024
"""Of one that holds no file: it is parsed in memory, where JSON may take fifty times its size."""

Message = MutableMapping[str, Any]


class UploadLimit:
    """Refuses a larger request, by the length that it claims and by what is received.

    Args:
        app: what answers the others.
        max_bytes: the limit.
    """

    def __init__(self, app: Callable[..., Awaitable[None]], max_bytes: int = MAX_BYTES) -> None:
        """Keep the limit."""
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self.max_bytes if _may_hold_a_radiograph(scope) else min(self.max_bytes, MAX_TEXT_BYTES)
        sentence = f"a request may have {limit // 2**20} MiB at most"
        claimed = dict(scope["headers"]).get(b"content-length", b"0")
        if not claimed.isdigit() or int(claimed) > limit:
            await JSONResponse({"detail": sentence}, 413)(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise HTTPException(413, sentence)
            return message

        await self.app(scope, counted, send)


def _may_hold_a_radiograph(scope: Message) -> bool:
    """Tell whether a request is a form with files, or for an archive behind this server."""
    kinds = [value.strip().lower() for name, value in scope["headers"] if name.lower() == b"content-type"]
    is_form = bool(kinds) and all(kind.startswith(b"multipart/form-data") for kind in kinds)
    return is_form or scope["path"].startswith("/proxy/")
