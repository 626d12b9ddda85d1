"""The real label server, started as a user starts it, on a free port of this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Final

from support.servers.orthanc_server import free_port

__all__ = ["LabelServer"]

_PATIENCE_S: Final = 120
REPOSITORY: Final = Path(__file__).parents[3]


class LabelServer:
    """A server from its start to its end; use it in a `with` statement.

    Args:
        studies: a folder of radiographs, or the address of an archive.
        folder: for models, sessions and the log; is made.
        conf: of the app.
        environment: variables beside those of this process.

    Attributes:
        url: without a slash at its end.
        log: what the server has written.
    """

    def __init__(
        self,
        studies: Path | str,
        folder: Path,
        *,
        conf: dict[str, str] | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        """Choose a port; nothing is started yet."""
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / "server.log"
        self.command = [
            sys.executable,
            "-m",
            "label",
            str(studies),
            "--port",
            str(port),
            "--models",
            str(folder / "models"),
        ]
        for key, value in (conf or {}).items():
            self.command += ["--conf", key, value]
        threads = {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        self._environment = {**os.environ, **threads, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> LabelServer:
        """Start the server and wait until it answers."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self.stop()

    def start(self) -> None:
        """Start the server and wait until it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                cwd=REPOSITORY,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + _PATIENCE_S
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"the label server did not start:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.2)

    @property
    def pid(self) -> int:
        """Number of the server's process."""
        assert self._process is not None, "the server is not started"
        return self._process.pid

    def wait(self, *, seconds: float) -> int | None:
        """Return the exit code of a server that was told to stop, or None if it continues."""
        assert self._process is not None, "the server is not started"
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def answers(self) -> bool:
        """Return whether the server answers now."""
        try:
            with urllib.request.urlopen(f"{self.url}/info/", timeout=30) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def stop(self) -> None:
        """End the server and the processes that it started."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
