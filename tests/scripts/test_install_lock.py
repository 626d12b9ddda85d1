"""A lock file is installed by uv from where pip would take the files, and by pip where uv cannot."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import install_lock
import pytest

SETTINGS = """\
:env:.cert='/certificates.crt'
:env:.find-links='/wheels'
global.cert='/others.crt'
global.constraint='/constraints.txt'
global.extra-index-url='file:///one/simple file:///two/simple'
global.find-links='/older'
"""


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> tuple[list[list[str]], dict[str, int]]:
    """The commands that ran, and what those of a program shall end with."""
    commands: list[list[str]] = []
    codes = {"uv": 0, "pip": 0}

    def run(command: list[str], **options: Any) -> SimpleNamespace:
        if "config" in command:
            return SimpleNamespace(stdout=SETTINGS)
        commands.append(list(command))
        return SimpleNamespace(returncode=codes["uv" if Path(command[0]).name == "uv" else "pip"])

    monkeypatch.setattr(install_lock, "subprocess", SimpleNamespace(run=run, PIPE=subprocess.PIPE))
    return commands, codes


def test_uv_takes_files_from_where_pip_does(ran: Any) -> None:
    assert install_lock.uv_sources() == [
        *("--index-strategy", "unsafe-best-match"),
        *("--extra-index-url", "file:///one/simple", "--extra-index-url", "file:///two/simple"),
        *("--find-links", "/wheels"),
    ]
    assert install_lock.uv_environment()["SSL_CERT_FILE"] == "/certificates.crt"


def test_uv_installs_what_is_in_the_lock_alone(ran: Any) -> None:
    commands, _ = ran
    assert install_lock.main("locks/demo.txt") == 0
    own, install = commands
    assert own[-1] == str(Path("locks/uv.txt"))
    assert own[0] == sys.executable
    assert install[-1] == "locks/demo.txt"
    assert Path(install[0]) == Path(sys.executable).with_name("uv")
    for command in commands:
        assert {"--no-deps", "--require-hashes"} <= set(command)


def test_wheels_of_a_folder_are_installed_if_the_lock_knows_them(
    ran: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commands, codes = ran
    codes["uv"] = 2
    wheel = tmp_path / "torch-2.0+cpu-py3-none-any.whl"
    wheel.write_bytes(b"wheel")
    lock = tmp_path / "torch.txt"
    lock.write_text(f"torch==2.0 \\\n    --hash=sha256:{hashlib.sha256(b'wheel').hexdigest()}\n")
    assert install_lock.main(str(lock), str(tmp_path)) == 0
    by_uv, by_pip = commands[-2:]
    assert by_uv[-1] == by_pip[-1] == str(wheel)
    assert "--no-deps" in by_uv
    commands.clear()
    wheel.write_bytes(b"another")
    assert install_lock.main(str(lock), str(tmp_path)) == 1
    assert commands == []
    assert "no checksum of ['torch-2.0+cpu-py3-none-any.whl']" in capsys.readouterr().err


def test_pip_installs_it_where_uv_cannot(ran: Any, capsys: pytest.CaptureFixture[str]) -> None:
    commands, codes = ran
    codes["uv"] = 2
    assert install_lock.main("locks/demo.txt") == 0
    assert commands[-1][0] == sys.executable
    assert commands[-1][-1] == "locks/demo.txt"
    assert "--require-hashes" in commands[-1]
    assert "pip does" in capsys.readouterr().err
    codes["pip"] = 1
    assert install_lock.main("locks/demo.txt") == 1
