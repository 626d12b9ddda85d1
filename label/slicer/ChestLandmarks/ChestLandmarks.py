"""3D Slicer's module ChestLandmarks: outlines of lungs and heart from a MONAI Label server, edited and sent back."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
from ChestLandmarksLib.background import Background
from ChestLandmarksLib.curves import ORGANS, is_absent
from ChestLandmarksLib.logic import ChestLandmarksLogic, result_text, training_text
from ChestLandmarksLib.panel import Panel
from ChestLandmarksLib.server import MODEL, SEGMENTATION_MODEL, LabelServer, ServerError
from ChestLandmarksLib.uncertainty_colors import UncertaintyColors
from ChestLandmarksLib.volumes import IMAGE
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleWidget

URL_SETTING = "ChestLandmarks/url"
POLL_MS = 100
TRAINING_POLL_MS = 5000


class ChestLandmarks(ScriptedLoadableModule):
    """What Slicer's list of modules says."""

    def __init__(self, parent: Any) -> None:
        """Describe the module."""
        super().__init__(parent)
        parent.title = "Chest Landmarks"
        parent.categories = ["Active Learning"]
        parent.dependencies = []
        parent.contributors = ["the authors of monai-chexmask-u"]
        parent.helpText = (
            "Outlines of lungs and heart on chest radiographs, colored by how unsure the model is of them."
        )
        parent.acknowledgementText = "Not a medical device: for research and annotation."


