"""Curves colored by the uncertainty of their nodes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import slicer
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkFiltersCore import vtkAssignAttribute

__all__ = ["MEASUREMENTS", "UncertaintyColors", "values_of"]

# The first that a curve has is shown: what error is expected, else what spread the network gives.
MEASUREMENTS: Final = ("total uncertainty", "predictive uncertainty")
TABLE: Final = "Landmark uncertainty"
# From sure to unsure, told apart by color-blind people too (Okabe and Ito).
STOPS: Final = np.array([(0, 114, 178), (240, 228, 66), (213, 94, 0)]) / 255
STEPS: Final = 256
LINE: Final = 0.6


class UncertaintyColors:
    """Colors curves, and keeps the colors on their nodes when nodes are moved, added or deleted.

    Args:
        scene: of Slicer.
        curves: of one film.

    Attributes:
        measurement: which uncertainty is shown; None if the curves have none.
        span: values in pixels of the image at the ends of the colors.
    """

    def __init__(self, scene: Any, curves: Iterable[Any]) -> None:
        """Color the curves."""
        self.curves = list(curves)
        self.measurement = next(
            (name for name in MEASUREMENTS if self.curves and all(_has(node, name) for node in self.curves)), None
        )
        self.span = (0.0, 0.0)
        self._known: dict[str, dict[str, float]] = {}
        self._observers: list[tuple[Any, int]] = []
        if self.measurement is None:
            return
        every = np.concatenate([values_of(node, self.measurement) for node in self.curves])
        self.span = (0.0, float(every.max()) or 1.0)
        self.table = _color_table(scene)
        for node in self.curves:
            values = values_of(node, self.measurement)
            self._known[node.GetID()] = dict(zip(_point_ids(node), values.tolist(), strict=True))
            self._observe(node)
        self.show(True)

    def show(self, visible: bool) -> None:
        """Show the curves in the colors of uncertainty, or in those of their organs."""
        for node in self.curves if self.measurement else ():
            display = node.GetDisplayNode()
            display.SetActiveScalar(self.measurement, vtkAssignAttribute.POINT_DATA)
            display.SetAndObserveColorNodeID(self.table.GetID())
            display.SetScalarRangeFlag(display.UseManualScalarRange)
            display.SetScalarRange(*self.span)
            display.SetScalarVisibility(visible)
            display.SetLineThickness(LINE)

    def close(self) -> None:
        """Stop looking after the curves."""
        for node, tag in self._observers:
            node.RemoveObserver(tag)
        self._observers.clear()

    def _observe(self, node: Any) -> None:
        def renew(caller: Any, event: str) -> None:
            self._renew(node)

        for event in (node.PointAddedEvent, node.PointRemovedEvent):
            self._observers.append((node, node.AddObserver(event, renew)))

    def _renew(self, node: Any) -> None:
        """Give each point its own value again: Slicer leaves the values where they were in the list.

        A new point has what its neighbors along the curve have, by its distance to them in the list.
        """
        known, identifiers = self._known[node.GetID()], _point_ids(node)
        if not identifiers:
            return
        places = [place for place, identifier in enumerate(identifiers) if identifier in known]
        if not places:
            return
        values = np.interp(
            np.arange(len(identifiers)),
            places,
            [known[identifiers[place]] for place in places],
            period=len(identifiers),
        )
        array = numpy_to_vtk(values, deep=True)
        array.SetName(self.measurement)
        node.GetMeasurement(self.measurement).SetControlPointValues(array)
        node.GetDisplayNode().SetActiveScalar(self.measurement, vtkAssignAttribute.POINT_DATA)


def values_of(node: Any, measurement: str) -> NDArray[np.float64]:
    """Return a curve's measurement ``(n,)``, one value per control point."""
    return np.array(vtk_to_numpy(node.GetMeasurement(measurement).GetControlPointValues()), dtype=float)


def _has(node: Any, measurement: str) -> bool:
    found = node.GetMeasurement(measurement)
    return found is not None and found.GetControlPointValues() is not None


def _point_ids(node: Any) -> list[str]:
    return [node.GetNthControlPointID(number) for number in range(node.GetNumberOfControlPoints())]


def _color_table(scene: Any) -> Any:
    found = scene.GetFirstNodeByName(TABLE)
    if found is not None:
        return found
    table = slicer.vtkMRMLColorTableNode()
    table.SetName(TABLE)
    table.SetTypeToUser()
    table.SetNumberOfColors(STEPS)
    shares = np.linspace(0, len(STOPS) - 1, STEPS)
    for step, share in enumerate(shares):
        color = [float(np.interp(share, range(len(STOPS)), STOPS[:, part])) for part in range(3)]
        table.SetColor(step, str(step), *color, 1.0)
    return scene.AddNode(table)
