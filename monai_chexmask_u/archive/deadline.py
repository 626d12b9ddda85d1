"""A moment by which something must have happened, whatever the other side does meanwhile."""

from __future__ import annotations

import time

__all__ = ["Deadline"]


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
