"""HTTP whose answers end: by a deadline for the whole of one, after a silence, or at a number of bytes.

The time-out of requests and urllib3 is for each piece of an answer, and they read lines, headers and chunks of any
length. Here everything that comes or goes passes a meter: the look-up of the name, the connection, TLS, the request,
100-continue, headers, the body and what follows it.
"""

from __future__ import annotations

import http.client
import io
import socket
from typing import Any, Final

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from monai_chexmask_u.archive.dialing import dial
from monai_chexmask_u.archive.failures import ArchiveUnusable, OutOfTime, TryLater
from monai_chexmask_u.archive.settings import Timeouts
from monai_chexmask_u.archive.waiting import Deadline

__all__ = ["Allowance", "BoundedAdapter"]

HEAD_BYTES: Final = 256 * 1024  # status line and headers, with those of all answers that come before (1xx)
LINE_BYTES: Final = 64 * 1024
BLOCK_BYTES: Final = 64 * 1024


class Allowance:
    """What an answer may still cost; the connections of a session share it.

    Args:
        name: the archive's, for messages.
        timeouts: how long to wait.
    """

    def __init__(self, name: str, timeouts: Timeouts) -> None:
        """Allow no answer yet."""
        self._name = name
        self._timeouts = timeouts
        self._deadline = Deadline(0)
        self._most_bytes = self._bytes = self._limit = 0

    def renew(self, deadline: Deadline, most_bytes: int) -> None:
        """Allow one more answer.

        Args:
            deadline: for the request and all of the answer.
            most_bytes: of its body, as it comes over the line.
        """
        self._deadline = deadline
        self._most_bytes = most_bytes
        self.begin_head()

    def begin_head(self) -> None:
        """Count the bytes of status line and headers from here."""
        self._bytes, self._limit = 0, HEAD_BYTES

    def begin_body(self) -> None:
        """Count the bytes of a body from here."""
        self._bytes, self._limit = 0, self._most_bytes

    def take(self, count: int) -> None:
        """Count bytes that came.

        Raises:
            ArchiveUnusable: if these were too many.
        """
        self._bytes += count
        if self._bytes > self._limit:
            self.refuse_length()

    def refuse_length(self) -> None:
        """Raise the error for an answer that is too long."""
        what = "headers" if self._limit == HEAD_BYTES else "an answer"
        message = f"the archive sends {what} of more than {self._limit // 1024:,} KiB, which no archive has to"
        raise ArchiveUnusable(f"{self._name}: {message}; see its log")

    def connecting(self) -> Deadline:
        """Return the deadline for a connection."""
        return self._deadline.within(self._timeouts.connect_s)

    def wait_s(self) -> float:
        """Return how long to wait for the next piece.

        Raises:
            OutOfTime: if the deadline is over.
        """
        if self._deadline.is_over:
            raise self.out_of_time()
        return min(self._deadline.remaining_s, self._timeouts.silence_s)

    def out_of_time(self) -> TryLater:
        """Return the error for an archive that was waited for in vain."""
        if not self._deadline.is_over:
            return TryLater(f"{self._name}: the archive does not answer in time; check that it runs well")
        message = "the archive's answer was not complete in time; see its log, or wait longer with --answer-timeout"
        return OutOfTime(f"{self._name}: {message}")


class BoundedAdapter(HTTPAdapter):
    """Gives requests connections that keep to an allowance."""

    def __init__(self, allowance: Allowance) -> None:
        """Keep the allowance."""
        self._allowance = allowance
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Have the connections made by this module."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _pools(self._allowance)


def _pools(allowance: Allowance) -> dict[str, type[HTTPConnectionPool]]:
    """Return the pools of connections for an allowance; urllib3 takes classes, which nothing can be handed to."""

    class Answer(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
            super().__init__(sock, *args, **kwargs)
            self.fp.close()
            self.fp = _Lines(_Meter(sock, allowance), BLOCK_BYTES)

        def begin(self) -> None:
            allowance.begin_head()
            super().begin()
            allowance.begin_body()

    class Bounded(HTTPConnection):
        response_class: Any = Answer

        def _new_conn(self) -> socket.socket:
            try:
                return dial(self._dns_host.strip("[]"), self.port or self.default_port, allowance.connecting())
            except socket.gaierror as error:
                raise NameResolutionError(self.host, self, error) from error
            except TimeoutError as error:
                allowance.wait_s()  # where all of the time is over, that is the error
                raise ConnectTimeoutError(self, "no connection in time") from error
            except OSError as error:
                raise NewConnectionError(self, "no connection") from error

        def send(self, data: Any) -> None:
            try:
                if self.sock is not None:
                    self.sock.settimeout(allowance.wait_s())
                super().send(data)
            except TimeoutError:
                raise allowance.out_of_time() from None

    class BoundedPool(HTTPConnectionPool):
        ConnectionCls = Bounded

    class BoundedTls(Bounded, HTTPSConnection):
        pass

    class BoundedTlsPool(HTTPSConnectionPool):
        ConnectionCls = BoundedTls

    return {"http": BoundedPool, "https": BoundedTlsPool}


class _Meter(io.RawIOBase):
    """What comes from a socket, each piece in its time, all of it counted."""

    def __init__(self, sock: socket.socket, allowance: Allowance) -> None:
        self._socket = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._allowance = allowance

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._socket.settimeout(self._allowance.wait_s())
        try:
            count = self._raw.readinto(buffer) or 0
        except TimeoutError:
            raise self._allowance.out_of_time() from None
        self._allowance.take(count)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Lines(io.BufferedReader):
    """Reads ahead, and knows no endless line: urllib3 reads sizes of chunks and trailers without a limit."""

    def __init__(self, meter: _Meter, size: int) -> None:
        super().__init__(meter, size)
        self._meter = meter

    def readline(self, size: int | None = -1, /) -> bytes:
        if size is not None and size >= 0:
            return super().readline(size)
        line = super().readline(LINE_BYTES)
        if len(line) == LINE_BYTES:
            self._meter._allowance.refuse_length()
        return line
