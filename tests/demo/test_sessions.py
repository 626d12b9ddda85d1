from __future__ import annotations

from collections.abc import Iterator

import pytest

from monai_chexmask_u.demo import sessions as module
from monai_chexmask_u.demo.sessions import Sessions


@pytest.fixture
def sessions() -> Iterator[Sessions]:
    sessions = Sessions()
    yield sessions
    sessions.close_all()


def test_each_page_has_a_session_and_a_folder_of_its_own(sessions: Sessions) -> None:
    first, second = sessions.get("a"), sessions.get("b")
    assert sessions.get("a") is first
    assert first.folder != second.folder
    assert first.token != second.token


def test_a_closed_session_leaves_no_folder(sessions: Sessions) -> None:
    session = sessions.get("a")
    assert sessions.find(session.token) is session
    sessions.close("a")
    sessions.close("a")
    assert not session.folder.exists()
    assert sessions.find(session.token) is None


@pytest.mark.parametrize("token", ["", "a", "../a", "é"])
def test_a_session_is_found_by_its_token_alone(sessions: Sessions, token: str) -> None:
    sessions.get("a")
    assert sessions.find(token) is None


def test_a_picture_takes_the_place_of_the_one_before_under_another_name(sessions: Sessions) -> None:
    session = sessions.get("a")
    film, first = session.add_picture("film", b"1"), session.add_picture("altered", b"2")
    second = session.add_picture("altered", b"3")
    assert first != second
    assert session.pictures == {film: b"1", second: b"3"}


def test_idle_sessions_are_closed(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    idle = sessions.get("a")
    idle.used -= module.IDLE_SECONDS + 1
    sessions.get("b")
    assert not idle.folder.exists()
    assert sessions.get("a") is not idle


def test_too_many_pages_are_refused(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_SESSIONS", 2)
    sessions.get("a")
    sessions.get("b")
    with pytest.raises(ValueError, match="try again later"):
        sessions.get("c")
    assert sessions.get("a")


def test_a_page_without_a_session_is_told_to_reload(sessions: Sessions) -> None:
    with pytest.raises(ValueError, match="reload"):
        sessions.get(None)


def test_at_the_end_nothing_is_left(sessions: Sessions) -> None:
    sessions.get("a")
    sessions.close_all()
    assert not sessions.folder.exists()
