"""Runs damaged files through the pipeline in processes of their own, and notices what must not happen.

A file may be refused or segmented; see `findings` for what is wrong with either. Beyond that, no file may end the
process, keep it busy for more than five seconds, or make it take more than two gigabytes of memory.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.fuzzing.findings import faults_of_outcome
from support.fuzzing.process import Limits, WatchedProcess
from support.mutations import seeds

__all__ = ["Case", "Limits", "Result", "run_cases"]


@dataclass(frozen=True)
class Case:
    """One file: what reproduces it, how it was damaged, and its bytes."""

    name: str
    damage: str
    data: bytes


@dataclass(frozen=True)
class Result:
    """What became of a file.

    Attributes:
        case: the file.
        outcome: ``accepted``, ``crash``, ``hang``, ``raised``, or the code of the refusal.
        findings: what is wrong, in words; empty if nothing is.
        seconds: processor time.
        peak_bytes: the most memory that its process has held so far.
        growth_bytes: how much of it has come since the process was warm.
    """

    case: Case
    outcome: str
    findings: tuple[str, ...] = ()
    seconds: float = 0.0
    peak_bytes: int = 0
    growth_bytes: int = 0


class Worker:
    """Runs one file after the other, with a new process after each that has ended or taken too much.

    Args:
        folder: for everything that is written.
        pipeline: ``module:function``, see `worker`.
        limits: of every file.
        judged_every: ask the judges about every n-th result: they take longer than the pipeline.
    """

    def __init__(
        self,
        folder: Path,
        *,
        pipeline: str = "support.fuzzing.worker:tiny_pipeline",
        limits: Limits | None = None,
        judged_every: int = 1,
    ) -> None:
        """Start no process: the first file does."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.pipeline, self.limits = folder, pipeline, limits or Limits()
        self.judged_every, self._accepted = judged_every, 0
        self._process: WatchedProcess | None = None
        self._warm_bytes = 0

    def run(self, case: Case) -> Result:
        """Run one file."""
        process = self._warm_process()
        source, target = self.folder / "radiograph.dcm", self.folder / "results"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        source.write_bytes(case.data)
        answer = process.ask(source, target)
        if answer.said is None:
            self.close()
            return Result(case, answer.end.partition(":")[0], (answer.end,), answer.seconds)
        outcome = "raised" if "raised" in answer.said else answer.said["code"] or "accepted"
        self._accepted += outcome == "accepted"
        is_judged = self._accepted % self.judged_every == 0
        findings = faults_of_outcome(answer.said, target, answer.printed, is_judged=is_judged)
        peak = int(answer.said["peak"])
        if peak > self.limits.memory_bytes:
            findings.append(f"memory: {peak / 2**30:.2f} GiB")
            self.close()  # the next file is not to blame
        return Result(case, outcome, tuple(findings), answer.seconds, peak, peak - self._warm_bytes)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.close()
        self._process = None

    def _warm_process(self) -> WatchedProcess:
        if self._process is None:
            good, target = self.folder / "good.dcm", self.folder / "good"
            good.write_bytes(seeds()["dx"])
            target.mkdir(exist_ok=True)
            process = WatchedProcess(self.pipeline, self.limits, self.folder / "stderr.txt")
            self._warm_bytes = int(process.warm_up(good, target)["peak"])
            self._process = process
        return self._process


def run_cases(
    cases: Iterable[Case],
    folder: Path | None = None,
    *,
    workers: int = 1,
    **options: Any,
) -> Iterator[Result]:
    """Run files in several processes at a time, and yield the results in the order of the files.

    Args:
        cases: the files.
        folder: for what is written; by default a temporary one.
        workers: how many processes.
        options: of `Worker`.
    """
    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(workers) as pool:
        idle = [Worker((folder or Path(temporary)) / f"worker{number}", **options) for number in range(workers)]
        everyone = list(idle)

        def run(case: Case) -> Result:
            worker = idle.pop()  # there is one for each thread
            try:
                return worker.run(case)
            finally:
                idle.append(worker)

        try:
            yield from pool.map(run, cases)
        finally:
            pool.shutdown(cancel_futures=True)
            for worker in everyone:
                worker.close()
