"""A container as a folder tree: what a Dockerfile copies and sets, carried out without Docker."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from string import Template

__all__ = ["Container", "build_container"]

# The folders of the container that have a place in the tree; all else is the machine's.
FOLDERS = re.compile(r"(?<![^:])/(?=(opt|var|etc)/holoscan\b)")


@dataclass(frozen=True)
class Container:
    """The tree, and the environment of a process in the container.

    Attributes:
        root: the folder that stands for ``/``.
        environment: all variables; paths lead into the tree.
    """

    root: Path
    environment: dict[str, str]

    def path(self, inside: str) -> Path:
        """Return where a path of the container lies."""
        return self.root / inside.lstrip("/")

    def run(self, command: list[str], *, folder: Path) -> subprocess.CompletedProcess[str]:
        """Run a command of the container in a folder, with paths of the tree for those of the container."""
        return subprocess.run(
            [self._rooted(argument) for argument in command],
            cwd=folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def _rooted(self, text: str) -> str:
        return FOLDERS.sub(f"{self.root}/", text)


def build_container(context: Path, root: Path) -> Container:
    """Carry out the lines COPY and ENV of a context's Dockerfile; what they need is installed like this environment.

    Args:
        context: the folder of the Dockerfile.
        root: the folder of the tree; it must not be there yet.
    """
    python = _python_without_the_project(root / "python")
    variables = defaultdict(str, {"PATH": f"{python}{os.pathsep}{os.defpath}"})
    for line in (context / "Dockerfile").read_text().splitlines():
        if copied := re.fullmatch(r"COPY \./(\S+)\s+(\S+)", line):
            _copy(context / copied[1], root / copied[2].lstrip("/"))
        elif variable := re.fullmatch(r"ENV (\w+)=(.*)", line):
            variables[variable[1]] = Template(variable[2]).substitute(variables)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HOLOSCAN", "PYTHON"))}
    rooted = {name: FOLDERS.sub(f"{root}/", value) for name, value in variables.items()}
    return Container(root, kept | rooted)


def _python_without_the_project(folder: Path) -> Path:
    """Make an environment with all packages of this one but the project's own; return the folder of its commands."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    variables = {"base": str(folder), "platbase": str(folder)}
    site_packages = Path(sysconfig.get_path("purelib", vars=variables))
    for package in Path(sysconfig.get_path("purelib")).iterdir():
        if "chexmask" not in package.name:
            (site_packages / package.name).symlink_to(package)
    return Path(sysconfig.get_path("scripts", vars=variables))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy(source, target)
