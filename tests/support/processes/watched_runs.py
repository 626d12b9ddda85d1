"""A process that runs the command line or the application again and again, and tells how long and how large it became.

One process for all runs saves each of them the start; its memory is measured for each one by itself.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from support.processes.peak_memory import PeakMemory
from support.samples.study_archive import STUDY
from support.servers.hostile_archive import FETCH_TRICKS, serve_trick

__all__ = ["Run", "WatchedRuns"]


@dataclass(frozen=True)
class Run:
    """What became of a run.

    Attributes:
        code: its exit code.
        stdout: what it said.
        stderr: what it complained of.
        seconds: how long it took.
        megabytes: how much larger the process became than it was at the run's start, at most.
    """

    code: int
    stdout: str
    stderr: str
    seconds: float
    megabytes: float


class WatchedRuns:
    """Runs of one process, one after the other."""

    def __init__(self) -> None:
        folder = Path(__file__).resolve().parents[2]  # tests
        paths = [str(folder.parent), str(folder), os.environ.get("PYTHONPATH", "")]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def __enter__(self) -> WatchedRuns:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()

    def warm_up(self, file: Path, folder: Path) -> None:
        """Have everything imported by runs that fail, so that it counts for none.

        Args:
            file: a DICOM object.
            folder: for what the runs write.
        """
        once = ["--attempts", 1]
        with serve_trick(FETCH_TRICKS["no DICOM"]) as archive:
            self.run("archive", ["fetch", "--url", archive.url, "--study", STUDY, "-o", folder / "fetched", *once])
            self.run("app", ["--fetch-from", archive.url, "--study", STUDY, "-o", folder / "app", *once])
        for target in (["--url", "http://127.0.0.1:9"], ["--node", "NODE@127.0.0.1:9"]):
            self.run("archive", ["send", file, *target, "--outbox", folder / target[0], *once])

    def run(self, program: str, arguments: Sequence[object]) -> Run:
        """Run ``archive`` (of the command line) or ``app``."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([program, *map(str, arguments)]), file=self._process.stdin, flush=True)
        return Run(**json.loads(self._process.stdout.readline()))


def _command_line(arguments: list[str]) -> int:
    from typer.testing import CliRunner

    from monai_chexmask_u.cli import app

    result = CliRunner().invoke(app, ["archive", *arguments])
    print(result.stdout, end="")
    print(result.stderr, end="", file=sys.stderr)
    if result.exception and not isinstance(result.exception, SystemExit):
        print(f"Traceback of {result.exception!r}\n", file=sys.stderr)
    return result.exit_code


def _application(arguments: list[str]) -> int:
    from app.__main__ import main

    try:
        return main(arguments)
    except Exception as error:
        print(f"Traceback of {error!r}\n", file=sys.stderr)
        return 1


def _measure(program: str, arguments: list[str]) -> Run:
    memory, started = PeakMemory(), time.monotonic()
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        code = (_application if program == "app" else _command_line)(arguments)
    seconds = time.monotonic() - started
    return Run(code, stdout.getvalue(), stderr.getvalue(), round(seconds, 2), round(memory.megabytes(), 1))


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")  # what a run says goes elsewhere
    for line in sys.stdin:
        program, *arguments = json.loads(line)
        print(json.dumps(vars(_measure(program, arguments))), file=answers, flush=True)
