"""A file that is no object, or that the disk does not give, stops no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.servers.fake_sender import DOWN, REFUSED, TARGET, FakeSender, uids, waiting

from monai_chexmask_u.archive import delivery as delivery_module
from monai_chexmask_u.archive.delivery import Delivery, deliver
from monai_chexmask_u.archive.objects import DicomFile, read_dicom_file
from monai_chexmask_u.archive.outbox import Outbox
from monai_chexmask_u.archive.waiting import Deadline

pytestmark = pytest.mark.usefixtures("no_secrets_told")


def test_damaged_file_in_the_outbox_does_not_stop_the_others(
    run: Callable[..., Delivery], sender: FakeSender, outbox: Path, small_files: list[DicomFile]
) -> None:
    sender.failures = {small_files[0].sop_instance_uid: [DOWN]}
    run(*small_files[:2])
    sender.failures = {}
    (outbox / f"{small_files[0].sop_instance_uid}.dcm").write_bytes(b"zero")
    delivery = run()
    assert delivery.sent == uids(small_files[1])
    assert [(each.sop_instance_uid, each.reason) for each in delivery.refused] == [
        (small_files[0].sop_instance_uid, "this file is damaged")
    ]


def test_files_that_cannot_be_sent_are_named_and_others_go(
    run: Callable[..., Delivery], sender: FakeSender, outbox: Path, small_files: list[DicomFile], tmp_path: Path
) -> None:
    sender.failures = {small_files[0].sop_instance_uid: [DOWN]}
    run(small_files[0])
    sender.failures = {}
    (tmp_path / "x.dcm").write_text("no DICOM")
    delivery = deliver([tmp_path / "x.dcm", tmp_path / "absent", small_files[1].path], TARGET, outbox)
    assert (delivery.sent, delivery.waiting) == (uids(*small_files[:2]), ())
    problems = f"{tmp_path}/x.dcm: this is no DICOM file; {tmp_path}/absent: this file or folder cannot be read ("
    assert str(delivery.problem).startswith(problems)
    assert not delivery.is_complete


def test_problems_of_files_and_of_the_archive_are_both_told(
    run: Callable[..., Delivery], sender: FakeSender, outbox: Path, small_files: list[DicomFile], tmp_path: Path
) -> None:
    (tmp_path / "x.dcm").write_text("no DICOM")
    sender.failures = {small_files[0].sop_instance_uid: [DOWN]}
    delivery = deliver([tmp_path / "x.dcm", small_files[0].path], TARGET, outbox)
    assert delivery.problem == f"{tmp_path}/x.dcm: this is no DICOM file; down"


def test_object_that_cannot_be_read_for_sending_waits_and_others_go(
    run: Callable[..., Delivery], sender: FakeSender, outbox: Path, small_files: list[DicomFile]
) -> None:
    sender.failures = {small_files[1].sop_instance_uid: [PermissionError(13, "no rights")]}
    delivery = run(*small_files[:3])
    assert (delivery.sent, delivery.waiting) == (uids(small_files[0], small_files[2]), uids(small_files[1]))
    name = f"{small_files[1].sop_instance_uid}.dcm"
    assert str(delivery.problem).endswith(f"{name}: this object cannot be read or moved (no rights); see to its file")
    assert waiting(outbox) == set(uids(small_files[1]))


def test_report_waits_for_an_object_that_cannot_be_read(
    run: Callable[..., Delivery], sender: FakeSender, study_files: dict[str, DicomFile]
) -> None:
    sender.failures = {study_files["seg"].sop_instance_uid: [PermissionError(13, "no rights")]}
    assert set(run(*study_files.values()).waiting) == set(uids(study_files["seg"], study_files["sr"]))


def test_unreadable_file_in_the_outbox_waits_and_others_go(
    run: Callable[..., Delivery],
    sender: FakeSender,
    outbox: Path,
    small_files: list[DicomFile],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The tests may run as root, who may read all files."""
    Outbox(outbox).add(small_files[:1], TARGET.name)
    (unreadable,) = Outbox(outbox).waiting()
    real = read_dicom_file

    def read(path: Path, **options: bool) -> DicomFile:
        if path == unreadable:
            raise PermissionError(13, "no rights")
        return real(path, **options)

    monkeypatch.setattr(delivery_module, "read_dicom_file", read)
    delivery = run(small_files[1])
    assert (delivery.sent, delivery.waiting) == (uids(small_files[1]), uids(small_files[0]))
    assert "this object cannot be read or moved (no rights)" in str(delivery.problem)


@pytest.mark.parametrize(("step", "failure"), [("confirm", None), ("refuse", REFUSED)])
def test_object_that_cannot_leave_the_outbox_waits_and_others_go(
    run: Callable[..., Delivery],
    sender: FakeSender,
    outbox: Path,
    small_files: list[DicomFile],
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    failure: Exception | None,
) -> None:
    sender.failures = {small_files[0].sop_instance_uid: [failure]} if failure else {}
    real = getattr(Outbox, step)

    def fails(box: Outbox, path: Path, *arguments: object) -> object:
        if path.stem == small_files[0].sop_instance_uid:
            raise OSError(28, "disk full")
        return real(box, path, *arguments)

    monkeypatch.setattr(Outbox, step, fails)
    delivery = run(*small_files[:2])
    assert (delivery.sent, delivery.waiting) == (uids(small_files[1]), uids(small_files[0]))
    assert delivery.refused == ()
    assert "(disk full)" in str(delivery.problem)


@pytest.mark.parametrize("failure", [None, REFUSED])
def test_object_that_is_replaced_while_it_is_sent_waits_in_its_new_version(
    run: Callable[..., Delivery],
    sender: FakeSender,
    outbox: Path,
    small_files: list[DicomFile],
    failure: Exception | None,
) -> None:
    sender.failures = {small_files[0].sop_instance_uid: [failure]} if failure else {}
    send = sender.send

    def send_while_another_adds(file: DicomFile, deadline: Deadline) -> None:
        Outbox(outbox).add(small_files[:1], TARGET.name)
        send(file, deadline)

    sender.send = send_while_another_adds  # type: ignore[method-assign]
    delivery = run(small_files[0])
    assert waiting(outbox) == set(uids(small_files[0]))
    assert delivery.refused == ()
    if failure:
        assert delivery.waiting == uids(small_files[0])
        assert "was replaced while it was sent" in str(delivery.problem)
    else:
        assert delivery.sent == uids(small_files[0])
    sender.send, sender.failures = send, {}  # type: ignore[method-assign]
    assert run().sent == uids(small_files[0])
