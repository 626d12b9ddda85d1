"""The end of the page at a signal: at once and without a trace, whatever runs."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["exits_on_signals"]

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def exits_on_signals(clean_up: Callable[[], None]) -> Iterator[Callable[[], None]]:
    """End the process when a signal asks for it, after a function has cleaned up.

    Open pages and a segmentation that runs are not waited for: they could hold up the process for long, and nobody
    would see their results.

    Args:
        clean_up: called once, in the main thread, while other threads may still run.

    Yields:
        What takes the signals again: some libraries take them for themselves when they are imported (UCX, which
        Holoscan brings, stops the process for a debugger at SIGHUP).
    """

    def end(number: int, frame: object) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        try:
            clean_up()
            sys.stdout.flush()
        finally:
            os._exit(0)

    # `nohup` asks to survive the end of the terminal.
    wanted = [each for each in SIGNALS if each.name != "SIGHUP" or signal.getsignal(each) != signal.SIG_IGN]
    before = {number: signal.getsignal(number) for number in wanted}

    def take() -> None:
        for number in wanted:
            signal.signal(number, end)

    take()
    try:
        yield take
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
