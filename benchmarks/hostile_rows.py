"""The rows of the table of `benchmarks.hostile_peers`, and how what one server does under tricks is measured."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.processes.peak_memory import PeakMemory

__all__ = ["GRACE_S", "MOST_MEGABYTES", "Outcome", "Row", "Section", "Trick", "in_cell", "measured", "said"]

GRACE_S: Final = 5.0
MOST_MEGABYTES: Final = 1000
_LONGEST: Final = 90


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        trick: in words.
        outcome: what became of it.
        seconds: how long it took.
        megabytes: how much the process grew at most.
        is_good: whether what is promised was kept.
    """

    trick: str
    outcome: str
    seconds: float
    megabytes: float
    is_good: bool


Section = Callable[[float], Iterator[Row]]


@dataclass(frozen=True)
class Outcome:
    """What a server did.

    Attributes:
        text: in words.
        is_good: whether what is promised of its answers was kept.
        is_work: whether it segmented or opened an image meanwhile, which takes the time it takes.
    """

    text: str
    is_good: bool
    is_work: bool = False


Trick = tuple[str, Callable[[], Outcome]]


def measured(tricks: Iterable[Trick], process: int, faults: Callable[[], str], deadline_s: float) -> Iterator[Row]:
    """Play tricks on a server, one after the other.

    Args:
        tricks: in words, with what plays each.
        process: number of the server's process.
        faults: returns in words what is wrong with the server and its files after a trick, or nothing.
        deadline_s: of the server.
    """
    for name, play in tricks:
        memory, started = PeakMemory(process), time.monotonic()
        try:
            outcome = play()
        except (OSError, AssertionError) as error:  # no answer, or another one than any client gets
            outcome = Outcome(f"{type(error).__name__}: {error}", False)
        seconds, megabytes = time.monotonic() - started, max(0.0, memory.megabytes())
        wrong = faults()
        text = f"{wrong}; {outcome.text}" if wrong else outcome.text
        is_timely = outcome.is_work or seconds < deadline_s + GRACE_S
        is_good = outcome.is_good and not wrong and is_timely and megabytes < MOST_MEGABYTES
        yield Row(in_cell(name), in_cell(text), seconds, megabytes, is_good)


def said(answers: Iterable[tuple[int, str]]) -> str:
    """Return the statuses of answers, and the commonest sentence; a status of 0 is a connection that was closed."""
    answers = list(answers)
    statuses = Counter("closed" if status == 0 else str(status) for status, _ in answers)
    counts = ", ".join(status if count == 1 else f"{status} ({count} times)" for status, count in statuses.items())
    sentences = Counter(sentence.strip() for _, sentence in answers if sentence).most_common(1)
    return f"{counts}: {_without_json(sentences[0][0])}" if sentences else counts


def _without_json(text: str) -> str:
    with contextlib.suppress(ValueError, LookupError, TypeError):
        return str(json.loads(text)["detail"])
    return text


def in_cell(text: str) -> str:
    """Return a text as it can stand in a cell of the table."""
    shown = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text).replace("|", "/")
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 3]}..."
