"""Runs of `chexmask-u segment` that can be killed at any moment: forked from a process that has loaded everything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import IO

__all__ = ["Segmentations"]


class Segmentations:
    """Starts runs in processes of their own, which need not import anything.

    Args:
        bundle: the model.
    """

    def __init__(self, bundle: Path) -> None:
        """Start the process that the runs are forked from."""
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        self._server = subprocess.Popen(
            [sys.executable, __file__, str(bundle)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self._answer()

    def __enter__(self) -> Segmentations:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End it."""
        self._server.communicate("")

    def start(self, *arguments: str | Path) -> int:
        """Start a run and return its process id."""
        print(json.dumps([str(argument) for argument in arguments]), file=self._stdin(), flush=True)
        return int(self._answer())

    def wait(self) -> int:
        """Wait for the run that was started last; return its exit code, or the signal that ended it, negative."""
        print("wait", file=self._stdin(), flush=True)
        return int(self._answer())

    def run(self, *arguments: str | Path, kill: int = 0, after: float = 0.0) -> int:
        """Run to the end, or until a signal that is sent after some seconds."""
        process = self.start(*arguments)
        if kill:
            time.sleep(after)
            os.kill(process, kill)  # it is not waited for yet, so that its number is its own
        return self.wait()

    def _stdin(self) -> IO[str]:
        assert self._server.stdin is not None
        return self._server.stdin

    def _answer(self) -> str:
        assert self._server.stdout is not None
        return self._server.stdout.readline()


def _serve(bundle: Path) -> None:
    import torch

    from monai_chexmask_u import cli, model

    for module in ("batch", "segmenter", "dicom.numbering", "dicom.write", "writers.result_sets"):
        with suppress(ModuleNotFoundError):
            import_module(f"monai_chexmask_u.{module}")
    torch.set_num_threads(1)
    loaded = model.load_model(bundle)
    vars(model)["load_model"] = lambda path: loaded
    print("ready", flush=True)
    process = 0
    for line in sys.stdin:
        if line == "wait\n":
            print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
            continue
        process = os.fork()
        if not process:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(1, 2)
            try:
                cli.app(json.loads(line))
            except SystemExit as stop:
                os._exit(stop.code if isinstance(stop.code, int) else 1)
            os._exit(70)
        print(process, flush=True)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