class ChestLandmarksWidget(ScriptedLoadableModuleWidget):
    """The panel's buttons; requests run beside the window, the scene is changed when they are done."""

    def setup(self) -> None:
        """Build the panel."""
        super().setup()
        self.logic = ChestLandmarksLogic(slicer.mrmlScene, _load)
        self.folder = tempfile.TemporaryDirectory(prefix="chest-landmarks-")
        self.work: Background | None = None
        self.announced = False
        self.then: Callable[[Any], None] = lambda result: None
        self.panel = Panel(qt.QSettings().value(URL_SETTING) or "http://127.0.0.1:8000")
        self.layout.addWidget(self.panel.widget)
        self.layout.addStretch(1)
        self.panel.volumes.setMRMLScene(slicer.mrmlScene)
        self.poll = self._timer(POLL_MS, self.on_poll)
        self.training_poll = self._timer(TRAINING_POLL_MS, self.on_training_state)
        self._connect()

    def cleanup(self) -> None:
        """Leave nothing behind."""
        self.poll.stop()
        self.training_poll.stop()
        self.logic.close()
        self.folder.cleanup()

    def on_connect(self) -> None:
        """Ask the server what it has."""
        server = self._server()
        if server is None:
            return
        qt.QSettings().setValue(URL_SETTING, server.url)
        self._run("Asking the server", lambda: (server.info(), server.images()), self._connected)

    def on_next(self) -> None:
        """Let the server choose an image, and show it."""
        server, strategy = self._server(), self.panel.strategies.currentText
        if server is None:
            return
        folder = Path(tempfile.mkdtemp(dir=self.folder.name))

        def fetch() -> tuple[str, Path] | None:
            image = server.next_image(strategy)
            return (image, server.fetch_image(image, folder)) if image else None

        self._run("Fetching the next image", fetch, self._fetched)

    def on_fetch(self) -> None:
        """Show the image that is chosen in the list."""
        server, image = self._server(), self.panel.images.currentText
        if server is None or not image:
            return
        volume = self.logic.radiograph_of(image)
        if volume is not None:
            self._show(volume)
            return
        folder = Path(tempfile.mkdtemp(dir=self.folder.name))
        self._run("Fetching the image", lambda: (image, server.fetch_image(image, folder)), self._fetched)

    def on_assign(self) -> None:
        """Take a volume that is loaded already for the image that is chosen in the list."""
        volume, image = self.panel.volumes.currentNode(), self.panel.images.currentText
        if volume is None or not image:
            self.panel.say("Choose a loaded volume and the image of the server that it shows.")
            return
        self.logic.assign(volume, image)
        self._show(volume)

    def on_infer(self, model: str) -> None:
        """Run a model on the radiograph that is chosen."""
        server, volume = self._server(), self._radiograph()
        if server is None or volume is None:
            return
        image = volume.GetAttribute(IMAGE)

        def show(result: Any) -> None:
            self.logic.add_result(result, volume)
            self.panel.result.setText(result_text(result.record))
            self._show(volume)

        self._run("Running the model", lambda: server.infer(model, image), show)

    def on_send(self) -> None:
        """Send the outlines of the radiograph that is chosen."""
        server, volume = self._server(), self._radiograph()
        if server is None or volume is None:
            return
        try:
            markups = self.logic.submission(volume)
        except ValueError as error:
            self.panel.say(str(error))
            return
        image = volume.GetAttribute(IMAGE)
        done = f"The outlines of {image} are on the server."
        self._run("Sending", lambda: server.submit(image, markups), lambda answer: self.panel.say(done))

    def on_train(self) -> None:
        """Start training."""
        server = self._server()
        if server is not None:
            self._run("Starting the training", server.start_training, lambda answer: self.training_poll.start())

    def on_training_state(self) -> None:
        """Show how the training is going, until it has ended."""
        server = self._server()
        if server is None or self.work is not None:
            return

        def show(state: Any) -> None:
            self.panel.training.setText(training_text(state))
            if state is None or state.get("status") not in ("PENDING", "RUNNING"):
                self.training_poll.stop()

        self._run("", server.training, show)

    def on_absent(self, organ: str, absent: bool) -> None:
        """Mark an organ as one that the radiograph does not show."""
        volume = self.panel.volumes.currentNode()
        if volume is not None:
            self.logic.set_absent(volume, organ, absent)

    def on_colors(self, visible: bool) -> None:
        """Color the curves by uncertainty, or by organ."""
        if self.logic.colors is not None and self.logic.colors.measurement:
            self.logic.colors.show(visible)
            _show_legend(self.logic.colors, visible)

    def on_poll(self) -> None:
        """Take the result of a request that is done."""
        if self.work is None or not self.work.wait(0.02):
            return
        work, self.work = self.work, None
        self.poll.stop()
        self.panel.set_busy(False)
        if self.announced:
            self.panel.say("")
        try:
            self.then(work.result())
        except (ServerError, ValueError, RuntimeError, OSError) as error:
            self.training_poll.stop()
            self.panel.say(str(error))

    def _connect(self) -> None:
        panel = self.panel
        panel.connect_button.clicked.connect(self.on_connect)
        panel.next_button.clicked.connect(self.on_next)
        panel.fetch_button.clicked.connect(self.on_fetch)
        panel.assign_button.clicked.connect(self.on_assign)
        panel.landmarks_button.clicked.connect(lambda: self.on_infer(MODEL))
        panel.mask_button.clicked.connect(lambda: self.on_infer(SEGMENTATION_MODEL))
        panel.send_button.clicked.connect(self.on_send)
        panel.train_button.clicked.connect(self.on_train)
        panel.colors_box.toggled.connect(self.on_colors)
        for organ, box in panel.absent_boxes.items():
            box.toggled.connect(lambda absent, organ=organ: self.on_absent(organ, absent))

    def _run(self, text: str, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Start a request unless one is running."""
        if self.work is not None:
            self.panel.say("A request is running; wait until it is answered.")
            return
        self.announced = bool(text)
        if text:
            self.panel.say(f"{text} ...")
        self.panel.set_busy(True)
        self.then = then
        self.work = Background(work)
        self.poll.start()

    def _connected(self, answer: tuple[dict[str, Any], list[str]]) -> None:
        info, images = answer
        if MODEL not in info.get("models", {}):
            self.panel.say("This MONAI Label server does not run the app for chest landmarks.")
            return
        self.panel.fill(list(info.get("strategies", {})), images)
        self.panel.say(f"{len(images)} images on the server.")

    def _fetched(self, answer: tuple[str, Path] | None) -> None:
        if answer is None:
            self.panel.say("The server has no image left to annotate.")
            return
        image, path = answer
        volume = self.logic.radiograph_of(image) or self.logic.add_radiograph(path, image)
        self.panel.choose_image(image)
        self._show(volume)

    def _show(self, volume: Any) -> None:
        self.panel.volumes.setCurrentNode(volume)
        slicer.util.setSliceViewerLayers(background=volume, fit=True)
        self.logic.show_only(volume)
        curves = self.logic.curves(volume)
        self.panel.set_absent({organ: organ in curves and is_absent(curves[organ]) for organ in ORGANS})
        self.on_colors(self.panel.colors_box.checked)

    def _radiograph(self) -> Any | None:
        volume = self.panel.volumes.currentNode()
        if volume is None or not volume.GetAttribute(IMAGE):
            self.panel.say("Fetch an image, or say which image of the server a loaded volume shows.")
            return None
        return volume

    def _server(self) -> LabelServer | None:
        try:
            return LabelServer(self.panel.url.text)
        except ServerError as error:
            self.panel.say(str(error))
            return None

    def _timer(self, milliseconds: int, slot: Callable[[], None]) -> Any:
        timer = qt.QTimer()
        timer.setInterval(milliseconds)
        timer.timeout.connect(slot)
        return timer


def _load(scene: Any, path: Path, name: str) -> Any:
    """Load a radiograph as Slicer does by itself, PNG and JPEG files too."""
    return slicer.util.loadVolume(str(path), {"name": name, "singleFile": True, "show": False})


def _show_legend(colors: UncertaintyColors, visible: bool) -> None:
    """Show which color is which uncertainty, in the views of the radiograph."""
    legend = slicer.modules.colors.logic().AddDefaultColorLegendDisplayNode(colors.model)
    legend.SetTitleText(f"{colors.measurement} (px)")
    legend.SetLabelFormat("%.1f")
    legend.SetVisibility(visible)
