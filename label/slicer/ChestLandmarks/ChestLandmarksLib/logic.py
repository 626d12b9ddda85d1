"""What the module's buttons do; requests and scene are kept apart, so that requests may run beside the window."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import curves, volumes
from .server import SEGMENTATION_MODEL, InferResult
from .uncertainty_colors import UncertaintyColors

__all__ = ["ChestLandmarksLogic", "result_text", "training_text"]

Load = Callable[[Any, Path, str], Any]


class ChestLandmarksLogic:
    """Puts radiographs and results of the server into a scene, and takes outlines out of it.

    Args:
        scene: of Slicer.
        load: loads a radiograph's file into the scene under a name and returns its volume node.
    """

    def __init__(self, scene: Any, load: Load = volumes.load_volume) -> None:
        """Keep the scene."""
        self.scene, self.load = scene, load
        self.colors: UncertaintyColors | None = None

    def add_radiograph(self, path: Path, image: str) -> Any:
        """Load a radiograph's file and note which image of the server it is.

        Raises:
            ValueError: if Slicer cannot read it.
        """
        volume = self.load(self.scene, path, image)
        self.assign(volume, image)
        return volume

    def assign(self, volume: Any, image: str) -> None:
        """Note that a volume, loaded by whatever way, shows an image of the server."""
        other = volumes.find_volume(self.scene, image)
        if other is not None and other is not volume:
            other.RemoveAttribute(volumes.IMAGE)
        volume.SetAttribute(volumes.IMAGE, image)

    def radiograph_of(self, image: str) -> Any | None:
        """Return the volume that shows an image, or None if it is not loaded."""
        return volumes.find_volume(self.scene, image)

    def add_result(self, result: InferResult, volume: Any) -> None:
        """Show a result on its radiograph: curves in the colors of uncertainty, or the mask.

        Raises:
            ValueError: if it does not belong to the volume.
        """
        if result.suffix.endswith(".json"):
            nodes = curves.add_curves(self.scene, result.content, result.record, volume)
            self._color(nodes)
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{SEGMENTATION_MODEL}{result.suffix}"
            path.write_bytes(result.content)
            volumes.load_mask(self.scene, path, volume)

    def curves(self, volume: Any) -> dict[str, Any]:
        """Return the curves on a radiograph, by organ."""
        return curves.curves_of(self.scene, volume.GetAttribute(volumes.IMAGE))

    def show_only(self, volume: Any) -> None:
        """Hide the curves of other radiographs and color those of this one."""
        shown = self.curves(volume)
        found = self.scene.GetNodesByClass("vtkMRMLMarkupsClosedCurveNode")
        found.UnRegister(None)  # the caller of GetNodesByClass owns the list
        for number in range(found.GetNumberOfItems()):
            node = found.GetItemAsObject(number)
            if node.GetAttribute(curves.ORGAN):
                node.SetDisplayVisibility(node in shown.values() and not curves.is_absent(node))
        self._color(shown)

    def set_absent(self, volume: Any, organ: str, absent: bool) -> None:
        """Say that a radiograph does not show an organ."""
        node = self.curves(volume).get(organ)
        if node is not None:
            curves.set_absent(node, absent)
        if self.colors is not None:
            self.colors.draw()

    def submission(self, volume: Any) -> bytes:
        """Return what to send of a radiograph.

        Raises:
            ValueError: if there is nothing to send.
        """
        return curves.submission(self.scene, volume)

    def close(self) -> None:
        """Stop looking after the scene."""
        if self.colors is not None:
            self.colors.close()
            self.colors = None

    def _color(self, nodes: dict[str, Any]) -> None:
        if self.colors is not None and [*nodes.values()] == self.colors.curves:
            return
        self.close()
        if nodes:
            self.colors = UncertaintyColors(self.scene, nodes.values())


def result_text(record: dict[str, Any]) -> str:
    """Return verdict, score and reasons in words."""
    reliability, model = record["reliability"], record["model"]
    reasons = ", ".join(str(reason).replace("_", " ") for reason in reliability["reasons"]) or "none"
    score = record["uncertainty"]["score"]
    return (
        f"Verdict: {reliability['verdict']}. Score: {score:.2f} (mean uncertainty, pixels of a 1024-pixel image). "
        f"Reasons: {reasons}. Model: {model['name']} {model['version']}."
    )


def training_text(state: dict[str, Any] | None) -> str:
    """Return the state of the last training in words."""
    if state is None:
        return "No training since the server started."
    details = [line for line in state.get("details") or [] if str(line).strip()]
    return f"Training: {str(state.get('status', 'unknown')).lower()}." + (f" {details[-1]}" if details else "")
