"""What hostile clients of the label server get: section `label` of `benchmarks.hostile_peers`.

The tricks are those of the tests. One server answers all of them; it needs the environment of the label app.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import requests
from support.servers.hostile_label_client import (
    BOMBS,
    IDS,
    INNER_PLACES,
    NAMES,
    OUTSIDE_NAMES,
    PAGES,
    PARAMETERS,
    PATHS,
    ROUTES,
    SECRET,
    archive_of,
    ask,
    bomb_of,
    changes_since,
    everything,
    foreign_headers,
    guarded_server,
    infer,
    is_untouched,
    keep_under,
    links,
    make_home,
    put_notes,
    put_session,
    send_under,
    start_process,
)
from support.servers.hostile_web_client import request
from support.servers.label_server import LabelServer

from benchmarks.hostile_rows import Outcome, Row, Trick, measured, said
from monai_chexmask_u.demo.examples import draw_phantom

__all__ = ["label_server"]

ARCHIVES: Final = ("zip", "", "gz", "xz")
IMPOSSIBLE_LENGTHS: Final = ("1000000000000", "-1", "+1", "1, 2", "\u00b2")


def label_server(deadline_s: float) -> Iterator[Row]:
    """Be a client of the label server."""
    if find_spec("monailabel") is None:
        print("label: left out; it needs MONAI Label, which .venv-label has (make label)", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as folder:
        home, item = Path(folder) / "home", Path(folder) / "radiograph.jpg"
        home.mkdir()
        make_home(home)
        draw_phantom().save(item, quality=95)
        with guarded_server(home, item) as server:
            infer(server, image="radiograph")  # what is loaded once counts for no trick
            tricks = _tricks(server, home, item.read_bytes())
            yield from measured(tricks, server.pid, partial(_faults, server, home), deadline_s)


def _faults(server: LabelServer, home: Path) -> str:
    """Return what is wrong with the server, or with what nobody may touch."""
    faults = {
        "the server answers no more": not server.answers(),
        "a file of others was touched": not is_untouched(home),
        "the radiograph is gone": not (home / "studies" / "radiograph.jpg").is_file(),
        "the log has a traceback": "Traceback" in server.log.read_text(),
    }
    return ", ".join(name for name, is_so in faults.items() if is_so)


def _tricks(server: LabelServer, home: Path, item: bytes) -> Iterator[Trick]:
    for headers in foreign_headers(server.url):
        yield f"every route with {_shown(headers, server)}", partial(_ask_everywhere, server, headers)
    for path in PATHS:
        yield f"GET {path}", partial(_ask_for, server, path, path.format(home=home))
    for inner in INNER_PLACES:
        yield f"notes of a session by its client, asked for as ID{inner}", partial(_send_notes, server, home, inner)
    for names, word, send in ((NAMES, "a file named", send_under), (IDS, "an ID or a tag", keep_under)):
        may_be = (200, 400, 404, 422) if names is NAMES else (400,)
        for name in names:
            yield f"{word} {name!a:.40}", partial(_unchanged, home, partial(send, server, item, name), may_be)
    yield from _archive_tricks(server, home, item)
    for route, params in PARAMETERS:
        start = partial(start_process, server, home, route, params)
        yield f"{route} with {str(params)[:50]}", partial(_refused, home, start)
    for length in IMPOSSIBLE_LENGTHS:
        yield f"an image with Content-Length: {length}", partial(_put_length, server, length)


def _archive_tricks(server: LabelServer, home: Path, item: bytes) -> Iterator[Trick]:
    def send(contents: Iterable[bytes]) -> list[requests.Response]:
        answers = [put_session(server, ("a.bin", content), uncompress=True) for content in contents]
        for answer in answers:
            if answer.status_code == 200:
                requests.delete(f"{server.url}/session/{answer.json()['session_id']}", timeout=60)
        return answers

    def unpack(contents: Iterable[bytes], may_be: tuple[int, ...]) -> Outcome:
        return _unchanged(home, partial(send, contents), may_be)

    for kind in ARCHIVES:
        sent = [archive_of(kind, {name: item}) for name in OUTSIDE_NAMES]
        yield f"an archive ({kind or 'tar'}) that leads out", partial(unpack, sent, (200, 400))
    sent = [links("link", str(home / "others" / "radiograph.jpg"))]
    yield "an archive of links and devices", partial(unpack, sent, (200, 400))
    for kind in BOMBS:
        yield f"an archive ({kind}) of gigabytes", partial(unpack, [bomb_of(kind)], (400,))


def _ask_everywhere(server: LabelServer, headers: Mapping[str, str]) -> Outcome:
    """Be refused by every route, pages apart to which a link may lead."""
    routes = ROUTES if "referer" not in headers else [(method, path) for method, path in ROUTES if path not in PAGES]
    sent = {"access-control-request-method": "PUT", **headers}
    answers = [ask(server, method, path, sent) for method, path in routes]
    is_good = all(
        status in (400, 403) and not any(name.startswith("access-control-") for name in answered)
        for status, answered, _ in answers
    )
    return Outcome(said((status, body.decode(errors="replace")) for status, _, body in answers), is_good)


def _ask_for(server: LabelServer, trick: str, path: str) -> Outcome:
    """Be told nothing of other files."""
    status, _, body = ask(server, "GET", path)
    is_silent = not any(part in body for part in (SECRET.encode(), b"root:", b"FastAPI"))
    has_page = trick.startswith(("/ohif", "/logs"))  # the viewer's own page stands for what it has not
    text = said([(status, "a page of the server" if status == 200 else body.decode(errors="replace"))])
    return Outcome(text, is_silent and (status in (307, 400, 404, 422) or (status == 200 and has_page)))


def _send_notes(server: LabelServer, home: Path, inner: str) -> Outcome:
    targets = ("letter.txt", "radiograph.jpg", "nothing")
    names = [name for target in targets for name in put_notes(server, home, inner, target)]
    return _judged(home, [infer(server, session_id=name) for name in names], (400, 404))


def _unchanged(home: Path, send: Callable[[], list[requests.Response]], may_be: tuple[int, ...]) -> Outcome:
    """Be answered, and change nothing."""
    before = everything(home)
    outcome = _judged(home, send(), may_be)
    came, gone = changes_since(home, before)
    text = f"came {sorted(came)}, went {sorted(gone)}; {outcome.text}" if came or gone else outcome.text
    return Outcome(text, outcome.is_good and not came and not gone)


def _refused(home: Path, send: Callable[[], requests.Response]) -> Outcome:
    return _judged(home, [send()], (400,))


def _judged(home: Path, answers: list[requests.Response], may_be: tuple[int, ...]) -> Outcome:
    is_good = all(each.status_code in may_be and str(home) not in each.text for each in answers)
    return Outcome(said((each.status_code, _sentence(each)) for each in answers), is_good)


def _sentence(answer: requests.Response) -> str:
    return "" if answer.status_code == 200 else answer.text


def _put_length(server: LabelServer, length: str) -> Outcome:
    answer = request(server.url, "PUT", "/datastore/image?image=new", b"x", {"Content-Length": length})
    is_good = answer.status == 0 or 400 <= answer.status < 500
    return Outcome(said([(answer.status, answer.body.decode(errors="replace"))]), is_good)


def _shown(headers: Mapping[str, str], server: LabelServer) -> str:
    port: Any = server.url.rpartition(":")[2]
    return json.dumps(headers)[1:-1].replace('"', "").replace(port, "PORT")
