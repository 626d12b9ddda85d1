"""What 3D Slicer's own code says of a file: where it puts an image, and which markups it loads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ijk_to_ras", "load_markups", "load_volume", "make_scene", "ras_positions", "save_node"]


def make_scene() -> Any:
    import slicer

    return slicer.vtkMRMLScene()


def load_volume(scene: Any, path: Path) -> Any:
    """Read an image as Slicer's archetype reader does, and return its volume node."""
    import slicer

    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    scene.AddNode(storage)
    storage.SetFileName(str(path))
    storage.SetSingleFile(1)
    assert storage.ReadData(volume) == 1
    return volume


def ijk_to_ras(volume: Any) -> NDArray[np.float64]:
    from vtkmodules.vtkCommonMath import vtkMatrix4x4

    matrix = vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def load_markups(scene: Any, path: Path) -> dict[str, Any]:
    """Load all markups of a file, one after the other as Slicer's reader does, and return their nodes by name."""
    import slicer

    storage = slicer.vtkMRMLMarkupsJsonStorageNode()
    scene.AddNode(storage)
    count = len(json.loads(path.read_text(encoding="utf-8"))["markups"])
    nodes = [storage.AddNewMarkupsNodeFromFile(str(path), "", index) for index in range(count)]
    assert all(nodes), f"Slicer does not load all of {path}"
    return {node.GetName(): node for node in nodes}


def ras_positions(markups: Any) -> NDArray[np.float64]:
    """Return the positions ``(n, 3)`` of all control points."""
    return np.array([markups.GetNthControlPointPosition(n) for n in range(markups.GetNumberOfControlPoints())])


def save_node(scene: Any, markups: Any, path: Path) -> Path:
    """Let Slicer write one markup."""
    import slicer

    storage = slicer.vtkMRMLMarkupsJsonStorageNode()
    scene.AddNode(storage)
    storage.SetFileName(str(path))
    assert storage.WriteData(markups) == 1
    return path
