"""A DICOMweb archive that does harm: it answers well up to one request, and there plays a trick.

Everything is bounded: a trick ends when its victim hangs up, or after `LONGEST_S`. It serves this machine alone.
"""

from __future__ import annotations

import gzip
import json
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from pydicom.dataset import FileDataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian
from support.samples.study_archive import STUDY, StudyArchive, dicom_bytes, make_object
from support.servers.archive_servers import Request

__all__ = ["FETCH_TRICKS", "LONGEST_S", "SEND_TRICKS", "HostileArchive", "Trick", "serve_trick"]

LONGEST_S: Final = 20.0
MEGABYTE: Final = b"\0" * 2**20
BOMB_BYTES: Final = 2**31
JSON: Final = "application/dicom+json"
PART: Final = 'multipart/related; type="application/dicom"; boundary="b"'
# What only an archive knows; it must not come back in a message. The samples' patient is in the objects.
CANARY: Final = "Canary^Patient"


class Victim:
    """The connection to a client, as long as it lasts."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._end = time.monotonic() + LONGEST_S

    def say(self, data: bytes) -> None:
        """Send all of it, unless time is over."""
        if time.monotonic() > self._end:
            raise TimeoutError
        self.connection.sendall(data)

    def for_ever(self, data: bytes, pause_s: float = 0.0) -> None:
        """Send something again and again."""
        while True:
            self.say(data)
            time.sleep(pause_s)

    def trickle(self, data: bytes, pause_s: float = 0.05) -> None:
        """Send byte by byte."""
        for place in range(len(data)):
            self.say(data[place : place + 1])
            time.sleep(pause_s)

    def head(self, *, status: str = "200 OK", kind: str = JSON, length: object = None, more: str = "") -> None:
        """Send a status line and headers."""
        lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}"]
        lines += [f"Content-Length: {length}"] if length is not None else []
        self.say(("\r\n".join(lines) + f"\r\n{more}\r\n").encode("latin-1"))

    def answer(self, body: bytes, **head: Any) -> None:
        """Send a whole answer."""
        self.head(length=len(body), **head)
        self.say(body)

    def wait(self) -> None:
        """Say nothing until the client hangs up."""
        self.connection.settimeout(LONGEST_S)
        while self.connection.recv(65536):
            pass


Play = Callable[[Victim], None]


@dataclass(frozen=True)
class Trick:
    """What an archive does.

    Attributes:
        name: in words.
        at: the request at which it does so: the last word of the path, ``connect`` before TLS or HTTP, ``post``.
        play: what is sent.
        reads_request: whether it reads the request before.
    """

    name: str
    at: str
    play: Play
    reads_request: bool = True


FETCH_TRICKS: Final[dict[str, Trick]] = {}
SEND_TRICKS: Final[dict[str, Trick]] = {}


def _trick(name: str, at: str, *, reads_request: bool = True) -> Callable[[Play], Play]:
    def add(play: Play) -> Play:
        (SEND_TRICKS if at == "post" else FETCH_TRICKS)[name] = Trick(name, at, play, reads_request)
        return play

    return add


def _each(at: str, tricks: dict[str, Play]) -> None:
    for name, play in tricks.items():
        _trick(name, at)(play)


# Connections and heads


@_trick("takes the connection and says nothing", "connect", reads_request=False)
def _silent(victim: Victim) -> None:
    victim.wait()


@_trick("status line byte by byte", "studies")
def _slow_status(victim: Victim) -> None:
    victim.trickle(b"HTTP/1.1 200 " + b"O" * 60_000)


@_trick("headers byte by byte", "studies")
def _slow_headers(victim: Victim) -> None:
    victim.say(b"HTTP/1.1 200 OK\r\n")
    victim.trickle(b"X: y\r\n" * 10_000)


def _flood(start: bytes, again: bytes) -> Play:
    def play(victim: Victim) -> None:
        victim.say(start)
        victim.for_ever(again)

    return play


_OK: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/dicom+json\r\n"
_CHUNKED: Final = _OK + b"Transfer-Encoding: chunked\r\n\r\n"
_each(
    "studies",
    {
        "100 Continue forever": _flood(b"", b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n" * 1000),
        "a header line without end": _flood(_OK + b"X: ", b"x" * 2**20),
        "headers without end": _flood(_OK, b"".join(b"X%d: y\r\n" % number for number in range(10_000))),
        "a body without end": _flood(_OK + b"\r\n[", b" " * 2**20),
        "a text without end": _flood(_OK + b'\r\n["', b"x" * 2**20),
        "chunks of one byte without end": _flood(_CHUNKED, b"1\r\n \r\n" * 10_000),
        "a chunk's size without end": _flood(_CHUNKED, b"0" * 2**20),
        "a chunk's extension without end": _flood(_CHUNKED + b"1;", b"x" * 2**20),
        "trailers without end": _flood(_CHUNKED + b"2\r\n[]\r\n0\r\n", b"X: y\r\n" * 100_000),
        "a trailer without end": _flood(_CHUNKED + b"2\r\n[]\r\n0\r\nX: ", b"x" * 2**20),
    },
)


@_trick("body byte by byte", "studies")
def _slow_body(victim: Victim) -> None:
    victim.head()
    victim.trickle(b"[" + b" " * 60_000)


@_trick("chunks byte by byte", "studies")
def _slow_chunks(victim: Victim) -> None:
    victim.say(_CHUNKED)
    victim.trickle(b"1\r\n \r\n" * 10_000)


def _raw(data: bytes) -> Play:
    return lambda victim: victim.say(data)


def _answering(body: bytes, **head: Any) -> Play:
    return lambda victim: victim.answer(body, **head)


_each(
    "studies",
    {
        "no HTTP": _raw(b"\x16\x03\x01\x02\x00\x01\r\n\r\n" * 100),
        "HTTP/0.9": _raw(b"<html>welcome</html>\r\n"),
        "a status that is no number": _raw(b"HTTP/1.1 abc OK\r\n\r\n[]"),
        "a status out of range": _raw(b"HTTP/1.1 99999 OK\r\n\r\n[]"),
        "HTTP/2.0": _raw(b"HTTP/2.0 200 OK\r\n\r\n[]"),
        "103 Early Hints alone": _raw(b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"),
        "hangs up at once": _raw(b""),
        "hangs up in the headers": _raw(b"HTTP/1.1 200 OK\r\nContent-Ty"),
        "promises more than it sends": _raw(_OK + b"Content-Length: 1000\r\n\r\n[]"),
        "a length of 10^30": _raw(_OK + b"Content-Length: 1" + b"0" * 30 + b"\r\n\r\n[]"),
        "a negative length": _raw(_OK + b"Content-Length: -5\r\n\r\n{"),
        "two lengths": _raw(_OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n[]"),
        "a chunk of negative size": _raw(_CHUNKED + b"-5\r\n[]\r\n0\r\n\r\n"),
        "a chunk of no size": _raw(_CHUNKED + b"zz\r\n[]\r\n0\r\n\r\n"),
    },
)

# Statuses, redirections and bombs


@cache
def _deflated(start: bytes, byte: bytes) -> bytes:
    """Return a start and two gigabytes of one byte, deflated (RFC 1951): blocks that refer to no other are repeated."""
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    head = deflater.compress(start) + deflater.flush(zlib.Z_FULL_FLUSH)
    block = deflater.compress(byte * 2**24) + deflater.flush(zlib.Z_FULL_FLUSH)
    return head + block * (BOMB_BYTES // 2**24) + deflater.flush()


def _bomb(encoding: str, **head: Any) -> Play:
    """Return an answer in an encoding of HTTP that grows to two gigabytes; its checksum is wrong, which comes last."""
    frames = {"gzip": b"\x1f\x8b\x08\0\0\0\0\0\0\x03", "deflate": b"\x78\x9c"}

    def play(victim: Victim) -> None:
        victim.answer(
            frames[encoding] + _deflated(b"[", b" ") + b"\0" * 8, more=f"Content-Encoding: {encoding}\r\n", **head
        )

    return play


def _redirect(location: str, code: int = 302) -> Play:
    def play(victim: Victim) -> None:
        victim.answer(b"", status=f"{code} Elsewhere", more=f"Location: {location}\r\n")

    return play


@_trick("redirects with a body without end", "studies")
def _endless_redirect(victim: Victim) -> None:
    victim.head(status="302 Found", more="Location: /dicom-web/studies\r\n")
    victim.for_ever(MEGABYTE)


@_trick("an error with a body without end", "studies")
def _endless_error(victim: Victim) -> None:
    victim.head(status="500 Error")
    victim.for_ever(MEGABYTE)


_each(
    "studies",
    {
        "redirects to itself": _redirect("/dicom-web/studies"),
        "redirects to another host": _redirect("http://localhost:9/dicom-web/studies", 307),
        "redirects to a file": _redirect("file:///etc/passwd"),
        "redirects to nonsense": _redirect("http://[::1:x/\xff\x01"),
        "300 without a place": _answering(b"[]", status="300 Multiple Choices"),
        "304": _answering(b"", status="304 Not Modified"),
        "wants to be asked again in 10^400 s": _answering(b"", status="503 Busy", more=f"Retry-After: {'9' * 400}\r\n"),
        "wants to be asked again in the year 9999": _answering(
            b"", status="503 Busy", more="Retry-After: Fri, 31 Dec 9999 23:59:59 -1200\r\n"
        ),
        "wants to be asked again in the year 99999": _answering(
            b"", status="429 Busy", more="Retry-After: Fri, 31 Dec 99999 23:59:59 GMT\r\n"
        ),
        "wants to be asked again in -1 s": _answering(b"", status="503 Busy", more="Retry-After: -1\r\n"),
        "wants to be asked again in NaN s": _answering(b"", status="503 Busy", more="Retry-After: nan\r\n"),
        "an unknown encoding": _answering(b"[]", more="Content-Encoding: x-unknown\r\n"),
        "a gzip bomb": _bomb("gzip"),
        "a deflate bomb": _bomb("deflate"),
        "a gzip bomb in a gzip bomb": _answering(
            gzip.compress(gzip.compress(b" " * 2**26)), more="Content-Encoding: gzip, gzip\r\n"
        ),
    },
)

# JSON


def _item(**values: Any) -> dict[str, Any]:
    return {tag[1:]: {"vr": "LO", "Value": [value]} for tag, value in values.items()}


def _listing(*items: object) -> Play:
    return _answering(json.dumps(list(items)).encode())


_each(
    "studies",
    {
        "JSON nested 1,000,000 deep": _answering(b"[" * 10**6),
        "JSON nested 900 deep in a value": _answering(b'[{"0020000D": {"Value": [' + b"[" * 900 + b"]" * 900 + b"]}}]"),
        "JSON of 10,000,000 empty lists": _answering(b"[" + b"[]," * 10**7 + b"[]]"),
        "JSON of 2,000,000 objects": _answering(b"[" + b'{"00080018":{}},' * 2 * 10**6 + b"{}]"),
        "a number of 1,000,000 digits": _answering(b'[{"0020000D": {"Value": [' + b"9" * 10**6 + b"]}}]"),
        "NaN": _answering(b'[{"0020000D": {"Value": [NaN]}}]'),
        "1e999": _answering(b'[{"0020000D": {"Value": [1e999]}}]'),
        "a text instead of a list": _answering(b'"Canary^Patient"'),
        "a number instead of an item": _answering(b"[1]"),
        "null for a value": _answering(b'[{"0020000D": null}]'),
        "true for a UID": _answering(b'[{"0020000D": {"Value": [true]}}]'),
        "one half of a surrogate": _answering(b'[{"0020000D": {"Value": ["\\ud800"]}}]'),
        "Latin-1 instead of UTF-8": _answering('[{"0020000D": {"Value": ["\u00fc"]}}]'.encode("latin-1")),
        "UTF-16 cut in the middle": _answering('["Canary"]'.encode("utf-16")[:-1]),
        "HTML": _answering(b"<html>Canary^Patient</html>", kind="text/html"),
        "XML": _answering(b"<NativeDicomModel>Canary^Patient</NativeDicomModel>", kind="application/dicom+xml"),
        "a UID that leads out of the folder": _listing(_item(_0020000D="../../etc/passwd")),
        "a UID with two dots": _listing(_item(_0020000D="1..2")),
        "a UID of 100,000 digits": _listing(_item(_0020000D="1" * 100_000)),
        "another study": _listing(_item(_0020000D="1.2.3", _00100010=CANARY)),
        "the study twice, of two patients": _listing(
            _item(_0020000D=STUDY, _00100020="A"), _item(_0020000D=STUDY, _00100020="B")
        ),
        "the study's key twice": _answering(
            b'[{"0020000D": {"Value": ["%b"]}, "0020000D": {"Value": ["1.2.3"]}}]' % STUDY.encode()
        ),
        "nothing": _answering(b"", status="204 No Content"),
    },
)
_each(
    "series",
    {
        "series of another study": _listing(_item(_0020000D="1.2.3", _0020000E="1.2.3.4", _00080060="DX")),
        "a modality that is a patient's name": _listing(_item(_0020000E="1.2.3.4", _00080060=CANARY)),
        "a modality that clears the screen": _listing(_item(_0020000E="1.2.3.4", _00080060="\x1b[2J\n\r")),
        "a modality of 1,000,000 letters": _listing(_item(_0020000E="1.2.3.4", _00080060="X" * 10**6)),
    },
)


@_trick("pages without end", "endless pages")
def _endless_pages(victim: Victim) -> None:
    first = time.monotonic_ns()  # each page is a new one
    victim.answer(json.dumps([_item(_00080018=f"1.{first}.{number}") for number in range(100)]).encode())


@_trick("pages of one result without end", "endless pages")
def _small_pages(victim: Victim) -> None:
    victim.answer(json.dumps([_item(_00080018=f"1.{time.monotonic_ns()}")]).encode())


@_trick("100,000 objects in a series", "instances")
def _many_objects(victim: Victim) -> None:
    victim.answer(json.dumps([_item(_00080018=f"1.{number}") for number in range(100_000)]).encode())


# Objects


def _part(content: bytes) -> bytes:
    return b"--b\r\nContent-Type: application/dicom\r\n\r\n" + content + b"\r\n--b--\r\n"


def _object(change: Callable[[FileDataset], None]) -> Play:
    def play(victim: Victim) -> None:
        dataset = make_object(1)
        change(dataset)
        victim.answer(_part(dicom_bytes(dataset)), kind=PART)

    return play


def _set(**values: str) -> Callable[[FileDataset], None]:
    def change(dataset: FileDataset) -> None:
        for keyword, value in values.items():
            setattr(dataset, keyword, value)
        dataset.file_meta.MediaStorageSOPInstanceUID = UID(str(dataset.SOPInstanceUID))

    return change


@cache
def _deflated_object() -> bytes:
    """Return a small deflated object that grows to two gigabytes before it says what it is (PS3.5, A.5)."""
    dataset = make_object(1)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    element = struct.pack("<HH2sHL", 0x0009, 0x1010, b"OB", 0, BOMB_BYTES)
    return _meta(dicom_bytes(dataset)) + _deflated(element, b"\0")


def _meta(file: bytes) -> bytes:
    """Return a file up to the end of its meta information."""
    return file[: 132 + 12 + struct.unpack("<L", file[140:144])[0]]


def _sequences(depth: int, width: int) -> bytes:
    """Return an object whose header has sequences in sequences, or many items."""
    meta = _meta(dicom_bytes(make_object(1)))
    opening = struct.pack("<HH2sHL", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF)
    item = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    empty = struct.pack("<HHL", 0xFFFE, 0xE000, 0)
    return meta + (opening + item) * depth + opening + empty * width


_each(
    "object",
    {
        "an object of another study": _object(_set(StudyInstanceUID="1.2.3")),
        "an object of another series": _object(_set(SeriesInstanceUID="1.2.3")),
        "another object": _object(_set(SOPInstanceUID="1.2.3")),
        "an object of another accession number": _object(_set(AccessionNumber="A10")),
        "an object of another modality": _object(_set(Modality="CT")),
        "an object of another patient": _object(_set(PatientID="OTHER-0002")),
        "an object of another issuer's patient": _object(_set(IssuerOfPatientID="ELSEWHERE")),
        "no DICOM": _answering(_part(CANARY.encode()), kind=PART),
        "a part of an object, 206": _answering(_part(b"half"), kind=PART, status="206 Partial Content"),
        "no object, 204": _answering(b"", status="204 No Content"),
        "a boundary that is none": _answering(_part(b"x"), kind='multipart/related; boundary="\xfc\x01"'),
        "a boundary of 60,000 letters": _answering(_part(b"x"), kind=f'multipart/related; boundary="{"b" * 60_000}"'),
        "no boundary": _answering(_part(b"x"), kind="multipart/related"),
        "several parts": _answering(_part(b"x")[:-4] + b"\r\n" + _part(b"y"), kind=PART),
        "no part": _answering(b"--b--\r\n\r\n", kind=PART),
        "parts in a part": _answering(_part(b"Content-Type: multipart/mixed; boundary=c\r\n\r\n--c--"), kind=PART),
        "an object as HTML": _answering(b"<html>Canary^Patient</html>", kind="text/html"),
        "an object as a gzip bomb": _bomb("gzip", kind=PART),
        "a deflated object of 2 gigabytes": lambda victim: victim.answer(_part(_deflated_object()), kind=PART),
        "sequences 100,000 deep": lambda victim: victim.answer(_part(_sequences(100_000, 0)), kind=PART),
        "a sequence of 10,000,000 items": lambda victim: victim.answer(_part(_sequences(0, 10**7)), kind=PART),
    },
)


@_trick("an object byte by byte", "object")
def _slow_object(victim: Victim) -> None:
    victim.head(kind=PART)
    victim.trickle(_part(dicom_bytes(make_object(1))))


@_trick("an object without end", "object")
def _endless_object(victim: Victim) -> None:
    victim.head(kind=PART)
    victim.say(_part(b"")[: -len(b"\r\n--b--\r\n")])
    victim.for_ever(MEGABYTE)


@_trick("a preamble without end", "object")
def _endless_preamble(victim: Victim) -> None:
    victim.head(kind=PART)
    victim.for_ever(MEGABYTE)


@_trick("an epilogue without end", "object")
def _endless_epilogue(victim: Victim) -> None:
    victim.head(kind=PART)
    victim.say(_part(dicom_bytes(make_object(1)))[:-2])
    victim.trickle(b"x" * 60_000)


# Answers to objects that are sent


@_trick("takes no object from the line", "post", reads_request=False)
def _reads_nothing(victim: Victim) -> None:
    time.sleep(LONGEST_S / 2)


@_trick("takes an object byte by byte", "post", reads_request=False)
def _reads_slowly(victim: Victim) -> None:
    victim.connection.settimeout(1.0)
    end = time.monotonic() + LONGEST_S
    while time.monotonic() < end and victim.connection.recv(1):
        time.sleep(0.02)


_each(
    "post",
    {
        "answers to an object with nothing": lambda victim: victim.wait(),
        "answers to an object byte by byte": lambda victim: victim.trickle(_OK + b"\r\n{" + b" " * 10_000),
        "answers to an object without end": _flood(_OK + b"\r\n{", b" " * 2**20),
        "answers to an object with JSON nested deep": _answering(b'{"00081199":' + b"[" * 10**5),
        "answers to an object with wrong types": _answering(b'{"00081199": {"Value": [1, null, {"00081155": 5}]}}'),
        "answers to an object with reasons of 10^9 digits": _answering(
            b'{"00081198": {"Value": [{"00081197": {"Value": [' + b"9" * 10**5 + b"]}}]}}"
        ),
        "confirms another object": _answering(b'{"00081199": {"Value": [{"00081155": {"Value": ["1.2.3"]}}]}}'),
        "answers to an object with a gzip bomb": _bomb("gzip"),
        "redirects an object": _redirect("http://localhost:9/studies", 308),
        "100 Continue forever to an object": _flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    },
)


class HostileArchive:
    """A server that plays one trick; what is asked before, and after it, it answers as an archive.

    Attributes:
        url: its address.
        asked: the requests that it read, as their first lines.
    """

    def __init__(self, trick: Trick) -> None:
        self._trick = trick
        self._study = StudyArchive()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}/dicom-web"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End all connections."""
        for each in (self._server, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError, ValueError), connection:
            victim = Victim(connection)
            if self._trick.at == "connect":
                self._trick.play(victim)
                return
            if self._trick.at == "post" and not self._trick.reads_request:
                self._trick.play(victim)
                return
            while self._answer(victim):
                pass

    def _answer(self, victim: Victim) -> bool:
        """Answer one request; return whether the connection lasts."""
        request = _read_request(victim.connection)
        if request is None:
            return False
        self.asked.append(f"{request.method} {request.path}")
        if self._is_the_one(request):
            self._trick.play(victim)
            return False
        answer = self._study(request)
        victim.answer(answer.body, status=f"{answer.status} -", kind=answer.content_type)
        return True

    def _is_the_one(self, request: Request) -> bool:
        path, _, query = request.path.partition("?")
        word = path.rpartition("/")[2]
        word = "post" if request.method == "POST" else "object" if word == f"{STUDY}.1.1" else word
        if self._trick.at == "endless pages":
            return word == "instances"
        return word == self._trick.at and "offset" not in query


def _read_request(connection: socket.socket) -> Request | None:
    connection.settimeout(LONGEST_S)
    head = b""
    while b"\r\n\r\n" not in head:
        data = connection.recv(65536)
        if not data:
            return None
        head += data
    head, _, body = head.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        data = connection.recv(65536)
        if not data:
            return None
        body += data
    method, path, _ = first.split(" ")
    return Request(method, path, headers, body)


@contextmanager
def serve_trick(trick: Trick) -> Iterator[HostileArchive]:
    """Run a server that plays a trick."""
    server = HostileArchive(trick)
    try:
        yield server
    finally:
        server.close()
