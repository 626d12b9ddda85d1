"""The lock files, and the Python versions that are promised, agree with everything else that names versions."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest

ENVIRONMENTS = {
    "demo": ("deploy", "archive"),
    "test": ("deploy", "archive", "bundle", "export", "experiments", "ray", "rca", "demo", "dev"),
    "plain": ("archive", "bundle", "dataset", "experiments", "demo", "dev"),
    "label": ("label",),
    "label-test": ("label", "slicer", "dev"),
}


def plain(name: str) -> str:
    """Return a package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(path: Path) -> dict[str, str]:
    lines = (line.split("#")[0].strip().removesuffix("\\").strip() for line in path.read_text().splitlines())
    pairs = (line.split("==") for line in lines if line and not line.startswith("--hash"))
    return {plain(name): version for name, version in pairs}


@pytest.fixture
def project(repository: Path) -> Any:
    return tomllib.loads((repository / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("name", [*ENVIRONMENTS, "sbom"])
def test_each_file_of_a_lock_has_its_checksum_and_no_place(repository: Path, name: str) -> None:
    text = (repository / "locks" / f"{name}.txt").read_text()
    head, *entries = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)
    assert head.startswith("#")
    assert len(entries) > 30
    for entry in entries:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!-]+( \\\n    --hash=sha256:[0-9a-f]{64})+\n", entry), entry


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_lock_has_the_versions_of_the_constraints_and_all_that_is_asked_for(
    repository: Path, project: Any, name: str
) -> None:
    lock, constraints = pins(repository / "locks" / f"{name}.txt"), pins(repository / "constraints.txt")
    assert {package: constraints.get(package) for package in lock} == lock
    wanted = list(project["dependencies"])
    for extra in ENVIRONMENTS[name]:
        wanted += project["optional-dependencies"][extra]
    names = {plain(re.split(r"[\[<>=!~; ]", each)[0]) for each in wanted}
    assert names - lock.keys() == names & {"monai-chexmask-u", "torch"}
    assert "setuptools" in lock  # builds the project


def test_the_environment_of_the_bills_has_its_lock(repository: Path) -> None:
    lock, constraints = pins(repository / "locks" / "sbom.txt"), pins(repository / "constraints.txt")
    assert {"cyclonedx-bom", "cyclonedx-python-lib", "jsonschema"} <= lock.keys()
    assert {package: constraints.get(package) for package in lock} == lock
    first, _, then = (repository / "Makefile").read_text().partition("scripts/install_lock.py locks/sbom.txt")
    assert "cyclonedx-bom" in then
    assert "cyclonedx-bom" not in first
    assert "cyclonedx-python-lib" not in pins(repository / "locks" / "test.txt"), "costs each import of MONAI a second"


def test_pytorch_has_the_checksums_of_both_its_builds(repository: Path) -> None:
    text = (repository / "locks" / "torch.txt").read_text()
    assert pins(repository / "locks" / "torch.txt") == {"torch": pins(repository / "constraints.txt")["torch"]}
    assert text.count("--hash=sha256:") == 2


def test_the_makefile_makes_the_environments_of_the_locks(repository: Path) -> None:
    from_makefile = (repository / "Makefile").read_text()
    for name, extras in ENVIRONMENTS.items():
        assert f".[{','.join(extras)}]'" in from_makefile
        assert f"scripts/install_lock.py locks/{name}.txt" in from_makefile


@pytest.mark.skipif(
    (platform.system(), platform.machine(), sys.version_info[:2]) != ("Linux", "x86_64", (3, 11)),
    reason="the lock files are for Linux x86_64 and Python 3.11",
)
@pytest.mark.parametrize(
    "target",
    [".venv/.demo-ready", ".venv/.test-ready", ".venv-plain/.ready", ".venv-label/.ready", ".venv-sbom/.ready"],
)
def test_checksums_are_asked_for_before_anything_else_is_installed(repository: Path, target: str) -> None:
    command = ["make", "--dry-run", "--always-make", target, f"PYTHON={sys.executable}"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True)
    steps = [line for line in done.stdout.splitlines() if " install " in line or "scripts/install_lock.py" in line]
    assert "scripts/install_lock.py" in steps[0], "which takes no file without its checksum"
    for step in steps:
        if "-e" in step and "'.[" in step:
            assert "--no-build-isolation" in step
    elsewhere = subprocess.run([*command, "LOCKED="], cwd=repository, capture_output=True, text=True, check=True)
    assert "install_lock.py" not in elsewhere.stdout
    assert "--constraint constraints.txt" in elsewhere.stdout


def test_what_is_installed_is_what_the_locks_say(repository: Path) -> None:
    found = {plain(each.name): each.version.partition("+")[0] for each in distributions()}
    locked = pins(repository / "locks" / "test.txt") | pins(repository / "locks" / "label-test.txt")
    both = found.keys() & locked.keys() - {"pip", "setuptools"}  # they come with the environment
    assert len(both) > 50
    assert {name: found[name] for name in both} == {name: locked[name] for name in both}


def test_promised_versions_of_python_are_the_same_everywhere(repository: Path, project: Any) -> None:
    assert project["requires-python"] == ">=3.11,<3.14"
    promised = {line.rsplit(" ", 1)[1] for line in project["classifiers"] if re.search(r"Python :: 3\.\d+", line)}
    assert promised == {"3.11", "3.12", "3.13"}
    assert tomllib.loads((repository / "pyproject.toml").read_text())["tool"]["ruff"]["target-version"] == "py311"
    for document in ("README.md", "bundle/docs/README.md"):
        assert "Python 3.11 to 3.13" in (repository / document).read_text()
        assert "Python 3.10" not in (repository / document).read_text()
