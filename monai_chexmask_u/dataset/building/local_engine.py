"""The engine of one machine: a pool of processes, which outlives a radiograph that ends one of them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, Final

from monai_chexmask_u.dataset.building.work import Chunk, Finished, RadiographWork, Recipe

if TYPE_CHECKING:
    from monai_chexmask_u.dataset.rca.rating import ReferenceSet

__all__ = ["WorkerPool", "all_steps", "complete_step", "decode_step", "run_local"]

_CHUNKS_AHEAD: Final = 3
"""Chunks per process that are under way at a time: enough that none waits, and few enough for flat memory."""

_MOST_BREAKS: Final = 3
"""Times in a row that a pool may break without a radiograph that is to blame."""


def run_local(
    recipe: Recipe, chunks: Iterable[Chunk], *, workers: int, references: ReferenceSet | None = None
) -> Iterator[Finished]:
    """Work on chunks in processes.

    On a CPU each process does all three steps, the network included, with one thread: processes scale better than
    threads do. With a GPU the network runs in this process, and the others decode and complete.

    Args:
        recipe: what the rows depend on.
        chunks: radiographs.
        workers: number of processes.
        references: radiographs to rate against.

    Yields:
        Finished chunks, in their order.

    Raises:
        RuntimeError: if processes end again and again, and no radiograph is to blame.
    """
    with WorkerPool(recipe, references, workers) as pool:
        if recipe.device == "cpu":
            yield from pool.map(all_steps, chunks)
            return
        with WorkerPool(recipe, references, workers) as second:
            inferred = map(RadiographWork(recipe, references).infer, pool.map(decode_step, chunks))
            yield from second.map(complete_step, inferred)


class WorkerPool:
    """Maps a step over items, in order. When a process ends, those under way are read one by one to find out why.

    Args:
        recipe: for the processes.
        references: likewise.
        workers: number of processes.
    """

    def __init__(self, recipe: Recipe, references: ReferenceSet | None, workers: int) -> None:
        """Start the processes once there is work."""
        self.initial = (recipe, references)
        self.workers = workers
        self.waiting: deque[tuple[Any, Future[Any] | None]] = deque()
        self.breaks = 0
        self.pool = self._executor(workers)

    def __enter__(self) -> WorkerPool:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Let the processes end; at once if the work was given up, without what is queued."""
        if kind is not None:
            for process in list((self.pool._processes or {}).values()):
                process.terminate()
        self.pool.shutdown(wait=False, cancel_futures=True)

    def map(self, step: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """Yield the step's result for each item."""
        for item in items:
            self._submit(step, item)
            if len(self.waiting) >= _CHUNKS_AHEAD * self.workers:
                yield self._next(step)
        while self.waiting:
            yield self._next(step)

    def _submit(self, step: Callable[[Any], Any], item: Any) -> None:
        try:
            self.waiting.append((item, self.pool.submit(step, item)))
        except BrokenProcessPool:  # found out, and dealt with, when its turn comes
            self.waiting.append((item, None))

    def _next(self, step: Callable[[Any], Any]) -> Any:
        while True:
            future = self.waiting[0][1]
            try:
                if future is None:
                    raise BrokenProcessPool
                result = future.result()
            except BrokenProcessPool:
                self._recover(step)
                continue
            self.waiting.popleft()
            self.breaks = 0
            return result

    def _recover(self, step: Callable[[Any], Any]) -> None:
        """Start a new pool with what was under way, less the radiographs that end a process."""
        self.pool.shutdown(wait=True, cancel_futures=True)
        items = [self._examined(item) if isinstance(item, Chunk) else item for item, _ in self.waiting]
        if items == [item for item, _ in self.waiting]:
            self.breaks += 1
        if self.breaks >= _MOST_BREAKS:
            raise RuntimeError("worker processes end again and again; is there enough memory? try fewer --workers")
        self.pool = self._executor(self.workers)
        self.waiting.clear()
        for item in items:
            self._submit(step, item)

    def _examined(self, chunk: Chunk) -> Chunk:
        """Read the radiographs of a chunk one by one; name those that end the process."""
        damaged = set(chunk.damaged)
        pool = self._executor(1)
        for item in chunk.radiographs:
            try:
                pool.submit(decode_step, replace(chunk, radiographs=(item,), damaged=frozenset(damaged))).result()
            except BrokenProcessPool:
                damaged.add(item.image_id)
                pool = self._executor(1)
        pool.shutdown(cancel_futures=True)
        return replace(chunk, damaged=frozenset(damaged))

    def _executor(self, workers: int) -> ProcessPoolExecutor:
        # A fork of this process would copy PyTorch's threads in whatever state they are.
        methods = multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
        if "forkserver" in methods:
            context.set_forkserver_preload([__name__])
        return ProcessPoolExecutor(workers, context, _start, self.initial)


_work: RadiographWork | None = None  # of a worker process, from its start to its end


def _start(recipe: Recipe, references: ReferenceSet | None) -> None:
    """Prepare a worker process, and let it end when the process that started it does, however that ends."""
    global _work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that was started decides
    _work = RadiographWork(recipe, references)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def _at_work() -> RadiographWork:
    if _work is None:
        raise RuntimeError("this is no worker process")
    return _work


def all_steps(chunk: Chunk) -> Finished:
    """Do all three steps, in a worker process."""
    return _at_work()(chunk)


def decode_step(chunk: Chunk) -> Any:
    """Read the radiographs of a chunk, in a worker process."""
    return _at_work().decode(chunk)


def complete_step(inferred: Any) -> Finished:
    """Make rows, in a worker process."""
    return _at_work().complete(inferred)
