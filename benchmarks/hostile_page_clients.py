"""What hostile clients of the web page get: section `page` of `benchmarks.hostile_peers`.

The tricks are those of the tests, and slow peers. One server answers all of them; its deadlines are as short as the
table's.
"""

from __future__ import annotations

import io
import itertools
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from PIL import Image, PngImagePlugin
from support.cases.all_cases import CASES
from support.servers.hostile_page import (
    HOSTILE_VALUES,
    IMPOSSIBLE_UPLOADS,
    NO_EVENTS,
    USELESS_FILES,
    Page,
    from_host,
    from_origin,
    guarded_page,
    in_addresses,
    in_calls_by_name,
    in_component_functions,
    in_events,
    in_settings,
    in_uploads,
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
    slow_request,
)

from benchmarks.hostile_rows import Outcome, Row, Trick, measured, said
from monai_chexmask_u.demo.examples import draw_phantom

__all__ = ["web_page"]

IMPATIENT_PAGE: Final = Path(__file__).resolve().parents[1] / "tests" / "support" / "servers" / "impatient_page.py"
HEAD: Final = "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
SETTINGS: Final = [0, 0, 0, 5, "", "", "predictive", False, "noise"]


def web_page(deadline_s: float) -> Iterator[Row]:
    """Be a client of the web page."""
    if find_spec("gradio") is None:
        print("page: left out; it needs Gradio (pip install '.[demo]')", file=sys.stderr)
        return
    with guarded_page([sys.executable, str(IMPATIENT_PAGE), f"{deadline_s}"]) as page:
        client = page.client()
        client.open(radiograph())
        client.segment()  # what is loaded once counts for no trick
        yield from measured(_page_tricks(page), page.pid, partial(_faults, page), deadline_s)


def radiograph() -> bytes:
    """Return a small radiograph as PNG."""
    return _png(draw_phantom().resize((256, 256)))


def _faults(page: Page) -> str:
    """Return what is wrong with the page, or with what it may not touch."""
    end = time.monotonic() + 2
    while (uploads := list(page.own_folder.glob("upload-*"))) and time.monotonic() < end:
        time.sleep(0.05)  # it needs a moment to see that a client hung up
    faults = {
        "the page answers no more": request(page.address, "GET", "/").status != 200,
        "a canary was touched": not page.canaries.are_untouched(),
        "another server was asked": bool(page.asked),
        "an upload is left": bool(uploads),
        "the log has a traceback": "Traceback" in page.log(),
    }
    return ", ".join(name for name, is_so in faults.items() if is_so)


def _page_tricks(page: Page) -> Iterator[Trick]:
    yield from _foreign(page)
    yield from _paths(page)
    yield from _values(page)
    yield from _files(page)
    yield from _slow_peers(page)
    yield from _greed(page)


def _foreign(page: Page) -> Iterator[Trick]:
    for host in FOREIGN_HOSTS:
        yield f"foreign host {_with_port(host)}", partial(_all_refused, partial(from_host, page, host))
    for origin in FOREIGN_ORIGINS:
        yield f"foreign origin {_with_port(origin)}", partial(_all_refused, partial(from_origin, page, origin))


def _with_port(text: str) -> str:
    return ascii(text.replace("{port}", "PORT"))


def _paths(page: Page) -> Iterator[Trick]:
    def send(ways: Iterable[Callable[[Page, Any], list[Answer]]], value: Any) -> list[Answer]:
        return [answer for way in ways for answer in way(page, value)]

    def shown(value: Any) -> str:
        text = str(value).replace(str(page.own_folder), "OWN").replace(str(page.folder), "")
        return ascii(text.replace(page.folder.name, "FOLDER"))[1:-1]

    canaries = page.canaries
    folders = [str(path) for path in (canaries.folder, canaries.folder / "fifo", canaries.folder / "link.png")]
    for value in (*path_spellings(canaries.file, page.own_folder), *folders, "/etc/passwd", page.outside):
        ways = (in_events, in_addresses, in_uploads)
        yield f"path {shown(value)}", partial(_all_refused, partial(send, ways, value))
    tricks = list(file_data_tricks(str(canaries.file), page.outside))
    for each in tricks:
        yield f"file data {shown(each)}", partial(_all_refused, partial(send, [in_events], each))
    for kind, way in (("functions by name", in_calls_by_name), ("functions of components", in_component_functions)):
        for data in (str(canaries.file), tricks[0], tricks[2]):
            yield f"Gradio's {kind}: {shown(data)}", partial(_all_refused, partial(send, [way], data))


