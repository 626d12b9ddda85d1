"""Sending is killed at any moment: what was confirmed is gone, what waits is whole, and nothing else is left."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.servers.archive_servers import Answer, Request, WebServer, stored_answer

from monai_chexmask_u.archive.delivery import deliver
from monai_chexmask_u.archive.objects import DicomFile
from monai_chexmask_u.archive.outbox import Outbox
from monai_chexmask_u.archive.settings import DicomwebArchive

KILLS = int(os.environ.get("KILLS", "8"))  # a few in the suite


class Confirming:
    """An archive that takes all objects, but refuses one, and knows what it has confirmed."""

    def __init__(self, files: list[DicomFile]) -> None:
        self._files = files
        self.told: list[str] = []

    def __call__(self, request: Request) -> Answer:
        time.sleep(0.002)  # a moment to be killed at
        (file,) = (each for each in self._files if each.path.read_bytes() in request.body)
        self.told.append(file.sop_instance_uid)
        if file is self._files[-1]:
            return Answer(415)
        return stored_answer(file.sop_instance_uid)


@pytest.fixture
def archive(web_server: WebServer, small_files: list[DicomFile]) -> Confirming:
    confirming = Confirming(small_files)
    web_server.answers = [confirming]
    return confirming


@pytest.fixture
def send(web_server: WebServer, small_files: list[DicomFile]) -> Iterator[Callable[[Path], Any]]:
    """Start to send in a process of its own; one that is forked has nothing to import."""
    context = multiprocessing.get_context("fork")
    target, paths = DicomwebArchive(web_server.url), [file.path for file in small_files]
    started = []

    def start(outbox: Path) -> Any:
        started.append(context.Process(target=deliver, args=(paths, target, outbox)))
        started[-1].start()
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.join()


def test_kills_lose_break_and_leave_nothing(
    web_server: WebServer,
    archive: Confirming,
    send: Callable[[Path], Any],
    small_files: list[DicomFile],
    tmp_path: Path,
) -> None:
    contents = {file.sop_instance_uid: file.path.read_bytes() for file in small_files}
    started = time.monotonic()
    send(tmp_path / "whole").join()
    longest_s, moments = time.monotonic() - started, random.Random(0)
    for kill in range(KILLS):
        outbox = tmp_path / f"{kill}"
        before = len(archive.told)
        process = send(outbox)
        time.sleep(moments.uniform(0, longest_s))
        process.kill()
        process.join()
        told = archive.told[before:]
        box = Outbox(outbox)
        there = {
            path.stem: path.read_bytes()
            for folder in (outbox, outbox / "refused")
            for path in folder.glob("[0-9]*.dcm")
        }
        assert {uid: contents[uid] for uid in there} == there  # whole, and under its own name
        gone = set(contents) - set(there)
        assert gone <= set(told) or not told  # it left because of an answer, or never came
        assert all(file.path.is_file() for file in small_files)

        delivery = deliver([], DicomwebArchive(web_server.url), outbox)
        assert delivery.waiting == ()
        assert {path.stem for path in box.waiting()} == set()
        refused = small_files[-1].sop_instance_uid
        left = {path.relative_to(outbox).as_posix() for path in outbox.rglob("*")}
        # An object that was refused when the reason was written already, lies beside it; others left nothing.
        assert left - {f"refused/{refused}.dcm", f"refused/{refused}.json"} == {"refused", "target.json"}
        if there:
            sent = set(archive.told[before:])
            assert sent >= set(there) - {refused}
            assert (outbox / "refused" / f"{refused}.dcm").exists() == (refused in sent)
