"""Settings are checked when they are made; addresses never hold or expose credentials."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from support.servers.certificates import Certificates

from monai_chexmask_u.archive.credentials import Credentials
from monai_chexmask_u.archive.settings import DicomwebArchive, DimseNode, Tls

SECRET = "open-sesame"
CREDENTIALS = Credentials("ali", SECRET)


def test_slash_at_the_end_of_an_address_does_not_matter() -> None:
    assert DicomwebArchive("https://archive.example/dicom-web/").url == "https://archive.example/dicom-web"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8042", "http://localhost/x", "HTTP://[::1]:8042", "https://a.example"]
)
def test_credentials_may_go_to_this_machine_or_by_https(url: str) -> None:
    assert DicomwebArchive(url, CREDENTIALS).credentials is CREDENTIALS


@pytest.mark.parametrize(
    "url", ["http://archive.example", "HTTP://10.0.0.1:8042/dicom-web", "http://localhost.example"]
)
def test_credentials_do_not_go_over_plain_http_unless_that_is_allowed(url: str) -> None:
    with pytest.raises(ValueError, match="use https, or allow it with --allow-plain-http") as caught:
        DicomwebArchive(url, CREDENTIALS)
    assert SECRET not in str(caught.value)
    assert DicomwebArchive(url, CREDENTIALS, allow_plain_http=True).url == url
    assert DicomwebArchive(url).url == url


@pytest.mark.parametrize(
    "url",
    [
        f"https://ali:{SECRET}@archive.example/dicom-web",
        f"https://{SECRET}@archive.example",
        f"https://ali:{SECRET}/@archive.example",
        f"https://archive.example/dicom-web?key={SECRET}",
        f"https://archive.example/#{SECRET}",
    ],
)
def test_address_that_may_hold_a_secret_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="archive's address h") as caught:
        DicomwebArchive(url)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "url", ["", "archive.example", "ftp://archive.example", "https://", "https://a:b", "http://a b", "http://a:99999"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is no address of a DICOMweb service; an address as in"):
        DicomwebArchive(url)


def test_settings_show_no_secret() -> None:
    assert SECRET not in repr(DicomwebArchive("https://archive.example", CREDENTIALS))


@pytest.mark.parametrize(
    ("address", "host"), [("ORTHANC@127.0.0.1:4242", "127.0.0.1"), ("A B@pacs.example:104", "pacs.example")]
)
def test_node_is_parsed(address: str, host: str) -> None:
    node = DimseNode.parse(address)
    assert (f"{node.ae_title}@{node.host}:{node.port}", node.host, node.name) == (address, host, address)


def test_node_may_have_an_ipv6_address() -> None:
    node = DimseNode.parse("ORTHANC@[::1]:4242")
    assert (node.host, node.port, node.name) == ("::1", 4242, "ORTHANC@[::1]:4242")


@pytest.mark.parametrize(
    "address", ["", "ORTHANC", "127.0.0.1:4242", "A@host", "A@:104", "A@h:x", "A@b@c:1", "A@::1:1"]
)
def test_what_is_no_node_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="is no DIMSE node: AE@host:port is wanted"):
        DimseNode.parse(address)


@pytest.mark.parametrize("title", ["A" * 17, "   ", "A\\B", "É"])
def test_what_is_no_ae_title_is_refused(title: str) -> None:
    with pytest.raises(ValueError, match="is no AE title"):
        DimseNode(title, "host", 104)
    with pytest.raises(ValueError, match="is no AE title"):
        DimseNode("NODE", "host", 104, title)


@pytest.mark.parametrize("port", ["0", "65536"])
def test_what_is_no_port_is_refused(port: str) -> None:
    with pytest.raises(ValueError, match=f"^{port} is no TCP port"):
        DimseNode.parse(f"NODE@host:{port}")


def test_tls_takes_an_authority_and_an_own_certificate(certificates: Certificates) -> None:
    Tls(certificates.authority, certificates.certificate, certificates.key)
    Tls(certificates.authority, certificates.both)


def test_files_of_no_use_for_tls_are_named(certificates: Certificates, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for path in (empty, tmp_path / "missing.pem"):
        with pytest.raises(ValueError, match=f"^{path}: no certificates of authorities"):
            Tls(path)
        with pytest.raises(ValueError, match=f"^{path}: this certificate and its key"):
            Tls(certificate=path)
    with pytest.raises(ValueError, match=r"this certificate and its key cannot be used \(no start line|pem lib"):
        Tls(certificate=certificates.certificate)
    with pytest.raises(ValueError, match="a key needs its certificate"):
        Tls(key=certificates.key)


def test_encrypted_key_is_refused_and_asks_for_nothing(certificates: Certificates, tmp_path: Path) -> None:
    """OpenSSL asks for the password of a key on the terminal, which nobody may be at."""
    key = tmp_path / "encrypted.pem"
    command = ["openssl", "ec", "-in", str(certificates.key), "-aes256", "-passout", "pass:x1y2", "-out", str(key)]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(ValueError, match="PEM, unencrypted, is wanted"):
        Tls(certificate=certificates.certificate, key=key)
    program = (
        "from pathlib import Path; from monai_chexmask_u.archive.settings import Tls; "
        f"Tls(certificate=Path({str(certificates.certificate)!r}), key=Path({str(key)!r}))"
    )
    assert "pass phrase" not in said_on_a_terminal([sys.executable, "-c", program])


def said_on_a_terminal(command: list[str]) -> str:
    """Return what a program writes to its terminal, at which nobody is."""
    process, terminal = pty.fork()
    if process == 0:
        os.execv(command[0], command)
    said = b""
    with contextlib.suppress(OSError):  # the end of what a terminal says
        while b"pass phrase" not in said and (more := os.read(terminal, 1024)):
            said += more
    os.close(terminal)  # ends a program that still waits
    os.waitpid(process, 0)
    return said.decode()
