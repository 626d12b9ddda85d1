"""`python -m label` says in one line what is wrong, and stubs stand in only where packages are missing."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

pytest.importorskip("monailabel")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{folder}/nothing"], "there is no folder"),
        (["{folder}", "--model", "{folder}/nothing"], "there is no model"),
        (["{folder}", "--host", "192.0.2.1"], "cannot listen at 192.0.2.1"),
        (["{folder}", "--port", "99999"], "cannot listen"),
        (["{folder}", "--conf", "colour", "red"], "there is no --conf colour"),
        (["{folder}", "--conf", "samples", "many"], "--conf samples wants a number"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    tmp_path: Path, arguments: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    from label.__main__ import main

    assert main([each.format(folder=tmp_path) for each in arguments]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert said in line


def test_a_port_in_use_is_told(repository: Path, tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        command = [sys.executable, "-m", "label", str(tmp_path), "--port", port]
        ended = subprocess.run(command, cwd=repository, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2
    assert f"127.0.0.1:{port} (Address already in use); try --port" in ended.stderr


@pytest.mark.parametrize("kind", ["missing", "broken", "working"])
def test_a_stub_stands_in_where_a_package_does_not_import(repository: Path, tmp_path: Path, kind: str) -> None:
    package = tmp_path / "torchvision"
    if kind != "missing":
        package.mkdir()
        (package / "__init__.py").write_text("raise RuntimeError" if kind == "broken" else "WORKS = True")
    code = (
        "import label.__main__ as launcher, sys; sys.path.append(str(launcher.STUBS));"
        "print(launcher._imports('torchvision')); import torchvision; print(torchvision.__file__)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(repository)])}
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, cwd=tmp_path
    )
    works, file = ended.stdout.split()
    if works == "True" and kind == "missing":
        pytest.skip("torchvision is installed here")
    expected = package if kind == "working" else repository / "label" / "stubs" / "torchvision"
    assert (works, Path(file).parent) == (str(kind == "working"), expected)


def test_a_copy_under_another_name_starts_the_way_monai_label_starts_apps(
    radiographs: list[Path], repository: Path, tmp_path: Path
) -> None:
    from support.servers.label_server import LabelServer

    app, studies = tmp_path / "chest_app", tmp_path / "studies"
    shutil.copytree(repository / "label", app, ignore=shutil.ignore_patterns("model", "logs", "__pycache__", "slicer"))
    studies.mkdir()
    shutil.copy(radiographs[0], studies)
    server = LabelServer(studies, tmp_path / "server", environment={"PYTHONPATH": str(app / "stubs")})
    port = server.url.rsplit(":", 1)[1]
    server.command = [sys.executable, "-m", "monailabel.main", "start_server", "--app", str(app)]
    server.command += ["--studies", str(studies), "--host", "127.0.0.1", "--port", port]
    with server:
        answer = requests.post(
            f"{server.url}/infer/chest_segmentation",
            params={"image": radiographs[0].stem, "output": "json"},
            timeout=120,
        )
        assert answer.status_code == 200
        assert (app / "model").is_dir()
