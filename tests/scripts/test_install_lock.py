"""A lock file is installed by uv from where pip would take the files, and by pip where uv cannot."""

from __future__ import annotations

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


def test_files_of_a_folder_are_taken_from_there_alone(ran: Any) -> None:
    commands, codes = ran
    codes["uv"] = 2
    assert install_lock.main("locks/torch.txt", "wheels") == 0
    by_uv, by_pip = commands[-2:]
    for command in (by_uv, by_pip):
        assert command[command.index("--no-index") :][:3] == ["--no-index", "--find-links", "wheels"]
        assert "--extra-index-url" not in command
        assert "--require-hashes" in command


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
