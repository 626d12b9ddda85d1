"""A real archive behind TLS, with a password: who is not trusted gets nothing, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.samples.dicom import make_dx, save
from support.servers.certificates import Certificates
from support.servers.orthanc_server import Orthanc
from support.servers.tls_front import tls_in_front_of

from monai_chexmask_u.archive.credentials import Credentials
from monai_chexmask_u.archive.delivery import deliver
from monai_chexmask_u.archive.failures import ArchiveUnusable
from monai_chexmask_u.archive.fetch import fetch_study
from monai_chexmask_u.archive.objects import DicomFile, read_dicom_file
from monai_chexmask_u.archive.settings import DicomwebArchive, DimseNode, Tls
from monai_chexmask_u.archive.waiting import Backoff

pytestmark = pytest.mark.usefixtures("no_secrets_told")

PASSWORD = "open-sesame"
RIGHT = Credentials("ali", PASSWORD)
ONCE = Backoff(attempts=1)


@dataclass(frozen=True)
class Secure:
    """An archive, and where it can be reached with TLS."""

    orthanc: Orthanc
    url: str
    url_for_known_clients: str


@pytest.fixture(scope="module")
def secure(start_orthanc: Callable[..., Orthanc], certificates: Certificates) -> Iterator[Secure]:
    """Orthanc with a password; its C-STORE speaks TLS itself, and its DICOMweb has a proxy for that.

    Debian's Orthanc 1.10.1 crashes at the first connection to its own https.
    """
    orthanc = start_orthanc(
        AuthenticationEnabled=True,
        RegisteredUsers={"ali": PASSWORD},
        DicomTlsEnabled=True,
        DicomTlsCertificate=str(certificates.certificate),
        DicomTlsPrivateKey=str(certificates.key),
        DicomTlsTrustedCertificates=str(certificates.authority),
    )
    with (
        tls_in_front_of(orthanc.http_port, certificates) as port,
        tls_in_front_of(orthanc.http_port, certificates, wants_certificate=True) as other_port,
    ):
        yield Secure(orthanc, f"https://127.0.0.1:{port}/dicom-web", f"https://127.0.0.1:{other_port}/dicom-web")


def test_archive_takes_and_gives_over_tls(secure: Secure, certificates: Certificates, tmp_path: Path) -> None:
    archive = DicomwebArchive(secure.url, RIGHT, Tls(certificates.authority))
    path = save(make_dx(rows=30, columns=20), tmp_path / "dx.dcm")
    assert deliver([path], archive, tmp_path / "outbox").is_complete
    (fetched,) = fetch_study(archive, tmp_path, study_uid=read_dicom_file(path).study_instance_uid)
    assert fetched.read_bytes() == path.read_bytes()


def test_archive_takes_over_tls_by_c_store(
    secure: Secure, certificates: Certificates, new_file: Callable[[], DicomFile], tmp_path: Path
) -> None:
    own = (certificates.certificate, certificates.key)
    taken, other = new_file(), new_file()
    node = DimseNode.parse(secure.orthanc.node, tls=Tls(certificates.authority, *own))
    assert deliver([taken.path], node, tmp_path / "outbox").is_complete
    assert secure.orthanc.file(taken.sop_instance_uid)
    for number, tls in enumerate((Tls(certificates.other_authority, *own), Tls(certificates.authority), None)):
        node = DimseNode.parse(secure.orthanc.node, tls=tls)
        delivery = deliver([other.path], node, tmp_path / f"outbox{number}", backoff=ONCE)
        assert delivery.waiting == (other.sop_instance_uid,)
        assert ("certificate" in str(delivery.problem)) or ("TLS" in str(delivery.problem))
    assert other.sop_instance_uid not in secure.orthanc.instances()


@pytest.mark.parametrize("credentials", [Credentials(), Credentials("ali", "wrong"), Credentials(token="dG9rZW4")])
def test_wrong_password_stores_nothing_and_loses_nothing(
    secure: Secure,
    certificates: Certificates,
    new_file: Callable[[], DicomFile],
    tmp_path: Path,
    credentials: Credentials,
) -> None:
    archive = DicomwebArchive(secure.url, credentials, Tls(certificates.authority))
    files = [new_file(), new_file()]
    delivery = deliver([file.path for file in files], archive, tmp_path / "outbox")
    assert len(delivery.waiting) == 2
    assert "(401)" in str(delivery.problem)
    assert files[0].sop_instance_uid not in secure.orthanc.instances()
    with pytest.raises(ArchiveUnusable, match=r"\(401\)"):
        fetch_study(archive, tmp_path, study_uid="1.2.3")
    right = DicomwebArchive(secure.url, RIGHT, Tls(certificates.authority))
    assert deliver([], right, tmp_path / "outbox").sent == delivery.waiting


def test_certificate_that_is_not_trusted_gets_neither_object_nor_password(
    secure: Secure, certificates: Certificates, new_file: Callable[[], DicomFile], tmp_path: Path
) -> None:
    file = new_file()
    for number, tls in enumerate((Tls(), Tls(certificates.other_authority))):
        archive = DicomwebArchive(secure.url, RIGHT, tls)
        delivery = deliver([file.path], archive, tmp_path / f"outbox{number}")
        assert delivery.waiting == (file.sop_instance_uid,)
        assert "certificate is not trusted; name its authority's file with --ca-file" in str(delivery.problem)
        with pytest.raises(ArchiveUnusable, match="certificate is not trusted"):
            fetch_study(archive, tmp_path, study_uid="1.2.3")
    assert file.sop_instance_uid not in secure.orthanc.instances()


def test_other_programs_authorities_are_not_trusted(
    secure: Secure, certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates.authority))
    archive = DicomwebArchive(secure.url, RIGHT, Tls(certificates.other_authority))
    with pytest.raises(ArchiveUnusable, match="certificate is not trusted"):
        fetch_study(archive, tmp_path, study_uid="1.2.3")


def test_certificate_of_another_host_is_not_trusted(secure: Secure, certificates: Certificates, tmp_path: Path) -> None:
    url = secure.url.replace("127.0.0.1", "localhost")
    archive = DicomwebArchive(url, RIGHT, Tls(certificates.authority))
    with pytest.raises(ArchiveUnusable, match="certificate is not trusted"):
        fetch_study(archive, tmp_path, study_uid="1.2.3")


@pytest.mark.parametrize("in_one_file", [True, False])
def test_client_shows_its_certificate(
    secure: Secure, certificates: Certificates, new_file: Callable[[], DicomFile], tmp_path: Path, in_one_file: bool
) -> None:
    own = (certificates.both, None) if in_one_file else (certificates.certificate, certificates.key)
    archive = DicomwebArchive(secure.url_for_known_clients, RIGHT, Tls(certificates.authority, *own))
    assert deliver([new_file().path], archive, tmp_path / "outbox").is_complete


def test_client_without_a_certificate_gets_nothing(
    secure: Secure, certificates: Certificates, new_file: Callable[[], DicomFile], tmp_path: Path
) -> None:
    archive = DicomwebArchive(secure.url_for_known_clients, RIGHT, Tls(certificates.authority))
    file = new_file()
    delivery = deliver([file.path], archive, tmp_path / "outbox", backoff=ONCE)
    assert delivery.waiting == (file.sop_instance_uid,)
    assert file.sop_instance_uid not in secure.orthanc.instances()
