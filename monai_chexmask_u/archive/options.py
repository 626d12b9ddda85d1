"""The options with which every door says how to reach an archive; secrets come from the environment or from files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from monai_chexmask_u.archive.credentials import read_credentials
from monai_chexmask_u.archive.settings import OWN_AE_TITLE, DicomwebArchive, DimseNode, Timeouts, Tls
from monai_chexmask_u.archive.waiting import Backoff

__all__ = ["OF_NODE", "ArchiveOptions"]


# What only a DIMSE node needs.
OF_NODE: Final = frozenset({"own_ae_title", "tls"})


@dataclass(frozen=True)
class ArchiveOptions:
    """An option for each field: ``--ca-file`` for `ca_file`, and so on. The command line and the app offer all of them.

    Each is annotated with the words of ``--help``, and with the least value where there is one.

    Raises:
        ValueError: if a number is out of its range, or a file is missing or cannot be used.
    """

    own_ae_title: Annotated[str, "AE title by which the node knows this program."] = OWN_AE_TITLE
    tls: Annotated[bool, "Speak TLS with the node."] = False
    password_file: Annotated[Path | None, "File with the password, as container secrets are."] = None
    token_file: Annotated[Path | None, "File with the bearer token."] = None
    ca_file: Annotated[Path | None, "Authorities to trust (PEM), instead of the usual."] = None
    certificate: Annotated[Path | None, "This client's certificate (PEM)."] = None
    key: Annotated[Path | None, "The certificate's private key (PEM, not encrypted)."] = None
    allow_plain_http: Annotated[bool, "Send credentials without TLS to another machine."] = False
    attempts: Annotated[int, "How often to try what may pass, with pauses.", 1] = Backoff.attempts
    connect_timeout: Annotated[float, "Seconds for a connection, with TLS.", 0.1] = Timeouts.connect_s
    answer_timeout: Annotated[float, "Seconds for a whole answer: an object or a list, with all attempts.", 0.1] = (
        Timeouts.answer_s
    )

    def __post_init__(self) -> None:
        """Check the numbers and the files, so that a mistake shows before anything is sent."""
        self._tls()
        self._timeouts()
        if self.attempts < 1:
            raise ValueError(f"attempts must be a whole number from 1, got {self.attempts}")

    def dicomweb(self, url: str) -> DicomwebArchive:
        """Return the archive at an address, with the credentials of this process' environment.

        Raises:
            ValueError: if the address, a file or the credentials cannot be used.
        """
        credentials = read_credentials(os.environ, password_file=self.password_file, token_file=self.token_file)
        return DicomwebArchive(url, credentials, self._tls(), self._timeouts(), self.allow_plain_http)

    def node(self, address: str) -> DimseNode:
        """Return the node at ``AE@host:port``; files for TLS mean TLS.

        Raises:
            ValueError: if the address or a file cannot be used.
        """
        tls = self._tls() if self.tls or self.ca_file or self.certificate else None
        return DimseNode.parse(address, own_ae_title=self.own_ae_title, tls=tls, timeouts=self._timeouts())

    def backoff(self) -> Backoff:
        """Return how often to try what may pass."""
        return Backoff(self.attempts)

    def _tls(self) -> Tls:
        return Tls(self.ca_file, self.certificate, self.key)

    def _timeouts(self) -> Timeouts:
        return Timeouts(self.connect_timeout, self.answer_timeout)
