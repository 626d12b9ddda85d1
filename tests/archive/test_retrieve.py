"""An object arrives as the archive gave it, or not at all."""

from __future__ import annotations

import zlib
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)
from support.samples.dicom import make_cr, save
from support.servers.archive_servers import Answer, WebServer

from monai_chexmask_u.archive.failures import ArchiveError, ArchiveUnusable, ObjectNotGiven, TryLater
from monai_chexmask_u.archive.multipart import copy_part, media_type_of
from monai_chexmask_u.archive.objects import DicomFile, read_dicom_file
from monai_chexmask_u.archive.retrieve import retrieve_instance
from monai_chexmask_u.archive.settings import DicomwebArchive
from monai_chexmask_u.archive.web_session import open_session

pytestmark = pytest.mark.usefixtures("no_secrets_told")

PART = b"--b 1\r\nContent-Type: application/dicom\r\nContent-Location: x\r\n\r\n"
END = b"\r\n--b 1--\r\n"
KIND = 'multipart/related; type="application/dicom"; boundary="b 1"'
ABSENT = DicomFile(Path("absent.dcm"), "1.1", "1.4", "1.2", "1.2.840.10008.1.2", "1.3")


@pytest.fixture
def content(small_files: list[DicomFile]) -> bytes:
    return small_files[0].path.read_bytes()


def retrieve(web_server: WebServer, answer: Answer, file: DicomFile, folder: Path) -> bytes:
    web_server.answers = [answer]
    archive = DicomwebArchive(web_server.url)
    uids = (file.study_instance_uid, file.series_instance_uid, file.sop_instance_uid)
    with open_session(archive) as session:
        retrieve_instance(archive, session, *uids, folder / "x.dcm")
    assert [path.name for path in folder.iterdir()] == ["x.dcm"]
    return (folder / "x.dcm").read_bytes()


@pytest.mark.parametrize("before", [b"", b"\r\n", b"preamble\r\n"])
@pytest.mark.parametrize("end", [END, b"\r\n--b 1--"])
def test_part_is_written_as_it_came(
    web_server: WebServer, small_files: list[DicomFile], content: bytes, tmp_path: Path, before: bytes, end: bytes
) -> None:
    answer = Answer(200, before + PART + content + end, KIND)
    assert retrieve(web_server, answer, small_files[0], tmp_path) == content
    (request,) = web_server.requests
    file = small_files[0]
    series = f"/dicom-web/studies/{file.study_instance_uid}/series/{file.series_instance_uid}"
    assert request.path == f"{series}/instances/{file.sop_instance_uid}"
    assert request.headers["Accept"] == 'multipart/related; type="application/dicom"; transfer-syntax=*'


def test_bare_object_is_taken(
    web_server: WebServer, small_files: list[DicomFile], content: bytes, tmp_path: Path
) -> None:
    answer = Answer(200, content, "application/dicom; transfer-syntax=1.2.840.10008.1.2.1")
    assert retrieve(web_server, answer, small_files[0], tmp_path) == content


@pytest.mark.parametrize("answer", [{"says_length": False}, {"status": 206}])
def test_bare_object_of_which_nobody_knows_whether_it_is_whole_is_refused(
    web_server: WebServer, small_files: list[DicomFile], content: bytes, tmp_path: Path, answer: dict[str, int]
) -> None:
    cut = Answer(**{"body": content[:-20], "content_type": "application/dicom", **answer})  # type: ignore[arg-type]
    error = failing(web_server, cut, small_files[0], tmp_path)
    assert "without saying where it ends" in str(error)


def failing(web_server: WebServer, answer: Answer, file: DicomFile, folder: Path) -> ArchiveError:
    path = folder / "x.dcm"
    path.write_text("older")
    with pytest.raises(ArchiveError) as caught:
        retrieve(web_server, answer, file, folder)
    assert path.read_text() == "older"
    assert list(folder.iterdir()) == [path]
    return caught.value


@pytest.mark.parametrize("missing", [1, 30, 3000])
def test_cut_transfer_leaves_nothing(
    web_server: WebServer, small_files: list[DicomFile], content: bytes, tmp_path: Path, missing: int
) -> None:
    """Whether the archive promised the rest or not."""
    file, body = small_files[0], PART + content + END
    for answer in (
        Answer(200, body[: -missing - 4], KIND),
        Answer(200, body[: -missing - 4], KIND, missing=missing + 4),
    ):
        error = failing(web_server, answer, file, tmp_path)
        assert isinstance(error, TryLater)
        assert "broke off in the middle of a transfer" in str(error)


def test_object_that_is_gone_is_named(web_server: WebServer, tmp_path: Path) -> None:
    for status in (404, 410):
        error = failing(web_server, Answer(status), ABSENT, tmp_path)
        assert isinstance(error, ArchiveUnusable)
        assert "lists object 1.4 and does not have it" in str(error)


@pytest.mark.parametrize("kind", ["text/html", "application/json", "", "multipart/mixed"])
def test_page_is_no_object(web_server: WebServer, tmp_path: Path, kind: str) -> None:
    error = failing(web_server, Answer(200, b"<html>Synthetic^Chest</html>", kind), ABSENT, tmp_path)
    assert isinstance(error, ArchiveUnusable)
    assert "there is no DICOMweb service at this address" in str(error)


