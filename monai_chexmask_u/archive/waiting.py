"""How long to wait for an archive: a deadline for all of it, and pauses before trying again what may pass."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from monai_chexmask_u.archive.failures import OutOfTime, TryLater

__all__ = ["Backoff", "Deadline"]

T = TypeVar("T")


class Deadline:
    """Counts down from its making, by a clock that nobody sets.

    Args:
        seconds: from now.

    Example:
        >>> Deadline(0).is_over, 9 < Deadline(10).remaining_s <= 10
        (True, True)
    """

    def __init__(self, seconds: float) -> None:
        """Start to count."""
        self._end = time.monotonic() + seconds

    @property
    def remaining_s(self) -> float:
        """Return the seconds that are left, at least 0."""
        return max(0.0, self._end - time.monotonic())

    @property
    def is_over(self) -> bool:
        """Tell whether no time is left."""
        return self.remaining_s == 0.0

    def within(self, seconds: float) -> Deadline:
        """Return a deadline for a part of the work: after so many seconds, and not after this one."""
        return Deadline(min(seconds, self.remaining_s))


@dataclass(frozen=True)
class Backoff:
    """How often and when to try again.

    Attributes:
        attempts: how often to try in all.
        first_s: seconds before the second attempt; each further pause is twice as long.
        longest_s: no pause is longer; where the archive asks for a longer one, this run gives up.
        sleep: waits so many seconds.
        jitter: gives numbers in 0..1, so that several clients do not come back all at once.
    """

    attempts: int = 4
    first_s: float = 1.0
    longest_s: float = 30.0
    sleep: Callable[[float], None] = lambda seconds: time.sleep(seconds)  # looked up late: tests replace it
    jitter: Callable[[], float] = random.random

    def run(self, call: Callable[[], T], deadline: Deadline | None = None) -> T:
        """Return what a call returns, trying again while it raises `TryLater` and there is time.

        Args:
            call: what to try.
            deadline: for all attempts; None for no end.

        Raises:
            TryLater: of the last attempt.
        """
        for attempt in range(1, self.attempts + 1):
            try:
                return call()
            except TryLater as error:
                asked = error.retry_after_s or 0.0
                pause = min(self.longest_s, self.first_s * 2 ** min(attempt - 1, 30)) * (0.5 + 0.5 * self.jitter())
                pause = max(pause, asked)
                late = isinstance(error, OutOfTime) or (deadline is not None and pause >= deadline.remaining_s)
                if attempt == self.attempts or asked > self.longest_s or late:
                    raise
                self.sleep(pause)
        raise ValueError(f"at least one attempt is needed, got {self.attempts}")

    def once(self) -> Backoff:
        """Return a policy that tries once."""
        return replace(self, attempts=1)
