"""How the page ends and starts again: signals, a kill, slow peers, other addresses."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.servers.hostile_web_client import PageClient, raw_request, request
from support.servers.web_page import forked_pages, page_server, wait_until

pytest.importorskip("gradio")

KILLS = int(os.environ.get("KILLS", "6"))  # a few in the suite
COMMAND = [sys.executable, "-m", "monai_chexmask_u", "demo", "--port", "0"]


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.name != "server.log")


def start(folder: Path) -> subprocess.Popen[str]:
    environment = os.environ | {"TMPDIR": str(folder), "OMP_NUM_THREADS": "1"}
    with (folder / "server.log").open("w") as log:
        return subprocess.Popen(
            COMMAND, stdout=subprocess.PIPE, stderr=log, text=True, env=environment, preexec_fn=_hear_ctrl_c
        )


def _hear_ctrl_c() -> None:
    """Take SIGINT as a program in the foreground does; what tests in the background start ignores it from birth."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def open_streams(address: str) -> list[socket.socket]:
    """Open what a page keeps open: its heartbeat."""
    parts = urlsplit(address)
    streams = []
    for number in range(3):
        stream = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10)
        stream.sendall(f"GET /gradio_api/heartbeat/page{number} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
        assert b"200" in stream.recv(1000)
        streams.append(stream)
    return streams


def segment_much(address: str, radiograph: bytes) -> Callable[[], None]:
    """Let the server segment, and send it a file that does not end; return what ends that."""
    client = PageClient(address, "busy")
    assert client.open(radiograph)["success"]
    for _ in range(3):
        client.join(client.function("segment", "click"), [90, 0, 0, 200, "", "", "predictive", False, "noise"])
    path = "/" + client.call(client.functions[None, "load"][0], [])["data"][0]["props"]["address"]
    parts = urlsplit(address)
    upload = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10)
    upload.sendall(f"POST {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: 1000000\r\n\r\nx".encode())
    time.sleep(0.3)
    return upload.close


@pytest.fixture(scope="module")
def radiograph() -> bytes:
    import io

    from monai_chexmask_u.demo.examples import draw_phantom

    buffer = io.BytesIO()
    draw_phantom().save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_ends_the_page_at_once_and_leaves_nothing(
    number: signal.Signals, tmp_path: Path, radiograph: bytes
) -> None:
    with page_server(tmp_path) as (address, process):
        streams = open_streams(address)
        close = segment_much(address, radiograph)
        assert [name for name in files(tmp_path) if "upload-" in name]
        start = time.monotonic()
        process.send_signal(number)
        assert process.wait(10) == 0
        assert time.monotonic() - start < 2  # what docs/demo.md promises
        close()
        for stream in streams:
            stream.close()
    assert files(tmp_path) == []
    assert "Traceback" not in (tmp_path / "server.log").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_while_it_starts_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    for seconds in (1, 3):
        process = start(tmp_path)
        time.sleep(seconds)
        begin = time.monotonic()
        process.send_signal(number)
        process.wait(10)
        assert time.monotonic() - begin < 2
        assert process.stdout is not None
        process.stdout.close()
        assert files(tmp_path) == []
        assert "Traceback" not in (tmp_path / "server.log").read_text()


@pytest.mark.slow
def test_the_remnants_of_a_killed_page_are_swept_at_the_next_start(tmp_path: Path, radiograph: bytes) -> None:
    with page_server(tmp_path) as (address, process):
        close = segment_much(address, radiograph)
        process.kill()
        process.wait(10)
        close()
    left = list(tmp_path.glob("chexmask-u-demo-*"))
    assert len(left) == 1
    with page_server(tmp_path) as (_, process):
        assert not left[0].exists()
        assert len(list(tmp_path.glob("chexmask-u-demo-*"))) == 1
    assert files(tmp_path) == []