def test_part_that_is_no_object_is_refused(web_server: WebServer, tmp_path: Path) -> None:
    error = failing(web_server, Answer(200, PART + b"Synthetic^Chest" + END, KIND), ABSENT, tmp_path)
    assert isinstance(error, ArchiveUnusable)
    assert str(error).endswith("what the archive gives as object 1.4 is no sound DICOM file")


def test_other_object_is_refused(
    web_server: WebServer, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = save(make_cr(rows=8, columns=8), tmp_path_factory.mktemp("other") / "other.dcm").read_bytes()
    error = failing(web_server, Answer(200, PART + other + END, KIND), ABSENT, tmp_path)
    assert isinstance(error, ArchiveUnusable)
    assert "gives another object than 1.4" in str(error)


SYNTAXES = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless]


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: str(syntax.name)[:12])
@pytest.mark.parametrize("place", ["behind", "end", "never"])
def test_object_that_says_later_that_it_is_of_another_patient_is_refused(
    web_server: WebServer, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, syntax: UID, place: str
) -> None:
    """Whoever reads all of the file would take the last one."""
    dataset = make_cr(rows=8, columns=8)
    dataset.ViewCodeSequence = [Dataset()]
    dataset.ViewCodeSequence[0].PatientID = "in an item"
    dataset["ViewCodeSequence"].is_undefined_length = True
    if syntax == RLELossless:
        dataset.compress(RLELossless)
    dataset.file_meta.TransferSyntaxUID = syntax
    path = save(dataset, tmp_path_factory.mktemp("other") / "other.dcm")
    file, content = read_dicom_file(path), path.read_bytes()
    if place == "never":
        assert retrieve(web_server, Answer(200, PART + content + END, KIND), file, tmp_path) == content
        return
    implicit = syntax == ImplicitVRLittleEndian
    start = pydicom.filereader.read_file_meta_info(path).FileMetaInformationGroupLength + 144
    body = content[start:]
    body = zlib.decompress(body, -15) if syntax == DeflatedExplicitVRLittleEndian else body
    again = b"\x10\x00\x20\x00" + (b"\x06\x00\x00\x00" if implicit else b"LO\x06\x00") + b"WRONG "
    at = body.index(b"\x20\x00\x11\x00") if place == "behind" else len(body)
    body = body[:at] + again + body[at:]
    if syntax == DeflatedExplicitVRLittleEndian:
        deflater = zlib.compressobj(wbits=-15)
        body = deflater.compress(body) + deflater.flush()
    path.write_bytes(content[:start] + body)
    assert pydicom.dcmread(path).PatientID == "WRONG"
    error = failing(web_server, Answer(200, PART + path.read_bytes() + END, KIND), file, tmp_path)
    assert isinstance(error, ObjectNotGiven)


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
def test_object_of_another_study_series_or_uid_is_refused(
    web_server: WebServer, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, keyword: str
) -> None:
    dataset = make_cr(rows=8, columns=8)
    path = save(dataset, tmp_path_factory.mktemp("other") / "other.dcm")
    file = read_dicom_file(path)
    setattr(dataset, keyword, "1.2.3")
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    answer = Answer(200, PART + save(dataset, path).read_bytes() + END, KIND)
    error = failing(web_server, answer, file, tmp_path)
    assert isinstance(error, ObjectNotGiven)
    assert f"gives another object than {file.sop_instance_uid}" in str(error)


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        ('multipart/related; boundary="b\u00fc"', PART, "its multipart boundary is missing or holds what none may"),
        (f'multipart/related; boundary="{"b" * 71}"', PART, "its multipart boundary is missing or holds what none may"),
        ('multipart/related; boundary="b\x01"', PART, "its multipart boundary is missing or holds what none may"),
        ("multipart/related; boundary*=x'y'%ff", PART, "its multipart boundary is missing or holds what none may"),
        ("multipart/related", PART, "its multipart boundary is missing or holds what none may"),
        (KIND, PART + b"x\r\n" + PART, "it has several parts"),
        (KIND, b"--b 1--\r\n\r\n", "it has no part"),
        (KIND, b"x" * 100_000 + PART, "no part begins in it"),
        (KIND, b"--b 1\r\n" + b"x" * 100_000, "no part begins in it"),
    ],
)
def test_answer_that_is_no_single_part_is_told(
    web_server: WebServer, tmp_path: Path, kind: str, body: bytes, said: str
) -> None:
    error = failing(web_server, Answer(200, body, kind), ABSENT, tmp_path)
    assert isinstance(error, ArchiveUnusable)
    assert said in str(error)


def test_long_content_type_is_none() -> None:
    assert media_type_of("application/dicom; charset=utf-8") == "application/dicom"
    assert media_type_of(f'application/dicom; x="{";" * 60_000}') == "text/plain"


@pytest.mark.parametrize("size", [1, 7, 8192])
def test_part_is_found_in_blocks_of_any_size(content: bytes, size: int) -> None:
    body, file = b"preamble\r\n" + PART + content + END, BytesIO()
    blocks = (body[place : place + size] for place in range(0, len(body), size))
    copy_part(blocks, b"b 1", file)
    assert file.getvalue() == content


def test_part_without_headers_is_one() -> None:
    file = BytesIO()
    copy_part(iter([b"--b\r\n\r\ncontent\r\n--b--"]), b"b", file)
    assert file.getvalue() == b"content"
