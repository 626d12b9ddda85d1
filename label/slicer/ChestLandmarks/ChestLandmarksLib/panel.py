"""The module's panel: what it looks like; what its buttons do is in ChestLandmarks.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import qt
import slicer

from .curves import ORGANS

__all__ = ["Panel"]


class Panel:
    """Fields and buttons, from top to bottom in the order of the work.

    Args:
        url: of the server.
    """

    def __init__(self, url: str) -> None:
        """Lay them out."""
        self.widget = qt.QWidget()
        self.form = qt.QFormLayout(self.widget)
        self.url = qt.QLineEdit(url)
        self.form.addRow("Server:", self.url)
        self.connect_button = self._button("Connect", "Ask the server which images and strategies it has")
        self.strategies = self._choice("Strategy:")
        self.next_button = self._button("Next image", "Show the image that the strategy wants annotated next")
        self.images = self._choice("Image:")
        self.fetch_button = self._button("Show image", "Fetch the chosen image, if it is not loaded")
        self.volumes = self._volume_choice()
        self.assign_button = self._button(
            "Volume shows this image", "Use the chosen volume, loaded in another way, for the chosen image"
        )
        self.landmarks_button = self._button("Landmarks", "Outline the organs as curves that can be edited")
        self.mask_button = self._button("Mask", "Show the organs as a mask, to look at")
        self.result = self._text("Result:")
        self.colors_box = qt.QCheckBox("Color curves by uncertainty")
        self.colors_box.setChecked(True)
        self.form.addRow("", self.colors_box)
        self.absent_boxes = {organ: self._absent_box(organ) for organ in ORGANS}
        self.send_button = self._button("Send outlines", "Store the curves on the server as this image's label")
        self.train_button = self._button("Train", "Train the model on all outlines that were sent")
        self.training = self._text("Training:")
        self.status = self._text("Status:")

    def say(self, text: str) -> None:
        """Show one sentence about what is going on."""
        self.status.setText(text)

    def set_busy(self, busy: bool) -> None:
        """Take no request while one is running."""
        buttons = (self.connect_button, self.next_button, self.fetch_button, self.landmarks_button)
        for button in (*buttons, self.mask_button, self.send_button, self.train_button):
            button.setEnabled(not busy)

    def fill(self, strategies: Sequence[str], images: Sequence[str]) -> None:
        """Offer what the server has."""
        for box, names in ((self.strategies, strategies), (self.images, images)):
            box.clear()
            for name in names:
                box.addItem(name)

    def choose_image(self, image: str) -> None:
        """Choose an image in the list, which may have come to the server since the list was made."""
        if self.images.findText(image) < 0:
            self.images.addItem(image)
        self.images.setCurrentText(image)

    def set_absent(self, absent: Mapping[str, bool]) -> None:
        """Show which organs are marked as absent."""
        for organ, box in self.absent_boxes.items():
            box.blockSignals(True)
            box.setChecked(absent[organ])
            box.blockSignals(False)

    def _button(self, text: str, tip: str) -> Any:
        button = qt.QPushButton(text)
        button.setToolTip(tip)
        self.form.addRow("", button)
        return button

    def _choice(self, title: str) -> Any:
        box = qt.QComboBox()
        self.form.addRow(title, box)
        return box

    def _text(self, title: str) -> Any:
        label = qt.QLabel("")
        label.setWordWrap(True)
        self.form.addRow(title, label)
        return label

    def _absent_box(self, organ: str) -> Any:
        box = qt.QCheckBox(f"{organ} is absent: do not send it")
        self.form.addRow("", box)
        return box

    def _volume_choice(self) -> Any:
        box = slicer.qMRMLNodeComboBox()
        box.nodeTypes = ["vtkMRMLScalarVolumeNode", "vtkMRMLVectorVolumeNode"]
        box.addEnabled = box.removeEnabled = False
        box.noneEnabled = True
        self.form.addRow("Volume:", box)
        return box
