"""Write the lock files: what the Makefile's environments hold, each file by its SHA-256, for Linux x86_64, Python 3.11.

`make lock` runs it with the versions of `constraints.txt`. It asks pip what it would install, and installs nothing but
uv, which is asked too: where several files of a version are at hand, the two may choose different ones.
Lock files hold names, versions and checksums, and nothing of where the files came from.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from install_lock import PIP, UV, uv_environment, uv_sources

REPOSITORY: Final = Path(__file__).resolve().parents[1]
FOLDER: Final = REPOSITORY / "locks"
PLATFORM: Final = ("Linux", "x86_64", "3.11")
BUILD: Final = ("setuptools",)  # builds the project itself, without a download that nobody has checked
# What each environment of the Makefile is made of.
ENVIRONMENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "demo": (".[deploy,archive]", "pydicom-data"),
    "test": (".[deploy,archive,bundle,export,experiments,ray,rca,demo,dev]", "pydicom-data"),
    "plain": (".[archive,bundle,dataset,experiments,demo,dev]",),
    "label": (".[label]",),
    "label-test": (".[label,slicer,dev]",),
    "sbom": ("cyclonedx-bom", "cyclonedx-python-lib[json-validation]"),
}
# Installed without its dependencies (label/README.md).
ALONE: Final[Mapping[str, tuple[str, ...]]] = {"label": ("monailabel",), "label-test": ("monailabel",)}
NO_FILE: Final = {"PIP_CONFIG_FILE": os.devnull}
HEAD: Final = "# Written by `make lock` for Linux x86_64 and Python 3.11; installed with --no-deps --require-hashes.\n"

Lock = dict[str, tuple[str, set[str]]]


def main(names: Sequence[str]) -> int:
    """Write the lock files of these environments, all by default; return the exit code."""
    found = (platform.system(), platform.machine(), ".".join(platform.python_version_tuple()[:2]))
    if found != PLATFORM:
        print(f"error: lock files are made on {' '.join(PLATFORM)}, and this is {' '.join(found)}", file=sys.stderr)
        return 2
    FOLDER.mkdir(exist_ok=True)
    # PyTorch's wheel for CPUs has another checksum than the one of the public index: either may be at hand.
    public = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    torch = _merged(_resolved(["torch"], ["--no-deps"]), _resolved(["torch"], ["--no-deps"], public | NO_FILE))
    (FOLDER / "torch.txt").write_text(HEAD + _written(torch), encoding="utf-8")
    (FOLDER / "uv.txt").write_text(HEAD + _written(_resolved(["uv"], ["--no-deps"])), encoding="utf-8")
    subprocess.run([*PIP, "install", "--quiet", "--requirement", str(FOLDER / "uv.txt")], check=True)
    for name in names or ENVIRONMENTS:
        wanted = ENVIRONMENTS[name]
        lock = _resolved([*wanted, *BUILD]) | _resolved(ALONE.get(name, ()), ["--no-deps"])
        lock = {package: entry for package, entry in lock.items() if package not in torch}
        (FOLDER / f"{name}.txt").write_text(HEAD + _written(_with_files_of_uv(lock)), encoding="utf-8")
        print(f"locks/{name}.txt: {len(lock)} packages")
    return 0


def _resolved(wanted: Sequence[str], options: Sequence[str] = (), environment: Mapping[str, str] | None = None) -> Lock:
    """Return what pip would install: version and SHA-256 by name."""
    if not wanted:
        return {}
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet", "--report", "-"]
    command += ["--disable-pip-version-check"]
    command += ["--constraint", "constraints.txt"]
    done = subprocess.run(
        [*command, *options, *wanted], cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    lock: Lock = {}
    for item in json.loads(done.stdout)["install"]:
        about, origin = item["metadata"], item["download_info"]
        if "archive_info" in origin:  # and not this folder
            version = about["version"].partition("+")[0]  # `==` takes any local version, and the hash tells
            lock[about["name"].lower().replace("_", "-")] = (version, {origin["archive_info"]["hashes"]["sha256"]})
    return lock


def _with_files_of_uv(lock: Lock) -> Lock:
    """Add the checksums of the files of a version that uv knows, where pip's is not among them."""
    pins = "".join(f"{name}=={version}\n" for name, (version, _) in lock.items())
    command = [*UV, "compile", "-", "--no-deps", "--generate-hashes", "--no-header", "--no-annotate", "--quiet"]
    done = subprocess.run(
        [*command, *uv_sources()], env=uv_environment(), input=pins, stdout=subprocess.PIPE, text=True, check=True
    )
    known = {
        re.sub(r"[-_.]+", "-", name): set(re.findall(r"sha256:(\w+)", hashes))
        for name, hashes in re.findall(r"^([\w.-]+)==\S+((?:\s+\\\s+--hash=\S+)*)", done.stdout, re.MULTILINE)
    }
    return {
        name: (version, hashes if hashes <= (files := known[re.sub(r"[-_.]+", "-", name)]) else hashes | files)
        for name, (version, hashes) in lock.items()
    }


def _merged(first: Lock, second: Lock) -> Lock:
    return {name: (version, hashes | second[name][1]) for name, (version, hashes) in first.items()}


def _written(lock: Lock) -> str:
    lines = []
    for name, (version, hashes) in sorted(lock.items()):
        checks = " \\\n".join(f"    --hash=sha256:{each}" for each in sorted(hashes))
        lines.append(f"{name}=={version} \\\n{checks}\n")
    return "".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
