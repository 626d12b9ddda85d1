"""What may pass is tried again, with pauses that grow; nothing here waits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monai_chexmask_u.archive.failures import ArchiveUnusable, ObjectRefused, TryLater
from monai_chexmask_u.archive.waiting import Backoff


class Flaky:
    """Fails as it is told, then returns how often it was called."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return self.calls


def test_pauses_double_until_it_works() -> None:
    pauses: list[float] = []
    flaky = Flaky(*[TryLater("busy")] * 3)
    assert Backoff(attempts=4, first_s=1.5, sleep=pauses.append, jitter=lambda: 1.0).run(flaky) == 4
    assert pauses == [1.5, 3.0, 6.0]


def test_last_failure_is_told() -> None:
    pauses: list[float] = []
    with pytest.raises(TryLater, match="second"):
        Backoff(attempts=2, sleep=pauses.append).run(Flaky(TryLater("first"), TryLater("second"), TryLater("third")))
    assert len(pauses) == 1


@pytest.mark.parametrize("failure", [ObjectRefused("no"), ArchiveUnusable("no"), OSError("no")])
def test_what_will_not_pass_is_not_tried_again(failure: Exception) -> None:
    flaky = Flaky(failure)
    with pytest.raises(type(failure)):
        Backoff(sleep=lambda _: pytest.fail("paused")).run(flaky)
    assert flaky.calls == 1


def test_archive_may_ask_for_a_longer_pause() -> None:
    pauses: list[float] = []
    Backoff(sleep=pauses.append).run(Flaky(TryLater("busy", retry_after_s=20.0)))
    assert pauses == [20.0]


def test_archive_that_asks_for_too_long_a_pause_has_its_will() -> None:
    flaky = Flaky(TryLater("busy", retry_after_s=3600.0))
    with pytest.raises(TryLater):
        Backoff(longest_s=30.0, sleep=lambda _: pytest.fail("paused")).run(flaky)
    assert flaky.calls == 1


@given(jitter=st.floats(0, 1), attempts=st.integers(2, 12), first_s=st.floats(0.01, 10), longest_s=st.floats(0.01, 60))
def test_pauses_stay_between_half_and_all_of_what_is_due(
    jitter: float, attempts: int, first_s: float, longest_s: float
) -> None:
    pauses: list[float] = []
    policy = Backoff(attempts, first_s, longest_s, pauses.append, lambda: jitter)
    with pytest.raises(TryLater):
        policy.run(Flaky(*[TryLater("busy")] * attempts))
    assert len(pauses) == attempts - 1
    for number, pause in enumerate(pauses):
        due = min(longest_s, first_s * 2**number)
        assert 0.5 * due <= pause <= due


def test_once_does_not_pause() -> None:
    with pytest.raises(TryLater):
        Backoff(sleep=lambda _: pytest.fail("paused")).once().run(Flaky(TryLater("busy")))
