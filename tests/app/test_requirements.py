"""What the container of the application package installs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support.processes.deploy_sdk import NEEDS_SDK

PROJECT = Requirement("monai-chexmask-u[archive,deploy]")
# They come with the environment, and constraints.txt does not name them.
INSTALLERS = {"pip", "setuptools"}


@pytest.fixture(scope="module")
def requirements(repository: Path) -> list[str]:
    return lines(repository / "app" / "requirements.txt")


def lines(path: Path) -> list[str]:
    """Read a file of requirements without comments and options."""
    return [line for line in path.read_text().splitlines() if line and not line.startswith(("#", "--"))]


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(text).name) for text in requirements}


def needed(requirement: Requirement) -> Iterator[Requirement]:
    """Yield what an installed package needs, for the extras that are asked for."""
    for text in distribution(requirement.name).requires or []:
        need = Requirement(text)
        extras = ["", *requirement.extras]
        if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras):
            yield need


def test_every_version_is_pinned_to_the_one_that_is_tested(requirements: list[str], repository: Path) -> None:
    assert set(requirements) <= set(lines(repository / "constraints.txt"))
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in requirements)
    assert len(names(requirements)) == len(requirements)


def test_all_that_the_project_declares_is_there(requirements: list[str]) -> None:
    declared = names([str(need) for need in needed(PROJECT)])
    assert {"torch", "pydicom", "pynetdicom", "monai-deploy-app-sdk"} <= declared <= names(requirements)


@pytest.mark.deploy
@NEEDS_SDK
def test_what_these_need_in_turn_is_pinned_as_well_and_nothing_else(requirements: list[str]) -> None:
    to_do, seen = list(needed(PROJECT)), set()
    while to_do:
        requirement = to_do.pop()
        if str(requirement) not in seen and requirement.name not in INSTALLERS:
            seen.add(str(requirement))
            to_do += needed(requirement)
    assert names(sorted(seen)) == names(requirements)
