"""What somebody puts into an outbox is not sent, followed or waited for, unless it is the object of that name."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.servers.archive_servers import serve_node
from support.servers.fake_sender import TARGET, FakeSender, uids

from monai_chexmask_u.archive.cstore import StoreSender
from monai_chexmask_u.archive.delivery import Delivery, deliver
from monai_chexmask_u.archive.objects import DicomFile
from monai_chexmask_u.archive.outbox import Outbox
from monai_chexmask_u.archive.settings import DimseNode, Timeouts
from monai_chexmask_u.archive.stow import StowSender
from monai_chexmask_u.archive.waiting import Deadline
from monai_chexmask_u.files.folder_tree import is_outbox
from monai_chexmask_u.files.regular_file import NoRegularFile, open_regular

pytestmark = pytest.mark.usefixtures("no_secrets_told")


def make(kind: str, path: Path, elsewhere: Path) -> None:
    """Put something that is no regular file at a path; a link leads elsewhere."""
    makers: dict[str, Callable[[], Any]] = {
        "link": lambda: path.symlink_to(elsewhere),
        "dead link": lambda: path.symlink_to("absent"),
        "link to itself": lambda: path.symlink_to(path.name),
        "link to a device": lambda: path.symlink_to("/dev/zero"),
        "FIFO": lambda: os.mkfifo(path),
        "socket": lambda: os.mknod(path, 0o140600),
        "folder": path.mkdir,
    }
    makers[kind]()


IRREGULAR = ("link", "dead link", "link to itself", "link to a device", "FIFO", "socket", "folder")


@pytest.mark.parametrize("kind", IRREGULAR)
def test_what_is_no_regular_file_is_told_and_others_go(
    run: Callable[..., Delivery], sender: FakeSender, outbox: Path, small_files: list[DicomFile], kind: str
) -> None:
    Outbox(outbox).add([], TARGET.name)
    stranger = outbox / f"{small_files[0].sop_instance_uid}.dcm"
    make(kind, stranger, small_files[0].path)
    delivery = run(small_files[1])
    assert delivery.sent == uids(small_files[1])
    assert delivery.problem == f"{stranger}: this is no regular file, and is not sent; remove it"
    assert not delivery.is_complete
    assert os.path.lexists(stranger)
    assert small_files[0].path.is_file()


@pytest.mark.parametrize("kind", ["link", "FIFO", "folder"])
def test_what_is_put_into_the_place_of_an_object_while_others_are_sent_is_not_sent(
    run: Callable[..., Delivery],
    sender: FakeSender,
    outbox: Path,
    small_files: list[DicomFile],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    first, second = (outbox / f"{file.sop_instance_uid}.dcm" for file in small_files[:2])

    def send(file: DicomFile, deadline: Deadline) -> None:
        sender.tried.append(file.sop_instance_uid)
        other = second if file.path == first else first
        if other.is_file():
            other.unlink()
            make(kind, other, small_files[0 if other == first else 1].path)

    monkeypatch.setattr(sender, "send", send)
    delivery = run(*small_files[:2])
    assert len(sender.tried) == 1
    assert not delivery.is_complete
    assert "it is no regular file" in str(delivery.problem)


@pytest.mark.parametrize("kind", IRREGULAR)
def test_no_sender_opens_what_is_no_regular_file(tmp_path: Path, small_files: list[DicomFile], kind: str) -> None:
    make(kind, tmp_path / "x.dcm", small_files[0].path)
    file = replace(small_files[0], path=tmp_path / "x.dcm")
    with serve_node((file.sop_class_uid, file.transfer_syntax_uid)) as node:
        for sender in (StoreSender(DimseNode.parse(node.address)), StowSender(TARGET)):
            with pytest.raises((NoRegularFile, OSError)):
                sender.send(file)
        assert node.received == []


def test_file_that_is_not_named_after_a_uid_is_told(
    run: Callable[..., Delivery], sender: FakeSender, outbox: Path, small_files: list[DicomFile]
) -> None:
    Outbox(outbox).add([], TARGET.name)
    stranger = outbox / "chest.dcm"
    stranger.write_bytes(small_files[0].path.read_bytes())
    delivery = run(small_files[1])
    assert delivery.sent == uids(small_files[1])
    assert delivery.problem == f"{stranger}: an object's file is named after its UID; this one is not sent"
    assert stranger.is_file()


def test_file_of_another_name_than_its_object_is_put_aside(
    run: Callable[..., Delivery], sender: FakeSender, outbox: Path, small_files: list[DicomFile]
) -> None:
    Outbox(outbox).add([], TARGET.name)
    (outbox / "1.2.3.dcm").write_bytes(small_files[0].path.read_bytes())
    delivery = run(small_files[1])
    assert delivery.sent == uids(small_files[1])
    assert [(each.sop_instance_uid, each.reason) for each in delivery.refused] == [
        ("1.2.3", "this file holds another object than its name says")
    ]
    assert (outbox / "refused" / "1.2.3.dcm").is_file()


@pytest.mark.parametrize("kind", IRREGULAR[:-1])
@pytest.mark.parametrize("name", ["target.json", ".adding", ".sending"])
def test_file_of_the_outbox_that_is_none_ends_in_an_error(
    sender: FakeSender, outbox: Path, small_files: list[DicomFile], tmp_path: Path, kind: str, name: str
) -> None:
    Outbox(outbox).add([], TARGET.name)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text(json.dumps({"target": TARGET.name}))
    (outbox / name).unlink(missing_ok=True)
    make(kind, outbox / name, elsewhere)
    try:
        delivery = deliver([small_files[0].path], TARGET, outbox)
        told = str(delivery.problem)
        assert not delivery.is_complete
    except (ValueError, OSError) as error:
        told = str(error)
    if (kind, name) != ("dead link", "target.json"):  # a target is written anew
        assert str(outbox) in told
    assert elsewhere.read_text() == json.dumps({"target": TARGET.name})
    assert sender.stored == [] or (kind, name) == ("dead link", "target.json")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'{"target": ["a"]}',
        b'{"target": {"a": 1}}',
        b'{"target": 5}',
        b"\xff\xfe",
        b"[" * 50_000,
        b'{"target": "' + b"x" * 10**6 + b'"}',
        b'{"target": ' + b"9" * 10**4 + b"}",
    ],
)
def test_damaged_target_is_told(outbox: Path, sender: FakeSender, small_files: list[DicomFile], content: bytes) -> None:
    Outbox(outbox).add(small_files[:1], TARGET.name)
    (outbox / "target.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"target.json: this file is damaged; name the archive in it again"):
        deliver([], TARGET, outbox)
    assert len(Outbox(outbox).waiting()) == 1


def test_target_is_told_in_one_line(outbox: Path) -> None:
    Outbox(outbox).add([], TARGET.name)
    (outbox / "target.json").write_text(json.dumps({"target": "\x1b[2J\nhttps://a" + "b" * 5000}))
    target = str(Outbox(outbox).target())
    assert target.isprintable()
    assert len(target) <= 500


@pytest.mark.parametrize("kind", IRREGULAR)
def test_reason_of_a_refusal_that_is_no_file_is_lost(outbox: Path, tmp_path: Path, kind: str) -> None:
    refused = Outbox(outbox).folder / "refused"
    (refused / "1.2.dcm").write_bytes(b"x")
    (tmp_path / "elsewhere").write_text('{"reason": "a", "target": "b", "refused_at": "c"}')
    make(kind, refused / "1.2.json", tmp_path / "elsewhere")
    (refusal,) = Outbox(outbox).refusals()
    assert (refusal.sop_instance_uid, refusal.reason) == ("1.2", "the reason is lost")


@pytest.mark.parametrize(
    "fields",
    [
        {"reason": ["a"], "target": "b", "refused_at": "c"},
        {"reason": 5, "target": "b", "refused_at": "c"},
        {"reason": "a", "target": {"b": "c"}, "refused_at": "c"},
        {"reason": "a"},
        {"reason": "a" * 100_000, "target": "b", "refused_at": "c"},
    ],
)
def test_reason_of_another_form_is_lost(outbox: Path, fields: dict[str, object]) -> None:
    refused = Outbox(outbox).folder / "refused"
    (refused / "1.2.dcm").write_bytes(b"x")
    (refused / "1.2.json").write_text(json.dumps(fields))
    (refusal,) = Outbox(outbox).refusals()
    assert refusal.reason == "the reason is lost"


def test_reason_is_shown_in_one_line(outbox: Path) -> None:
    refused = Outbox(outbox).folder / "refused"
    (refused / "1.2.dcm").write_bytes(b"x")
    (refused / "1.2.json").write_text(json.dumps({"reason": "a\nb\x1b[2J", "target": "", "refused_at": ""}))
    assert Outbox(outbox).refusals()[0].reason == "ab[2J"


def test_link_instead_of_the_folder_for_refusals_is_not_followed(outbox: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    outbox.mkdir()
    (outbox / "refused").symlink_to(elsewhere)
    with pytest.raises(OSError, match="refused is a link to another folder"):
        Outbox(outbox)
    assert list(elsewhere.iterdir()) == []


def test_folders_named_like_remnants_are_no_obstacle(outbox: Path, small_files: list[DicomFile]) -> None:
    (Outbox(outbox).folder / ".partial-folder").mkdir()
    Outbox(outbox).add(small_files[:1], TARGET.name)
    assert len(Outbox(outbox).waiting()) == 1


def test_remnants_beside_refusals_go(outbox: Path) -> None:
    remnant = Outbox(outbox).folder / "refused" / ".partial-x.json"
    remnant.write_text("half")
    Outbox(outbox).add([], TARGET.name)
    assert not remnant.exists()


def hold(outbox: Path, name: str, ready: Any) -> None:
    """Hold a lock of an outbox as another process that is held up."""
    box = Outbox(outbox)
    with box.sending() if name == ".sending" else box._changing():
        ready.set()
        time.sleep(30)


@pytest.mark.parametrize("name", [".sending", ".adding"])
def test_process_that_is_held_up_holds_nobody_up_and_is_named(
    sender: FakeSender, outbox: Path, small_files: list[DicomFile], name: str
) -> None:
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    holder = context.Process(target=hold, args=(outbox, name, ready))
    holder.start()
    try:
        assert ready.wait(20)
        started = time.monotonic()
        target = replace(TARGET, timeouts=Timeouts(answer_s=0.3))
        try:
            told = str(deliver([small_files[0].path], target, outbox).problem)
        except ValueError as error:
            told = str(error)
    finally:
        holder.kill()
        holder.join()
    assert time.monotonic() - started < 0.3 + 5
    assert f"process {holder.pid} on " in told
    assert "choose another folder with --outbox" in told
    assert sender.stored == []
    if name == ".sending":
        assert [path.stem for path in Outbox(outbox).waiting()] == [small_files[0].sop_instance_uid]
    assert deliver([small_files[0].path], TARGET, outbox).sent == uids(small_files[0])


@pytest.mark.parametrize("kind", IRREGULAR)
@pytest.mark.parametrize("follow_links", [True, False])
def test_only_regular_files_are_opened(tmp_path: Path, kind: str, follow_links: bool) -> None:
    path = tmp_path / "x"
    (tmp_path / "elsewhere").write_text("x")
    make(kind, path, tmp_path / "elsewhere")
    if kind == "link" and follow_links:
        with open_regular(path) as file:
            assert file.read() == b"x"
        return
    with pytest.raises((NoRegularFile, OSError)):
        open_regular(path, follow_links=follow_links)


def test_fifo_is_no_outbox(tmp_path: Path) -> None:
    (tmp_path / "refused").mkdir()
    os.mkfifo(tmp_path / "target.json")
    assert not is_outbox(tmp_path)
