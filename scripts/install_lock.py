"""Install a lock file into the environment that runs this, by uv, or by pip where uv cannot.

    .venv/bin/python scripts/install_lock.py locks/demo.txt [FOLDER]

With a folder, its wheels are installed, if the lock file has their checksums.
uv takes seconds where pip takes minutes, but it does not read pip's configuration: it is told where packages come from.
Neither takes a file whose checksum is not in the lock file.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

__all__ = ["uv_environment", "uv_sources"]

LOCKED: Final = ("--no-deps", "--require-hashes", "--quiet", "--requirement")
PIP: Final = (sys.executable, "-m", "pip", "--disable-pip-version-check")
UV: Final = (str(Path(sys.executable).with_name("uv")), "pip")
# pip's settings that have their like in uv; a setting may hold several values.
SOURCES: Final[Mapping[str, str]] = {
    "index-url": "--default-index",
    "extra-index-url": "--extra-index-url",
    "find-links": "--find-links",
}


def main(lock: str, folder: str | None = None) -> int:
    """Install; return the exit code."""
    wanted = [*LOCKED, lock]
    if folder:
        wheels = sorted(Path(folder).glob("*.whl"))
        known = Path(lock).read_text(encoding="utf-8")
        strange = [path.name for path in wheels if f"sha256:{_sha256(path)}" not in known]
        if strange or not wheels:
            print(f"error: {lock} has no checksum of {strange or folder}", file=sys.stderr)
            return 1
        # Not by name and version: uv does not find the checksum of a local version, such as +cpu.
        wanted = ["--no-deps", "--quiet", *map(str, wheels)]
    if subprocess.run([*PIP, "install", *LOCKED, str(Path(lock).with_name("uv.txt"))], check=False).returncode == 0:
        command = [*UV, "install", "--python", sys.executable, "--no-progress", *uv_sources(), *wanted]
        if subprocess.run(command, env=uv_environment(), check=False).returncode == 0:
            return 0
        print(f"{lock}: uv did not install it, for the reason above; pip does, which takes longer", file=sys.stderr)
    return subprocess.run([*PIP, "install", *wanted], check=False).returncode


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def uv_sources() -> list[str]:
    """Return uv's options for the indexes and folders that pip is configured with.

    pip takes the best file of all of them; uv does so when told.
    """
    options = ["--index-strategy", "unsafe-best-match"]
    for name, value in _pip_settings().items():
        for each in value.split() if name in SOURCES else ():
            options += [SOURCES[name], each]
    return options


def uv_environment() -> dict[str, str]:
    """Return the environment for uv, with the certificates that pip is configured with."""
    certificates = _pip_settings().get("cert")
    return {**os.environ, **({"SSL_CERT_FILE": certificates} if certificates else {})}


def _pip_settings() -> dict[str, str]:
    """Return pip's settings by name; those of its environment variables come last and hold."""
    listed = subprocess.run([*PIP, "config", "list"], stdout=subprocess.PIPE, text=True, check=True).stdout
    pairs = (line.partition("=") for line in listed.splitlines())
    settings = [(name, " ".join(shlex.split(value))) for name, _, value in pairs]
    settings.sort(key=lambda pair: pair[0].startswith(":env:"))
    return {name.rpartition(".")[2]: value for name, value in settings}


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