@pytest.mark.slow
def test_kills_at_random_moments_leave_nothing_after_the_next_start(tmp_path: Path, radiograph: bytes) -> None:
    chance = random.Random(16)
    folder, imported = tmp_path / "pages", tmp_path / "imported"
    for each in (folder, imported):
        each.mkdir()
    log = folder / "server.log"
    with forked_pages(imported) as start_page:
        for turn in range(KILLS):
            log.write_text("")
            process = start_page(folder)
            if turn % 2:
                time.sleep(chance.uniform(0, 2))
            else:
                wait_until("the page has an address", lambda: " shows the page" in log.read_text(), seconds=60)
                address = log.read_text().split(" ")[0]
                threading.Thread(target=work, args=(address, radiograph), daemon=True).start()
                time.sleep(chance.uniform(0.1, 3))
            os.kill(process, signal.SIGKILL)
            wait_until("the page is gone", lambda number=process: not Path(f"/proc/{number}").exists())
            assert len(list(folder.glob("chexmask-u-demo-*"))) <= 1, turn
    with page_server(folder):
        pass
    assert files(folder) == []


def work(address: str, radiograph: bytes) -> None:
    try:
        client = PageClient(address, "worker")
        while True:
            client.open(radiograph)
            client.segment(noise=30, samples=50)
    except (AssertionError, OSError, ValueError):
        pass  # the server was killed


@pytest.fixture(scope="module")
def open_to_others(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with page_server(tmp_path_factory.mktemp("open"), "--host", "0.0.0.0", "--allow-host", "radiographs.example") as (
        address,
        _,
    ):
        port = urlsplit(address).port
        yield f"http://127.0.0.1:{port}", urlsplit(address).query


def test_others_need_the_token(open_to_others: tuple[str, str], radiograph: bytes) -> None:
    address, query = open_to_others
    assert query.startswith("token=")
    for method, path in (
        *(("GET", "/"), ("GET", "/theme.css"), ("POST", "/gradio_api/queue/join"), ("GET", "/images/a/b")),
        *(("GET", "/?token="), ("GET", "/?token=wrong"), ("GET", "/?token=r%C3%AFght"), ("GET", f"/theme.css?{query}")),
        *(("GET", "/gradio_api/heartbeat/a"), ("POST", "/uploads/a/b"), ("GET", f"//evil.example/?{query}")),
    ):
        answer = request(address, method, path)
        assert answer.status == 401, path
        assert b"?token=" in answer.body
    entered = request(address, "GET", f"/?{query}")
    assert (entered.status, entered.headers["location"]) == (303, "./")
    cookie = entered.headers["set-cookie"].partition(";")[0]
    client = PageClient(address, "guest", {"Cookie": cookie})
    assert client.open(radiograph)["success"]
    assert client.segment()["success"]


def test_hosts_of_a_page_that_listens_everywhere(open_to_others: tuple[str, str]) -> None:
    address, query = open_to_others
    port = urlsplit(address).port
    machine = socket.gethostname()
    for host, status in (
        *((f"127.0.0.1:{port}", 303), (f"localhost:{port}", 303), (f"{machine}:{port}", 303)),
        *((f"radiographs.example:{port}", 303), ("radiographs.example", 303), (f"other.example:{port}", 403)),
        *((f"0.0.0.0:{port}", 403), (f"10.1.2.3:{port}", 403), (f"{machine}.evil.example:{port}", 403)),
    ):
        assert request(address, "GET", f"/?{query}", headers={"Host": host}).status == status, host


@pytest.mark.slow
def test_no_token_is_asked_for_where_that_was_said(tmp_path: Path) -> None:
    with page_server(tmp_path, "--host", "0.0.0.0", "--no-token") as (address, _):
        assert "token" not in address
        own = f"http://127.0.0.1:{urlsplit(address).port}"
        assert request(own, "GET", "/").status == 200
        assert request(own, "GET", "/", headers={"Origin": "http://evil.example"}).status == 403


def test_peers_that_say_nothing_are_hung_up_on(open_to_others: tuple[str, str]) -> None:
    address, _ = open_to_others
    begin = time.monotonic()
    with ThreadPoolExecutor(2) as peers:
        list(peers.map(lambda data: raw_request(address, data, timeout=40), (b"", b"GET / HTTP/1.1\r\nHost: loc")))
    assert time.monotonic() - begin < 30
    assert request(address, "GET", "/").status == 401
