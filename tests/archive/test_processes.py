"""Several processes share an outbox, and processes are killed: each object arrives, and none is lost."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from support.servers.archive_servers import Answer, Request, WebServer, stored_answer

from monai_chexmask_u.archive.delivery import deliver
from monai_chexmask_u.archive.objects import DicomFile
from monai_chexmask_u.archive.outbox import Outbox
from monai_chexmask_u.archive.settings import DicomwebArchive

PATIENCE_S = 60


def start(web_server: WebServer, outbox: Path, *files: DicomFile) -> subprocess.Popen[str]:
    """Start `chexmask-u archive send` in a process of its own."""
    program = (sys.executable, "-m", "monai_chexmask_u", "archive", "send")
    command = [*program, *(str(file.path) for file in files), "--url", web_server.url]
    command += ["--outbox", str(outbox), "--attempts", "1"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def stored(*files: DicomFile) -> Callable[[Request], Answer]:
    """Return what says of each object that comes that it is stored."""

    def answer(request: Request) -> Answer:
        (file,) = (each for each in files if each.path.read_bytes() in request.body)
        return stored_answer(file.sop_instance_uid)

    return answer


def test_process_that_is_killed_while_it_sends_loses_nothing(
    web_server: WebServer, small_files: list[DicomFile], tmp_path: Path
) -> None:
    outbox, second_came, end = tmp_path / "outbox", threading.Event(), threading.Event()

    def answer(request: Request) -> Answer:
        if small_files[1].path.read_bytes() in request.body:
            second_came.set()
            end.wait(PATIENCE_S)
        return stored(*small_files)(request)

    web_server.answers = [answer]
    process = start(web_server, outbox, *small_files[:4])
    assert second_came.wait(PATIENCE_S)
    process.kill()
    assert process.wait(PATIENCE_S) < 0
    end.set()
    uids = [file.sop_instance_uid for file in small_files]
    assert {path.stem for path in Outbox(outbox).waiting()} == set(uids[1:4])
    # The lock is gone with the process.
    assert set(deliver([], DicomwebArchive(web_server.url), outbox).sent) == set(uids[1:4])


def test_two_processes_send_each_object_once(
    web_server: WebServer, small_files: list[DicomFile], tmp_path: Path
) -> None:
    """The first is held while it sends, until the second has added its objects, some of them the same."""
    outbox, first_came, end = tmp_path / "outbox", threading.Event(), threading.Event()

    def answer(request: Request) -> Answer:
        first_came.set()
        end.wait(PATIENCE_S)
        return stored(*small_files)(request)

    web_server.answers = [answer]
    first = start(web_server, outbox, *small_files[:4])
    assert first_came.wait(PATIENCE_S)
    second = start(web_server, outbox, *small_files[2:])
    while len(Outbox(outbox).waiting()) < 6:
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(0.02)
    end.set()
    assert [process.wait(PATIENCE_S) for process in (first, second)] == [0, 0]
    sent = [file.sop_instance_uid for file in small_files for each in web_server.requests if is_in(file, each)]
    assert sorted(sent) == sorted(file.sop_instance_uid for file in small_files)
    assert Outbox(outbox).waiting() == []


def is_in(file: DicomFile, request: Request) -> bool:
    return file.path.read_bytes() in request.body


def test_program_writes_one_line_to_standard_error(small_files: list[DicomFile], tmp_path: Path) -> None:
    """Without pytest, no handler catches what libraries log."""
    server = WebServer()
    server.close()
    process = start(server, tmp_path / "outbox", small_files[0])
    _, stderr = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert stderr.startswith(f"chexmask-u: {server.url}: the archive cannot be reached")
    assert stderr.count("\n") == 1
