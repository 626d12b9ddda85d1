"""Objects come into the outbox whole and leave it on purpose; it serves one archive, and several processes."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path
from typing import BinaryIO

import pytest

from monai_chexmask_u.archive.objects import DicomFile, read_dicom_file
from monai_chexmask_u.archive.outbox import Outbox, Refusal
from monai_chexmask_u.files.folder_tree import is_outbox

TARGET = "https://archive.example/dicom-web"


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "outbox")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def refuse(outbox: Outbox, reason: str) -> Refusal:
    """Refuse the object that waits first."""
    path = outbox.waiting()[0]
    refusal = outbox.refuse(path, outbox.version(path), reason)
    assert refusal is not None
    return refusal


def test_added_object_is_a_copy_named_after_its_uid(outbox: Outbox, small_files: list[DicomFile]) -> None:
    outbox.add(small_files[:1], TARGET)
    (path,) = outbox.waiting()
    assert path.name == f"{small_files[0].sop_instance_uid}.dcm"
    assert path.read_bytes() == small_files[0].path.read_bytes()
    assert not path.samefile(small_files[0].path)
    assert outbox.target() == TARGET


def test_objects_wait_in_the_order_of_their_coming(outbox: Outbox, small_files: list[DicomFile]) -> None:
    order = [small_files[number] for number in (3, 0, 4, 1)]
    for number, file in enumerate(order):
        outbox.add([file], TARGET)
        os.utime(outbox.folder / f"{file.sop_instance_uid}.dcm", (number, number))
    assert [path.stem for path in outbox.waiting()] == [file.sop_instance_uid for file in order]


def test_object_is_in_the_outbox_once(outbox: Outbox, small_files: list[DicomFile]) -> None:
    outbox.add([small_files[0], small_files[0]], TARGET)
    outbox.add([read_dicom_file(outbox.waiting()[0])], TARGET)
    assert len(outbox.waiting()) == 1
    assert outbox.waiting()[0].read_bytes() == small_files[0].path.read_bytes()


def test_disk_that_fills_up_leaves_nothing_half(
    outbox: Outbox, small_files: list[DicomFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copyfileobj

    def full_disk(source: BinaryIO, target: BinaryIO, length: int) -> None:
        if Path(source.name) == small_files[1].path:
            target.write(b"half")
            raise OSError("no space left on device")
        copy(source, target, length)

    monkeypatch.setattr(shutil, "copyfileobj", full_disk)
    with pytest.raises(OSError, match="no space left"):
        outbox.add(small_files[:3], TARGET)
    assert [path.stem for path in outbox.waiting()] == [small_files[0].sop_instance_uid]
    assert list(outbox.folder.glob(".partial*")) == []


def test_remnants_of_a_killed_process_do_not_count_and_go(outbox: Outbox, small_files: list[DicomFile]) -> None:
    remnant = outbox.folder / ".partial-abc.1.dcm"
    remnant.write_bytes(b"half")
    assert outbox.waiting() == []
    outbox.add(small_files[:1], TARGET)
    assert not remnant.exists()


def test_confirmed_object_leaves(outbox: Outbox, small_files: list[DicomFile]) -> None:
    outbox.add(small_files[:2], TARGET)
    first, second = outbox.waiting()
    outbox.confirm(first, outbox.version(first))
    assert outbox.waiting() == [second]
    assert small_files[0].path.exists()


def test_object_that_was_replaced_meanwhile_stays(outbox: Outbox, small_files: list[DicomFile]) -> None:
    outbox.add(small_files[:1], TARGET)
    (path,) = outbox.waiting()
    sent = outbox.version(path)
    outbox.add(small_files[:1], TARGET)
    outbox.confirm(path, sent)
    assert outbox.refuse(path, sent, "no") is None
    assert outbox.waiting() == [path]
    assert outbox.refusals() == []
    assert names(outbox.folder / "refused") == []


def test_object_that_is_gone_already_is_let_go(outbox: Outbox, small_files: list[DicomFile]) -> None:
    outbox.add(small_files[:1], TARGET)
    (path,) = outbox.waiting()
    sent = outbox.version(path)
    path.unlink()
    outbox.confirm(path, sent)
    assert outbox.refuse(path, sent, "no") is None
    assert outbox.refusals() == []


def test_object_does_not_leave_while_others_are_added(outbox: Outbox, small_files: list[DicomFile]) -> None:
    """Else it could be replaced between the look at it and its leaving."""
    outbox.add(small_files[:1], TARGET)
    (path,) = outbox.waiting()
    thread = threading.Thread(target=outbox.confirm, args=(path, outbox.version(path)))
    with outbox._changing():
        thread.start()
        thread.join(0.2)
        assert path.exists()
    thread.join()
    assert not path.exists()


def test_refused_object_lies_beside_its_reason(outbox: Outbox, small_files: list[DicomFile]) -> None:
    outbox.add(small_files[:1], TARGET)
    uid = small_files[0].sop_instance_uid
    refusal = refuse(outbox, "SOP class not supported")
    assert outbox.waiting() == []
    folder = outbox.folder / "refused"
    assert names(folder) == [f"{uid}.dcm", f"{uid}.json"]
    assert (folder / f"{uid}.dcm").read_bytes() == small_files[0].path.read_bytes()
    note = json.loads((folder / f"{uid}.json").read_text())
    assert note == {
        "sop_instance_uid": uid,
        "reason": "SOP class not supported",
        "target": TARGET,
        "refused_at": refusal.refused_at,
    }
    assert outbox.refusals() == [refusal]


def test_refused_object_may_be_added_again(outbox: Outbox, small_files: list[DicomFile]) -> None:
    outbox.add(small_files[:1], TARGET)
    refuse(outbox, "no")
    (refused,) = (outbox.folder / "refused").glob("*.dcm")
    outbox.add([read_dicom_file(refused)], TARGET)
    assert len(outbox.waiting()) == 1
    assert outbox.refusals() == []
    assert names(outbox.folder / "refused") == []


def test_process_that_dies_while_refusing_leaves_the_object_waiting(
    outbox: Outbox, small_files: list[DicomFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox.add(small_files[:1], TARGET)
    (path,) = outbox.waiting()
    replace = Path.replace

    def dies(source: Path, target: Path) -> Path:
        if source == path:
            raise KeyboardInterrupt
        return replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", dies)
        with pytest.raises(KeyboardInterrupt):
            refuse(outbox, "no")
    assert outbox.waiting() == [path]
    assert outbox.refusals() == []
    refuse(outbox, "no")
    assert len(outbox.refusals()) == 1


def test_objects_do_not_go_to_another_archive(outbox: Outbox, small_files: list[DicomFile]) -> None:
    outbox.add(small_files[:2], TARGET)
    with pytest.raises(ValueError, match=rf"objects for {TARGET} wait here \(2\); send them there"):
        outbox.add(small_files[2:3], "NODE@host:104")
    assert outbox.target() == TARGET
    assert len(outbox.waiting_for(TARGET)) == 2
    assert outbox.waiting_for("NODE@host:104") == []
    for path in outbox.waiting():
        outbox.confirm(path, outbox.version(path))
    outbox.add(small_files[2:3], "NODE@host:104")
    assert outbox.target() == "NODE@host:104"


@pytest.mark.parametrize("content", ["", "{}", "[]"])
def test_damaged_notes_do_not_hide_the_objects(outbox: Outbox, small_files: list[DicomFile], content: str) -> None:
    outbox.add(small_files[:2], TARGET)
    refused = refuse(outbox, "no")
    (outbox.folder / "refused" / f"{refused.sop_instance_uid}.json").write_text(content)
    (refusal,) = outbox.refusals()
    assert (refusal.sop_instance_uid, refusal.reason) == (refused.sop_instance_uid, "the reason is lost")
    (outbox.folder / "target.json").write_text(content)
    with pytest.raises(ValueError, match=r"target.json: this file is damaged; name the archive in it again"):
        outbox.add([], TARGET)
    assert len(outbox.waiting()) == 1


def test_one_process_sends_at_a_time(outbox: Outbox) -> None:
    order = []
    holds = threading.Event()

    def other() -> None:
        with Outbox(outbox.folder).sending():
            order.append("other")
            holds.set()

    with outbox.sending():
        thread = threading.Thread(target=other)
        thread.start()
        assert not holds.wait(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "other"]


def test_objects_are_added_while_another_process_sends(outbox: Outbox, small_files: list[DicomFile]) -> None:
    with outbox.sending():
        Outbox(outbox.folder).add(small_files[:1], TARGET)
    assert len(outbox.waiting()) == 1


def test_nobody_else_can_look_into_it(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        folder = Outbox(tmp_path / "results" / "outbox").folder
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (folder, folder / "refused")] == [0o700, 0o700]
    assert folder.parent.stat().st_mode & 0o777 == 0o755


def test_folder_that_is_there_keeps_its_rights(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    Outbox(tmp_path)
    assert [path.stat().st_mode & 0o777 for path in (tmp_path, tmp_path / "refused")] == [0o750, 0o700]


def test_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"file/outbox: no outbox can be made here .*choose another folder with --outbox"):
        Outbox(tmp_path / "file" / "outbox")


def test_folder_that_objects_came_into_is_known_as_an_outbox(outbox: Outbox, small_files: list[DicomFile]) -> None:
    assert not is_outbox(outbox.folder)
    outbox.add(small_files[:1], "PACS@host:104")
    assert is_outbox(outbox.folder)
    assert not is_outbox(outbox.folder / "refused")
