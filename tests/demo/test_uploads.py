from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from monai_chexmask_u.demo import uploads as module
from monai_chexmask_u.demo.uploads import UploadError, Uploads


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path)


async def chunks(*parts: bytes, pause: float = 0) -> AsyncIterator[bytes]:
    for part in parts:
        await asyncio.sleep(pause)
        yield part


def send(uploads: Uploads, session: str, *parts: bytes, size: int | None = None, pause: float = 0) -> str:
    told = sum(len(part) for part in parts) if size is None else size
    return asyncio.run(uploads.receive(session, told, chunks(*parts, pause=pause)))


def test_a_file_opens_once_and_is_deleted(uploads: Uploads) -> None:
    name = send(uploads, "a", b"one", b"two")
    with uploads.opened("a", name) as path:
        assert path.read_bytes() == b"onetwo"
        assert path.parent == uploads.folder
        assert path.stat().st_mode & 0o077 == 0
        with pytest.raises(ValueError, match="gone"), uploads.opened("a", name):
            pass
    assert list(uploads.folder.iterdir()) == []
    with pytest.raises(ValueError, match="gone"), uploads.opened("a", name):
        pass


@pytest.mark.parametrize("name", ["", "x", "../x", "/etc/passwd", ".", "\x00", "é"])
def test_no_other_name_opens_anything(uploads: Uploads, name: str) -> None:
    kept = send(uploads, "a", b"x")
    for session in ("a", "b"):
        with pytest.raises(ValueError, match="gone"), uploads.opened(session, name):
            pass
    with pytest.raises(ValueError, match="gone"), uploads.opened("b", kept):
        pass
    with uploads.opened("a", kept) as path:
        assert path.is_file()


def test_the_address_is_the_sessions_own(uploads: Uploads, tmp_path: Path) -> None:
    key = uploads.key("a")
    assert uploads.is_key("a", key)
    for session, other in (("b", key), ("a", key[:-1]), ("a", ""), ("a", "é"), ("a", Uploads(tmp_path).key("a"))):
        assert not uploads.is_key(session, other)


def test_another_file_of_a_session_takes_the_place_of_the_one_before(uploads: Uploads) -> None:
    first = send(uploads, "a", b"1")
    send(uploads, "a", b"2")
    with pytest.raises(ValueError, match="gone"), uploads.opened("a", first):
        pass
    assert len(list(uploads.folder.iterdir())) == 1
    uploads.forget("b")
    assert len(list(uploads.folder.iterdir())) == 1
    uploads.forget("a")
    assert list(uploads.folder.iterdir()) == []


def test_what_nobody_opens_expires(uploads: Uploads, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [send(uploads, f"s{number}", b"x" * 1000) for number in range(200)]
    uploads.expire()
    assert len(list(uploads.folder.iterdir())) == 200
    monkeypatch.setattr(module, "UNOPENED_SECONDS", 0.0)
    with uploads.opened("s7", names[7]) as path:
        uploads.expire()
        assert list(uploads.folder.iterdir()) == [path]
    assert list(uploads.folder.iterdir()) == []


def test_the_oldest_file_makes_room_on_the_disk(uploads: Uploads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_DISK_BYTES", 25)
    names = {session: send(uploads, session, b"x" * 10) for session in "abc"}
    assert len(list(uploads.folder.iterdir())) == 2
    with pytest.raises(ValueError, match="gone"), uploads.opened("a", names["a"]):
        pass
    with uploads.opened("b", names["b"]), uploads.opened("c", names["c"]), pytest.raises(UploadError) as refusal:
        send(uploads, "d", b"x" * 10)
    assert refusal.value.status == 503
    assert list(uploads.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("parts", "size", "status"),
    [((b"",), 0, 400), ((b"x",), 2, 400), ((b"xxx",), 2, 400), ((), 5, 400), ((b"x",), 10**12, 413), ((b"",), -1, 400)],
)
def test_wrong_sizes_are_refused(uploads: Uploads, parts: tuple[bytes, ...], size: int, status: int) -> None:
    with pytest.raises(UploadError) as refusal:
        send(uploads, "a", *parts, size=size)
    assert refusal.value.status == status
    assert list(uploads.folder.iterdir()) == []


def test_an_upload_that_trickles_has_a_deadline(uploads: Uploads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.3)
    for parts, pause in (([b"x"] * 100, 0.05), ([b"x"], 5)):
        with pytest.raises(UploadError, match="too slowly") as refusal:
            send(uploads, "a", *parts, pause=pause)
        assert refusal.value.status == 408
        assert list(uploads.folder.iterdir()) == []
    send(uploads, "a", *[b"x" * 64 * 1024] * 10, pause=0.05)  # slow, and fast enough


def test_few_files_are_sent_at_once(uploads: Uploads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_AT_ONCE", 3)

    async def together(sessions: str) -> list[str | BaseException]:
        sends = [uploads.receive(session, 2, chunks(b"x", b"y", pause=0.1)) for session in sessions]
        return await asyncio.gather(*sends, return_exceptions=True)

    def statuses(sessions: str) -> list[int]:
        return [getattr(each, "status", 200) for each in asyncio.run(together(sessions))]

    assert statuses("abcde") == [200, 200, 200, 503, 503]
    assert statuses("aa") == [200, 409]


def test_a_full_disk_is_said(uploads: Uploads, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(UploadError, match="no room") as refusal:
        send(uploads, "a", b"x")
    assert refusal.value.status == 507
    assert list(uploads.folder.iterdir()) == []
