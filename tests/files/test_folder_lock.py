"""One process at a time writes into a folder."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from monai_chexmask_u.files.folder_lock import LOCK_NAME, FolderLockError, folder_lock
from monai_chexmask_u.reading import list_inputs

HOLDER = """
import sys
from pathlib import Path
from monai_chexmask_u.files.folder_lock import folder_lock
with folder_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def start_holder(folder: Path) -> subprocess.Popen[str]:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def test_a_second_process_is_told_in_one_line_who_holds_the_folder_and_what_to_do(tmp_path: Path) -> None:
    holder = start_holder(tmp_path)
    with pytest.raises(FolderLockError) as caught, folder_lock(tmp_path):
        pass
    holder.communicate("")
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}: process {holder.pid} on {socket.gethostname()} writes into this folder")
    assert re.search(r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC; wait until it has ended, or choose another", message)
    assert "\n" not in message
    assert isinstance(caught.value, ValueError)


def test_a_folder_is_free_after_its_holder_and_nothing_is_left_in_it(tmp_path: Path) -> None:
    for _ in range(2):
        with folder_lock(tmp_path):
            assert [path.name for path in tmp_path.iterdir()] == [LOCK_NAME]
        assert not list(tmp_path.iterdir())


def test_an_error_inside_frees_the_folder(tmp_path: Path) -> None:
    with pytest.raises(KeyError), folder_lock(tmp_path):
        raise KeyError
    with folder_lock(tmp_path):
        pass


def test_a_killed_holder_holds_nobody_up(tmp_path: Path) -> None:
    holder = start_holder(tmp_path)
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert (tmp_path / LOCK_NAME).exists()
    with folder_lock(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_who_waits_gets_the_folder_as_soon_as_it_is_free(tmp_path: Path) -> None:
    inside = threading.Event()

    def hold() -> None:
        with folder_lock(tmp_path):
            inside.set()
            time.sleep(0.3)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait()
    with folder_lock(tmp_path, timeout=20):
        pass
    thread.join()


def test_many_threads_that_come_and_go_never_hold_the_folder_together(tmp_path: Path) -> None:
    holding, most = [0], [0]

    def work() -> None:
        for _ in range(20):
            with folder_lock(tmp_path, timeout=60):
                holding[0] += 1
                most[0] = max(most[0], holding[0])
                time.sleep(0.0005)
                holding[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert not list(tmp_path.iterdir())


def test_a_lock_that_somebody_removed_and_took_anew_stays_with_the_other(tmp_path: Path) -> None:
    with folder_lock(tmp_path):
        (tmp_path / LOCK_NAME).unlink()
        other = start_holder(tmp_path)
    with pytest.raises(FolderLockError, match=f"process {other.pid} "), folder_lock(tmp_path):
        pass
    other.communicate("")


def test_locks_of_two_names_are_independent(tmp_path: Path) -> None:
    with folder_lock(tmp_path, name=".adding"), folder_lock(tmp_path, name=".sending"):
        pass


def test_two_spellings_of_one_folder_are_one(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    with folder_lock(tmp_path / "folder"), pytest.raises(FolderLockError), folder_lock(tmp_path / "link" / "."):
        pass


def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("mine")
    (tmp_path / LOCK_NAME).symlink_to(other)
    with pytest.raises(FolderLockError, match="not the lock's file"), folder_lock(tmp_path):
        pass
    assert other.read_text() == "mine"


@pytest.mark.parametrize("name", ["a long file", "a second name of a file"])
def test_a_file_of_somebody_else_is_not_written_to(tmp_path: Path, name: str) -> None:
    other = tmp_path / "other"
    other.write_text("mine" * 1000 if name == "a long file" else "mine")
    text = other.read_text()
    if name == "a long file":
        other.rename(tmp_path / LOCK_NAME)
    else:
        os.link(other, tmp_path / LOCK_NAME)
    with pytest.raises(FolderLockError, match="not the lock's file"), folder_lock(tmp_path):
        pass
    assert (tmp_path / LOCK_NAME).read_text() == text


def as_another_user(folder: Path) -> str:
    """Lock a folder as a user without rights; return "held" or the error's text."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:  # another user may not even start Python from here
        os.setuid(65534)
        try:
            with folder_lock(folder):
                os.write(writer, b"held")
        except FolderLockError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as file:
        return file.read()


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_folder_that_users_share_is_locked_among_them(tmp_path: Path, is_killed: bool) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be two users")
    folder = Path(tempfile.mkdtemp(dir="/tmp"))  # others cannot enter the folders above tmp_path
    try:
        folder.chmod(0o777)
        holder = start_holder(folder)
        if is_killed:
            holder.kill()
            holder.communicate()
        said = as_another_user(folder)
        if is_killed:
            assert said == "held"
            assert list(folder.iterdir()) == []
        else:
            assert f"process {holder.pid} on " in said
            holder.communicate("")
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("kind", ["fifo", "folder", "socket"])
def test_what_is_no_file_does_not_hold_the_program(tmp_path: Path, kind: str) -> None:
    path = tmp_path / LOCK_NAME
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        os.mknod(path, 0o140600)
    with pytest.raises(FolderLockError, match="not the lock's file"), folder_lock(tmp_path):
        pass


def test_a_folder_that_is_not_there_says_so(tmp_path: Path) -> None:
    with (
        pytest.raises(FolderLockError, match=r"locked for writing \(No such file or directory"),
        folder_lock(tmp_path / "missing"),
    ):
        pass


def test_a_file_system_without_locks_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(FolderLockError, match="No locks available"), folder_lock(tmp_path):
        pass


def test_what_somebody_else_wrote_into_the_lock_does_not_reach_the_screen(tmp_path: Path) -> None:
    with folder_lock(tmp_path):
        (tmp_path / LOCK_NAME).write_bytes(b"1\n\x1b[2J\xff" + b"h" * 500 + b"\nnow\n")
        with pytest.raises(FolderLockError) as caught, folder_lock(tmp_path):
            pass
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


def test_the_lock_is_never_an_input(tmp_path: Path) -> None:
    with folder_lock(tmp_path):
        assert list_inputs([tmp_path]) == []
