"""HTTP to a DICOMweb service: one set-up and one set of words for what goes wrong, whatever is asked."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

import requests
from requests.auth import HTTPBasicAuth
from urllib3.exceptions import NewConnectionError

from monai_chexmask_u.dicom.archive.credentials import PASSWORD_VARIABLE, TOKEN_VARIABLE, USER_VARIABLE
from monai_chexmask_u.dicom.archive.failures import ArchiveError, ArchiveUnusable, TryLater
from monai_chexmask_u.dicom.archive.settings import DicomwebArchive

__all__ = ["failures_explained", "open_session", "wrong_address"]

_OVERLOADED = (429, 503)


@contextmanager
def open_session(archive: DicomwebArchive) -> Iterator[requests.Session]:
    """Open a session that carries the credentials and checks the certificate."""
    with requests.Session() as session:
        # Neither ~/.netrc nor variables of other programs may change credentials, certificates or the way.
        session.trust_env = False
        # Whoever redirects would get the patient's data, and perhaps the credentials.
        session.max_redirects = 0
        credentials, tls = archive.credentials, archive.tls
        if credentials.token:
            session.headers["Authorization"] = f"Bearer {credentials.token}"
        elif credentials.user:
            session.auth = HTTPBasicAuth(credentials.user.encode(), credentials.password.encode())
        session.verify = str(tls.ca_file) if tls.ca_file else True
        if tls.certificate:
            session.cert = (str(tls.certificate), str(tls.key)) if tls.key else str(tls.certificate)
        yield session


@contextmanager
def failures_explained(archive: DicomwebArchive) -> Iterator[None]:
    """Turn the errors of an HTTP library into those of this package. Theirs quote addresses with queries in them.

    Raises:
        ArchiveUnusable: if a person has to change something.
        TryLater: if it may pass.
    """
    try:
        yield
    except requests.HTTPError as error:
        if error.response is None:
            raise
        raise _of_answer(error.response, archive) from None
    except requests.TooManyRedirects:
        message = "the archive redirects to another address, which is not followed; give the final one"
        raise ArchiveUnusable(f"{archive.name}: {message}") from None
    except requests.exceptions.InvalidJSONError:
        raise wrong_address(archive) from None
    except requests.exceptions.SSLError as error:
        raise _of_tls(error, archive) from None
    except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError):
        raise TryLater(f"{archive.name}: the archive broke off in the middle of a transfer; try again") from None
    except requests.RequestException as error:
        raise _of_connection(error, archive) from None


def wrong_address(archive: DicomwebArchive) -> ArchiveUnusable:
    """Return the error for a server that is no DICOMweb service, or not there."""
    message = "there is no DICOMweb service at this address; check it (Orthanc's ends with /dicom-web)"
    return ArchiveUnusable(f"{archive.name}: {message}")


def _of_answer(response: requests.Response, archive: DicomwebArchive) -> ArchiveError:
    code = response.status_code
    if code == 401:
        if not archive.credentials:
            variables = f"{USER_VARIABLE} and {PASSWORD_VARIABLE}, or {TOKEN_VARIABLE}"
            return ArchiveUnusable(f"{archive.name}: the archive asks for credentials (401); set {variables}")
        return ArchiveUnusable(f"{archive.name}: the archive does not accept the credentials (401); check them")
    if code == 403:
        message = "the archive does not allow this (403); ask its administrator for the right to do it"
        return ArchiveUnusable(f"{archive.name}: {message}")
    if code in (404, 405):
        return wrong_address(archive)
    if code in _OVERLOADED:
        message = f"the archive cannot answer now ({code}); try again later"
        return TryLater(f"{archive.name}: {message}", unreachable=True, retry_after_s=_retry_after_s(response))
    if code == 408 or (code >= 500 and code != 501):
        return TryLater(
            f"{archive.name}: the archive failed ({code}); see its log", retry_after_s=_retry_after_s(response)
        )
    return ArchiveUnusable(f"{archive.name}: the archive does not take such requests ({code})")


def _of_tls(error: requests.exceptions.SSLError, archive: DicomwebArchive) -> ArchiveUnusable:
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error)):
        message = "the archive's certificate is not trusted; name its authority's file with --ca-file"
    else:
        message = "no TLS connection; check that the archive speaks https here, and whether it wants a certificate"
    return ArchiveUnusable(f"{archive.name}: {message}")


def _of_connection(error: requests.RequestException, archive: DicomwebArchive) -> TryLater:
    """Tell an archive that is not there from one that stumbles, perhaps over what it was sent."""
    if isinstance(error, requests.ConnectTimeout) or any(
        isinstance(each, NewConnectionError) for each in _causes(error)
    ):
        message = "the archive cannot be reached; check the address, the network and that it runs"
        return TryLater(f"{archive.name}: {message}", unreachable=True)
    if isinstance(error, requests.Timeout):
        return TryLater(f"{archive.name}: the archive does not answer in time; check that it runs well")
    return TryLater(f"{archive.name}: the archive broke off the connection; see its log")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it wraps: libraries keep that in one of three places."""
    yield error
    for inner in (error.__cause__ or error.__context__, getattr(error, "reason", None), *error.args):
        if isinstance(inner, BaseException):
            yield from _causes(inner)


def _retry_after_s(response: requests.Response) -> float | None:
    """Return the seconds that an archive asks to wait: it gives a number or a date (RFC 9110, 10.2.3)."""
    value = response.headers.get("Retry-After", "")
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=timezone.utc)
    return max(0.0, (date - datetime.now(timezone.utc)).total_seconds())
