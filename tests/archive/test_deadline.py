"""A deadline is one of the whole, whatever is tried within it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from monai_chexmask_u.archive.failures import OutOfTime, TryLater
from monai_chexmask_u.archive.settings import Timeouts
from monai_chexmask_u.archive.waiting import Backoff, Deadline


def test_deadline_counts_down_and_stays_over() -> None:
    deadline = Deadline(0.05)
    assert not deadline.is_over
    assert 0 < deadline.remaining_s <= 0.05
    time.sleep(0.06)
    assert deadline.is_over
    assert deadline.remaining_s == 0


def test_part_of_the_work_ends_with_the_whole() -> None:
    assert Deadline(1).within(10).remaining_s <= 1
    assert Deadline(10).within(1).remaining_s <= 1


def failing(*errors: Exception) -> tuple[list[int], Callable[[], None]]:
    calls: list[int] = []

    def call() -> None:
        calls.append(1)
        raise errors[min(len(calls), len(errors)) - 1]

    return calls, call


def test_no_attempt_begins_after_the_deadline(backoff: Backoff, pauses: list[float]) -> None:
    calls, call = failing(TryLater("busy"))
    with pytest.raises(TryLater, match="busy"):
        backoff.run(call, Deadline(1.5))
    assert (len(calls), pauses) == (2, [1.0])


def test_answer_that_used_up_its_time_is_not_asked_for_again(backoff: Backoff, pauses: list[float]) -> None:
    calls, call = failing(OutOfTime("late"))
    with pytest.raises(OutOfTime):
        backoff.run(call, Deadline(1000))
    assert (len(calls), pauses) == (1, [])


def test_many_attempts_have_bounded_pauses() -> None:
    pauses: list[float] = []
    with pytest.raises(TryLater):
        Backoff(attempts=2000, sleep=pauses.append).run(failing(TryLater("busy"))[1])
    assert max(pauses) <= 30


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf"), 1e9])
@pytest.mark.parametrize("name", ["connect_s", "answer_s", "silence_s"])
def test_time_without_an_end_is_refused(name: str, seconds: float) -> None:
    with pytest.raises(ValueError, match="is no time to wait"):
        Timeouts(**{name: seconds})
