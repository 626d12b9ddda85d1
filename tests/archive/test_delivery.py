"""What is confirmed leaves the outbox; what is not stays; one object never stops the others without need."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian
from support.servers.archive_servers import WebServer, serve_node, stored_answer
from support.servers.fake_sender import BUSY, DOWN, LOCKED_OUT, REFUSED, TARGET, FakeSender, uids, waiting

from monai_chexmask_u.archive import failures
from monai_chexmask_u.archive.delivery import Delivery, deliver
from monai_chexmask_u.archive.failures import ArchiveUnusable
from monai_chexmask_u.archive.objects import DicomFile
from monai_chexmask_u.archive.outbox import Outbox
from monai_chexmask_u.archive.settings import DicomwebArchive, DimseNode
from monai_chexmask_u.archive.waiting import Deadline

pytestmark = pytest.mark.usefixtures("no_secrets_told")


def test_confirmed_objects_leave(
    run: Callable[..., Delivery], sender: FakeSender, outbox: Path, small_files: list[DicomFile]
) -> None:
    delivery = run(*small_files)
    assert delivery == Delivery(uids(*small_files), (), ())
    assert delivery.is_complete
    assert sender.stored == list(uids(*small_files))
    assert waiting(outbox) == set()


def test_object_is_tried_again_while_the_archive_is_busy(
    run: Callable[..., Delivery], sender: FakeSender, pauses: list[float], small_files: list[DicomFile]
) -> None:
    sender.failures = {small_files[0].sop_instance_uid: [BUSY, BUSY]}
    sender.failures[small_files[0].sop_instance_uid].append(BUSY)
    run(*small_files[:2])
    assert sender.tried == [*uids(small_files[0]) * 4, *uids(small_files[1])]
    assert pauses == [1.0, 2.0, 4.0]


def test_object_that_cannot_be_stored_now_waits_and_others_go(
    run: Callable[..., Delivery], sender: FakeSender, outbox: Path, small_files: list[DicomFile]
) -> None:
    first, second, third = small_files[:3]
    sender.failures = {uid: [BUSY] for uid in uids(first, second)}
    delivery = run(first, second, third)
    assert (delivery.sent, set(delivery.waiting), delivery.problem) == (uids(third), set(uids(first, second)), "busy")
    assert not delivery.is_complete
    # The run was patient once.
    assert sender.tried == [*uids(first) * 4, *uids(second, third)]
    assert waiting(outbox) == set(uids(first, second))


@pytest.mark.parametrize("failure", [DOWN, LOCKED_OUT])
def test_archive_that_takes_nothing_is_left_alone(
    run: Callable[..., Delivery], sender: FakeSender, outbox: Path, small_files: list[DicomFile], failure: Exception
) -> None:
    sender.failures = {small_files[1].sop_instance_uid: [failure]}
    delivery = run(*small_files)
    assert delivery.sent == uids(small_files[0])
    assert set(sender.tried) == set(uids(*small_files[:2]))
    assert waiting(outbox) == set(delivery.waiting) == set(uids(*small_files[1:]))
    assert (delivery.refused, delivery.problem) == ((), str(failure))


def test_next_run_sends_first_what_waits(
    run: Callable[..., Delivery], sender: FakeSender, outbox: Path, small_files: list[DicomFile]
) -> None:
    sender.failures = {small_files[3].sop_instance_uid: [DOWN]}
    run(*small_files[3:5])
    sender.failures = {}
    sender.tried.clear()
    assert run(*small_files[:2]).sent == uids(*small_files[3:5], *small_files[:2])
    assert waiting(outbox) == set()
    assert run() == Delivery((), (), ())


def test_refused_object_is_put_aside_and_others_go(
    run: Callable[..., Delivery], sender: FakeSender, outbox: Path, small_files: list[DicomFile]
) -> None:
    sender.failures = {small_files[0].sop_instance_uid: [REFUSED]}
    delivery = run(*small_files[:2])
    assert delivery.sent == uids(small_files[1])
    assert delivery.waiting == ()
    assert delivery.problem is None
    assert not delivery.is_complete
    (refusal,) = delivery.refused
    assert (refusal.sop_instance_uid, refusal.reason) == (small_files[0].sop_instance_uid, "too large")
    assert refusal.target == TARGET.url
    assert Outbox(outbox).refusals() == [refusal]
    assert sender.tried.count(small_files[0].sop_instance_uid) == 1
    assert run().is_complete


def test_report_goes_last(run: Callable[..., Delivery], study_files: dict[str, DicomFile]) -> None:
    order = [study_files[kind] for kind in ("sr", "dx", "seg", "pr")]
    assert run(*order).sent == uids(*(study_files[kind] for kind in ("dx", "seg", "pr", "sr")))


@pytest.mark.parametrize("failure", [BUSY, DOWN, LOCKED_OUT])
def test_report_waits_for_what_it_refers_to(
    run: Callable[..., Delivery],
    sender: FakeSender,
    outbox: Path,
    study_files: dict[str, DicomFile],
    failure: Exception,
) -> None:
    sender.failures = {study_files["seg"].sop_instance_uid: [failure]}
    delivery = run(*study_files.values())
    assert set(uids(study_files["seg"], study_files["sr"])) <= set(delivery.waiting) == waiting(outbox)
    assert study_files["sr"].sop_instance_uid not in sender.tried
    sender.failures = {}
    assert run().sent[-1:] == uids(study_files["sr"])


def test_report_does_not_wait_for_other_studies_or_what_was_refused(
    run: Callable[..., Delivery], sender: FakeSender, small_files: list[DicomFile], study_files: dict[str, DicomFile]
) -> None:
    sender.failures = {small_files[0].sop_instance_uid: [BUSY], study_files["seg"].sop_instance_uid: [REFUSED]}
    delivery = run(small_files[0], *study_files.values())
    assert delivery.waiting == uids(small_files[0])
    assert study_files["sr"].sop_instance_uid in delivery.sent


def test_objects_for_another_archive_stay_where_they_are(
    run: Callable[..., Delivery], sender: FakeSender, outbox: Path, small_files: list[DicomFile]
) -> None:
    sender.failures = {small_files[0].sop_instance_uid: [DOWN]}
    run(small_files[0])
    other = DimseNode.parse("NODE@127.0.0.1:104")
    for paths in ([], [small_files[1].path]):
        with pytest.raises(ValueError, match=r"objects for https://archive.example/dicom-web wait here \(1\)"):
            deliver(paths, other, outbox)
    assert waiting(outbox) == set(uids(small_files[0]))


def test_objects_that_others_add_meanwhile_are_theirs(
    run: Callable[..., Delivery], sender: FakeSender, outbox: Path, small_files: list[DicomFile]
) -> None:
    send = sender.send

    def send_while_another_adds(file: DicomFile, deadline: Deadline) -> None:
        Outbox(outbox).add(small_files[1:2], TARGET.name)
        send(file, deadline)

    sender.send = send_while_another_adds  # type: ignore[method-assign]
    delivery = run(small_files[0])
    assert delivery == Delivery(uids(small_files[0]), (), ())
    assert waiting(outbox) == set(uids(small_files[1]))


def test_progress_is_told(sender: FakeSender, outbox: Path, small_files: list[DicomFile]) -> None:
    steps: list[tuple[int, int]] = []
    deliver([file.path for file in small_files[:2]], TARGET, outbox, progress=lambda *step: steps.append(step))
    assert steps == [(1, 2), (2, 2)]


def test_two_runs_at_once_send_each_object_once(
    sender: FakeSender, outbox: Path, small_files: list[DicomFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They add before the first has sent anything, so that both could see all objects."""
    gate = threading.Barrier(2, timeout=10)
    add = Outbox.add

    def add_and_wait(*arguments: object) -> None:
        add(*arguments)  # type: ignore[arg-type]
        gate.wait()

    monkeypatch.setattr(Outbox, "add", add_and_wait)
    runs = [
        threading.Thread(target=deliver, args=([file.path for file in files], TARGET, outbox))
        for files in (small_files[:4], small_files[2:])
    ]
    for thread in runs:
        thread.start()
    for thread in runs:
        thread.join()
    assert sorted(sender.stored) == sorted(uids(*small_files))
    assert waiting(outbox) == set()


def test_target_decides_on_the_way(
    web_server: WebServer, outbox: Path, small_files: list[DicomFile], tmp_path: Path
) -> None:
    web_server.answers = [stored_answer(small_files[0].sop_instance_uid)]
    assert deliver([small_files[0].path], DicomwebArchive(web_server.url), outbox).is_complete
    with serve_node((ComputedRadiographyImageStorage, ExplicitVRLittleEndian)) as node:
        assert deliver([small_files[1].path], DimseNode.parse(node.address), outbox).is_complete
    assert len(web_server.requests) == len(node.received) == 1


@pytest.mark.parametrize(
    ("target", "package"), [(TARGET, "requests"), (DimseNode.parse("NODE@127.0.0.1:104"), "pynetdicom")]
)
def test_missing_package_is_said_and_nothing_is_made(
    monkeypatch: pytest.MonkeyPatch, outbox: Path, target: DicomwebArchive | DimseNode, package: str
) -> None:
    monkeypatch.setattr(failures, "find_spec", lambda name: None)
    with pytest.raises(ArchiveUnusable, match=f"the package {package} is missing; install this one with its extra"):
        deliver([], target, outbox)
    assert not outbox.exists()
