"""The label server with files of others beside it, and what hostile clients send to it."""

from __future__ import annotations

import http.client
import io
import json
import os
import shutil
import tarfile
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from support.servers.label_server import LabelServer

__all__ = [
    "BOMBS",
    "IDS",
    "INNER_PLACES",
    "NAMES",
    "OUTSIDE_NAMES",
    "PAGES",
    "PARAMETERS",
    "PATHS",
    "ROUTES",
    "SECRET",
    "VIEWER",
    "archive_of",
    "ask",
    "bomb_of",
    "changes_since",
    "everything",
    "foreign_headers",
    "guarded_server",
    "infer",
    "is_untouched",
    "keep_under",
    "links",
    "make_home",
    "put_notes",
    "put_session",
    "send_under",
    "start_process",
]

SECRET = "the other patient"
VIEWER = "https://viewer.example"


def make_home(home: Path) -> None:
    """Put what the server has into a folder, and files of others that no client may see or touch."""
    for folder in ("studies", "temporary", "others"):
        (home / folder).mkdir()
    (home / "others" / "letter.txt").write_text(SECRET)


def guarded_server(home: Path, radiograph: Path) -> LabelServer:
    """Return a server on a radiograph in such a folder."""
    shutil.copy(radiograph, home / "studies" / "radiograph.jpg")
    shutil.copy(radiograph, home / "others" / "radiograph.jpg")
    environment = {"MONAI_LABEL_AUTO_UPDATE_SCORING": "false", "TMPDIR": str(home / "temporary")}
    environment |= {"MONAI_LABEL_CORS_ORIGINS": json.dumps([f"{VIEWER}/"])}
    server = LabelServer(home / "studies", home / "server", environment=environment)
    server.command += ["--allow-host", "label.example", "--allow-origin", "http://second.example:8080"]
    return server


def is_untouched(home: Path) -> bool:
    """Return whether the files of others are as they were."""
    others = home / "others"
    names = sorted(path.name for path in others.iterdir())
    return names == ["letter.txt", "radiograph.jpg"] and (others / "letter.txt").read_text() == SECRET


