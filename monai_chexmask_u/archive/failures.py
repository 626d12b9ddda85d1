"""What can go wrong with an archive, by what is to be done about it.

Every message is one line that names the archive, the cause and what to do. None quotes what the archive answered: that
may hold patient data.
"""

from __future__ import annotations

import ssl
from importlib.util import find_spec
from typing import Final

__all__ = [
    "ArchiveError",
    "ArchiveUnusable",
    "ObjectNotGiven",
    "ObjectRefused",
    "OutOfTime",
    "TryLater",
    "require_packages",
    "why_not_trusted",
]

# Numbers of OpenSSL (x509_vfy.h). Its own words, and those of the certificate, are for its makers.
_WHY_NOT_TRUSTED: Final = {
    9: "it is not valid yet; check the clocks of both sides",
    10: "it has expired; have it renewed",
    23: "it was revoked; ask for the archive's new one",
    26: "it was not made for servers; ask for the archive's right one",
    62: "it is of another host; check the address",
    64: "it is of another host; check the address",
}


class ArchiveError(Exception):
    """An archive did not do what it was asked for."""


class ArchiveUnusable(ArchiveError):
    """Nothing will work with this archive until a person changes something: address, certificate, password, rights."""


class ObjectNotGiven(ArchiveUnusable):
    """The archive gives something else than the object that was asked for, or nothing. Others it may give."""


class ObjectRefused(ArchiveError):
    """The archive will never take this object."""


class TryLater(ArchiveError):
    """It may work later.

    Attributes:
        unreachable: no object can be sent now, not just this one.
        retry_after_s: seconds that the archive asked to wait, or None.
    """

    def __init__(self, message: str, *, unreachable: bool = False, retry_after_s: float | None = None) -> None:
        """Keep what decides on when to try again, and with what."""
        super().__init__(message)
        self.unreachable = unreachable
        self.retry_after_s = retry_after_s


class OutOfTime(TryLater):
    """The archive used up the time for an answer without completing it: trying again at once would double that time."""


def require_packages(*names: str) -> None:
    """See that packages of the extra ``archive`` are installed.

    Raises:
        ArchiveUnusable: if one is not.
    """
    for name in names:
        if find_spec(name) is None:
            raise ArchiveUnusable(
                f"the package {name} is missing; install this one with its extra: pip install '.[archive]'"
            )


def why_not_trusted(error: ssl.SSLCertVerificationError) -> str:
    """Return the end of a sentence that begins with the certificate.

    Example:
        >>> error = ssl.SSLCertVerificationError()
        >>> error.verify_code = 10
        >>> why_not_trusted(error)
        'is not trusted: it has expired; have it renewed'
    """
    reason = _WHY_NOT_TRUSTED.get(getattr(error, "verify_code", 0))
    return f"is not trusted: {reason}" if reason else "is not trusted; name its authority's file with --ca-file"
