"""No request may be larger than films are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

__all__ = ["MAX_BYTES", "UploadLimit"]

MAX_BYTES: Final = 512 * 1024 * 1024
"""Of a request: twice what an uncompressed film of 16 bits has at most."""

Message = MutableMapping[str, Any]


class UploadLimit:
    """Refuses a larger request, by what it says of its length and by what comes.

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
        sentence = f"a request may have {self.max_bytes // 2**20} MiB at most"
        told = dict(scope["headers"]).get(b"content-length", b"0")
        if not told.isdigit() or int(told) > self.max_bytes:
            await JSONResponse({"detail": sentence}, 413)(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_bytes:
                raise HTTPException(413, sentence)
            return message

        await self.app(scope, counted, send)
