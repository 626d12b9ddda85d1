"""Nodes colored by their uncertainty: a disc on each point of the curves, which follows it.

Slicer can color a curve by a measurement of its points, but slice views, which show radiographs, draw it in one color.
A model in which each disc has a value is drawn in its colors there, and does not take the mouse.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import slicer
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
from vtkmodules.vtkFiltersCore import vtkAssignAttribute

__all__ = ["MEASUREMENTS", "UncertaintyColors", "values_of"]

# The first that the curves have is shown: what error is expected, else what spread the network gives.
MEASUREMENTS: Final = ("total uncertainty", "predictive uncertainty")
NAME: Final = "Landmark uncertainty"
# From sure to unsure, told apart by color-blind people too (Okabe and Ito).
STOPS: Final = np.array([(0, 114, 178), (240, 228, 66), (213, 94, 0)]) / 255
STEPS: Final = 256
CORNERS: Final = 16
# Of a disc, in parts of the length of the curves: neighboring discs stay apart.
RADIUS: Final = 1 / 500


class UncertaintyColors:
    """Draws the discs, and keeps each on its node with its value when nodes are moved, added or deleted.

    Args:
        scene: of Slicer.
        curves: of one radiograph.

    Attributes:
        measurement: which uncertainty is shown; None if the curves have none.
        span: values in pixels of the image at the ends of the colors.
        model: the discs, a model node of the scene.
    """

    def __init__(self, scene: Any, curves: Iterable[Any]) -> None:
        """Draw the discs."""
        self.scene, self.curves = scene, list(curves)
        self.measurement = next(
            (name for name in MEASUREMENTS if self.curves and all(_has(node, name) for node in self.curves)), None
        )
        self.span = (0.0, 0.0)
        self.model: Any = None
        self._known: dict[str, dict[str, float]] = {}
        self._observers: list[tuple[Any, int]] = []
        if self.measurement is None:
            return
        for node in self.curves:
            values = values_of(node, self.measurement)
            self._known[node.GetID()] = {name: float(values[place]) for place, name in enumerate(_point_ids(node))}
            self._observe(node)
        every = [value for known in self._known.values() for value in known.values()] or [0.0]
        self.span = (min(every), max(every))
        self.model = self._make_model()
        self.draw()

    def show(self, visible: bool) -> None:
        """Show or hide the discs."""
        if self.model is not None:
            self.model.GetDisplayNode().SetVisibility(visible)

    def draw(self) -> None:
        """Draw a disc on each point of the curves that are visible."""
        if self.model is None:
            return
        shown = [node for node in self.curves if node.GetDisplayVisibility() and node.GetNumberOfControlPoints()]
        points = [_positions(node) for node in shown]
        values = [values_of(node, self.measurement) for node in shown]
        self.model.SetAndObservePolyData(_discs(points, values))

    def close(self) -> None:
        """Stop looking after the curves, and take the discs away."""
        for node, tag in self._observers:
            node.RemoveObserver(tag)
        self._observers.clear()
        if self.model is not None:
            self.scene.RemoveNode(self.model)
            self.model = None

    def _observe(self, node: Any) -> None:
        def moved(caller: Any, event: str) -> None:
            self.draw()

        def renumbered(caller: Any, event: str) -> None:
            self._renew(node)
            self.draw()

        for event in (node.PointAddedEvent, node.PointRemovedEvent):
            self._observers.append((node, node.AddObserver(event, renumbered)))
        self._observers.append((node, node.AddObserver(node.PointModifiedEvent, moved)))

    def _renew(self, node: Any) -> None:
        """Give each point its own value again: Slicer leaves the values where they were in the list.

        A new point has what its neighbors along the curve have, by its distance to them in the list.
        """
        known, identifiers = self._known[node.GetID()], _point_ids(node)
        places = [place for place, identifier in enumerate(identifiers) if identifier in known]
        found = [known[identifiers[place]] for place in places] or [0.0]
        values = np.interp(np.arange(len(identifiers)), places or [0], found, period=max(len(identifiers), 1))
        array = numpy_to_vtk(values, deep=True)
        array.SetName(self.measurement)
        node.GetMeasurement(self.measurement).SetControlPointValues(array)

    def _make_model(self) -> Any:
        model = slicer.vtkMRMLModelNode()
        model.SetName(NAME)
        model.SetSelectable(False)
        model.SetSaveWithScene(False)
        self.scene.AddNode(model)
        model.SetAndObserveTransformNodeID(self.curves[0].GetTransformNodeID())
        model.CreateDefaultDisplayNodes()
        display = model.GetDisplayNode()
        display.SetActiveScalar(NAME, vtkAssignAttribute.POINT_DATA)
        display.SetAndObserveColorNodeID(_color_table(self.scene).GetID())
        display.SetScalarRangeFlag(display.UseManualScalarRange)
        display.SetScalarRange(*self.span)
        display.SetScalarVisibility(True)
        display.SetVisibility2D(True)
        display.SetSliceDisplayModeToProjection()
        display.SetLighting(False)
        return model


def values_of(node: Any, measurement: str | None) -> NDArray[np.float64]:
    """Return a curve's measurement ``(n,)``, one value per control point."""
    return np.array(vtk_to_numpy(node.GetMeasurement(measurement).GetControlPointValues()), dtype=float)


def _has(node: Any, measurement: str) -> bool:
    found = node.GetMeasurement(measurement)
    return found is not None and found.GetControlPointValues() is not None


def _point_ids(node: Any) -> list[str]:
    return [node.GetNthControlPointID(number) for number in range(node.GetNumberOfControlPoints())]


def _positions(node: Any) -> NDArray[np.float64]:
    return np.array([node.GetNthControlPointPosition(number) for number in range(node.GetNumberOfControlPoints())])


def _discs(curves: list[NDArray[np.float64]], values: list[NDArray[np.float64]]) -> Any:
    """Return discs in the plane of the curves, one per point; each corner has its point's value."""
    discs, places, cells = vtkPolyData(), vtkPoints(), vtkCellArray()
    if curves:
        centers, shown = np.concatenate(curves), np.concatenate(values)
        length = sum(np.linalg.norm(np.diff(curve, axis=0), axis=1).sum() for curve in curves)
        _, _, axes = np.linalg.svd(centers - centers.mean(axis=0), full_matrices=False)
        angles = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
        circle = length * RADIUS * np.column_stack([np.cos(angles), np.sin(angles)]) @ axes[:2]
        corners = (centers[:, None] + circle).reshape(-1, 3)
        places.SetData(numpy_to_vtk(corners, deep=True))
        for first in range(0, len(corners), CORNERS):
            cells.InsertNextCell(CORNERS, range(first, first + CORNERS))
        scalars = numpy_to_vtk(np.repeat(shown, CORNERS), deep=True)
        scalars.SetName(NAME)
        discs.GetPointData().SetScalars(scalars)
    discs.SetPoints(places)
    discs.SetPolys(cells)
    return discs


def _color_table(scene: Any) -> Any:
    found = scene.GetFirstNode(NAME, "vtkMRMLColorTableNode")
    if found is not None:
        return found
    table = slicer.vtkMRMLColorTableNode()
    table.SetName(NAME)
    table.SetTypeToUser()
    table.SetNumberOfColors(STEPS)
    shares = np.linspace(0, len(STOPS) - 1, STEPS)
    for step, share in enumerate(shares):
        color = [float(np.interp(share, range(len(STOPS)), STOPS[:, part])) for part in range(3)]
        table.SetColor(step, str(step), *color, 1.0)
    return scene.AddNode(table)
