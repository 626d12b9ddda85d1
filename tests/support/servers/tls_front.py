"""TLS in front of a server that speaks none, as a reverse proxy in a hospital does it."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from support.servers.certificates import Certificates, server_context

__all__ = ["tls_in_front_of"]


@contextmanager
def tls_in_front_of(port: int, certificates: Certificates, *, wants_certificate: bool = False) -> Iterator[int]:
    """Pass on what comes over TLS to a port of this machine, and give the port where to come."""
    context = server_context(certificates, wants_certificate=wants_certificate)

    class Passage(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with (
                suppress(OSError),  # such as a client that does not trust the certificate
                context.wrap_socket(self.request, server_side=True) as outside,
                socket.create_connection(("127.0.0.1", port)) as inside,
            ):
                back = threading.Thread(target=_pass_on, args=(inside, outside))
                back.start()
                _pass_on(outside, inside)
                back.join()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Passage) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
