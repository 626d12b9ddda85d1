"""The panel's buttons against a real server; Qt is a stand-in (`fake_qt`), the scene is Slicer's."""

from __future__ import annotations

import ast
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from support.servers.label_server import LabelServer
from support.servers.orthanc_server import free_port

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.writers.images import color_table

MODULE = Path(__file__).parents[3] / "label" / "slicer" / "ChestLandmarks"


@pytest.fixture
def widget(scene: Any, logic: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module's panel as Slicer would make it."""
    import importlib.util

    import slicer

    spec = importlib.util.spec_from_file_location("fake_qt", Path(__file__).parent / "fake_qt.py")
    assert spec is not None
    assert spec.loader is not None
    fake = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fake)

    class Base:
        def __init__(self, parent: Any = None) -> None:
            self.layout = fake.Widget()

        def setup(self) -> None: ...

    scripted: Any = ModuleType("slicer.ScriptedLoadableModule")
    scripted.ScriptedLoadableModule = scripted.ScriptedLoadableModuleWidget = Base
    legend = SimpleNamespace(SetTitleText=print, SetLabelFormat=print, SetVisibility=print)
    colors = SimpleNamespace(logic=lambda: SimpleNamespace(AddDefaultColorLegendDisplayNode=lambda node: legend))
    monkeypatch.setitem(sys.modules, "qt", fake.make_qt())
    monkeypatch.setitem(sys.modules, "slicer.ScriptedLoadableModule", scripted)
    monkeypatch.setattr(slicer, "mrmlScene", scene, raising=False)
    monkeypatch.setattr(slicer, "modules", SimpleNamespace(colors=colors), raising=False)
    monkeypatch.setattr(slicer, "qMRMLNodeComboBox", fake.Widget, raising=False)
    monkeypatch.setattr(slicer.util, "setSliceViewerLayers", lambda **layers: None, raising=False)
    monkeypatch.setattr(
        slicer.util, "loadVolume", lambda path, options: logic.load(scene, Path(path), options["name"]), raising=False
    )
    for name in ("ChestLandmarks", "ChestLandmarksLib.panel"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    from ChestLandmarks import ChestLandmarksWidget

    made = ChestLandmarksWidget(None)
    made.setup()
    yield made
    made.cleanup()


def wait(widget: Any) -> None:
    """Let the panel's clock tick until the request is done."""
    deadline = time.monotonic() + 120
    while widget.work is not None and time.monotonic() < deadline:
        widget.poll.timeout.emit()
    assert widget.work is None


def press(widget: Any, name: str) -> str:
    getattr(widget.panel, name).clicked.emit()
    wait(widget)
    return str(widget.panel.status.text)


def test_an_annotator_works_from_connecting_to_training(widget: Any, running: LabelServer) -> None:
    panel = widget.panel
    panel.url.setText(running.url)
    assert press(widget, "connect_button") == "2 images on the server."
    assert panel.images.items == ["cr", "nih"]
    panel.strategies.setCurrentText("random")
    assert press(widget, "next_button") == ""
    image = panel.images.currentText
    assert panel.volumes.node.GetName() == image
    assert press(widget, "landmarks_button") == ""
    assert panel.result.text.startswith("Verdict: ")
    assert len(widget.logic.curves(panel.volumes.node)) == len(ORGANS)
    assert press(widget, "mask_button") == ""
    panel.absent_boxes["Heart"].toggled.emit(True)
    assert press(widget, "send_button") == f"The outlines of {image} are on the server."
    assert press(widget, "train_button") == ""
    widget.training_poll.timeout.emit()
    wait(widget)
    assert panel.training.text.startswith("Training: ")


def test_what_cannot_be_done_is_one_sentence(widget: Any, running: LabelServer) -> None:
    panel = widget.panel
    panel.url.setText(f"http://127.0.0.1:{free_port()}")
    assert "cannot be reached" in press(widget, "connect_button")
    panel.url.setText("ftp://nowhere")
    assert "no address of a server" in press(widget, "connect_button")
    panel.url.setText(running.url)
    assert "Fetch an image" in press(widget, "send_button")
    panel.images.setCurrentText("nobody")
    assert "refused this (404)" in press(widget, "fetch_button")
    panel.images.setCurrentText("cr")
    press(widget, "fetch_button")
    assert "no outline to send" in press(widget, "send_button")
    panel.volumes.node.SetAttribute("ChestLandmarks.Image", "nobody")
    assert "refused this (404)" in press(widget, "landmarks_button")


def test_the_module_needs_nothing_that_slicer_does_not_have() -> None:
    allowed = {"numpy", "slicer", "vtkmodules", "qt", "ChestLandmarksLib", *sys.stdlib_module_names}
    for path in MODULE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [str(node.module)]
            assert {name.split(".")[0] for name in names} <= allowed, path.name
            assert not (isinstance(node, ast.keyword) and node.arg == "strict"), f"{path.name}: zip of Python 3.10"


def test_the_module_has_the_colors_of_the_mask() -> None:
    assert (MODULE / "Resources" / "ChestLandmarks.ctbl").read_text(encoding="ascii") == color_table()


def test_the_module_names_organs_as_the_server_does() -> None:
    pytest.importorskip("slicer")
    from ChestLandmarksLib.curves import ORGANS as NAMES

    assert tuple(organ.title for organ in ORGANS) == NAMES
