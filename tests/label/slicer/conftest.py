"""The module for 3D Slicer on its path, radiographs as Slicer's volumes, and a real server that has them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from ChestLandmarksLib.logic import ChestLandmarksLogic
    from ChestLandmarksLib.server import LabelServer as Client
    from support.servers.label_server import LabelServer

REPOSITORY = Path(__file__).parents[3]
MODULE = REPOSITORY / "label" / "slicer" / "ChestLandmarks"

if str(MODULE) not in sys.path:
    sys.path.append(str(MODULE))


@pytest.fixture(scope="session", autouse=True)
def module() -> Path:
    """The module's folder, which is no part of the package that pip installs."""
    if not MODULE.is_dir():
        pytest.skip("the module for 3D Slicer is not beside these tests")
    return MODULE


@pytest.fixture(scope="session")
def studies(shared_data: Path, chest_cr: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a real CR, `cr.dcm`, and a radiograph of another hospital as PNG, `nih.png`."""
    folder = tmp_path_factory.mktemp("radiographs")
    shutil.copy(chest_cr, folder / "cr.dcm")
    Image.open(min((shared_data / "nih" / "images").glob("*.jpg"))).save(folder / "nih.png")
    return folder


@pytest.fixture(scope="module")
def running(studies: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelServer]:
    pytest.importorskip("monailabel")
    from support.servers.label_server import LabelServer

    folder = tmp_path_factory.mktemp("server")
    shutil.copytree(studies, folder / "studies")
    with LabelServer(folder / "studies", folder, environment={"MONAI_LABEL_AUTO_UPDATE_SCORING": "false"}) as server:
        yield server


@pytest.fixture
def client(running: LabelServer) -> Client:
    from ChestLandmarksLib.server import LabelServer as Client

    return Client(running.url)


@pytest.fixture
def scene() -> Any:
    return pytest.importorskip("slicer").vtkMRMLScene()


@pytest.fixture
def logic(scene: Any) -> ChestLandmarksLogic:
    from ChestLandmarksLib.logic import ChestLandmarksLogic
    from ChestLandmarksLib.volumes import load_volume

    def load(scene: Any, path: Path, name: str) -> Any:
        return _volume_of_image(scene, path, name) if path.suffix == ".png" else load_volume(scene, path, name)

    return ChestLandmarksLogic(scene, load)


def _volume_of_image(scene: Any, path: Path, name: str) -> Any:
    """Make a volume of an image as full Slicer does; slicer-core has no reader of images."""
    import slicer
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonDataModel import vtkImageData

    pixels = np.asarray(Image.open(path).convert("L"))
    image = vtkImageData()
    image.SetDimensions(pixels.shape[1], pixels.shape[0], 1)
    image.GetPointData().SetScalars(numpy_to_vtk(pixels.ravel(), deep=True))
    volume = slicer.vtkMRMLScalarVolumeNode()
    volume.SetName(name)
    volume.SetAndObserveImageData(image)
    volume.SetIJKToRASDirections(-1, 0, 0, 0, -1, 0, 0, 0, 1)  # ITK's axes, LPS
    return scene.AddNode(volume)
