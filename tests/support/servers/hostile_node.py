"""A DIMSE node that does harm: it associates, or seems to, and plays a trick. Every trick ends by itself."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

__all__ = ["LONGEST_S", "NODE_TRICKS", "serve_node_trick"]

LONGEST_S: Final = 20.0
DIMSE_RESPONSE: Final = 0x8001

Play = Callable[["Caller"], None]
NODE_TRICKS: Final[dict[str, Play]] = {}


class Caller:
    """The connection to a program that wants to store objects."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        connection.settimeout(LONGEST_S)
        self._end = time.monotonic() + LONGEST_S

    def say(self, data: bytes) -> None:
        if time.monotonic() > self._end:
            raise TimeoutError
        self.connection.sendall(data)

    def trickle(self, data: bytes, pause_s: float = 0.05) -> None:
        for place in range(len(data)):
            self.say(data[place : place + 1])
            time.sleep(pause_s)

    def for_ever(self, data: bytes) -> None:
        while True:
            self.say(data)

    def hear_pdu(self) -> tuple[int, bytes]:
        """Return the type and the content of the next PDU (PS3.8, 9.3)."""
        kind, _, length = struct.unpack(">BBL", self._hear(6))
        return kind, self._hear(length)

    def hear_object(self) -> None:
        """Read up to the last piece of a data set."""
        while True:
            kind, content = self.hear_pdu()
            if kind == 4 and content[5] == 2:  # a data set, the last piece (PS3.8, E.2)
                return

    def wait(self) -> None:
        while self.connection.recv(65536):
            pass

    def accept(self, *, most: int = 16384) -> None:
        """Accept the one context that is proposed, with a largest piece."""
        _, request = self.hear_pdu()
        self.say(acceptance(request, most))

    def _hear(self, count: int) -> bytes:
        heard = b""
        while len(heard) < count:
            data = self.connection.recv(count - len(heard))
            if not data:
                raise OSError
            heard += data
        return heard


def acceptance(request: bytes, most: int) -> bytes:
    """Return an A-ASSOCIATE-AC (PS3.8, 9.3.3) to an A-ASSOCIATE-RQ."""
    syntax = request[request.rindex(b"\x40\x00") :]
    syntax = syntax[: 4 + struct.unpack(">H", syntax[2:4])[0]]
    context = b"\x01\x00\x00\x00" + syntax
    user = struct.pack(">BBHL", 0x51, 0, 4, most) + _sub_item(0x52, b"1.2.3.4")
    items = _sub_item(0x10, b"1.2.840.10008.3.1.1.1") + _sub_item(0x21, context) + _sub_item(0x50, user)
    return pdu(2, request[:68] + items)


def _sub_item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(content)) + content


def pdu(kind: int, content: bytes) -> bytes:
    return struct.pack(">BBL", kind, 0, len(content)) + content


def command(content: bytes, *, last: bool = True) -> bytes:
    """Return a P-DATA-TF with a piece of a command set."""
    value = bytes([1, 3 if last else 1]) + content
    return pdu(4, struct.pack(">L", len(value)) + value)


def response(field: int = DIMSE_RESPONSE, **values: object) -> bytes:
    """Return a command set (PS3.7, 9.3.1.2), which says that an object is stored."""
    answer = Dataset()
    answer.AffectedSOPClassUID, answer.CommandField = "1.2.840.10008.5.1.4.1.1.1", field
    answer.MessageIDBeingRespondedTo, answer.CommandDataSetType = 1, 0x0101
    answer.AffectedSOPInstanceUID, answer.Status = "1.2.3", 0
    for keyword, value in values.items():
        setattr(answer, keyword, value)
    file = DicomBytesIO()
    file.is_little_endian, file.is_implicit_VR = True, True
    write_dataset(file, answer)
    content = file.getvalue()
    return struct.pack("<HHLL", 0, 0, 4, len(content)) + content


def _trick(name: str) -> Callable[[Play], Play]:
    def add(play: Play) -> Play:
        NODE_TRICKS[name] = play
        return play

    return add


def _after_object(*data: bytes, again: bytes = b"") -> Play:
    """Return a trick that takes an object and then says something, perhaps again and again."""

    def play(caller: Caller) -> None:
        caller.accept()
        caller.hear_object()
        for each in data:
            caller.say(each)
        if again:
            caller.for_ever(again)
        caller.wait()

    return play


@_trick("node: takes the connection and says nothing")
def _silent(caller: Caller) -> None:
    caller.wait()


@_trick("node: hangs up at once")
def _hangs_up(caller: Caller) -> None:
    pass


