"""An object counts as stored when the archive names it as stored, and not before."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest
from support.servers.archive_servers import Answer, WebServer, stored_answer

from monai_chexmask_u.archive.failures import ArchiveUnusable, ObjectRefused, TryLater
from monai_chexmask_u.archive.objects import DicomFile
from monai_chexmask_u.archive.settings import DicomwebArchive
from monai_chexmask_u.archive.stow import StowSender

pytestmark = pytest.mark.usefixtures("no_secrets_told")


@pytest.fixture
def sender(web_server: WebServer) -> StowSender:
    return StowSender(DicomwebArchive(web_server.url))


@pytest.fixture
def file(small_files: list[DicomFile]) -> DicomFile:
    return small_files[0]


def test_request_holds_the_file_as_it_is(web_server: WebServer, sender: StowSender, file: DicomFile) -> None:
    web_server.answers = [stored_answer(file.sop_instance_uid)]
    sender.send(file)
    (request,) = web_server.requests
    assert (request.method, request.path) == ("POST", "/dicom-web/studies")
    assert request.headers["Accept"] == "application/dicom+json"
    kind, _, boundary = request.headers["Content-Type"].partition("; boundary=")
    assert kind == 'multipart/related; type="application/dicom"'
    mark = b"--" + boundary.strip('"').encode()
    head, content, tail = request.body.split(mark + b"\r\n")[1].partition(file.path.read_bytes())
    assert (head, tail) == (b"Content-Type: application/dicom\r\n\r\n", b"\r\n" + mark + b"--\r\n")
    assert content


def test_answer_may_be_a_list(web_server: WebServer, sender: StowSender, file: DicomFile) -> None:
    answer = stored_answer(file.sop_instance_uid)
    web_server.answers = [replace(answer, body=b"[" + answer.body + b"]", content_type="application/json; x=y")]
    sender.send(file)


def test_stored_with_a_warning_is_stored_and_logged(
    web_server: WebServer, sender: StowSender, file: DicomFile, caplog: pytest.LogCaptureFixture
) -> None:
    web_server.answers = [stored_answer(file.sop_instance_uid, warning=0xB000)]
    sender.send(file)
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings == [f"{file.sop_instance_uid}: stored, with a warning: values were changed (0xB000)"]


@pytest.mark.parametrize("status", [200, 202, 409])
def test_object_that_the_archive_has_already_is_delivered_and_logged(
    web_server: WebServer, sender: StowSender, file: DicomFile, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    web_server.answers = [replace(stored_answer(failed={file.sop_instance_uid: 0x0111}), status=status)]
    sender.send(file)
    assert f"{file.sop_instance_uid}: stored, with a warning: the archive has it already (0x0111)" in caplog.messages


def test_duplicate_of_another_object_confirms_nothing(
    web_server: WebServer, sender: StowSender, file: DicomFile
) -> None:
    web_server.answers = [stored_answer(failed={"1.2.3": 0x0111})]
    with pytest.raises(TryLater, match="did not confirm an object"):
        sender.send(file)


@pytest.mark.parametrize(
    "answer",
    [Answer(body=b"{}"), Answer(body=b"[{}]"), stored_answer("1.2.3"), Answer(202, b'{"00081198": {"vr": "SQ"}}')],
)
def test_object_that_is_not_named_is_not_stored(
    web_server: WebServer, sender: StowSender, file: DicomFile, answer: Answer
) -> None:
    web_server.answers = [answer]
    with pytest.raises(TryLater, match="did not confirm an object"):
        sender.send(file)


def test_object_that_is_named_as_stored_and_as_failed_is_not_stored(
    web_server: WebServer, sender: StowSender, file: DicomFile
) -> None:
    uid = file.sop_instance_uid
    web_server.answers = [stored_answer(uid, failed={uid: 0xA900})]
    with pytest.raises(ObjectRefused):
        sender.send(file)
    web_server.answers = [stored_answer(uid, failed={uid: 0x0000})]
    with pytest.raises(TryLater):
        sender.send(file)
    web_server.answers = [stored_answer(uid, failed={uid: 0xB000})]
    with pytest.raises(TryLater, match="did not confirm an object"):
        sender.send(file)


@pytest.mark.parametrize("status", [200, 202, 400, 409])
@pytest.mark.parametrize(
    ("reason", "kind"), [(0x0122, ObjectRefused), (0xA700, TryLater), (0x0110, TryLater), (0x0124, ArchiveUnusable)]
)
def test_reason_decides_whether_a_failed_object_is_refused(
    web_server: WebServer, sender: StowSender, file: DicomFile, status: int, reason: int, kind: type[Exception]
) -> None:
    answer = stored_answer(failed={file.sop_instance_uid: reason})
    web_server.answers = [replace(answer, status=status, content_type="")]  # Orthanc names no type with 400
    with pytest.raises(kind, match=f"0x{reason:04X}"):
        sender.send(file)


def test_failure_without_a_reason_may_pass(web_server: WebServer, sender: StowSender, file: DicomFile) -> None:
    web_server.answers = [Answer(202, b'{"00081198": {"vr": "SQ", "Value": [{}]}}')]
    with pytest.raises(TryLater):
        sender.send(file)


@pytest.mark.parametrize("status", [400, 409, 413, 415, 422])
def test_refusal_without_a_reason_is_one(
    web_server: WebServer, sender: StowSender, file: DicomFile, status: int
) -> None:
    web_server.answers = [Answer(status, b"Synthetic^Chest is not welcome", "text/plain")]
    with pytest.raises(ObjectRefused, match=rf"refuses this object: .+ \({status}\)$"):
        sender.send(file)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(401), ArchiveUnusable),
        (Answer(404), ArchiveUnusable),
        (Answer(503), TryLater),
        (Answer(200, b"<html>please log in</html>", "text/html"), ArchiveUnusable),
        (Answer(200, b"<html>please log in</html>"), ArchiveUnusable),
        (Answer(200, b"<?xml version='1.0'?><html/>", "application/xhtml+xml"), ArchiveUnusable),
        (Answer(200, b'["1", "2"]', "application/json"), ArchiveUnusable),
        (Answer(200, b'{"ID": "abc", "Status": "Success"}', "application/json"), ArchiveUnusable),
    ],
)
def test_other_answers_say_nothing_of_the_object(
    web_server: WebServer, sender: StowSender, file: DicomFile, answer: Answer, kind: type[Exception]
) -> None:
    web_server.answers = [answer]
    with pytest.raises(kind):
        sender.send(file)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200),
        Answer(204),
        Answer(200, b"\n", "text/plain"),
        Answer(200, b"<?xml version='1.0'?><NativeDicomModel/>", "application/dicom+xml; charset=utf-8"),
        Answer(202, b"<NativeDicomModel/>", "text/xml"),
        Answer(200, b"<?xml version='1.0'?>\n<NativeDicomModel xml:space='preserve'/>", ""),
    ],
)
def test_archive_that_does_not_confirm_in_json_may_have_stored_it(
    web_server: WebServer, sender: StowSender, file: DicomFile, answer: Answer
) -> None:
    web_server.answers = [answer]
    with pytest.raises(TryLater, match="did not confirm an object in JSON, and may have stored it; ") as caught:
        sender.send(file)
    assert not caught.value.unreachable


def test_file_that_is_gone_is_not_sent(web_server: WebServer, sender: StowSender, file: DicomFile) -> None:
    with pytest.raises(FileNotFoundError):
        sender.send(replace(file, path=Path("absent.dcm")))
    assert web_server.requests == []
