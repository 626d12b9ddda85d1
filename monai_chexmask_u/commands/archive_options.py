"""Options that commands share: how to reach an archive. Secrets come from the environment or from files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from monai_chexmask_u.archive.credentials import read_credentials
from monai_chexmask_u.archive.retry import Backoff
from monai_chexmask_u.archive.settings import DicomwebArchive, DimseNode, Timeouts, Tls

__all__ = [
    "ANSWER_TIMEOUT_S",
    "ATTEMPTS",
    "CONNECT_TIMEOUT_S",
    "AnswerTimeout",
    "Attempts",
    "CaFile",
    "Certificate",
    "ConnectTimeout",
    "Key",
    "PasswordFile",
    "PlainHttp",
    "TokenFile",
    "choose_target",
    "dicomweb_archive",
]

ATTEMPTS: Final = Backoff().attempts
CONNECT_TIMEOUT_S: Final = Timeouts().connect_s
ANSWER_TIMEOUT_S: Final = Timeouts().answer_s

PasswordFile = Annotated[
    Path | None, typer.Option("--password-file", help="File with the password, as container secrets are.")
]
TokenFile = Annotated[Path | None, typer.Option("--token-file", help="File with the bearer token.")]
CaFile = Annotated[Path | None, typer.Option("--ca-file", help="Authorities to trust (PEM), instead of the usual.")]
Certificate = Annotated[Path | None, typer.Option("--certificate", help="This client's certificate (PEM).")]
Key = Annotated[Path | None, typer.Option("--key", help="The certificate's private key (PEM, not encrypted).")]
PlainHttp = Annotated[bool, typer.Option("--allow-plain-http", help="Send credentials without TLS to another machine.")]
Attempts = Annotated[int, typer.Option("--attempts", min=1, help="How often to try what may pass, with pauses.")]
ConnectTimeout = Annotated[
    float, typer.Option("--connect-timeout", min=0.1, help="Seconds for a connection, with TLS.")
]
AnswerTimeout = Annotated[
    float,
    float,
    typer.Option(
        "--answer-timeout", min=0.1, help="Seconds for a whole answer: an object or a list, with all attempts."
    ),
]


def dicomweb_archive(
    url: str,
    *,
    tls: Tls,
    timeouts: Timeouts,
    password_file: Path | None = None,
    token_file: Path | None = None,
    allow_plain_http: bool = False,
) -> DicomwebArchive:
    """Return the archive at an address, with the credentials of this process' environment.

    Raises:
        ValueError: if the address, the files or the credentials are of no use.
    """
    credentials = read_credentials(os.environ, password_file=password_file, token_file=token_file)
    return DicomwebArchive(url, credentials, tls, timeouts, allow_plain_http)


def choose_target(
    url: str | None,
    node: str | None,
    *,
    own_ae_title: str,
    with_tls: bool,
    tls: Tls,
    timeouts: Timeouts,
    password_file: Path | None = None,
    token_file: Path | None = None,
    allow_plain_http: bool = False,
) -> DicomwebArchive | DimseNode:
    """Return the archive to send to: a DICOMweb service or a DIMSE node.

    Raises:
        ValueError: if not one of them is given, or an option is of no use.
    """
    if node and not url:
        return DimseNode.parse(node, own_ae_title=own_ae_title, tls=tls if with_tls else None, timeouts=timeouts)
    if node or not url:
        raise ValueError("give the archive as --url (DICOMweb) or as --node AE@host:port (C-STORE), one of them")
    return dicomweb_archive(
        url,
        tls=tls,
        timeouts=timeouts,
        password_file=password_file,
        token_file=token_file,
        allow_plain_http=allow_plain_http,
    )
