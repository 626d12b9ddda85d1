from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.samples.segmentations import make_radiograph, make_segmentation

from monai_chexmask_u.demo import sessions as module
from monai_chexmask_u.demo.alterations import Alteration
from monai_chexmask_u.demo.sessions import Past, Session, Sessions, Shown, bytes_of


@pytest.fixture
def closed() -> list[str]:
    return []


@pytest.fixture
def sessions(closed: list[str]) -> Iterator[Sessions]:
    sessions = Sessions(on_close=closed.append)
    yield sessions
    sessions.close_all()


def open_radiograph(sessions: Sessions, name: str) -> Session:
    """Give a session a radiograph of 200 kB, so that it stays."""
    with sessions.use(name) as session:
        session.radiograph = make_radiograph()
    return session


def test_each_page_has_a_session_and_a_folder_of_its_own(sessions: Sessions) -> None:
    first, second = open_radiograph(sessions, "a"), open_radiograph(sessions, "b")
    with sessions.use("a") as again:
        assert again is first
    assert first.folder != second.folder
    assert first.token != second.token


def test_a_name_without_a_radiograph_costs_nothing(sessions: Sessions, closed: list[str]) -> None:
    for number in range(100):
        with sessions.use(f"invented{number}") as session:
            assert session.folder.is_dir()
    assert list(sessions.folder.iterdir()) == []
    assert closed == []  # their pages may be open


def test_a_closed_session_leaves_no_folder(sessions: Sessions, closed: list[str]) -> None:
    session = open_radiograph(sessions, "a")
    assert sessions.find(session.token) is session
    sessions.close("a")
    sessions.close("a")
    assert not session.folder.exists()
    assert sessions.find(session.token) is None
    assert closed == ["a"]


@pytest.mark.parametrize("token", ["", "a", "../a", "é", "\ud800"])
def test_a_session_is_found_by_its_token_alone(sessions: Sessions, token: str) -> None:
    open_radiograph(sessions, "a")
    assert sessions.find(token) is None
    with sessions.use_by_token(token) as session:
        assert session is None


def test_a_image_takes_the_place_of_the_one_before_under_another_name(tmp_path: Path) -> None:
    session = Session(tmp_path)
    radiograph, first = session.add_image("radiograph", b"1"), session.add_image("altered", b"2")
    second = session.add_image("altered", b"3")
    assert first != second
    assert session.images == {radiograph: b"1", second: b"3"}


def test_idle_sessions_are_closed(sessions: Sessions) -> None:
    idle, other = open_radiograph(sessions, "a"), open_radiograph(sessions, "b")
    idle.used -= module.IDLE_SECONDS + 1
    other.used -= module.LEFT_SECONDS + 1
    sessions.close_idle(["a", "b"])
    assert not idle.folder.exists()
    assert sessions.find(other.token) is other
    sessions.close_idle(["a"])  # its page is gone
    assert not other.folder.exists()


def test_the_longest_unused_session_makes_room_for_another_one(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch, closed: list[str]
) -> None:
    monkeypatch.setattr(module, "MOST_SESSIONS", 2)
    first, second = open_radiograph(sessions, "a"), open_radiograph(sessions, "b")
    with sessions.use_by_token(first.token):
        pass
    open_radiograph(sessions, "c")
    assert closed == ["b"]
    assert not second.folder.exists()


def test_all_sessions_share_one_budget_of_memory(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch, closed: list[str]
) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 500_000)  # two and a half
    for name in "abcd":
        open_radiograph(sessions, name)
    assert closed == ["a", "b"]
    monkeypatch.setattr(module, "MAX_BYTES", 1)
    open_radiograph(sessions, "e")
    assert closed == ["a", "b", "c", "d"]  # who came last stays
    with sessions.use("e") as session:
        assert session.radiograph is not None


def test_who_works_is_not_closed_to_make_room(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_SESSIONS", 1)
    first = open_radiograph(sessions, "a")
    first.used -= module.IDLE_SECONDS + 1
    with sessions.use("a"):
        open_radiograph(sessions, "b")
        sessions.close_idle([])
        assert first.folder.is_dir()


def test_what_a_session_holds_is_counted_once(tmp_path: Path) -> None:
    radiograph = make_radiograph()
    samples = np.zeros((50, 120, 2), np.float32)
    result = make_segmentation(radiograph, samples=samples)
    session = Session(tmp_path, radiograph=radiograph)
    assert bytes_of(session) == radiograph.pixels.nbytes
    session.before = Shown(radiograph, Alteration(), result, "")
    arrays = result.landmarks.nbytes + result.covariance.nbytes
    # The covariance is a view or not; either way all that it keeps counts.
    assert bytes_of(session) >= radiograph.pixels.nbytes + arrays + samples.nbytes
    before = bytes_of(session)
    altered = make_radiograph()
    mask = np.ones((1000, 1000), np.bool_)
    session.after = Shown(altered, Alteration(mask=mask), result, "")
    session.add_image("radiograph", b"x" * 10)
    assert bytes_of(session) == before + altered.pixels.nbytes + mask.nbytes + 10
    session.remember(Past({}, result))
    assert bytes_of(session) == before + altered.pixels.nbytes + mask.nbytes + 10


def test_a_view_counts_as_the_array_that_it_keeps(tmp_path: Path) -> None:
    whole = np.zeros((100, 100), np.float32)
    radiograph = make_radiograph()
    object.__setattr__(radiograph, "pixels", whole[:5])
    assert bytes_of(Session(tmp_path, radiograph=radiograph)) == whole.nbytes


def test_the_history_ends_somewhere(tmp_path: Path) -> None:
    session = Session(tmp_path)
    past = [Past({}, make_segmentation(make_radiograph(50, 50))) for _ in range(3)]
    for number in range(module.MOST_PAST + 7):
        session.remember(past[number % 3])
    assert len(session.history) == module.MOST_PAST


def test_a_page_without_a_session_is_told_to_reload(sessions: Sessions) -> None:
    with pytest.raises(ValueError, match="reload"), sessions.use(None):
        pass


def test_a_session_is_used_by_one_request_at_a_time(sessions: Sessions) -> None:
    inside, most = [0], [0]

    def work() -> None:
        for _ in range(20):
            with sessions.use("a"):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert list(sessions.folder.iterdir()) == []


def test_at_the_end_nothing_is_left(sessions: Sessions) -> None:
    open_radiograph(sessions, "a")
    sessions.close_all()
    assert not sessions.folder.exists()


def test_a_session_is_measured_before_the_next_one_changes_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    held: list[bool] = []

    def measure(session: Session) -> int:
        held.append(session.lock.locked())
        return 1

    monkeypatch.setattr(module, "bytes_of", measure)
    with sessions.use("a") as session:
        session.radiograph = make_radiograph()
    with sessions.use_by_token(session.token):
        pass
    assert held == [True, True]
