from __future__ import annotations

import socket
import tempfile

import pytest
from typer.testing import CliRunner

from monai_chexmask_u.cli import app
from monai_chexmask_u.commands import console


def test_a_taken_port_is_said_in_one_line() -> None:
    pytest.importorskip("gradio")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = CliRunner().invoke(app, ["demo", "--port", str(port)])
    assert done.exit_code == 2
    assert f"chexmask-u: cannot listen at 127.0.0.1, port {port}" in done.output
    assert "choose another --port" in done.output


def test_without_a_temporary_folder_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gradio")

    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    done = CliRunner().invoke(app, ["demo", "--port", "0"])
    assert done.exit_code == 2
    assert "name one in TMPDIR" in done.output


def test_a_missing_package_is_said_with_the_way_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "find_spec", lambda name: None)
    done = CliRunner().invoke(app, ["demo"])
    assert done.exit_code == 2
    assert "pip install '.[demo]'" in done.output
