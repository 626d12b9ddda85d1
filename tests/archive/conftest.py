"""Radiographs, results and certificates to send, and archives to send them to."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.samples.dicom import make_cr, save
from support.samples.results import radiograph_of, result_for
from support.servers.archive_servers import WebServer
from support.servers.certificates import Certificates, make_certificates
from support.servers.fake_sender import TARGET, FakeSender
from support.servers.orthanc_server import Orthanc, find_orthanc

from monai_chexmask_u.archive import delivery as delivery_module
from monai_chexmask_u.archive.delivery import Delivery, deliver
from monai_chexmask_u.archive.objects import DicomFile, read_dicom_file
from monai_chexmask_u.archive.waiting import Backoff
from monai_chexmask_u.dicom.numbering import Numbering
from monai_chexmask_u.dicom.source import SourceImage
from monai_chexmask_u.dicom.write import write_object
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation

__all__ = ["radiograph_of", "result_for"]  # fixtures

# What must appear nowhere: the samples' patient, and the secrets of the tests.
PATIENT = ("Synthetic", "SYN-0001", "19700101")
SECRETS = ("open-sesame", "dG9rZW4tb2YtdGVzdHM")


@pytest.fixture
def pauses() -> list[float]:
    """The pauses that `backoff` was asked to make."""
    return []


@pytest.fixture
def backoff(pauses: list[float]) -> Backoff:
    """The usual policy, without its pauses."""
    return Backoff(sleep=pauses.append, jitter=lambda: 1.0)


@pytest.fixture
def web_server() -> Iterator[WebServer]:
    server = WebServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def small_files(tmp_path_factory: pytest.TempPathFactory) -> list[DicomFile]:
    """Six small CR of six studies, in the order of their names."""
    folder = tmp_path_factory.mktemp("small")
    return [read_dicom_file(save(make_cr(rows=8, columns=8), folder / f"{number}.dcm")) for number in range(6)]


@pytest.fixture
def new_file(tmp_path: Path) -> Callable[[], DicomFile]:
    """Makes small CR that no archive has."""
    folder = tmp_path / "new"
    folder.mkdir()
    return lambda: read_dicom_file(save(make_cr(rows=8, columns=8), folder / f"{len(list(folder.iterdir()))}.dcm"))


@pytest.fixture(scope="session")
def study_files(
    radiograph_of: Callable[[str], Radiograph],
    result_for: Callable[..., LandmarkSegmentation],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, DicomFile]:
    """A radiograph and the results for it, by their kinds; the report refers to the others."""
    radiograph = radiograph_of("dx")
    numbering, folder = Numbering(), tmp_path_factory.mktemp("results")
    files = {"dx": read_dicom_file(Path(radiograph.path))}
    for kind in ("seg", "pr", "sr"):
        path = folder / f"{kind}.dcm"
        write_object(kind, result_for(radiograph), SourceImage(radiograph), path, numbering)
        files[kind] = read_dicom_file(path)
    return files


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, which makes the certificates")
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def start_orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Orthanc]]:
    """Start archives with further options, which end with the tests."""
    if find_orthanc() is None:
        pytest.skip("Orthanc is not installed, or not with its DICOMweb plug-in")
    started = []

    def start(**options: Any) -> Orthanc:
        orthanc = Orthanc(tmp_path_factory.mktemp("orthanc"), **options)
        started.append(orthanc)
        orthanc.start()
        return orthanc

    yield start
    for orthanc in started:
        orthanc.kill()  # a regular end takes seconds, and its database goes anyway


@pytest.fixture(scope="session")
def orthanc(start_orthanc: Callable[..., Orthanc]) -> Orthanc:
    """An archive that any program of this machine may use."""
    return start_orthanc()


@pytest.fixture
def no_secrets_told(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """See that nothing that is logged or printed in a test, by whatever library, tells a secret or of the patient."""
    caplog.set_level(logging.DEBUG)
    yield
    logged = [logging.Formatter().format(record) for record in caplog.get_records("call")]
    told = "".join((*capfd.readouterr(), *logged))
    assert [word for word in (*PATIENT, *SECRETS) if word in told] == []


@pytest.fixture
def sender(monkeypatch: pytest.MonkeyPatch) -> FakeSender:
    fake = FakeSender()
    monkeypatch.setattr(delivery_module, "sender_for", lambda target: fake)
    return fake


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    return tmp_path / "outbox"


@pytest.fixture
def run(sender: FakeSender, outbox: Path, backoff: Backoff) -> Callable[..., Delivery]:
    def run(*files: DicomFile) -> Delivery:
        return deliver([file.path for file in files], TARGET, outbox, backoff=backoff)

    return run
