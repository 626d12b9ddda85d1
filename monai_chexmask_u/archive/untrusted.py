"""Why a certificate is not trusted, in words: one table for DICOMweb and for C-STORE."""

from __future__ import annotations

import ssl
from typing import Final

__all__ = ["why_not_trusted"]

# Numbers of OpenSSL (x509_vfy.h). Its own words, and those of the certificate, are for its makers.
_REASONS: Final = {
    9: "it is not valid yet; check the clocks of both sides",
    10: "it has expired; have it renewed",
    23: "it was revoked; ask for the archive's new one",
    26: "it was not made for servers; ask for the archive's right one",
    62: "it is of another host; check the address",
    64: "it is of another host; check the address",
}


def why_not_trusted(error: ssl.SSLCertVerificationError) -> str:
    """Return the end of a sentence that begins with the certificate.

    Example:
        >>> error = ssl.SSLCertVerificationError()
        >>> error.verify_code = 10
        >>> why_not_trusted(error)
        'is not trusted: it has expired; have it renewed'
    """
    reason = _REASONS.get(getattr(error, "verify_code", 0))
    return f"is not trusted: {reason}" if reason else "is not trusted; name its authority's file with --ca-file"
