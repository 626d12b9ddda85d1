"""A warm process that segments files, with somebody who watches its time and memory."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["Answer", "Limits", "WatchedProcess"]

START_SECONDS: Final = 300
POLL_SECONDS: Final = 0.02


@dataclass(frozen=True)
class Limits:
    """What a file may take.

    Attributes:
        cpu_seconds: of the process; other work on the machine does not count.
        wall_seconds: for a process that waits for something for ever.
        memory_bytes: of the process, its libraries and network included.
        guard_bytes: of address space, so that the machine survives a file that the limit above is meant for.
    """

    cpu_seconds: float = 5
    wall_seconds: float = 60
    memory_bytes: int = 2 * 1024**3
    guard_bytes: int = 12 * 1024**3


@dataclass(frozen=True)
class Answer:
    """What a process says of a file, or how it has ended.

    Attributes:
        said: what it says; None if it has ended.
        end: ``crash`` or ``hang`` and how, in words; empty if it has not ended.
        printed: what was printed meanwhile.
        seconds: of processor time.
    """

    said: dict[str, Any] | None
    end: str = ""
    printed: str = ""
    seconds: float = 0.0


class WatchedProcess:
    """A process that segments files, warm once it has segmented a good one; ended by a file that takes too much.

    Args:
        pipeline: ``module:function``, see `worker`.
        limits: of every file.
        log: file for what it prints.
    """

    def __init__(self, pipeline: str, limits: Limits, log: Path) -> None:
        """Start it."""
        self.limits, self.log = limits, log
        worker = str(Path(__file__).with_name("worker.py"))
        path = os.pathsep.join(filter(None, sys.path))
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, worker, pipeline, str(limits.guard_bytes)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path},
            )

    def warm_up(self, source: Path, target: Path) -> dict[str, Any]:
        """Let it segment a good file, however long it takes to load everything; return what it says.

        Raises:
            RuntimeError: if it cannot.
        """
        self._line(START_SECONDS)  # it says that it is there
        self._send(source, target)
        said = self._line(START_SECONDS)
        if said is None or said.get("code", "raised") is not None:
            self.close()
            raise RuntimeError(f"a good file was not segmented: {said} {self.log.read_text()[-2000:]}")
        return said

    def ask(self, source: Path, target: Path) -> Answer:
        """Let it segment a file into a folder."""
        printed, cpu, start = self.log.stat().st_size, self._cpu_seconds(), time.monotonic()
        said, end = None, ""
        self._send(source, target)
        while said is None and not end:
            said = self._line(POLL_SECONDS)
            seconds = self._cpu_seconds() - cpu
            if seconds > self.limits.cpu_seconds:
                said, end = None, f"hang: more than {self.limits.cpu_seconds:g} s of work"
            elif said is None and time.monotonic() - start > self.limits.wall_seconds:
                end = f"hang: no answer after {self.limits.wall_seconds:g} s"
            elif said is None and (code := self._process.poll()) is not None:
                end = f"crash: {signal.Signals(-code).name if code < 0 else f'exit code {code}'}"
        with self.log.open("rb") as file:
            file.seek(printed)
            return Answer(said, end, file.read().decode(errors="replace"), seconds)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()

    def _send(self, source: Path, target: Path) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([str(source), str(target)]).encode() + b"\n")
        self._process.stdin.flush()

    def _line(self, seconds: float) -> dict[str, Any] | None:
        """Return the next answer, or None if there is none within some time, or the process has ended."""
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], seconds)
        line = self._process.stdout.readline() if ready else b""  # an answer comes as a whole: short, and flushed
        said: dict[str, Any] | None = json.loads(line) if line else None
        return said

    def _cpu_seconds(self) -> float:
        """Return the processor time that it has used, or 0 if it has ended."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
