"""An archive or node that is not who it should be gets nothing; a handshake has its time."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from support.servers.certificates import BAD_CERTIFICATES, Certificates, server_context_of

from monai_chexmask_u.archive.cstore import StoreSender
from monai_chexmask_u.archive.delivery import Sender
from monai_chexmask_u.archive.dialing import NoHandshake, dial
from monai_chexmask_u.archive.failures import ArchiveError, ArchiveUnusable, TryLater
from monai_chexmask_u.archive.fetch import fetch_study
from monai_chexmask_u.archive.objects import DicomFile
from monai_chexmask_u.archive.settings import DicomwebArchive, DimseNode, Timeouts, Tls
from monai_chexmask_u.archive.stow import StowSender
from monai_chexmask_u.archive.waiting import Backoff, Deadline

pytestmark = pytest.mark.usefixtures("no_secrets_told")

TIMEOUTS = Timeouts(connect_s=1.0, answer_s=1.0)
Reach = Callable[[int, Tls], None]


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serve each connection in a thread, and give the port."""
    connections: list[socket.socket] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                connections.append(server.accept()[0])
                threading.Thread(target=_quietly, args=(serve, connections[-1]), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        for each in (server, *connections):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


def _quietly(serve: Callable[[socket.socket], None], connection: socket.socket) -> None:
    with suppress(OSError), connection:
        serve(connection)


def keeping(context: ssl.SSLContext, heard: list[bytes]) -> Callable[[socket.socket], None]:
    """Return a server's side of TLS, which keeps what it is told."""

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            while data := secure.recv(65536):
                heard.append(data)

    return serve


@pytest.fixture(params=["fetch", "STOW-RS", "C-STORE"])
def reach(request: pytest.FixtureRequest, small_files: list[DicomFile], tmp_path: Path) -> Reach:
    """One of the ways to an archive, at a port of this machine, tried once."""

    def reach(port: int, tls: Tls) -> None:
        archive = DicomwebArchive(f"https://127.0.0.1:{port}", tls=tls, timeouts=TIMEOUTS)
        sender: Sender = StowSender(archive)
        if request.param == "C-STORE":
            sender = StoreSender(DimseNode("NODE", "127.0.0.1", port, tls=tls, timeouts=TIMEOUTS))
        if request.param == "fetch":
            fetch_study(archive, tmp_path, study_uid="1.2", backoff=Backoff(attempts=1))
        else:
            sender.send(small_files[0], Deadline(TIMEOUTS.answer_s))

    return reach


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("expired", "is not trusted: it has expired; have it renewed"),
        ("other host", "is not trusted: it is of another host; check the address"),
        ("no host", "is not trusted: it is of another host; check the address"),
        ("for clients", "is not trusted: it was not made for servers"),
        ("self-signed", "is not trusted; name its authority's file with --ca-file"),
    ],
)
def test_certificate_that_is_not_right_gets_nothing(
    certificates: Certificates, reach: Reach, bad: str, said: str
) -> None:
    heard: list[bytes] = []
    context = server_context_of(certificates.bad[bad])
    with listening(keeping(context, heard)) as port, pytest.raises(ArchiveUnusable, match=said) as caught:
        reach(port, Tls(certificates.authority))
    assert "\n" not in str(caught.value)
    assert heard == []


def test_every_bad_certificate_is_tried() -> None:
    assert set(BAD_CERTIFICATES) == {"expired", "other host", "no host", "for clients"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_tls_is_refused(certificates: Certificates, reach: Reach) -> None:
    heard: list[bytes] = []
    context = server_context_of(certificates.both)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with listening(keeping(context, heard)) as port, pytest.raises(ArchiveUnusable, match="no TLS connection"):
        reach(port, Tls(certificates.authority))
    assert heard == []


def silent(connection: socket.socket) -> None:
    time.sleep(10)


def byte_by_byte(connection: socket.socket) -> None:
    """A TLS record of the greatest length (RFC 8446, 5.1), which does not end in time."""
    for byte in b"\x16\x03\x03\x40\x00" + b"\0" * 200:
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


def no_tls(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def hangs_up(connection: socket.socket) -> None:
    pass


@pytest.mark.parametrize("serve", [silent, byte_by_byte, no_tls, hangs_up])
def test_handshake_that_does_not_come_about_ends_in_its_time(
    certificates: Certificates, reach: Reach, serve: Callable[[socket.socket], None]
) -> None:
    started = time.monotonic()
    with listening(serve) as port, pytest.raises((ArchiveUnusable, TryLater)) as caught:
        reach(port, Tls(certificates.authority))
    assert time.monotonic() - started < TIMEOUTS.answer_s + 5
    assert isinstance(caught.value, ArchiveError)
    assert "\n" not in str(caught.value)


def test_name_that_is_not_found_in_time_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: time.sleep(3))
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        dial("archive.example", 443, Deadline(0.2))
    assert time.monotonic() - started < 2


def test_addresses_of_a_name_share_one_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them leads to a port whose queue is full, so that no connection comes about."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(address)
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address)] * 50
        monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: found)
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            dial("archive.example", 443, Deadline(0.3))
        assert time.monotonic() - started < 3
        for each in waiting:
            each.close()


@pytest.mark.parametrize("host", ["a" * 70 + ".example", "a..example", "\udcff.example", "*"])
def test_name_that_can_be_none_is_not_found(host: str) -> None:
    with pytest.raises(OSError):  # noqa: PT011 (its kind depends on the system)
        dial(host, 443, Deadline(5))


def test_handshake_in_pieces_is_told_from_a_connection_that_is_not_there(certificates: Certificates) -> None:
    with listening(byte_by_byte) as port, pytest.raises(NoHandshake):
        dial("127.0.0.1", port, Deadline(0.3), tls=Tls(certificates.authority).context())
