"""`chexmask-u archive`, as a person or a job of the night types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian
from support.samples.dicom import make_cr, make_dx, save
from support.servers.archive_servers import Answer, Request, WebServer, serve_node, stored_answer
from support.servers.certificates import Certificates, server_context
from support.servers.orthanc_server import Orthanc
from typer.testing import CliRunner

from monai_chexmask_u.archive import failures
from monai_chexmask_u.archive.objects import DicomFile
from monai_chexmask_u.archive.outbox import Outbox
from monai_chexmask_u.cli import app

PASSWORD = "open-sesame"
TOKEN = "dG9rZW4tb2YtdGVzdHM"

pytestmark = pytest.mark.usefixtures("no_secrets_told")


def run(*arguments: object, **environment: str) -> tuple[int, str, str]:
    attempts = () if arguments[0] == "status" else ("--attempts", "1")
    result = CliRunner().invoke(app, ["archive", *map(str, arguments), *attempts], env=environment)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout, result.stderr


def stores_everything(request: Request) -> Answer:
    """Answer to STOW-RS as an archive does that takes all; the UIDs stand in the files."""
    content = request.body[request.body.index(b"\r\n\r\n") + 4 :]
    position = content.index(b"\x08\x00\x18\x00UI")
    length = int.from_bytes(content[position + 6 : position + 8], "little")
    return stored_answer(content[position + 8 : position + 8 + length].rstrip(b"\0").decode())


def test_folder_of_results_is_sent(web_server: WebServer, outbox: Path, tmp_path: Path) -> None:
    web_server.answers = [stores_everything]
    folder = tmp_path / "results"
    folder.mkdir()
    for name in ("a.dcm", "b.dcm"):
        save(make_cr(rows=8, columns=8), folder / name)
    (folder / "a.json").write_text("{}")
    code, stdout, stderr = run("send", folder, "--url", web_server.url, "--outbox", outbox)
    assert (code, stdout, stderr) == (0, f"2 sent, 0 waiting in {outbox}, 0 refused\n", "")
    assert run("status", "--outbox", outbox) == (0, f"{outbox}: 0 wait for {web_server.url}\n", "")


def test_foreign_files_in_a_folder_are_left_out_with_a_warning(
    web_server: WebServer, outbox: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    web_server.answers = [stores_everything]
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    save(make_cr(rows=8, columns=8), folder / "a.dcm")
    code, stdout, _ = run("send", folder, "--url", web_server.url, "--outbox", outbox)
    assert (code, stdout) == (0, f"1 sent, 0 waiting in {outbox}, 0 refused\n")
    assert [each for each in caplog.messages if "DICOMDIR: this " in each and each.endswith("; it is left out")]


def test_foreign_file_that_is_named_is_told_and_others_go(
    web_server: WebServer, outbox: Path, small_files: list[DicomFile], tmp_path: Path
) -> None:
    web_server.answers = [stores_everything]
    foreign = tmp_path / "x.json"
    foreign.write_text("{}")
    command = ("send", foreign, small_files[0].path, "--url", web_server.url, "--outbox", outbox)
    said = f"chexmask-u: {foreign}: this is no DICOM file\n"
    assert run(*command) == (1, f"1 sent, 0 waiting in {outbox}, 0 refused\n", said)


def test_names_with_control_characters_are_told_in_one_line(
    web_server: WebServer, outbox: Path, small_files: list[DicomFile], tmp_path: Path
) -> None:
    web_server.answers = [stores_everything]
    Outbox(outbox)
    (outbox / "a\x1b[2J\nb.dcm").symlink_to("absent")
    command = ("send", small_files[0].path, "--url", web_server.url, "--outbox", outbox)
    said = f"chexmask-u: {outbox}/a?[2J?b.dcm: this is no regular file, and is not sent; remove it\n"
    assert run(*command)[2] == said


def test_outbox_in_the_folder_of_results_is_left_alone(web_server: WebServer, tmp_path: Path) -> None:
    web_server.answers = [Answer(400)]
    path = save(make_cr(rows=8, columns=8), tmp_path / "a.dcm")
    command = ("send", tmp_path, "--url", web_server.url, "--outbox", tmp_path / "outbox")
    assert run(*command)[1].endswith("1 refused\n")
    path.unlink()
    assert run(*command)[2] == f"chexmask-u: {tmp_path}: no DICOM file found\n"
    assert len(web_server.requests) == 1


def test_object_is_sent_by_c_store(small_files: list[DicomFile], outbox: Path) -> None:
    with serve_node((ComputedRadiographyImageStorage, ExplicitVRLittleEndian), called="PACS") as node:
        options = ("--node", node.address, "--own-ae-title", "CHEST")
        assert run("send", small_files[0].path, *options, "--outbox", outbox)[0] == 0
    assert node.callers == ["CHEST"]


def test_node_is_spoken_to_with_tls_where_that_is_asked_for(
    certificates: Certificates, small_files: list[DicomFile], outbox: Path
) -> None:
    own = ("--certificate", certificates.certificate, "--key", certificates.key)
    context = server_context(certificates)
    with serve_node((ComputedRadiographyImageStorage, ExplicitVRLittleEndian), tls=context) as node:
        command = ("send", small_files[0].path, "--node", node.address, "--outbox", outbox)
        code, _, stderr = run(*command, "--tls")
        assert (code, node.received) == (1, [])
        assert "certificate is not trusted; name its authority's file with --ca-file" in stderr
        assert run(*command, "--ca-file", certificates.authority, *own)[0] == 0
    assert len(node.received) == 1


def test_what_waits_is_counted_and_goes_the_next_time(
    web_server: WebServer, small_files: list[DicomFile], outbox: Path
) -> None:
    options = ("--url", web_server.url, "--outbox", outbox)
    web_server.answers = [Answer(503)]
    code, stdout, stderr = run("send", *(file.path for file in small_files[:2]), *options)
    assert (code, stdout) == (1, f"0 sent, 2 waiting in {outbox}, 0 refused\n")
    assert stderr == f"chexmask-u: {web_server.url}: the archive cannot answer now (503); try again later\n"
    assert run("status", "--outbox", outbox) == (1, f"{outbox}: 2 wait for {web_server.url}\n", "")
    web_server.answers = [stores_everything]
    assert run("send", *options) == (0, f"2 sent, 0 waiting in {outbox}, 0 refused\n", "")


def test_what_is_refused_is_named_with_the_reason(
    web_server: WebServer, small_files: list[DicomFile], outbox: Path
) -> None:
    uid = small_files[0].sop_instance_uid
    web_server.answers = [stored_answer(failed={uid: 0x0122})]
    reason = f"{uid}: {web_server.url} refuses this object: SOP class not supported (0x0122)"
    code, stdout, stderr = run("send", small_files[0].path, "--url", web_server.url, "--outbox", outbox)
    assert (code, stdout, stderr) == (1, f"0 sent, 0 waiting in {outbox}, 1 refused\n", f"chexmask-u: {reason}\n")
    code, stdout, _ = run("status", "--outbox", outbox)
    assert code == 1
    assert stdout.splitlines()[1].startswith("refused at 20")
    assert stdout.splitlines()[1].endswith(reason)
    web_server.answers = [stores_everything]
    assert run("send", outbox / "refused", "--url", web_server.url, "--outbox", outbox)[0] == 0
    assert run("status", "--outbox", outbox)[0] == 0


@pytest.mark.parametrize("by", ["variables", "password file", "token", "token file"])
def test_credentials_come_from_variables_or_files(
    web_server: WebServer, small_files: list[DicomFile], outbox: Path, tmp_path: Path, by: str
) -> None:
    web_server.answers = [stores_everything]
    secret, prefix = tmp_path / "secret", "CHEXMASK_U_DICOMWEB_"
    secret.write_text(f"{TOKEN if by == 'token file' else PASSWORD}\n")
    environment, options = {
        "variables": ({f"{prefix}USER": "ali", f"{prefix}PASSWORD": PASSWORD}, ()),
        "password file": ({f"{prefix}USER": "ali"}, ("--password-file", secret)),
        "token": ({f"{prefix}TOKEN": TOKEN}, ()),
        "token file": ({}, ("--token-file", secret)),
    }[by]
    command = ("send", small_files[0].path, "--url", web_server.url, "--outbox", outbox, *options)
    assert run(*command, **environment)[0] == 0
    sent = web_server.requests[0].headers["Authorization"]
    assert sent == (f"Bearer {TOKEN}" if "token" in by else "Basic YWxpOm9wZW4tc2VzYW1l")
    everything = b"".join(path.read_bytes() for path in outbox.rglob("*") if path.is_file())
    assert PASSWORD.encode() not in everything
    assert TOKEN.encode() not in everything


def test_nothing_of_secrets_or_patients_lies_in_the_outbox_but_in_the_objects(
    web_server: WebServer, small_files: list[DicomFile], outbox: Path
) -> None:
    web_server.answers = [Answer(400, b"Synthetic^Chest open-sesame", "text/plain"), Answer(401)]
    environment = {"CHEXMASK_U_DICOMWEB_USER": "ali", "CHEXMASK_U_DICOMWEB_PASSWORD": PASSWORD}
    paths = [file.path for file in small_files[:2]]
    assert run("send", *paths, "--url", web_server.url, "--outbox", outbox, **environment)[0] == 1
    others = [path for path in outbox.rglob("*") if path.is_file() and path.suffix != ".dcm"]
    texts = "".join(f"{path}{path.read_text()}" for path in others)
    assert [word for word in ("Synthetic", "SYN-0001", "ali", PASSWORD) if word in texts] == []
    assert {path.name for path in others} == {"target.json", f"{small_files[0].sop_instance_uid}.json"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("a.dcm",), "give the archive as --url (DICOMweb) or as --node AE@host:port"),
        (("a.dcm", "--url", "http://a.example", "--node", "A@b:1"), "one of them"),
        (("a.dcm", "--url", f"https://ali:{PASSWORD}@a.example"), "the archive's address holds a user or password"),
        (("a.dcm", "--url", "a.example"), "'a.example' is no address of a DICOMweb service"),
        (("a.dcm", "--node", "a.example:104"), "'a.example:104' is no DIMSE node"),
        (("a.dcm", "--node", "A@b:1", "--ca-file", "absent.pem"), "absent.pem: no certificates of authorities"),
        (("absent", "--url", "http://127.0.0.1:9"), "there is no file or folder absent; check its name"),
        (("empty", "--url", "http://127.0.0.1:9"), "empty: no DICOM file found"),
        (("a.dcm", "--url", "http://127.0.0.1:9", "--outbox", "x.json/out"), "x.json/out: no outbox can be made here"),
        (("a.dcm", "--url", "http://127.0.0.1:9", "--token-file", "absent"), "absent: this secret cannot be read"),
    ],
)
def test_mistakes_end_with_2_and_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    save(make_cr(rows=8, columns=8), tmp_path / "a.dcm")
    (tmp_path / "x.json").write_text("{}")
    (tmp_path / "empty").mkdir()
    outbox = () if "--outbox" in arguments else ("--outbox", "outbox")
    code, stdout, stderr = run("send", *arguments, *outbox)
    assert (code, stdout) == (2, "")
    assert stderr.startswith("chexmask-u: ")
    assert words in stderr
    assert stderr.count("\n") == 1
    assert not (tmp_path / "outbox").exists() or list((tmp_path / "outbox").glob("*.dcm")) == []


def test_credentials_over_plain_http_need_permission(small_files: list[DicomFile], outbox: Path) -> None:
    command = ("send", small_files[0].path, "--url", "http://archive.invalid", "--outbox", outbox)
    environment = {"CHEXMASK_U_DICOMWEB_TOKEN": TOKEN}
    code, _, stderr = run(*command, **environment)
    assert code == 2
    assert "use https, or allow it with --allow-plain-http" in stderr
    assert run(*command, "--allow-plain-http", **environment)[0] == 1


def test_missing_package_is_named_with_its_extra(
    small_files: list[DicomFile], outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "find_spec", lambda name: None)
    code, _, stderr = run("send", small_files[0].path, "--node", "PACS@127.0.0.1:104", "--outbox", outbox)
    assert (code, stderr) == (
        2,
        "chexmask-u: the package pynetdicom is missing; install this one with its extra: pip install '.[archive]'\n",
    )


def test_status_of_no_outbox_makes_none(tmp_path: Path) -> None:
    code, _, stderr = run("status", "--outbox", tmp_path / "absent")
    assert (code, stderr) == (2, f"chexmask-u: {tmp_path / 'absent'}: there is no outbox here; check its name\n")
    assert not (tmp_path / "absent").exists()


def test_study_is_sent_and_fetched(orthanc: Orthanc, outbox: Path, tmp_path: Path) -> None:
    dataset = make_dx(rows=30, columns=20)
    dataset.AccessionNumber = "CLI-1"
    path = save(dataset, tmp_path / "dx.dcm")
    assert run("send", path, "--node", orthanc.node, "--outbox", outbox)[0] == 0
    folder = tmp_path / "study"
    for chosen in (("--study", dataset.StudyInstanceUID), ("--accession", "CLI-1")):
        code, stdout, stderr = run("fetch", "--url", orthanc.url, *chosen, "-o", folder)
        assert (code, stdout, stderr) == (0, f"1 images fetched to {folder}\n", "")
        assert [each.stem for each in folder.iterdir()] == [dataset.SOPInstanceUID]
    code, _, stderr = run("fetch", "--url", orthanc.url, *chosen, "-o", folder, "--modality", "OT")
    assert code == 2
    assert stderr.endswith("the study has no series of modality OT (it has: DX)\n")


def test_fetching_that_breaks_off_ends_with_1(
    web_server: WebServer, small_files: list[DicomFile], tmp_path: Path
) -> None:
    first, second = small_files[:2]
    listings: list[list[dict[str, str]]] = [
        [{"0020000D": first.study_instance_uid}],
        [{"0020000E": first.series_instance_uid, "00080060": "CR"}],
        [{"00080018": each.sop_instance_uid} for each in (first, second)],
    ]
    web_server.answers = []
    for items in listings:
        body = json.dumps([{tag: {"Value": [value]} for tag, value in item.items()} for item in items]).encode()
        web_server.answers += [Answer(body=body), Answer(204)]
    web_server.answers += [Answer(200, first.path.read_bytes(), "application/dicom"), Answer(403)]
    code, stdout, stderr = run("fetch", "--url", web_server.url, "--study", first.study_instance_uid, "-o", tmp_path)
    assert (code, stdout) == (1, "")
    assert stderr.endswith(f"; 1 of 2 images fetched to {tmp_path}\n")
    assert stderr.count("\n") == 1
    assert [path.stem for path in tmp_path.glob("*.dcm")] == [first.sop_instance_uid]


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ((), "a study is chosen by its Study Instance UID or by its accession number"),
        (("--accession", "A*"), "this accession number cannot be"),
        (("--study", "1.2"), "the archive cannot be reached; check the address"),
    ],
)
def test_fetching_that_cannot_start_ends_with_2(tmp_path: Path, chosen: tuple[str, ...], words: str) -> None:
    server = WebServer()
    server.close()
    code, stdout, stderr = run("fetch", "--url", server.url, *chosen, "-o", tmp_path / "out")
    assert (code, stdout, stderr.count("\n")) == (2, "", 1)
    assert words in stderr
