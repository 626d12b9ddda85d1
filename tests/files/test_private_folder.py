"""A server's folder is closed to others, and goes with it or at the next start."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from monai_chexmask_u.files.private_folder import (
    MARKER,
    PrivateFolder,
    _mark,
    _prefix,
    sweep_remnants,
    use_private_folder,
)

MARK, PREFIX = _mark("demo"), _prefix("demo")
OTHER_SERVER = """
import sys
from monai_chexmask_u.files.private_folder import PrivateFolder
path = PrivateFolder("demo").make()
(path / "session").mkdir()
(path / "session" / "radiograph").write_text("x")
print(path, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def remnant(path: Path, *, mode: int = 0o700, marker: bytes | None = None) -> Path:
    path.mkdir(mode=mode)
    path.chmod(mode)
    (path / "radiograph").write_text("x")
    if marker is not None:
        (path / MARKER).write_bytes(marker)
    return path


def test_a_folder_is_closed_to_others_and_goes(temporary: Path) -> None:
    folder = PrivateFolder("demo")
    folder.remove()  # nothing is there yet
    path = folder.make()
    assert path.stat().st_mode & 0o777 == 0o700
    (path / "a" / "b").mkdir(parents=True)
    (path / "a" / "link").symlink_to(temporary)
    folder.remove()
    assert list(temporary.iterdir()) == []


def test_what_a_killed_server_left_is_swept_and_a_living_one_stays(temporary: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", OTHER_SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        path = Path(process.stdout.readline().strip())
        assert sweep_remnants("demo") == 0
        assert (path / "session" / "radiograph").is_file()
        process.kill()
        process.wait()
    assert path.is_dir()
    assert sweep_remnants("demo") == 1
    assert not path.exists()


def test_nothing_else_is_swept(temporary: Path) -> None:
    elsewhere = remnant(temporary / "elsewhere", marker=MARK)
    kept = [
        remnant(temporary / f"{PREFIX}notes"),
        remnant(temporary / f"{PREFIX}other", marker=b"mine"),
        remnant(temporary / f"{PREFIX}longer", marker=MARK + b"x"),
        remnant(temporary / f"{PREFIX}open", mode=0o750, marker=MARK),
        remnant(temporary / "chexmask-u", marker=MARK),
        elsewhere,
    ]
    (temporary / f"{PREFIX}link").symlink_to(elsewhere)
    (temporary / f"{PREFIX}file").write_text("x")
    linked = remnant(temporary / f"{PREFIX}linked")
    (linked / MARKER).symlink_to(elsewhere / MARKER)
    fifo = remnant(temporary / f"{PREFIX}fifo")
    os.mkfifo(fifo / MARKER)
    assert sweep_remnants("demo") == 0
    assert all((path / "radiograph").is_file() for path in [*kept, linked, fifo])


def test_links_in_a_remnant_are_not_followed(temporary: Path) -> None:
    elsewhere = remnant(temporary / "elsewhere")
    path = remnant(temporary / f"{PREFIX}dead", marker=MARK)
    (path / "link").symlink_to(elsewhere)
    (path / "inner").mkdir()
    (path / "inner" / "link").symlink_to(elsewhere)
    (path / "file").symlink_to(elsewhere / "radiograph")
    assert sweep_remnants("demo") == 1
    assert (elsewhere / "radiograph").read_text() == "x"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's folder")
def test_another_users_folder_stays(temporary: Path) -> None:
    path = remnant(temporary / f"{PREFIX}theirs", marker=MARK)
    os.chown(path, 65534, 65534)
    assert sweep_remnants("demo") == 0
    assert (path / "radiograph").is_file()


def test_a_folder_that_a_kill_left_empty_is_swept(temporary: Path) -> None:
    (temporary / f"{PREFIX}empty").mkdir(mode=0o700)
    assert sweep_remnants("demo") == 1


def test_temporary_files_lie_in_the_folder(temporary: Path) -> None:
    folder = PrivateFolder("demo")
    path = folder.make()
    with folder.takes_temporary_files():
        assert tempfile.gettempdir() == os.environ["TMPDIR"] == str(path)
    assert tempfile.gettempdir() == os.environ["TMPDIR"] == str(temporary)
    folder.remove()


def test_servers_of_another_kind_are_left_alone(temporary: Path) -> None:
    label = remnant(temporary / f"{_prefix('label')}dead", marker=_mark("label"))
    other = remnant(temporary / f"{PREFIX}with-the-others-marker", marker=_mark("label"))
    assert sweep_remnants("demo") == 0
    assert sweep_remnants("label") == 1
    assert (label.exists(), other.exists()) == (False, True)


def test_a_process_uses_one_folder_of_its_own_until_it_ends(temporary: Path) -> None:
    remnant(temporary / f"{_prefix('label')}dead", marker=_mark("label"))
    end = use_private_folder("label")
    (own,) = temporary.iterdir()
    assert tempfile.gettempdir() == str(own)
    use_private_folder("label")()  # after a reload: neither another folder, nor the end of the first
    assert list(temporary.iterdir()) == [own]
    end()
    assert not own.exists()


def test_a_forked_process_leaves_the_folder_alone(temporary: Path) -> None:
    folder = PrivateFolder("demo")
    path = folder.make()
    child = os.fork()
    if child == 0:
        folder.remove()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert path.is_dir()
    folder.remove()
