"""A server that is killed at any moment leaves whole files, and the next start removes what is none."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

pytest.importorskip("monailabel")

from support.samples.dicom import make_dx, save

if TYPE_CHECKING:
    from support.servers.label_server import LabelServer

# A few in the suite; KILLS=20 takes some minutes.
ROUNDS = int(os.environ.get("KILLS", "3"))


@pytest.fixture
def home(radiographs: list[Path], tmp_path: Path) -> Path:
    for folder in ("studies", "temporary"):
        (tmp_path / folder).mkdir()
    (tmp_path / "studies" / "radiograph.jpg").write_bytes(radiographs[0].read_bytes())
    save(make_dx(), tmp_path / "sent.dcm")
    return tmp_path


def work_on(server: LabelServer, home: Path, stop: threading.Event, number: int) -> None:
    """Ask for everything that writes, again and again, until the server is gone."""
    radiograph, url = (home / "sent.dcm").read_bytes(), server.url
    mask = b""
    asked = {"params": json.dumps({"result_extension": ".png", "samples": 2})}

    def infer() -> None:
        nonlocal mask
        answer = requests.post(f"{url}/infer/chest_segmentation?image=radiograph&output=image", data=asked, timeout=60)
        mask = answer.content if answer.status_code == 200 else mask

    def send(path: str, key: str, name: str, content: bytes) -> Callable[[], object]:
        return lambda: requests.put(f"{url}/{path}", files={key: (name, io.BytesIO(content))}, timeout=60)

    jobs: list[Callable[[], object]] = [infer] if number == 0 else []
    if number == 1:
        jobs = [
            send("session/", "files", "radiograph.dcm", radiograph),
            send("datastore/image?image=new", "file", "a.dcm", radiograph),
        ]
        jobs.append(lambda: requests.delete(f"{url}/datastore/image?id=new", timeout=60))
    if number == 2:
        jobs = [infer, lambda: send("datastore/label?image=radiograph", "label", "a.png", mask)()]
        jobs.append(lambda: requests.post(f"{url}/scoring/landmark_uncertainty?run_sync=true", timeout=60))
    while not stop.is_set():
        for job in jobs:
            with contextlib.suppress(requests.RequestException):
                job()


@contextlib.contextmanager
def busy(server: LabelServer, home: Path) -> Iterator[None]:
    stop = threading.Event()
    workers = [threading.Thread(target=work_on, args=(server, home, stop, number)) for number in range(3)]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        stop.set()
        for worker in workers:
            worker.join()


def check(server: LabelServer, home: Path) -> None:
    """See that each file that there is is whole, and that there is none that belongs to nothing."""
    from monai_chexmask_u.annotations.mask_files import read_masks
    from monai_chexmask_u.reading import read_radiograph

    answer = requests.get(f"{server.url}/datastore/?output=all", timeout=60).json()
    assert set(answer["objects"]) <= {"radiograph", "new"}
    images = {path.name for path in (home / "studies").iterdir() if path.is_file() and not path.name.startswith(".")}
    assert images - {"new.dcm"} == {"radiograph.jpg", "datastore_v2.json"}
    for name in images - {"datastore_v2.json"}:
        read_radiograph(home / "studies" / name)
    for label in (home / "studies" / "labels").glob("*/*"):
        assert label.name == "radiograph.png"
        assert read_masks(label, read_radiograph(home / "studies" / "radiograph.jpg"))
    for session in (home / "server" / "models" / "sessions").glob("*"):
        assert requests.get(f"{server.url}/session/{session.name}?image=true", timeout=60).status_code == 200
    (own,) = (home / "temporary").iterdir()
    assert own.name.startswith("chexmask-u-label-")
    left = [path for path in home.rglob("*") if path.name.startswith((".partial-", ".publish-", ".training-", "tmp"))]
    assert [path for path in left if own not in path.parents] == []
    assert [path for path in own.iterdir() if path.name.startswith("chexmask-u-")] == []


@pytest.mark.slow
def test_a_server_that_is_killed_leaves_whole_files_and_the_next_start_removes_the_others(home: Path) -> None:
    from support.servers.label_server import LabelServer

    chosen = random.Random(0)
    environment = {"MONAI_LABEL_AUTO_UPDATE_SCORING": "false", "TMPDIR": str(home / "temporary")}
    server = LabelServer(home / "studies", home / "server", environment=environment)
    for number in range(ROUNDS):
        with server:
            check(server, home)
            with busy(server, home):
                time.sleep(chosen.uniform(0.05, 2.5))
                kind = signal.SIGKILL if number % 2 else chosen.choice([signal.SIGTERM, signal.SIGINT])
                os.kill(server.pid, kind)
                if kind != signal.SIGKILL:
                    assert server.wait(seconds=20) is not None
    with server:
        check(server, home)
    assert server.log.read_text().count("Traceback") == 0


def test_a_server_that_is_told_to_stop_leaves_nothing(home: Path) -> None:
    from support.servers.label_server import LabelServer

    environment = {"MONAI_LABEL_AUTO_UPDATE_SCORING": "false", "TMPDIR": str(home / "temporary")}
    server = LabelServer(home / "studies", home / "server", environment=environment)
    for kind in (signal.SIGTERM, signal.SIGHUP):
        with server:
            requests.put(f"{server.url}/session/", files={"files": ("a.jpg", b"x")}, timeout=60)
            os.kill(server.pid, kind)
            assert server.wait(seconds=10) is not None
            assert list((home / "temporary").iterdir()) == [], kind
    assert "Traceback" not in server.log.read_text()