def _values(page: Page) -> Iterator[Trick]:
    def join(body: bytes) -> list[Answer]:
        headers = {"Content-Type": "application/json"}
        return [request(page.address, "POST", "/gradio_api/queue/join", body, headers)]

    for value in HOSTILE_VALUES:
        yield f"a setting of {value!a:.40}", partial(_all_refused, partial(in_settings, page, value))
    for body in NO_EVENTS:
        yield f"an event {body[:60]!a}", partial(_all_refused, partial(join, body))


def _files(page: Page) -> Iterator[Trick]:
    def upload(content: bytes, headers: dict[str, str]) -> list[Answer]:
        client = page.client()
        return [request(page.address, "POST", client.upload_path(), content, headers)]

    for content, headers, _ in IMPOSSIBLE_UPLOADS:
        told = ", ".join(f"{name}: {value}" for name, value in headers.items()) or "Content-Length: 0"
        yield f"an upload with {told}", partial(_all_refused, partial(upload, content, headers))
    for content in USELESS_FILES:
        yield f"a file {content[:20]!a}", partial(_opened, page, content)
    for case in CASES:
        is_bomb = case.name == "deflate_bomb" or "lie about their size" in case.theme
        if is_bomb and case.code is not None and not case.missing:
            with tempfile.TemporaryDirectory() as folder:
                content = case.make(Path(folder)).read_bytes()
            yield f"DICOM: {case.description}", partial(_opened, page, content)
    for name, content, may_open in _image_bombs():
        yield name, partial(_opened, page, content, may_open=may_open)


def _image_bombs() -> Iterator[tuple[str, bytes, bool]]:
    """Yield small files of large images: in words, the file, and whether it may be opened."""
    yield "PNG of 8000 x 8000 pixels", _png(Image.linear_gradient("L").resize((8000, 8000))), True
    huge = bytearray(_png(Image.new("L", (8, 8))))
    huge[16:24] = (60000).to_bytes(4) * 2
    huge[29:33] = zlib.crc32(huge[12:29]).to_bytes(4)
    yield "PNG that claims 60000 x 60000 pixels", bytes(huge), False
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "x" * 2**28, zip=True)
    yield "PNG with a text that inflates to 256 MB", _png(draw_phantom(), pnginfo=text), True


def _slow_peers(page: Page) -> Iterator[Trick]:
    def send(body: Iterable[bytes], pause_s: float, length: int = 10**7, path: str | None = None) -> Outcome:
        target = path or page.client().upload_path()
        head = HEAD.format(method="POST", path=target, port=page.port) + f"Content-Length: {length}\r\n\r\n"
        return _hung_up(page, head.encode(), body, pause_s)

    get = HEAD.format(method="GET", path="/", port=page.port).encode()
    byte, much = itertools.repeat(b"x"), itertools.repeat(bytes(10**4))
    yield "a connection that says nothing", partial(_hung_up, page, b"", (), 1)
    yield "a header that stops", partial(_hung_up, page, get, (), 1)
    yield "a header byte by byte", partial(_hung_up, page, get + b"x: ", byte, 0.05)
    yield "headers without an end", partial(_hung_up, page, get, itertools.repeat(b"x: y\r\n" * 100), 0.001)
    yield "a header of a megabyte", partial(_hung_up, page, get, [b"x: " + b"y" * 10**6 + b"\r\n\r\n"], 0.001)
    yield "100,000 headers", partial(_hung_up, page, get, [b"x: y\r\n" * 10**5 + b"\r\n"], 0.001)
    yield "an upload that stops", partial(send, [b"x"], 0.1)
    yield "an upload byte by byte", partial(send, byte, 0.05)
    yield "an upload that is just fast enough, without an end", partial(send, much, 0.05, 2 * 10**8)
    yield "an event byte by byte", partial(send, byte, 0.05, 10**5, "/gradio_api/queue/join")
    yield "an upload that hangs up", partial(_hang_up, page)


