"""Work beside the window: a request must not keep Slicer from drawing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

__all__ = ["Background"]


class Background:
    """Runs a function in a thread; it must not touch the scene, which belongs to the main thread."""

    def __init__(self, work: Callable[[], Any]) -> None:
        """Start."""
        self._work = work
        self._result: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait so long at most and return whether the work is done.

        Slicer's main thread keeps Python to itself; the thread runs on while this waits.
        """
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def result(self) -> Any:
        """Return what the function returned, or raise what it raised."""
        if self._error is not None:
            raise self._error
        return self._result

    def _run(self) -> None:
        try:
            self._result = self._work()
        except BaseException as error:  # is raised again where the result is asked for
            self._error = error
