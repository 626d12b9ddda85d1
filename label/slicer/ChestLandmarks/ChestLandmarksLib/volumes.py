"""Radiographs and masks as volumes of Slicer's scene."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import slicer
from numpy.typing import NDArray
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from .pixel_plane import PixelPlane

__all__ = ["IMAGE", "check_size", "find_volume", "load_mask", "load_volume", "plane_of"]

# Attribute of a node: the id of its image on the server.
IMAGE: Final = "ChestLandmarks.Image"
COLORS: Final = Path(__file__).parents[1] / "Resources" / "ChestLandmarks.ctbl"


def load_volume(scene: Any, path: Path, name: str) -> Any:
    """Load a radiograph as Slicer's own reader does.

    Raises:
        ValueError: if it cannot be read.
    """
    return _read(scene, path, scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name))


def load_mask(scene: Any, path: Path, volume: Any) -> Any:
    """Load the mask of a radiograph's organs onto its volume, wherever that lies.

    Raises:
        ValueError: if it cannot be read or has another size.
    """
    mask = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", f"{volume.GetName()} organs")
    _read(scene, path, mask)
    if mask.GetImageData().GetDimensions() != volume.GetImageData().GetDimensions():
        scene.RemoveNode(mask)
        raise ValueError(f"The mask does not have the size of {volume.GetName()}; load the image from the server.")
    mask.CopyOrientation(volume)
    mask.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    mask.SetAttribute(IMAGE, volume.GetAttribute(IMAGE))
    mask.CreateDefaultDisplayNodes()
    mask.GetDisplayNode().SetAndObserveColorNodeID(_organ_colors(scene).GetID())
    return mask


def find_volume(scene: Any, image: str) -> Any | None:
    """Return the volume that shows an image of the server."""
    for node in _nodes(scene, "vtkMRMLScalarVolumeNode"):
        if node.GetAttribute(IMAGE) == image and not node.IsA("vtkMRMLLabelMapVolumeNode"):
            return node
    return None


def plane_of(volume: Any) -> PixelPlane:
    """Return where a volume's pixels lie, in RAS; a transform above the volume is not part of it."""
    matrix = vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    values: NDArray[np.float64] = np.array(
        [[matrix.GetElement(row, column) for column in range(4)] for row in range(4)]
    )
    return PixelPlane.of_matrix(values)


def check_size(volume: Any, record: dict[str, Any]) -> None:
    """Check that a volume has the pixels that the server's image has.

    Raises:
        ValueError: if it has not.
    """
    size = volume.GetImageData().GetDimensions() if volume.GetImageData() else (0, 0, 0)
    wanted = (record["image"]["width"], record["image"]["height"], 1)
    if size != wanted:
        raise ValueError(
            f"{volume.GetName()} has {' x '.join(map(str, size))} pixels and the server's image "
            f"{' x '.join(map(str, wanted))}; load the image from the server."
        )


def _read(scene: Any, path: Path, node: Any) -> Any:
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(str(path))
    storage.SetSingleFile(1)
    scene.AddNode(storage)
    is_read = storage.ReadData(node) == 1
    scene.RemoveNode(storage)
    if not is_read:
        scene.RemoveNode(node)
        raise ValueError(f"Slicer cannot read {path.name} as an image.")
    return node


def _organ_colors(scene: Any) -> Any:
    """Return the colors of the mask's labels, loaded once."""
    for node in _nodes(scene, "vtkMRMLColorTableNode"):
        if node.GetName() == COLORS.stem:
            return node
    table = scene.AddNewNodeByClass("vtkMRMLColorTableNode", COLORS.stem)
    storage = slicer.vtkMRMLColorTableStorageNode()
    storage.SetFileName(str(COLORS))
    scene.AddNode(storage)
    if storage.ReadData(table) != 1:
        raise ValueError(f"Slicer cannot read {COLORS}; install the module again.")
    return table


def _nodes(scene: Any, kind: str) -> list[Any]:
    found = scene.GetNodesByClass(kind)
    found.UnRegister(None)  # the caller of GetNodesByClass owns the list
    return [found.GetItemAsObject(number) for number in range(found.GetNumberOfItems())]
