"""C-STORE to a node in this process: what is proposed, what is sent, and what its answers mean."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)
from pynetdicom import AE
from pynetdicom.presentation import build_context
from support.samples.dicom import make_cr, save
from support.servers.archive_servers import Node, serve_node
from support.servers.certificates import Certificates, server_context
from support.servers.orthanc_server import free_port

from monai_chexmask_u.archive.cstore import StoreSender
from monai_chexmask_u.archive.failures import ArchiveUnusable, ObjectRefused, TryLater
from monai_chexmask_u.archive.objects import DicomFile, read_dicom_file
from monai_chexmask_u.archive.settings import DimseNode, Timeouts, Tls

pytestmark = pytest.mark.usefixtures("no_secrets_told")

CR = (ComputedRadiographyImageStorage, ExplicitVRLittleEndian)


@pytest.fixture
def node() -> Iterator[Node]:
    with serve_node(CR) as serving:
        yield serving


@pytest.fixture
def file(small_files: list[DicomFile]) -> DicomFile:
    return small_files[0]


def send(node: Node, file: DicomFile, **options: object) -> None:
    StoreSender(replace(DimseNode.parse(node.address), **options)).send(file)  # type: ignore[arg-type]


def data_set(path: Path) -> bytes:
    """Return the bytes of a file after its meta information."""
    meta = pydicom.filereader.read_file_meta_info(path)
    return path.read_bytes()[128 + 4 + 12 + meta.FileMetaInformationGroupLength :]


def test_node_gets_the_data_set_as_it_is(node: Node, file: DicomFile) -> None:
    send(node, file, own_ae_title="CHEST")
    assert node.received == [(file.sop_instance_uid, file.transfer_syntax_uid, data_set(file.path))]
    assert node.callers == ["CHEST"]


def test_data_set_is_not_written_anew(node: Node, file: DicomFile, tmp_path: Path) -> None:
    """Group lengths, which PS3.5 has retired, are in old files; pydicom would leave them out."""
    content, data = file.path.read_bytes(), data_set(file.path)
    with_length = b"\x08\x00\x00\x00UL\x04\x00\x10\x00\x00\x00" + data
    (tmp_path / "old.dcm").write_bytes(content[: -len(data)] + with_length)
    send(node, read_dicom_file(tmp_path / "old.dcm"))
    assert node.received[0][2] == with_length


def test_library_is_left_as_it_was(node: Node, file: DicomFile) -> None:
    from pynetdicom import _config

    assert not _config.STORE_SEND_CHUNKED_DATASET
    send(node, file)
    assert not _config.STORE_SEND_CHUNKED_DATASET


def test_compressed_object_goes_as_it_is(tmp_path: Path) -> None:
    dataset = make_cr(rows=8, columns=8)
    dataset.compress(RLELossless, generate_instance_uid=False)
    file = read_dicom_file(save(dataset, tmp_path / "rle.dcm"))
    syntaxes = [(ComputedRadiographyImageStorage, each) for each in (ExplicitVRLittleEndian, RLELossless)]
    with serve_node(*syntaxes) as node:
        send(node, file)
    assert node.received == [(file.sop_instance_uid, RLELossless, data_set(file.path))]


@pytest.mark.parametrize(
    "supported",
    [
        ("1.2.840.10008.5.1.4.1.1.2", ExplicitVRLittleEndian),
        (ComputedRadiographyImageStorage, ImplicitVRLittleEndian),
        (ComputedRadiographyImageStorage, JPEGLSLossless),
    ],
)
def test_class_or_transfer_syntax_that_the_node_does_not_know_is_refused(
    file: DicomFile, supported: tuple[str, str]
) -> None:
    with serve_node(supported) as node, pytest.raises(ObjectRefused, match="SOP class or transfer syntax not supp"):
        send(node, file)
    assert node.received == []


def test_stored_with_a_warning_is_stored_and_logged(
    node: Node, file: DicomFile, caplog: pytest.LogCaptureFixture
) -> None:
    node.statuses = [0xB006]
    send(node, file)
    warnings = [
        each.message for each in caplog.records if each.name.startswith("monai") and each.levelname == "WARNING"
    ]
    assert warnings == [f"{file.sop_instance_uid}: stored, with a warning: elements were discarded (0xB006)"]


def test_object_that_the_node_has_already_is_delivered_and_logged(
    node: Node, file: DicomFile, caplog: pytest.LogCaptureFixture
) -> None:
    node.statuses = [0x0111]
    send(node, file)
    assert f"{file.sop_instance_uid}: stored, with a warning: the archive has it already (0x0111)" in caplog.messages


@pytest.mark.parametrize(
    ("status", "kind"),
    [(0x0122, ObjectRefused), (0xA900, ObjectRefused), (0xC001, ObjectRefused), (0xA700, TryLater), (0x0110, TryLater)],
)
def test_status_decides_whether_an_object_is_refused(
    node: Node, file: DicomFile, status: int, kind: type[Exception]
) -> None:
    node.statuses = [status]
    with pytest.raises(kind, match=f"0x{status:04X}"):
        send(node, file)


def test_node_that_does_not_know_its_title_is_of_no_use(node: Node, file: DicomFile) -> None:
    with pytest.raises(
        ArchiveUnusable, match=r"rejects this program .*check both AE titles \(this one is CHEXMASK_U\)"
    ):
        send(node, file, ae_title="ANOTHER")


def test_node_that_is_busy_may_take_it_later(file: DicomFile) -> None:
    with serve_node(CR, max_associations=1) as node:
        other = AE().associate("127.0.0.1", DimseNode.parse(node.address).port, [build_context(*CR)], "NODE")
        with pytest.raises(TryLater, match="for now") as caught:
            send(node, file)
        other.release()
    assert caught.value.unreachable


def test_nobody_listens(file: DicomFile) -> None:
    with pytest.raises(TryLater, match="cannot be reached") as caught:
        StoreSender(DimseNode("NODE", "127.0.0.1", free_port())).send(file)
    assert caught.value.unreachable


def test_host_is_unknown(file: DicomFile) -> None:
    with pytest.raises(TryLater, match="cannot be reached") as caught:
        StoreSender(DimseNode("NODE", "archive.invalid", 104)).send(file)
    assert caught.value.unreachable


def test_node_that_says_nothing_may_take_it_later(node: Node, file: DicomFile) -> None:
    node.hold = threading.Event()
    with pytest.raises(TryLater, match=r"did not confirm an object; .*\(AE title CHEXMASK_U\)") as caught:
        send(node, file, timeouts=Timeouts(silence_s=0.2))
    node.hold.set()
    assert not caught.value.unreachable


def test_tls_is_spoken_with_both_certificates(certificates: Certificates, file: DicomFile) -> None:
    with serve_node(CR, tls=server_context(certificates)) as node:
        send(node, file, tls=Tls(certificates.authority, certificates.certificate, certificates.key))
        assert len(node.received) == 1
        with pytest.raises(TryLater, match="whether it wants TLS or a certificate"):
            send(node, file, tls=Tls(certificates.authority))
        with pytest.raises(TryLater, match="whether it wants TLS or a certificate"):
            send(node, file, tls=None)
    assert len(node.received) == 1


def test_certificate_that_is_not_trusted_is_refused(certificates: Certificates, file: DicomFile) -> None:
    own = (certificates.certificate, certificates.key)
    with serve_node(CR, tls=server_context(certificates)) as node:
        for tls in (Tls(certificates.other_authority, *own), Tls(None, *own)):
            with pytest.raises(ArchiveUnusable, match="certificate is not trusted; name its authority's file"):
                send(node, file, tls=tls)
    assert node.received == []


def test_certificate_of_another_host_is_refused(certificates: Certificates, file: DicomFile) -> None:
    tls = Tls(certificates.authority, certificates.certificate, certificates.key)
    not_trusted = pytest.raises(ArchiveUnusable, match="certificate is not trusted")
    with serve_node(CR, tls=server_context(certificates)) as node, not_trusted:
        send(node, file, tls=tls, host="localhost")
    assert node.received == []


def test_tls_with_a_node_without_it_is_explained(node: Node, certificates: Certificates, file: DicomFile) -> None:
    with pytest.raises((ArchiveUnusable, TryLater), match="TLS"):
        send(node, file, tls=Tls(certificates.authority), timeouts=Timeouts(connect_s=1.0, answer_s=1.0))
