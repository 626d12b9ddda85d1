"""Limits on connections: how many, and how long one may take to send a request."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["PatientProtocol"]

MOST_CONNECTIONS: Final = 400
MOST_OF_ONE_CLIENT: Final = 200
HEADER_SECONDS: Final = 15.0
_LOOK_SECONDS: Final = 3.0


class PatientProtocol(H11Protocol):
    """HTTP/1.1 of uvicorn with a deadline for a request's headers, and a limit on the number of connections."""

    _watcher: asyncio.TimerHandle | None = None
    _waiting_since: float | None = None
    _last_cycle: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection, unless there are too many."""
        super().connection_made(transport)
        clients = [connection.client and connection.client[0] for connection in self.connections]
        if len(clients) > MOST_CONNECTIONS or clients.count(self.client and self.client[0]) > MOST_OF_ONE_CLIENT:
            self.transport.abort()
        else:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching."""
        if self._watcher is not None:
            self._watcher.cancel()
        super().connection_lost(exc)

    def _watch(self) -> None:
        now = self.loop.time()
        waits = self.conn.their_state is h11.IDLE and self.cycle is self._last_cycle
        self._last_cycle = self.cycle
        if not waits:
            self._waiting_since = None
        elif self._waiting_since is None:
            self._waiting_since = now
        elif now - self._waiting_since > HEADER_SECONDS:
            self.transport.abort()
            return
        self._watcher = self.loop.call_later(_LOOK_SECONDS, self._watch)
