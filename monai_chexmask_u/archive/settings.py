"""Where an archive is and how to speak to it: a DICOMweb service or a DIMSE node."""

from __future__ import annotations

import ipaddress
import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from monai_chexmask_u.archive.credentials import Credentials

__all__ = ["OWN_AE_TITLE", "DicomwebArchive", "DimseNode", "Timeouts", "Tls"]

OWN_AE_TITLE: Final = "CHEXMASK_U"
LONGEST_WAIT_S: Final = 86_400  # a day

_NODE: Final = re.compile(r"(?P<title>[^@]+)@(?P<host>\[[0-9a-fA-F:.%]+\]|[^@:/\[\]\s]+):(?P<port>\d{1,5})")
# PS3.5, 6.2: an AE title has up to 16 characters of the default repertoire, no backslash, and is not all spaces.
_AE_TITLE: Final = re.compile(r"(?=.*[^ ])[ -\[\]-~]{1,16}")


@dataclass(frozen=True)
class Timeouts:
    """How long to wait, in seconds.

    Attributes:
        connect_s: for a connection, with the look-up of the name and TLS.
        answer_s: for a whole answer, from the connection to its last byte, with all attempts: for one object that is
            fetched or sent, for one list with all its pages. No archive can hold a program longer than that.
        silence_s: for the next piece of an answer.

    Raises:
        ValueError: if one of them is no time up to a day.
    """

    connect_s: float = 10.0
    answer_s: float = 600.0
    silence_s: float = 60.0

    def __post_init__(self) -> None:
        """Check that there is an end to all waiting."""
        for seconds in (self.connect_s, self.answer_s, self.silence_s):
            if not 0 < seconds <= LONGEST_WAIT_S:
                raise ValueError(f"{seconds} is no time to wait: more than 0 and up to {LONGEST_WAIT_S} s is wanted")


@dataclass(frozen=True)
class Tls:
    """Files for TLS, all in PEM.

    Attributes:
        ca_file: the authorities to trust, instead of the system's or the usual ones.
        certificate: this client's own certificate, with those that lead to its authority.
        key: the certificate's private key, not encrypted; by default it stands in the certificate's file.

    Raises:
        ValueError: if a file is missing or cannot be used when the settings are made.
    """

    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        """Load the files, so that a mistake shows before anything is sent."""
        if self.key is not None and self.certificate is None:
            raise ValueError(f"{self.key}: a key needs its certificate; name it, too")
        self.context()

    def context(self) -> ssl.SSLContext:
        """Return a client's context: the certificate of the other side is checked, and so is its host name.

        Raises:
            ValueError: if a file is missing or cannot be used.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:
            raise ValueError(f"{self.ca_file}: no certificates of authorities in PEM here ({_cause(error)})") from None
        if self.certificate is not None:
            try:
                # An encrypted key would ask for its password on the terminal.
                context.load_cert_chain(self.certificate, self.key, password=lambda: b"")
            except OSError as error:
                message = f"this certificate and its key cannot be used ({_cause(error)}); PEM, unencrypted, is wanted"
                raise ValueError(f"{self.certificate}: {message}") from None
        return context


@dataclass(frozen=True)
class DicomwebArchive:
    """A DICOMweb service: QIDO-RS, WADO-RS and STOW-RS below one address (PS3.18).

    Attributes:
        url: the address; what follows is ``/studies``. Orthanc's ends with ``/dicom-web``.
        credentials: who asks.
        tls: for ``https``.
        timeouts: how long to wait.
        allow_plain_http: send credentials without TLS to another machine.

    Raises:
        ValueError: if the address is none, or holds or would expose credentials.
    """

    url: str
    credentials: Credentials = field(default_factory=Credentials)
    tls: Tls = field(default_factory=Tls)
    timeouts: Timeouts = field(default_factory=Timeouts)
    allow_plain_http: bool = False

    def __post_init__(self) -> None:
        """Check the address; a slash at its end is dropped."""
        host = _host_of(self.url)
        exposed = self.url.lower().startswith("http:") and not _is_loopback(host)
        if self.credentials and exposed and not self.allow_plain_http:
            raise ValueError(
                f"{self.url}: over http the credentials could be read on the way; "
                "use https, or allow it with --allow-plain-http"
            )
        object.__setattr__(self, "url", self.url.rstrip("/"))

    @property
    def name(self) -> str:
        """What messages and the outbox call it."""
        return self.url


@dataclass(frozen=True)
class DimseNode:
    """A node that stores by C-STORE (PS3.4, annex B).

    Attributes:
        ae_title: its application entity title.
        host: its name or IP address.
        port: its TCP port; 104 and 11112 are usual.
        own_ae_title: the title by which the node knows this program.
        tls: files for TLS; without it, the connection is a plain one.
        timeouts: how long to wait.

    Raises:
        ValueError: if a title, the host or the port is none.
    """

    ae_title: str
    host: str
    port: int
    own_ae_title: str = OWN_AE_TITLE
    tls: Tls | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)

    def __post_init__(self) -> None:
        """Check titles, host and port."""
        for title in (self.ae_title, self.own_ae_title):
            if not _AE_TITLE.fullmatch(title):
                raise ValueError(f"'{title}' is no AE title: 1 to 16 ASCII characters are wanted, without backslash")
        if not self.host:
            raise ValueError("a DIMSE node needs a host")
        if not 0 < self.port < 65536:
            raise ValueError(f"{self.port} is no TCP port: 1 to 65535 is wanted")

    @classmethod
    def parse(
        cls,
        address: str,
        *,
        own_ae_title: str = OWN_AE_TITLE,
        tls: Tls | None = None,
        timeouts: Timeouts | None = None,
    ) -> DimseNode:
        """Return the node at ``AE@host:port``.

        Raises:
            ValueError: if the address has another form.

        Example:
            >>> DimseNode.parse("ORTHANC@127.0.0.1:4242").name
            'ORTHANC@127.0.0.1:4242'
        """
        match = _NODE.fullmatch(address)
        if match is None:
            raise ValueError(f"'{address}' is no DIMSE node: AE@host:port is wanted, as in ORTHANC@127.0.0.1:4242")
        host = match["host"].strip("[]")
        return cls(match["title"], host, int(match["port"]), own_ae_title, tls, timeouts or Timeouts())

    @property
    def name(self) -> str:
        """What messages and the outbox call it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.ae_title}@{host}:{self.port}"


def _host_of(url: str) -> str:
    """Return the host of an address, which is checked; an address that may hold a password is not repeated.

    Raises:
        ValueError: if it is no http or https address of a service, or holds credentials.
    """
    if "@" in url:
        raise ValueError(
            "the archive's address holds a user or password; leave them out and set the variables "
            "CHEXMASK_U_DICOMWEB_USER and CHEXMASK_U_DICOMWEB_PASSWORD"
        )
    wanted = "an address as in https://archive.example/dicom-web is wanted"
    if "?" in url or "#" in url:
        raise ValueError(f"the archive's address has a query (?) or fragment (#), which may be secret; {wanted}")
    try:
        parts = urlsplit(url)
        valid = parts.port != 0 and url.isprintable() and " " not in url
    except ValueError:
        valid = False
    if not valid or parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise ValueError(f"'{url}' is no address of a DICOMweb service; {wanted}")
    return parts.hostname


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _cause(error: OSError) -> str:
    reason = getattr(error, "reason", None)  # OpenSSL's word for it
    return (reason or error.strerror or type(error).__name__).replace("_", " ").lower()
