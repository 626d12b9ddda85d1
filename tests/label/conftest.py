"""What the tests of the label app share: the repository on the path, and a real server on real radiographs."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.servers.label_server import LabelServer

REPOSITORY = Path(__file__).parents[2]

for place in (str(REPOSITORY), str(REPOSITORY / "label" / "stubs")):
    if place not in sys.path:
        sys.path.append(place)


@pytest.fixture(scope="session")
def radiographs(shared_data: Path) -> list[Path]:
    """Four real radiographs as images."""
    return sorted((shared_data / "jsrt" / "val" / "images").iterdir())[:4]


@pytest.fixture(scope="session")
def studies(radiographs: list[Path], chest_cr: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of real radiographs: four images, and `cr.dcm`. What a test puts there it takes away."""
    folder = tmp_path_factory.mktemp("studies")
    for radiograph in radiographs:
        shutil.copy(radiograph, folder)
    shutil.copy(chest_cr, folder / "cr.dcm")
    return folder


@pytest.fixture(scope="session")
def label_server(studies: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelServer]:
    """A server on `studies` that does not score by itself."""
    pytest.importorskip("monailabel")
    from support.servers.label_server import LabelServer

    quiet = {"MONAI_LABEL_AUTO_UPDATE_SCORING": "false"}
    with LabelServer(studies, tmp_path_factory.mktemp("server"), environment=quiet) as server:
        yield server
