"""The application between a real archive and itself: fetch a study, segment it, deliver the results."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import FileDataset
from support.processes.deploy_sdk import NEEDS_SDK
from support.samples.dicom import make_dx, save
from support.samples.studies import in_study, make_lateral
from support.servers.orthanc_server import Orthanc, find_orthanc

from monai_chexmask_u.archive.delivery import deliver
from monai_chexmask_u.archive.settings import DimseNode
from monai_chexmask_u.archive.waiting import Backoff

pytestmark = [
    pytest.mark.deploy,
    NEEDS_SDK,
    pytest.mark.skipif(find_orthanc() is None, reason="Orthanc with its DICOMweb plug-in is not installed"),
]

RunApp = Callable[..., int]
PASSWORD = "open-sesame"


@pytest.fixture
def orthanc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Orthanc]:
    """An archive that asks for a password, which is in the environment."""
    folder = tmp_path / "archive"
    folder.mkdir()
    server = Orthanc(folder, AuthenticationEnabled=True, RegisteredUsers={"app": PASSWORD})
    server.start()
    monkeypatch.setenv("CHEXMASK_U_DICOMWEB_USER", "app")
    monkeypatch.setenv("CHEXMASK_U_DICOMWEB_PASSWORD", PASSWORD)
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between the tries
    yield server
    monkeypatch.undo()
    server.stop()


@pytest.fixture
def archived(orthanc: Orthanc, tmp_path: Path) -> list[FileDataset]:
    """Two frontal views and a lateral one of a study in the archive."""
    first = make_dx()
    images = [first, in_study(make_dx(seed=1), first), in_study(make_lateral(), first)]
    paths = [save(image, tmp_path / f"{number}.dcm") for number, image in enumerate(images)]
    assert deliver(paths, DimseNode.parse(orthanc.node), tmp_path / "first outbox").is_complete
    return images


def record_of(output: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((output / "run.json").read_text())
    return record


def test_a_study_comes_from_the_archive_and_its_results_go_there(
    orthanc: Orthanc,
    archived: list[FileDataset],
    output: Path,
    bundle: Path,
    run_app: RunApp,
    capfd: pytest.CaptureFixture[str],
) -> None:
    study = archived[0].StudyInstanceUID
    options = ["--fetch-from", orthanc.url, "--study", study, "--send-to", orthanc.url]
    assert run_app("-o", output, "-m", bundle, *options) == 0
    log = capfd.readouterr().err
    assert f"the study comes from {orthanc.url}" in log
    assert f"6 objects sent to {orthanc.url}, 0 wait, 0 refused" in log
    assert PASSWORD not in log + (output / "run.json").read_text()
    assert "Synthetic" not in log

    written = {path: pydicom.dcmread(path) for path in output.glob("*.dcm")}
    assert len(written) == 6
    stored = orthanc.instances()
    assert len(stored) == 3 + 6
    for path, dataset in written.items():
        assert orthanc.file(dataset.SOPInstanceUID) == path.read_bytes()
        assert dataset.StudyInstanceUID == study
    assert sorted(record_of(output)["delivery"]["sent"]) == sorted(item.SOPInstanceUID for item in written.values())
    assert record_of(output)["images"][archived[2].SOPInstanceUID]["code"] == "not_frontal"


def test_results_wait_while_the_archive_is_away_and_go_with_the_next_run(
    orthanc: Orthanc,
    archived: list[FileDataset],
    output: Path,
    study: Path,
    bundle: Path,
    run_app: RunApp,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    first, second = archived[:2]
    save(first, study / "1.dcm")
    options = ["--send-to", orthanc.node, "--outbox", tmp_path / "outbox", "-m", bundle]
    orthanc.kill()
    assert run_app("-i", study, "-o", output, *options) == 1
    assert len(record_of(output)["delivery"]["waiting"]) == 3
    assert "0 objects sent" in capfd.readouterr().err

    orthanc.start()
    (study / "1.dcm").unlink()
    save(second, study / "2.dcm")
    assert run_app("-i", study, "-o", tmp_path / "second", *options) == 0
    delivery = record_of(tmp_path / "second")["delivery"]
    assert (len(delivery["sent"]), delivery["waiting"], delivery["refused"]) == (6, [], {})
    files = [*output.glob("*.dcm"), *(tmp_path / "second").glob("*.dcm")]
    assert len(files) == 6
    for dataset in map(pydicom.dcmread, files):
        # The node that receives a C-STORE writes the file meta information itself; all else stays.
        assert pydicom.dcmread(BytesIO(orthanc.file(dataset.SOPInstanceUID))) == dataset


def test_an_empty_study_still_sends_what_waits(
    orthanc: Orthanc, study: Path, output: Path, bundle: Path, run_app: RunApp, tmp_path: Path
) -> None:
    waiting = save(make_dx(), tmp_path / "waiting.dcm")
    outbox = tmp_path / "outbox"
    orthanc.kill()
    deliver([waiting], DimseNode.parse(orthanc.node), outbox, backoff=Backoff(sleep=lambda seconds: None))
    orthanc.start()
    assert run_app("-i", study, "-o", output, "-m", bundle, "--send-to", orthanc.node, "--outbox", outbox) == 1
    assert list(orthanc.instances()) == [pydicom.dcmread(waiting).SOPInstanceUID]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--fetch-from", "URL"], "needs --study UID"),
        (["--fetch-from", "URL", "--study", "1.2.3.4.5"], "no study with this Study Instance UID"),
        (["--fetch-from", "URL", "--study", "1.2.3", "-i", "folder"], "leave out -i"),
        (["--send-to", "nowhere"], "is no DIMSE node"),
        (["--send-to", "http://user:secret@127.0.0.1/x"], "holds a user or password"),
        (["--send-to", "URL", "--password-file", "nowhere"], "cannot be read"),
    ],
)
def test_a_mistake_is_told_in_one_line_without_the_secret(
    options: list[str],
    said: str,
    orthanc: Orthanc,
    study: Path,
    output: Path,
    bundle: Path,
    run_app: RunApp,
    capfd: pytest.CaptureFixture[str],
) -> None:
    given = [orthanc.url if option == "URL" else option for option in options]
    source = [] if "--fetch-from" in options else ["-i", study]
    assert run_app("-o", output, "-m", bundle, *source, *given) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("chexmask-u app: ")
    assert said in line
    assert PASSWORD not in line
    assert "secret" not in line.replace("this secret cannot be read", "")


def test_a_wrong_password_is_told(
    orthanc: Orthanc,
    archived: list[FileDataset],
    study: Path,
    output: Path,
    bundle: Path,
    run_app: RunApp,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CHEXMASK_U_DICOMWEB_PASSWORD", "wrong")
    save(archived[0], study / "1.dcm")
    assert run_app("-i", study, "-o", output, "-m", bundle, "--send-to", orthanc.url) == 1
    assert "401" in capfd.readouterr().err
    assert len(record_of(output)["delivery"]["waiting"]) == 3
