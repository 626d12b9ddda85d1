"""A stand-in for Slicer's Qt, so that the panel's code runs; it shows nothing and is no proof that Slicer shows it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any


class Signal:
    """Calls what is connected to it."""

    def __init__(self) -> None:
        self.slots: list[Callable[..., Any]] = []

    def connect(self, slot: Callable[..., Any]) -> None:
        self.slots.append(slot)

    def emit(self, *values: Any) -> None:
        for slot in self.slots:
            slot(*values)


class Widget:
    """Any widget: text, items, a check mark, a node."""

    def __init__(self, text: Any = "") -> None:
        self.text = text if isinstance(text, str) else ""
        self.items: list[str] = []
        self.currentText, self.checked, self.enabled, self.node = "", False, True, None
        self.clicked, self.toggled = Signal(), Signal()

    def setText(self, text: str) -> None:
        self.text = text

    def setEnabled(self, enabled: bool) -> None:
        self.enabled = enabled

    def setChecked(self, checked: bool) -> None:
        self.checked = checked

    def addItem(self, name: str) -> None:
        self.items.append(name)
        self.currentText = self.currentText or name

    def clear(self) -> None:
        self.items, self.currentText = [], ""

    def findText(self, name: str) -> int:
        return self.items.index(name) if name in self.items else -1

    def setCurrentText(self, name: str) -> None:
        self.currentText = name

    def currentNode(self) -> Any:
        return self.node

    def setCurrentNode(self, node: Any) -> None:
        self.node = node

    def ignore(self, *values: Any) -> None:
        """What the tests do not ask about."""

    setWordWrap = setToolTip = blockSignals = setMRMLScene = ignore
    addRow = addWidget = addStretch = ignore


class Timer:
    """Never rings by itself."""

    def __init__(self) -> None:
        self.timeout, self.running = Signal(), False

    def setInterval(self, milliseconds: int) -> None: ...

    def start(self) -> None:
        self.running = True

    def stop(self) -> None:
        self.running = False


def make_qt() -> SimpleNamespace:
    """Return what the module uses of the package `qt`."""
    settings: dict[str, str] = {}
    widgets = ("QWidget", "QFormLayout", "QLineEdit", "QComboBox", "QPushButton", "QLabel", "QCheckBox")
    store = SimpleNamespace(value=settings.get, setValue=settings.__setitem__)
    return SimpleNamespace(**dict.fromkeys(widgets, Widget), QTimer=Timer, QSettings=lambda: store)
