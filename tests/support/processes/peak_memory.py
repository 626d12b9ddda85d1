"""How much larger a process becomes for a while: Linux keeps the highest size, and forgets it when told to."""

from __future__ import annotations

from pathlib import Path

__all__ = ["PeakMemory"]


class PeakMemory:
    """The growth of a process from now on.

    Args:
        process: its number, or `self`.
    """

    def __init__(self, process: int | str = "self") -> None:
        self._folder = Path(f"/proc/{process}")
        (self._folder / "clear_refs").write_text("5")  # the highest size counts from here (proc(5))
        self._before = self._kilobytes("VmRSS")

    def megabytes(self) -> float:
        """Return how much larger it became than it was, at most."""
        return (self._kilobytes("VmHWM") - self._before) / 1024

    def _kilobytes(self, name: str) -> int:
        lines = (self._folder / "status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name))