@_trick("node: no DICOM")
def _no_dicom(caller: Caller) -> None:
    caller.say(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 100)


@_trick("node: an acceptance byte by byte")
def _slow_acceptance(caller: Caller) -> None:
    _, request = caller.hear_pdu()
    caller.trickle(acceptance(request, 16384)[:6] + b"\0" * 400)


@_trick("node: an acceptance of 4 GB")
def _huge_acceptance(caller: Caller) -> None:
    caller.hear_pdu()
    caller.say(struct.pack(">BBL", 2, 0, 0xFFFFFFFF))
    caller.for_ever(b"\0" * 2**20)


@_trick("node: an acceptance of nonsense")
def _broken_acceptance(caller: Caller) -> None:
    caller.hear_pdu()
    caller.say(pdu(2, b"\xff" * 400))
    caller.wait()


@_trick("node: accepts another transfer syntax")
def _other_syntax(caller: Caller) -> None:
    _, request = caller.hear_pdu()
    caller.say(acceptance(request, 16384).replace(b"1.2.840.10008.1.2.1", b"1.2.840.10008.1.2.2"))
    caller.wait()


def _wanting(most: int) -> Play:
    def play(caller: Caller) -> None:
        caller.accept(most=most)
        caller.wait()

    return play


for most in (1, 6, 7, 100):
    _trick(f"node: wants pieces of {most} bytes")(_wanting(most))


@_trick("node: stops in the middle of an object")
def _stops(caller: Caller) -> None:
    caller.accept()
    caller.hear_pdu()
    time.sleep(LONGEST_S / 2)


@_trick("node: takes an object byte by byte")
def _reads_slowly(caller: Caller) -> None:
    caller.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    caller.accept()
    end = time.monotonic() + LONGEST_S / 2
    while time.monotonic() < end and caller.connection.recv(1):
        time.sleep(0.02)


@_trick("node: hangs up in the middle of an object")
def _hangs_up_later(caller: Caller) -> None:
    caller.accept()
    caller.hear_pdu()


_STATUS_LIST: Final = struct.pack("<HHLHH", 0, 0x0900, 4, 0, 1)
_DEEP: Final = (
    struct.pack("<HHL", 0x0008, 0x1140, 0xFFFFFFFF) + struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
) * 3000
NODE_TRICKS.update(
    {
        "node: says nothing of an object": _after_object(),
        "node: answers with a command of nonsense": _after_object(command(b"\xff" * 500)),
        "node: answers with sequences 3,000 deep": _after_object(command(_DEEP)),
        "node: answers with a command without end": _after_object(again=command(b"\0" * 8000, last=False)),
        "node: answers with empty pieces without end": _after_object(again=pdu(4, b"")),
        "node: answers with a piece of length 4 GB": _after_object(pdu(4, b"\xff\xff\xff\xff\x01\x03")),
        "node: answers with two statuses": _after_object(command(_STATUS_LIST + response())),
        "node: answers with another command": _after_object(command(response(0x8020))),
        "node: answers another message": _after_object(
            command(response(MessageIDBeingRespondedTo=2, AffectedSOPInstanceUID=""))
        ),
        "node: answers with a request of its own": _after_object(command(response(0x0001))),
        "node: answers with events without end": _after_object(
            again=command(response(0x0100, MessageID=1, EventTypeID=1, AffectedSOPInstanceUID="1.2.3"))
        ),
        "node: answers that it is not done, without end": _after_object(again=command(response(Status=0xFF00))),
        "node: aborts": _after_object(pdu(7, b"\0\0\0\0")),
        "node: wants to release instead of an answer": _after_object(pdu(5, b"\0\0\0\0")),
        "node: a PDU of an unknown kind": _after_object(pdu(99, b"\0" * 10)),
        "node: a PDU of 4 GB": _after_object(struct.pack(">BBL", 4, 0, 0xFFFFFFFF), again=b"\0" * 2**20),
    }
)


@_trick("node: an answer byte by byte")
def _slow_answer(caller: Caller) -> None:
    caller.accept()
    caller.hear_object()
    caller.trickle(command(b"\0" * 400))


@contextmanager
def serve_node_trick(play: Play) -> Iterator[str]:
    """Run a node that plays a trick, and give its address."""
    server = socket.create_server(("127.0.0.1", 0))
    open_ones: list[socket.socket] = []

    def serve(connection: socket.socket) -> None:
        with suppress(OSError, ValueError, struct.error), connection:
            play(Caller(connection))

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                open_ones.append(connection)
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"NODE@127.0.0.1:{server.getsockname()[1]}"
    finally:
        for each in (server, *open_ones):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
