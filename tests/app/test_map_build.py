"""`make map`, up to the command that it gives to Docker; a stand-in notes that command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from support.processes.deploy_sdk import NEEDS_SDK

import monai_chexmask_u

pytestmark = [pytest.mark.deploy, NEEDS_SDK]

# Answers as Docker does where an engine and the packager's builder are there, and notes what is to be built.
DOCKER = r"""#!/bin/sh
builder=holoscan_app_builder
case "$1 $2" in
"buildx ls") echo "{\"Name\": \"$builder\"}" ;;
"buildx inspect") printf "Name: $builder\nDriver: docker-container\n\nNodes:\nName: 0\nPlatforms: linux/amd64\n" ;;
"image inspect") echo '[{"Id": "sha256:0"}]' ;;
"buildx build")
    for context; do :; done
    cp -r "$context" "$NOTES"
    echo "$@" >"$NOTES/command"
    ;;
esac
"""

# What the packager would look up on the web.
IMAGES: dict[str, object] = {
    "wheel-version": "4",
    "debian-version": None,
    "base-images": {"dgpu": "base"},
    "build-images": {"dgpu": {}, "igpu": {}, "cpu": {}},
}


@pytest.fixture
def checkout(repository: Path, tmp_path: Path) -> Path:
    """A checkout that a test may write to."""
    folder = tmp_path / "checkout"
    shutil.copytree(repository / "scripts", folder / "scripts")
    for name in ("app", "monai_chexmask_u", "bundle", "LICENSE"):
        (folder / name).symlink_to(repository / name)
    return folder


def make_map(checkout: Path, docker: str | None, *options: str) -> subprocess.CompletedProcess[str]:
    """Run what `make map` runs, with a script in place of Docker's command, or without that command."""
    commands = checkout.parent / "bin"
    commands.mkdir()
    if docker is not None:
        (commands / "docker").write_text(docker)
        (commands / "docker").chmod(0o755)
    environment = os.environ | {
        "PATH": f"{commands}{os.pathsep}{os.defpath}" if docker else str(commands),
        "HOME": str(checkout.parent),
        "NOTES": str(checkout.parent / "notes"),
    }
    source = checkout.parent / "artifacts.json"
    source.write_text(json.dumps({version("holoscan-cu13"): {"holoscan": IMAGES}}))
    command = [sys.executable, str(checkout / "scripts" / "map_package.py"), "--source", str(source), *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)


@pytest.mark.parametrize("docker", [None, "#!/bin/sh\necho no daemon >&2\nexit 1\n"], ids=["command", "engine"])
def test_without_docker_one_line_says_so_and_nothing_is_written(docker: str | None, checkout: Path) -> None:
    done = make_map(checkout, docker)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("make map: no Docker engine answers")
    assert not (checkout / "build").exists()


def test_a_missing_part_is_named_in_one_line(checkout: Path) -> None:
    (checkout / "bundle").unlink()
    done = make_map(checkout, DOCKER)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("make map: ")
    assert str(checkout / "bundle" / "LICENSE") in line


def test_docker_is_given_the_package_with_the_name_and_version_of_the_project(checkout: Path) -> None:
    left_over = checkout / "build" / "map" / "models" / "old" / "model.pt"
    left_over.parent.mkdir(parents=True)
    left_over.touch()  # of an earlier build
    done = make_map(checkout, DOCKER)
    assert done.returncode == 0, done.stdout + done.stderr
    notes = checkout.parent / "notes"
    command = (notes / "command").read_text()
    tag = f"chexmask-u-x64-workstation-dgpu-linux-amd64:{monai_chexmask_u.__version__}"
    assert f"--platform linux/amd64 --tag {tag} " in command
    assert tag in done.stdout
    assert {path.name for path in notes.iterdir()} >= {"Dockerfile", "app", "docs", "lib", "map", "models", "pip"}
    assert [path.name for path in (notes / "models").iterdir()] == ["chexmask_u"]


def test_a_package_index_for_torch_is_added_to_the_requirements(checkout: Path, repository: Path) -> None:
    done = make_map(checkout, DOCKER, "--torch-index", "https://example.org/cpu")
    assert done.returncode == 0, done.stdout + done.stderr
    first, *others = (checkout.parent / "notes" / "pip" / "requirements.txt").read_text().splitlines()
    assert first == "--extra-index-url https://example.org/cpu"
    assert others == (repository / "app" / "requirements.txt").read_text().splitlines()