def ask(
    server: LabelServer, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Send a request as it is written here, dots and all; return status, headers and body."""
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    try:
        connection.putrequest(method, path, skip_host="host" in (headers or {}))
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("content-length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


PAGES = ["/", "/docs", "/ohif/"]  # to which links of other sites may lead
ROUTES = [
    ("GET", "/"),
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
    ("GET", "/favicon.ico"),
    ("GET", "/static/ohif/index.html"),
    ("GET", "/info/"),
    ("GET", "/logs/"),
    ("GET", "/logs/gpu"),
    ("GET", "/ohif/"),
    ("GET", "/ohif/app-config.js"),
    ("GET", "/datastore/?output=all"),
    ("GET", "/datastore/image?image=radiograph"),
    ("DELETE", "/datastore/image?id=radiograph"),
    ("DELETE", "/datastore/?id=radiograph"),
    ("PUT", "/datastore/image?image=new"),
    ("PUT", "/datastore/label?image=radiograph"),
    ("DELETE", "/datastore/label?id=radiograph&tag=final"),
    ("GET", "/datastore/dataset"),
    ("PUT", "/session/"),
    ("GET", "/session/00000000-0000-0000-0000-000000000000"),
    ("POST", "/infer/chest_segmentation?image=radiograph"),
    ("POST", "/train/chest_landmarks"),
    ("POST", "/train/"),
    ("DELETE", "/train/"),
    ("POST", "/scoring/landmark_uncertainty"),
    ("POST", "/activelearning/random"),
    ("POST", "/batch/infer/chest_segmentation"),
    ("GET", "/model/chest_segmentation"),
    ("GET", "/proxy/dicom/studies"),
    ("POST", "/reload"),
    ("OPTIONS", "/datastore/image?id=radiograph"),
    ("GET", "/nothing"),
]


def foreign_headers(url: str) -> list[dict[str, str]]:
    """Return what tells that a request is not of the server's own pages; the last one a link may have as well."""
    port = urlsplit(url).port
    return [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": f"http://127.0.0.1:{(port or 0) + 1}"},
        {"origin": f"https://127.0.0.1:{port}"},
        {"origin": f"http://127.0.0.1.evil.example:{port}"},
        {"host": f"evil.example:{port}"},
        {"host": f"evil.example:{port}", "origin": f"http://evil.example:{port}"},
        {"host": "127.0.0.1:1"},
        {"host": ""},
        {"host": f"127.0.0.1:{port}@evil.example"},
        {"host": f"evil.example:{port}", "x-forwarded-host": f"127.0.0.1:{port}"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
        {"referer": "http://evil.example/page"},
    ]


PATHS = [
    "/ohif/..",
    "/ohif/../../../../../../etc/passwd",
    "/ohif/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "/ohif//etc/passwd",
    "/ohif/..%2f..%2f..%2fapp.py",
    "/ohif/..%5c..%5capp.py",
    "/static/../app.py",
    "/static/%2e%2e/%2e%2e/app.py",
    "/static/..%2f..%2fapp.py",
    "/static//etc/passwd",
    "/session/..",
    "/session/%2e%2e",
    "/session/..%2fothers",
    "/model/..",
    "/model/..%2f..%2fother",
    "/datastore/image?image=../others/radiograph",
    "/datastore/image?image=..%2fothers%2fradiograph.jpg",
    "/datastore/image?image=radiograph%00",
    "/datastore/image?image={home}/others/radiograph.jpg",
    "/datastore/image/info?image=../others/radiograph",
    "/datastore/label?label=../../others/letter&tag=..",
    "/datastore/label?label=radiograph&tag=../../others",
    "/logs/?lines=-1",
    "/logs/gpu",
    "/logs/..%2f..%2fothers%2fletter.txt",
]


def put_session(server: LabelServer, *files: tuple[str, bytes], **options: Any) -> requests.Response:
    sent = [("files", (name, content)) for name, content in files]
    return requests.put(f"{server.url}/session/", params=options, files=sent, timeout=60)


def infer(server: LabelServer, **options: Any) -> requests.Response:
    asked = {"output": "json", **options}
    return requests.post(f"{server.url}/infer/chest_segmentation", params=asked, timeout=120)


INNER_PLACES = ["", "/{image}", "/files", "/files/..", "/", "/.", "/../{id}", "%00"]
"""Of a session, with what stands for the names of the session and of its image."""


def put_notes(server: LabelServer, home: Path, inner: str, target: str) -> list[str]:
    """Send notes as the server keeps them, which name a file of others; return names for a session that has them."""
    notes = {"name": "x", "path": "x", "image": str(home / "others" / target), "expiry": 3600}
    notes |= {"create_ts": 2**40, "last_access_ts": 2**40}
    text = json.dumps(notes).encode()
    answer = put_session(server, ("meta.info", text), ("radiograph.txt", b"x")).json()
    session, image = answer["session_id"], Path(answer["session_info"]["image"]).name
    asked = f"{session}{inner}".replace("{id}", session).replace("{image}", image)
    return [asked, "../others", str(home / "others"), "..", ".", ""]


NAMES = ["..", ".", "/", "../../others/new", "/etc/new", "a/../../b", "..\\..\\new", "\x00", "a\nb.jpg", "a" * 5000]
NAMES += [
    "\u202egpj.exe",
    "\ud7ff.jpg",
    "radiograph.jpg\x00.png",
    "con",
    "radiograph.jpg/",
    "%2e%2e%2fnew",
    "a." + "b" * 300,
]


def send_under(server: LabelServer, radiograph: bytes, name: str) -> list[requests.Response]:
    """Send a radiograph under a name in each way there is; the session that has it is deleted."""
    url = server.url
    sent = {"file": (name, radiograph)}
    answers = [
        requests.post(f"{url}/infer/chest_segmentation?output=json", files=sent, timeout=120),
        requests.put(f"{url}/datastore/image", params={"image": "../x"}, files=sent, timeout=60),
        requests.put(f"{url}/datastore/label?image=radiograph", files={"label": (name, radiograph)}, timeout=60),
        requests.post(f"{url}/infer/wsi_v2/chest_segmentation", files=sent, timeout=60),
    ]
    session = put_session(server, (name, radiograph), (name, radiograph))
    if session.status_code == 200:
        requests.delete(f"{url}/session/{session.json()['session_id']}", timeout=60)
    return [*answers, session]


def everything(home: Path) -> list[str]:
    """Return all files and folders but those that only tell of locks and logs."""
    # Not by `rglob`, which fails where a folder goes meanwhile.
    paths = (Path(place) / name for place, folders, files in os.walk(home) for name in (*folders, *files))
    found = (str(path.relative_to(home)) for path in paths)
    return sorted(name for name in found if not name.endswith((".lock", ".log", "sessions")))


def changes_since(home: Path, before: list[str]) -> tuple[set[str], set[str]]:
    """Return what came and went, when the server has had time to remove what it has for an answer."""
    deadline = time.monotonic() + 5
    while (came := set(everything(home)) - set(before)) and time.monotonic() < deadline:
        time.sleep(0.1)
    gone = set(before) - set(everything(home))
    return came, {name for name in gone if not name.startswith("temporary/")}


IDS = ["../new", "labels", "LABELS", "datastore_v2.json", ".hidden", "a" * 201, "\u00e4" * 150, "a/b", "a\\b", "a\x7f"]
IDS += ["new\u202e", "\u0085", "a\nb"]


def keep_under(server: LabelServer, radiograph: bytes, name: str) -> list[requests.Response]:
    """Ask the server to keep an image under an ID, a label under a tag, and a result under a tag."""
    url = f"{server.url}/datastore"
    image = requests.put(f"{url}/image", params={"image": name}, files={"file": ("a", radiograph)}, timeout=60)
    label = {"image": "radiograph", "tag": name}
    tagged = requests.put(f"{url}/label", params=label, files={"label": ("a.png", radiograph)}, timeout=60)
    saved = {"params": json.dumps({"save_label": True, "label_tag": name})}
    kept = requests.post(f"{server.url}/infer/chest_segmentation?image=radiograph", data=saved, timeout=120)
    return [image, tagged, kept]


def archive_of(kind: Any, members: Mapping[str, bytes]) -> bytes:
    content = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, data in members.items():
                packed.writestr(name, data)
    else:
        mode: Any = f"w:{kind}"
        with tarfile.open(fileobj=content, mode=mode) as tar:
            for name, data in members.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return content.getvalue()


def links(name: str, target: str) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            member = tarfile.TarInfo(f"{name}{kind.decode()}")
            member.type, member.linkname = kind, target
            tar.addfile(member)
    return content.getvalue()


OUTSIDE_NAMES = ["../escaped.jpg", "/etc/escaped.jpg", "a/../../../escaped.jpg", "..\\escaped.jpg"]
"""Of members of an archive."""


def bomb_of(kind: Any) -> bytes:
    """Return an archive that unpacks to gigabytes, or says so."""
    content = io.BytesIO()
    zeros = bytes(2**20)
    if kind == "zip":
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed, packed.open("a", "w") as member:
            for _ in range(1100):
                member.write(zeros)
    else:
        about = tarfile.TarInfo("a")
        about.size = 2**40  # what it says is enough: nothing of it is unpacked
        mode: Any = f"w:{kind}"
        with tarfile.open(fileobj=content, mode=mode) as tar:
            tar.addfile(tarfile.TarInfo("b"))
            tar.fileobj.write(about.tobuf())
    return content.getvalue()


BOMBS = ["zip", "gz", "xz", "bz2"]

PARAMETERS: list[tuple[str, dict[str, Any]]] = [
    ("train/chest_landmarks", {"bundle_path": "{home}/others"}),
    ("train/", {"chest_landmarks": {"bundle_path": "{home}/others"}}),
    ("train/", {"bundle_path": "{home}/others"}),
    ("scoring/landmark_uncertainty", {"bundle_path": "{home}/others"}),
    ("scoring/", {"landmark_uncertainty": {"bundle_path": "{home}/others"}}),
    ("activelearning/random", {"bundle_path": "{home}/others"}),
    ("batch/infer/chest_segmentation", {"bundle_path": "{home}/others"}),
    ("train/chest_landmarks", {"gpus": "0; touch {home}/others/new"}),
    ("train/chest_landmarks", {"filler": "x" * 200_000}),
]
"""That no process of the server may get, with the routes that start one."""


def start_process(server: LabelServer, home: Path, route: str, params: Mapping[str, Any]) -> requests.Response:
    """Start a process with parameters of a client."""
    text = json.dumps(params).replace("{home}", str(home))
    return requests.post(f"{server.url}/{route}", json=json.loads(text), timeout=60)
