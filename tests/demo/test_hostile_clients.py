"""A real server of the page, and clients that play tricks on it."""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.servers.hostile_page import (
    HOST_ROUTES,
    HOSTILE_VALUES,
    IMPOSSIBLE_UPLOADS,
    NO_EVENTS,
    PATH_TRICKS,
    USELESS_FILES,
    Page,
    from_host,
    from_origin,
    guarded_page,
    in_calls_by_name,
    in_component_functions,
    in_events,
    in_settings,
    refused,
)
from support.servers.hostile_web_client import (
    FOREIGN_HOSTS,
    FOREIGN_ORIGINS,
    Answer,
    file_data_tricks,
    path_spellings,
    raw_request,
    request,
)
from support.servers.web_page import wait_until

from monai_chexmask_u.demo.examples import draw_phantom

pytest.importorskip("gradio")


@pytest.fixture(scope="module")
def radiograph() -> bytes:
    buffer = io.BytesIO()
    draw_phantom().resize((256, 256)).save(buffer, "PNG")
    return buffer.getvalue()


def as_nobody() -> list[str]:
    """Return the command that runs another as a user who may do nothing, or skip."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can run the page as another user, with setpriv")
    prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    tried = subprocess.run([*prefix, sys.executable, "-c", "import monai_chexmask_u"], capture_output=True)
    if tried.returncode != 0:
        pytest.skip("another user cannot run this Python")
    return prefix


@pytest.fixture(scope="module", params=["this user", pytest.param("nobody", marks=pytest.mark.slow)])
def page(request: pytest.FixtureRequest) -> Iterator[Page]:
    prefix = as_nobody() if request.param == "nobody" else []
    with guarded_page(prefix) as page:
        yield page


@pytest.mark.parametrize("trick", PATH_TRICKS, ids=lambda trick: trick.__name__)
def test_no_path_of_a_client_is_opened_or_deleted(page: Page, trick: Callable[[Page, Any], list[Answer]]) -> None:
    canaries = page.canaries
    targets = (canaries.file, canaries.folder / "fifo", canaries.folder / "link.png", canaries.folder / "none.png")
    values: list[Any] = [text for path in targets[:1] for text in path_spellings(path, page.own_folder)]
    values += [str(path) for path in (*targets[1:], canaries.folder, canaries.folder / "inner")]
    values += [page.outside, page.outside.replace("http", "HTTP"), "file:///etc/passwd", "/etc/passwd"]
    if trick in (in_events, in_calls_by_name, in_component_functions):
        values = values[:3] + [one for path in targets for one in file_data_tricks(str(path), page.outside)]
    if trick is in_calls_by_name:
        values = values[::6]
    answers = [answer for value in values for answer in trick(page, value)]
    assert len(answers) > 50
    assert [answer for answer in answers if not refused(answer)] == []
    assert canaries.are_untouched()
    assert page.asked == []
    assert "Traceback" not in page.log()


def test_nothing_tells_whether_a_path_exists(page: Page) -> None:
    client, canaries = page.client(), page.canaries
    upload = client.function("upload", "input")
    for there, absent in ((canaries.file, canaries.folder / "absent.png"), (page.own_folder, canaries.folder / "no")):
        joined = [client.join(upload, [str(path)]) for path in (there, absent)]
        fetched = [request(page.address, "GET", f"/gradio_api/file={path}") for path in (there, absent)]
        for first, second in (joined, fetched):
            assert (first.status, first.body) == (second.status, second.body)


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_foreign_hosts_get_nothing(page: Page, host: str) -> None:
    for answer in from_host(page, host):
        assert answer.status in (400, 403)
        assert answer.body.count(b"\n") <= 1
    for method, path in HOST_ROUTES:
        forwarded = {
            "Host": "evil.example",
            "X-Forwarded-Host": f"127.0.0.1:{page.port}",
            "Forwarded": "host=localhost",
        }
        assert request(page.address, method, path, b"{}", forwarded).status == 403


def test_an_upload_opens_once_and_in_its_session_alone(page: Page, radiograph: bytes) -> None:
    mine, yours = page.client(), page.client()
    sent = mine.upload(radiograph)
    assert sent.status == 200
    name = sent.body.decode()
    number = mine.function("upload", "input")
    stolen, absent = (yours.call(number, [each]) for each in (name, "x" * len(name)))
    assert (stolen["success"], stolen["error"]) == (False, absent["error"])
    assert mine.call(number, [name])["success"]
    again = mine.call(number, [name])
    assert again["error"] == stolen["error"]
    path = f"/uploads/{mine.session}/{'0' * 64}"
    assert request(page.address, "POST", path, radiograph).status == 404
    assert list(page.own_folder.glob("upload-*")) == []
    assert yours.segment()["error"].startswith("Choose a radiograph first")


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
def test_foreign_origins_get_nothing(page: Page, origin: str) -> None:
    own = f"http://127.0.0.1:{page.port}"
    for answer in from_origin(page, origin):
        assert answer.status == 403
        assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert not [name for name in request(page.address, "GET", "/", headers={"Origin": own}).headers if "allow" in name]
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert request(page.address, "GET", "/", headers=link).status == 200
    assert request(page.address, "GET", "/theme.css", headers=link).status == 403


@pytest.mark.parametrize("value", HOSTILE_VALUES, ids=lambda value: repr(value)[:20])
def test_values_that_no_control_has_are_refused(page: Page, value: Any) -> None:
    answers = in_settings(page, value)
    assert len(answers) > 5
    for answer in answers:
        assert answer.status == 422
        assert refused(answer)


@pytest.mark.parametrize("body", NO_EVENTS, ids=lambda body: body[:24].decode("latin-1"))
def test_what_is_no_event_is_refused(page: Page, body: bytes) -> None:
    answer = request(page.address, "POST", "/gradio_api/queue/join", body, {"Content-Type": "application/json"})
    assert refused(answer)
    assert "Traceback" not in page.log()


@pytest.mark.parametrize(("content", "headers", "status"), IMPOSSIBLE_UPLOADS, ids=str)
def test_uploads_of_impossible_sizes_are_refused(
    page: Page, content: bytes, headers: dict[str, str], status: int
) -> None:
    client = page.client()
    path = client.upload_path()
    assert request(page.address, "POST", path, content, headers).status == status
    assert list(page.own_folder.glob("upload-*")) == []


def test_an_upload_that_ends_early_leaves_nothing(page: Page, radiograph: bytes) -> None:
    client = page.client()
    path = client.upload_path()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\nContent-Length: 100000\r\n\r\n"
    raw_request(page.address, head.encode() + radiograph[:1000], timeout=1)
    end = time.monotonic() + 10
    while list(page.own_folder.glob("upload-*")):
        assert time.monotonic() < end
        time.sleep(0.1)
    assert client.open(radiograph)["success"]


def test_huge_headers_are_refused(page: Page) -> None:
    for text in ("x" * 10**6, "\r\n".join(f"x{number}: y" for number in range(10**5))):
        head = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\nx: {text}\r\n\r\n"
        assert raw_request(page.address, head.encode())[9:12] in (b"400", b"431", b"")


@pytest.mark.parametrize("content", USELESS_FILES)
def test_unusable_files_are_named_in_a_sentence(page: Page, content: bytes) -> None:
    client = page.client()
    answer = client.open(content)
    assert answer["success"] is False
    assert "/" not in answer["error"]
    assert len(answer["error"]) < 200
    assert list(page.own_folder.glob("upload-*")) == []


def test_invented_sessions_lock_nobody_out(page: Page, radiograph: bytes) -> None:
    client = page.client()
    for number in range(120):
        client.join(client.function("measure", "input"), ["latent", False, "noise"])
        client.session = f"invented{number}"
    good = page.client()
    wait_until("the queue has room", lambda: good.join(good.functions[None, "load"][0], []).status == 200, seconds=10)
    assert good.open(radiograph)["success"]
    assert good.segment()["success"]
    assert len(list(page.own_folder.glob("session-*"))) <= 60


def test_one_session_cannot_fill_the_queue(page: Page, radiograph: bytes) -> None:
    client, other = page.client(), page.client()
    click = client.function("segment", "click")
    answers = [client.join(click, [0, 0, 0, 5, "", "", "predictive", False, "noise"]) for _ in range(20)]
    assert {answer.status for answer in answers} == {200, 429}
    assert other.open(radiograph)["success"]


def test_clients_that_listen_twice_and_leave_fill_no_log(page: Page, radiograph: bytes) -> None:
    client = page.client()
    assert client.open(radiograph)["success"]
    before = page.log()
    client.join(client.function("segment", "click"), [90, 0, 0, 100, "", "", "predictive", False, "noise"])
    head = f"GET /gradio_api/queue/data?session_hash={client.session} HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\n\r\n"
    listening = [socket.create_connection(("127.0.0.1", page.port)) for _ in range(3)]
    for connection in listening:
        connection.sendall(head.encode())
        assert b"200" in connection.recv(100)
    for connection in listening:
        connection.close()
    time.sleep(2)  # until the server has noticed
    assert page.log() == before
    assert page.client().open(radiograph)["success"]


def test_results_have_no_names_but_the_offered(page: Page, radiograph: bytes) -> None:
    client = page.client()
    client.open(radiograph)
    output = client.segment()
    links = [part for part in str(output["data"]).split('"') if part.startswith("results/")]
    assert request(page.address, "GET", f"/{links[0]}").status == 200
    token = links[0].split("/")[1]
    for name in (
        "..",
        "radiograph.seg.dcm",
        "radiograph.json%00",
        "radiograph.json/",
        "..%2fradiograph.json",
        "altered.json",
        "radiograph.json%20",
    ):
        assert refused(request(page.address, "GET", f"/results/{token}/{name}"))
    for wrong in (token[:-1], token + "A", token.swapcase(), "é".encode().hex(), "%ed%b2%80", "-"):
        assert refused(request(page.address, "GET", f"/results/{wrong}/radiograph.json"))
        assert refused(request(page.address, "GET", f"/images/{wrong}/radiograph.jpg"))
    assert list(page.own_folder.glob("*/results")) == []


def test_headers_restrict_what_a_browser_does(page: Page) -> None:
    for path in ("/", "/theme.css", "/nothing", "/images/a/b.jpg"):
        headers = request(page.address, "GET", path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


def test_the_page_names_no_path_of_the_machine(page: Page) -> None:
    body = request(page.address, "GET", "/").body.decode()
    for path in (page.folder, Path(sys.prefix), Path.cwd(), Path.home()):
        assert str(path) not in body


def test_a_sentence_about_a_file_is_no_html(page: Page, chest_cr: Path) -> None:
    import pydicom

    file = pydicom.dcmread(chest_cr)
    file.Modality = "<img src=x onerror=alert(1)>"[:16]
    file.ViewPosition = "<b onload=x>LAT"
    buffer = io.BytesIO()
    file.save_as(buffer)
    answer = page.client().open(buffer.getvalue())
    assert "<" not in str(answer.get("error", ""))


def test_the_page_still_works_after_all_of_this(page: Page, radiograph: bytes) -> None:
    client = page.client()
    assert client.open(radiograph)["success"]
    assert client.segment(noise=20)["success"]
    assert page.canaries.are_untouched()
    assert "Traceback" not in page.log()
    assert [line for line in page.log().splitlines() if "ERROR" in line] == []
