"""A lock file is installed by uv from where pip would take the files, and by pip where uv cannot."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

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
def script(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("install_lock", repository / "scripts" / "install_lock.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def ran(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> tuple[list[list[str]], dict[str, int]]:
    """The commands that ran, and what those of a program shall end with."""
    commands: list[list[str]] = []
    codes = {"uv": 0, "pip": 0}

    def run(command: list[str], **options: Any) -> SimpleNamespace:
        if "config" in command:
            return SimpleNamespace(stdout=SETTINGS)
        commands.append(list(command))
        return SimpleNamespace(returncode=codes["uv" if Path(command[0]).name == "uv" else "pip"])

    monkeypatch.setattr(script, "subprocess", SimpleNamespace(run=run, PIPE=subprocess.PIPE))
    return commands, codes


def test_uv_takes_files_from_where_pip_does(script: ModuleType, ran: Any) -> None:
    assert script.uv_sources() == [
        *("--index-strategy", "unsafe-best-match"),
        *("--extra-index-url", "file:///one/simple", "--extra-index-url", "file:///two/simple"),
        *("--find-links", "/wheels"),
    ]
    assert script.uv_environment()["SSL_CERT_FILE"] == "/certificates.crt"


def test_uv_installs_what_is_in_the_lock_alone(script: ModuleType, ran: Any) -> None:
    commands, _ = ran
    assert script.main("locks/demo.txt") == 0
    own, install = commands
    assert own[-1] == str(Path("locks/uv.txt"))
    assert own[0] == sys.executable
    assert install[-1] == "locks/demo.txt"
    assert Path(install[0]) == Path(sys.executable).with_name("uv")
    for command in commands:
        assert {"--no-deps", "--require-hashes"} <= set(command)


def test_pip_installs_it_where_uv_cannot(script: ModuleType, ran: Any, capsys: pytest.CaptureFixture[str]) -> None:
    commands, codes = ran
    codes["uv"] = 2
    assert script.main("locks/demo.txt") == 0
    assert commands[-1][0] == sys.executable
    assert commands[-1][-1] == "locks/demo.txt"
    assert "--require-hashes" in commands[-1]
    assert "pip does" in capsys.readouterr().err
    codes["pip"] = 1
    assert script.main("locks/demo.txt") == 1
