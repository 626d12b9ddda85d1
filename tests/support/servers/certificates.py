"""Certificates of made-up authorities, made with openssl."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["BAD_CERTIFICATES", "Certificates", "make_certificates", "server_context", "server_context_of"]

_OF_AUTHORITIES: Final = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
_OF_THIS_MACHINE: Final = """
subjectAltName=IP:127.0.0.1
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
"""
# What is wrong with a certificate: its extensions, and how long it lasts.
BAD_CERTIFICATES: Final = {
    "expired": (_OF_THIS_MACHINE, "-1"),
    "other host": (_OF_THIS_MACHINE.replace("IP:127.0.0.1", "DNS:archive.example"), "2"),
    "no host": (_OF_THIS_MACHINE.replace("subjectAltName=IP:127.0.0.1", ""), "2"),
    "for clients": (_OF_THIS_MACHINE + "extendedKeyUsage=clientAuth\n", "2"),
}


@dataclass(frozen=True)
class Certificates:
    """Files in PEM: an authority, one that signed nothing, and a certificate of 127.0.0.1, which the first signed.

    Attributes:
        both: certificate and key in one file.
        bad: certificates of the first authority by what is wrong with them, and one that signed itself, each with its
            key in one file.
    """

    authority: Path
    other_authority: Path
    certificate: Path
    key: Path
    both: Path
    bad: dict[str, Path]


def make_certificates(folder: Path) -> Certificates:
    """Make them in a folder."""
    for name in ("authority", "other"):
        _openssl(folder, "req", "-x509", *_request(name), "-days", "2", "-out", f"{name}.pem", *_OF_AUTHORITIES)
    both = _signed(folder, "machine", _OF_THIS_MACHINE, "2")
    bad = {why: _signed(folder, why.replace(" ", "-"), *how) for why, how in BAD_CERTIFICATES.items()}
    bad["self-signed"] = _self_signed(folder)
    names = ("authority.pem", "other.pem", "machine.pem", "machine.key")
    authority, other, certificate, key = (folder / name for name in names)
    return Certificates(authority, other, certificate, key, both, bad)


def _signed(folder: Path, name: str, extensions: str, days: str) -> Path:
    """Make a certificate that the authority signs; return the file with it and its key."""
    _openssl(folder, "req", *_request(name), "-out", "request.pem")
    (folder / "extensions").write_text(extensions)
    signing = ("-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial", "-extfile", "extensions")
    _openssl(folder, "x509", "-req", "-in", "request.pem", *signing, "-days", days, "-out", f"{name}.pem")
    return _in_one(folder, name)


def _self_signed(folder: Path) -> Path:
    host = ("-addext", "subjectAltName=IP:127.0.0.1")
    _openssl(folder, "req", "-x509", *_request("itself"), "-days", "2", "-out", "itself.pem", *host)
    return _in_one(folder, "itself")


def _in_one(folder: Path, name: str) -> Path:
    both = folder / f"{name}.both.pem"
    both.write_bytes((folder / f"{name}.pem").read_bytes() + (folder / f"{name}.key").read_bytes())
    return both


def server_context(certificates: Certificates, *, wants_certificate: bool = True) -> ssl.SSLContext:
    """Return a server's side of TLS, which wants a certificate of the client or not."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates.authority)
    context.load_cert_chain(certificates.certificate, certificates.key)
    context.verify_mode = ssl.CERT_REQUIRED if wants_certificate else ssl.CERT_NONE
    return context


def server_context_of(certificate: Path) -> ssl.SSLContext:
    """Return a server's side of TLS with a certificate and its key in one file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def _request(name: str) -> tuple[str, ...]:
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key")
    return (*key, "-subj", f"/CN={name}")


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
