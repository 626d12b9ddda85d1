"""Certificates of made-up authorities, made with openssl."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["Certificates", "make_certificates", "server_context"]

_OF_AUTHORITIES: Final = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
_OF_THIS_MACHINE: Final = """
subjectAltName=IP:127.0.0.1
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
"""


@dataclass(frozen=True)
class Certificates:
    """Files in PEM: an authority, one that signed nothing, and a certificate of 127.0.0.1, which the first signed.

    Attributes:
        both: certificate and key in one file.
    """

    authority: Path
    other_authority: Path
    certificate: Path
    key: Path
    both: Path


def make_certificates(folder: Path) -> Certificates:
    """Make them in a folder."""
    for name in ("authority", "other"):
        _openssl(folder, "req", "-x509", *_request(name), "-days", "2", "-out", f"{name}.pem", *_OF_AUTHORITIES)
    _openssl(folder, "req", *_request("machine"), "-out", "request.pem")
    (folder / "extensions").write_text(_OF_THIS_MACHINE)
    signing = ("-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial", "-extfile", "extensions")
    _openssl(folder, "x509", "-req", "-in", "request.pem", *signing, "-days", "2", "-out", "machine.pem")
    certificate, key, both = folder / "machine.pem", folder / "machine.key", folder / "both.pem"
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    return Certificates(folder / "authority.pem", folder / "other.pem", certificate, key, both)


def server_context(certificates: Certificates, *, wants_certificate: bool = True) -> ssl.SSLContext:
    """Return a server's side of TLS, which wants a certificate of the client or not."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates.authority)
    context.load_cert_chain(certificates.certificate, certificates.key)
    context.verify_mode = ssl.CERT_REQUIRED if wants_certificate else ssl.CERT_NONE
    return context


def _request(name: str) -> tuple[str, ...]:
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key")
    return (*key, "-subj", f"/CN={name}")


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