def _greed(page: Page) -> Iterator[Trick]:
    yield "an upload opened by another session", partial(_steal, page)
    yield "results and images under other names", partial(_all_refused, partial(_guess_results, page))
    yield "20 segmentations of one session at once", partial(_crowd, page)
    yield "120 invented sessions", partial(_invent_sessions, page)


def _all_refused(ask: Callable[[], list[Answer]]) -> Outcome:
    """Be refused each time: a status of 4xx and a sentence that tells nothing, or a closed connection."""
    answers = ask()
    is_good = bool(answers) and all(each.status == 0 or (refused(each) and _names_no_origin(each)) for each in answers)
    return Outcome(said((each.status, each.body.decode(errors="replace")) for each in answers), is_good)


def _names_no_origin(answer: Answer) -> bool:
    return not any(name.startswith("access-control-") for name in answer.headers)


def _opened(page: Page, content: bytes, *, may_open: bool = False) -> Outcome:
    """Open a file: it is refused in a sentence, or may be opened."""
    answer = page.client().open(content)
    if answer["success"]:
        return Outcome("opened", may_open, is_work=True)
    return Outcome(f"refused: {answer['error']}", "/" not in answer["error"] and len(answer["error"]) < 200)


def _hung_up(page: Page, head: bytes, body: Iterable[bytes], pause_s: float) -> Outcome:
    """Be hung up on, with a status of 4xx or none."""
    answer = slow_request(page.address, head, body, pause_s=pause_s)
    status, text = int(answer[9:12] or b"0"), answer.partition(b"\r\n\r\n")[2].decode(errors="replace")
    return Outcome(said([(status, text)]), status == 0 or 400 <= status < 500)


def _hang_up(page: Page) -> Outcome:
    head = HEAD.format(method="POST", path=page.client().upload_path(), port=page.port)
    raw_request(page.address, f"{head}Content-Length: 100000\r\n\r\n{'x' * 1000}".encode(), timeout=0.5)
    return Outcome("forgotten", True)


def _steal(page: Page) -> Outcome:
    mine, yours = page.client(), page.client()
    name = mine.upload(radiograph()).body.decode()
    number = mine.function("upload", "input")
    stolen = yours.call(number, [name])
    is_mine = mine.call(number, [name])["success"]
    return Outcome(f"refused: {stolen['error']}", not stolen["success"] and is_mine)


def _guess_results(page: Page) -> list[Answer]:
    client = page.client()
    client.open(radiograph())
    token = str(client.segment()["data"]).partition("results/")[2].partition("/")[0]
    names = (
        "..",
        "radiograph.seg.dcm",
        "radiograph.json%00",
        "radiograph.json/",
        "..%2fradiograph.json",
        "altered.json",
        "radiograph.json%20",
    )
    paths = [f"/results/{token}/{name}" for name in names]
    wrong = (token[:-1], token + "A", "-")
    paths += [f"/{kind}/{each}/radiograph.json" for each in wrong for kind in ("results", "images")]
    return [request(page.address, "GET", path) for path in paths]


def _crowd(page: Page) -> Outcome:
    client, other = page.client(), page.client()
    answers = [client.join(client.function("segment", "click"), SETTINGS) for _ in range(20)]
    do_they = {answer.status for answer in answers} == {200, 429} and other.open(radiograph())["success"]
    return _others_go_on(answers, do_they)


def _invent_sessions(page: Page) -> Outcome:
    client = page.client()
    measure = client.function("measure", "input")
    answers = []
    for number in range(120):
        answers.append(client.join(measure, ["latent", False, "noise"]))
        client.session = f"invented{number}"
    good = page.client()
    end = time.monotonic() + 10
    while good.join(good.functions[None, "load"][0], []).status != 200 and time.monotonic() < end:
        time.sleep(0.1)
    do_they = good.open(radiograph())["success"] and good.segment()["success"]
    return _others_go_on(answers, do_they)


def _others_go_on(answers: list[Answer], do_they: bool) -> Outcome:
    return Outcome(said((each.status, "others continue" if do_they else "") for each in answers), do_they, is_work=True)


def _png(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()
