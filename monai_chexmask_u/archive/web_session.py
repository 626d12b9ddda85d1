"""HTTP to a DICOMweb service: one set-up and one set of words for what goes wrong, whatever is asked."""

from __future__ import annotations

import ssl
from collections.abc import Container, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final

import requests
from requests.auth import HTTPBasicAuth
from urllib3.exceptions import HTTPError, NewConnectionError

from monai_chexmask_u.archive.bounded_http import BLOCK_BYTES, Allowance, BoundedAdapter
from monai_chexmask_u.archive.credentials import PASSWORD_VARIABLE, TOKEN_VARIABLE, USER_VARIABLE
from monai_chexmask_u.archive.failures import ArchiveError, ArchiveUnusable, TryLater, why_not_trusted
from monai_chexmask_u.archive.settings import DicomwebArchive
from monai_chexmask_u.archive.waiting import Deadline
from monai_chexmask_u.dicom.reading.quiet import no_warnings

__all__ = ["WebSession", "open_session", "read_body", "wrong_address"]

_OVERLOADED: Final = (429, 503)
_DAY_S: Final = 86_400.0


class WebSession(requests.Session):
    """Asks one archive, with the credentials, and checks its certificate. Nothing that it answers changes what is sent.

    Args:
        archive: whom to ask.
    """

    def __init__(self, archive: DicomwebArchive) -> None:
        """Set up the session; nothing is asked yet."""
        super().__init__()
        self._archive = archive
        self._allowance = Allowance(archive.name, archive.timeouts)
        for scheme in ("http://", "https://"):
            self.mount(scheme, BoundedAdapter(self._allowance))
        # Neither ~/.netrc nor variables of other programs may change credentials, certificates or the way.
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.headers["Accept-Encoding"] = "identity"  # what is compressed may be of any size
        credentials, tls = archive.credentials, archive.tls
        if credentials.token:
            self.headers["Authorization"] = f"Bearer {credentials.token}"
        elif credentials.user:
            self.auth = HTTPBasicAuth(credentials.user.encode(), credentials.password.encode())
        self.verify = str(tls.ca_file) if tls.ca_file else True
        if tls.certificate:
            self.cert = (str(tls.certificate), str(tls.key)) if tls.key else str(tls.certificate)

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Follow nothing: the address of a redirection would get the patient's data, and perhaps the credentials."""
        return None

    @contextmanager
    def ask(
        self,
        method: str,
        path: str,
        *,
        most_bytes: int,
        deadline: Deadline | None = None,
        tolerated: Container[int] = (),
        **request: Any,
    ) -> Iterator[requests.Response]:
        """Send a request, and hand out the answer, whose body is still to be read.

        Args:
            method: such as ``GET``.
            path: below the archive's address.
            most_bytes: of the answer's body.
            deadline: for the answer with its body; by default the archive's time for an answer from now.
            tolerated: statuses of failures to hand out.
            request: what `requests.Session.request` takes.

        Raises:
            ArchiveUnusable: if a person has to change something.
            TryLater: if it may pass, also while the body is read.
        """
        timeouts = self._archive.timeouts
        deadline = deadline or Deadline(timeouts.answer_s)
        self._allowance.renew(deadline, most_bytes)
        wait_s = self._allowance.wait_s()
        with _failures_explained(self._archive):
            response = self.request(
                method,
                f"{self._archive.url}/{path}",
                stream=True,
                allow_redirects=False,
                timeout=(min(timeouts.connect_s, wait_s), wait_s),
                **request,
            )
            with response:
                _check(response, self._archive, tolerated)
                yield response


@contextmanager
def open_session(archive: DicomwebArchive) -> Iterator[WebSession]:
    """Open a session with an archive."""
    with WebSession(archive) as session:
        yield session


def read_body(response: requests.Response) -> bytes:
    """Return the body of an answer, which its request bounded."""
    body = bytearray()
    for block in response.iter_content(BLOCK_BYTES):
        body += block
    return bytes(body)


def wrong_address(archive: DicomwebArchive) -> ArchiveUnusable:
    """Return the error for a server that is no DICOMweb service, or not there."""
    message = "there is no DICOMweb service at this address; check it (Orthanc's ends with /dicom-web)"
    return ArchiveUnusable(f"{archive.name}: {message}")


@contextmanager
def _failures_explained(archive: DicomwebArchive) -> Iterator[None]:
    """Turn the errors of HTTP libraries into those of this package. Theirs quote addresses with queries in them."""
    try:
        with no_warnings("urllib3"):  # it quotes headers that it cannot read
            yield
    except requests.exceptions.SSLError as error:
        raise _of_tls(error, archive) from None
    except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError):
        raise TryLater(f"{archive.name}: the archive broke off in the middle of a transfer; try again") from None
    except (requests.RequestException, HTTPError) as error:
        raise _of_connection(error, archive) from None
    except (ArchiveError, OSError):
        raise
    except Exception:  # of many kinds, where libraries parse what is no HTTP
        message = "the archive answers with something else than HTTP; check the address, and see its log"
        raise TryLater(f"{archive.name}: {message}") from None


def _check(response: requests.Response, archive: DicomwebArchive, tolerated: Container[int]) -> None:
    code = response.status_code
    if 300 <= code < 400:
        message = "the archive redirects to another address, which is not followed; give the final one"
        raise ArchiveUnusable(f"{archive.name}: {message}")
    if not 200 <= code < 300 and code not in tolerated:
        raise _of_answer(response, archive)
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        message = "the archive compresses its answers, which was not asked for; switch that off in its settings"
        raise ArchiveUnusable(f"{archive.name}: {message}")


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
    if code == 408 or (500 <= code < 600 and code != 501):
        return TryLater(
            f"{archive.name}: the archive failed ({code}); see its log", retry_after_s=_retry_after_s(response)
        )
    return ArchiveUnusable(f"{archive.name}: the archive does not take such requests ({code})")


def _of_tls(error: requests.exceptions.SSLError, archive: DicomwebArchive) -> ArchiveUnusable:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return ArchiveUnusable(f"{archive.name}: the archive's certificate {why_not_trusted(cause)}")
    message = "no TLS connection; check that the archive speaks https here, and whether it wants a certificate"
    return ArchiveUnusable(f"{archive.name}: {message}")


def _of_connection(error: Exception, archive: DicomwebArchive) -> TryLater:
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
    """Return the seconds that an archive asks to wait, a day at most: a number or a date (RFC 9110, 10.2.3)."""
    value = response.headers.get("Retry-After", "")
    if value.isascii() and value.isdigit():
        return min(_DAY_S, float(value))
    try:
        date = parsedate_to_datetime(value)
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        return min(_DAY_S, max(0.0, (date - datetime.now(UTC)).total_seconds()))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
