"""Outlines of organs as closed curves on a radiograph: from the server's markups, and back to them."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import slicer
from numpy.typing import NDArray

from .pixel_plane import PixelPlane
from .volumes import IMAGE, check_size, plane_of

__all__ = ["ORGANS", "add_curves", "curves_of", "is_absent", "remove_curves", "set_absent", "submission"]

# The names by which the server knows the organs.
ORGANS: Final = ("Right lung", "Left lung", "Heart")
ORGAN: Final = "ChestLandmarks.Organ"
PLANE: Final = "ChestLandmarks.Plane"
ABSENT: Final = "ChestLandmarks.Absent"
FLIP: Final = np.array([-1.0, -1.0, 1.0])  # between LPS of files and RAS of the scene


def add_curves(scene: Any, content: bytes, record: dict[str, Any], volume: Any) -> dict[str, Any]:
    """Add the curves of a result to the scene, on the volume's pixels; those of an earlier result go.

    Args:
        scene: of Slicer.
        content: the server's markups file.
        record: of the result.
        volume: the radiograph, with its image's id as an attribute.

    Returns:
        The curves by organ.

    Raises:
        ValueError: if the result does not belong to the volume, or is none.
    """
    check_size(volume, record)
    try:
        curves = [item for item in json.loads(content)["markups"] if item["type"] == "ClosedCurve"]
        known = {row["id"]: (row["x"], row["y"]) for row in record["landmarks"]}
        points = [point for item in curves for point in item["controlPoints"]]
        pixels = np.array([known[point["label"]] for point in points], dtype=float)
        server_plane = PixelPlane.fit(pixels, np.array([point["position"] for point in points], dtype=float))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"The server's landmarks cannot be used ({error}).") from error
    for number, position in enumerate(plane_of(volume).to_space(pixels)):
        points[number]["position"] = (position * FLIP).tolist()
    image = volume.GetAttribute(IMAGE)
    remove_curves(scene, image)
    nodes = {}
    for item in curves:
        node = nodes[item["name"]] = _load(scene, item)
        node.SetCurveTypeToLinear()  # the outline is the polygon of the landmarks
        node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
        node.SetAttribute(IMAGE, image)
        node.SetAttribute(ORGAN, item["name"])
        node.SetAttribute(PLANE, json.dumps([server_plane.origin.tolist(), server_plane.steps.tolist()]))
    return nodes


def submission(scene: Any, volume: Any) -> bytes:
    """Return the curves of a radiograph as the markups file to send, positions where the server places them.

    Raises:
        ValueError: if there is nothing to send, or a curve cannot be an outline.
    """
    curves = {
        organ: node for organ, node in curves_of(scene, volume.GetAttribute(IMAGE)).items() if not is_absent(node)
    }
    if not curves:
        raise ValueError("There is no outline to send; run the model first, and do not mark every organ as absent.")
    shown = plane_of(volume)
    markups = []
    for organ, node in curves.items():
        labels, positions = control_points(node)
        if len(labels) < 3:
            raise ValueError(f"The curve {organ} has {len(labels)} points; an outline needs at least three.")
        origin, steps = json.loads(node.GetAttribute(PLANE))
        placed = PixelPlane(np.array(origin), np.array(steps)).to_space(shown.to_pixels(positions))
        markups.append(_document(organ, labels, placed))
    return json.dumps({"markups": markups}, indent=1, allow_nan=False).encode()


def curves_of(scene: Any, image: str | None) -> dict[str, Any]:
    """Return the curves that outline the organs of an image, by organ."""
    found = scene.GetNodesByClass("vtkMRMLMarkupsClosedCurveNode")
    found.UnRegister(None)  # the caller of GetNodesByClass owns the list
    nodes = [found.GetItemAsObject(number) for number in range(found.GetNumberOfItems())]
    return {node.GetAttribute(ORGAN): node for node in nodes if image and node.GetAttribute(IMAGE) == image}


def remove_curves(scene: Any, image: str | None) -> None:
    """Remove the curves of an image."""
    for node in curves_of(scene, image).values():
        scene.RemoveNode(node)


def set_absent(node: Any, absent: bool) -> None:
    """Say that the radiograph does not show an organ; its curve is hidden and not sent."""
    node.SetAttribute(ABSENT, "1" if absent else None)
    node.SetDisplayVisibility(not absent)


def is_absent(node: Any) -> bool:
    """Return whether an organ is marked as absent."""
    return bool(node.GetAttribute(ABSENT) == "1")


def control_points(node: Any) -> tuple[list[str], NDArray[np.float64]]:
    """Return labels and positions ``(n, 3)``, RAS below the node's transform, of the points that are placed."""
    numbers = [
        number
        for number in range(node.GetNumberOfControlPoints())
        if node.GetNthControlPointPositionStatus(number) == node.PositionDefined
    ]
    positions = np.array([node.GetNthControlPointPosition(number) for number in numbers], dtype=float).reshape(-1, 3)
    return [node.GetNthControlPointLabel(number) for number in numbers], positions


def _load(scene: Any, item: dict[str, Any]) -> Any:
    """Let Slicer's reader make the node, so that it keeps measurements, labels and looks."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "curve.mrk.json"
        path.write_text(json.dumps({"markups": [item]}), encoding="utf-8")
        storage = slicer.vtkMRMLMarkupsJsonStorageNode()
        scene.AddNode(storage)
        node = storage.AddNewMarkupsNodeFromFile(str(path), item["name"], 0)
        scene.RemoveNode(storage)
    if node is None:
        raise ValueError(f"Slicer cannot read the curve {item['name']}.")
    if own := node.GetStorageNode():  # it names a file that is gone; saving the scene gives the curve a new one
        scene.RemoveNode(own)
    return node


def _document(organ: str, labels: list[str], positions: NDArray[np.float64]) -> dict[str, Any]:
    points = [
        {"id": str(number + 1), "label": label, "position": positions[number].tolist(), "positionStatus": "defined"}
        for number, label in enumerate(labels)
    ]
    frame = {"coordinateSystem": "LPS", "coordinateUnits": "mm"}
    return {"type": "ClosedCurve", "name": organ, **frame, "controlPoints": points}
