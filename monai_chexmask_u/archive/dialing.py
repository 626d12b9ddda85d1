"""A connection to another machine, all in one time: the look-up of its name, each of its addresses, and TLS."""

from __future__ import annotations

import socket
import ssl
import threading
from typing import Any

from monai_chexmask_u.archive.waiting import Deadline

__all__ = ["NoHandshake", "dial"]


class NoHandshake(OSError):
    """The other side took the connection and did not speak TLS, or not in time."""


def dial(host: str, port: int, deadline: Deadline, *, tls: ssl.SSLContext | None = None) -> socket.socket:
    """Connect to a port of a machine.

    Args:
        host: name or address.
        port: its port.
        deadline: for all of it.
        tls: a client's context, where TLS is spoken at once.

    Returns:
        The connection; its time-out is what was left of the time.

    Raises:
        TimeoutError: if the time is over.
        NoHandshake: if the other side does not speak TLS.
        OSError: if the name is not known (`socket.gaierror`), nobody listens, or TLS fails (`ssl.SSLError`).
    """
    connection = _connect(_addresses(host, port, deadline), deadline)
    if tls is None:
        return connection
    try:
        # One time-out is the time for the whole handshake, however many pieces it comes in.
        connection.settimeout(_time_left(deadline))
        return tls.wrap_socket(connection, server_hostname=host)
    except BaseException as error:
        connection.close()
        if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
            raise NoHandshake("there is no TLS") from error
        raise


def _addresses(host: str, port: int, deadline: Deadline) -> list[tuple[Any, ...]]:
    """Look a name up. That cannot be broken off, so that another thread waits where it takes too long."""
    found: list[list[tuple[Any, ...]] | Exception] = []

    def look_up() -> None:
        try:
            found.append(list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=look_up, daemon=True, name="name look-up")
    thread.start()
    thread.join(_time_left(deadline))
    if not found:
        raise TimeoutError("the name was not found in time")
    if isinstance(found[0], UnicodeError):
        raise socket.gaierror(socket.EAI_NONAME, "this can be no name")
    if isinstance(found[0], Exception):
        raise found[0]
    return found[0]


def _connect(addresses: list[tuple[Any, ...]], deadline: Deadline) -> socket.socket:
    """Connect to the first address that answers."""
    failure: OSError = OSError("the name has no address")
    for family, kind, protocol, _, address in addresses:
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(_time_left(deadline))
            connection.connect(address)
        except OSError as error:
            connection.close()
            failure = error
        else:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
    raise failure


def _time_left(deadline: Deadline) -> float:
    if deadline.is_over:
        raise TimeoutError("no time is left for a connection")
    return deadline.remaining_s
