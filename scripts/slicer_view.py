"""Draw a radiograph and its markups as 3D Slicer draws them, without a screen.

It needs 3D Slicer's code from the package index, ``pip install 'monai-chexmask-u[slicer]'``, and EGL.

    chexmask-u segment radiograph.dcm -o out --write mrk
    python scripts/slicer_view.py radiograph.dcm out/radiograph.mrk.json radiograph.png
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["SlicerView", "main"]


class SlicerView:
    """One axial slice view, into which a radiograph and its markups are loaded as in 3D Slicer.

    Args:
        side: of the square image, in pixels.
    """

    def __init__(self, side: int) -> None:
        """Start Slicer's logic and an empty view."""
        from trame_slicer.core import SlicerApp
        from trame_slicer.views import SliceView

        self.app = SlicerApp()
        self.scene = self.app.scene
        self.view = SliceView(self.scene, self.app.app_logic, "Red")
        self.view.set_orientation("Axial")
        self.view.render_window().SetSize(side, side)

    def load_radiograph(self, path: Path) -> Any:
        """Load a DICOM, NRRD, NIfTI or MetaImage file, show it, and return its volume node."""
        import slicer

        volume = self.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", path.stem)
        storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
        self.scene.AddNode(storage)
        storage.SetFileName(str(path))
        storage.SetSingleFile(1)
        if storage.ReadData(volume) != 1:
            raise ValueError(f"{path}: Slicer cannot read this image")
        volume.CreateDefaultDisplayNodes()
        self.view.set_background_volume_id(volume.GetID())
        self.view.fit_view_to_content()
        return volume

    def load_markups(self, path: Path) -> dict[str, Any]:
        """Load all markups of a file and return their nodes by name; outlines become the polygons that areas are of."""
        import slicer

        storage = slicer.vtkMRMLMarkupsJsonStorageNode()
        self.scene.AddNode(storage)
        count = len(json.loads(path.read_text(encoding="utf-8"))["markups"])
        nodes = [storage.AddNewMarkupsNodeFromFile(str(path), "", index) for index in range(count)]
        if not all(nodes):
            raise ValueError(f"{path}: Slicer cannot read these markups")
        for node in nodes:
            if node.IsA("vtkMRMLMarkupsCurveNode"):
                node.SetCurveTypeToLinear()  # the file's format has no word for it, and Slicer's default is a spline
        return {node.GetName(): node for node in nodes}

    def pixels(self) -> NDArray[np.uint8]:
        """Render, and return the image ``(row, column, 3)``."""
        from vtkmodules.util.numpy_support import vtk_to_numpy
        from vtkmodules.vtkRenderingCore import vtkWindowToImageFilter

        self.view.render()
        grab = vtkWindowToImageFilter()
        grab.SetInput(self.view.render_window())
        grab.ReadFrontBufferOff()
        grab.Update()
        image = grab.GetOutput()
        columns, rows, _ = image.GetDimensions()
        values = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, -1)[::-1, :, :3]
        return np.ascontiguousarray(values, dtype=np.uint8)

    def to_view(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where positions ``(n, 3)`` in RAS, mm, appear: ``(n, 2)``, column and row of the image."""
        from vtkmodules.vtkCommonMath import vtkMatrix4x4

        to_view = vtkMatrix4x4()
        vtkMatrix4x4.Invert(self.view.get_view_node().GetXYToRAS(), to_view)
        placed = np.array([to_view.MultiplyPoint((*position, 1.0))[:2] for position in positions])
        height = self.view.render_window().GetSize()[1]
        return np.stack([placed[:, 0], height - 1 - placed[:, 1]], axis=1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw one image."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("radiograph", type=Path)
    parser.add_argument("markups", type=Path)
    parser.add_argument("image", type=Path, help="PNG or JPEG to write")
    parser.add_argument("--side", type=int, default=1000, help="of the image, in pixels")
    options = parser.parse_args(arguments)
    image = SlicerView(options.side)
    image.load_radiograph(options.radiograph)
    image.load_markups(options.markups)
    Image.fromarray(image.pixels()).save(options.image, quality=85)
    print(options.image)


if __name__ == "__main__":
    main()
