"""Which archive a study comes from and where results go: options, and the section ``archive`` of the configuration.

Secrets are in neither: they come from the environment, or from files that an option names.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from monai_chexmask_u.archive.credentials import read_credentials
from monai_chexmask_u.archive.retry import Backoff
from monai_chexmask_u.archive.settings import OWN_AE_TITLE, DicomwebArchive, DimseNode, Timeouts, Tls

__all__ = ["ARCHIVE_KEYS", "ArchiveSettings", "add_archive_options", "archive_settings"]

# A container cannot be given arguments easily: which study is to be fetched may stand in its environment.
STUDY_VARIABLE: Final = "CHEXMASK_U_STUDY"
ACCESSION_VARIABLE: Final = "CHEXMASK_U_ACCESSION"

_TEXTS: Final = ("fetch-from", "study", "accession", "send-to", "own-ae-title")
_PATHS: Final = ("outbox", "password-file", "token-file", "ca-file", "certificate", "key")
_SWITCHES: Final = ("allow-plain-http", "tls")
_NUMBERS: Final = ("connect-timeout", "answer-timeout", "attempts")
ARCHIVE_KEYS: Final = (*_TEXTS, *_PATHS, *_SWITCHES, *_NUMBERS)


@dataclass(frozen=True)
class ArchiveSettings:
    """Where the study comes from and where the results go.

    Attributes:
        source: the archive to fetch from, or None for a folder.
        study_uid: Study Instance UID of the study to fetch.
        accession_number: or its accession number.
        target: the archive to send to, or None.
        outbox: where results wait until it has confirmed them; by default a folder in the output folder.
        backoff: how often to try what may pass.
    """

    source: DicomwebArchive | None = None
    study_uid: str | None = None
    accession_number: str | None = None
    target: DicomwebArchive | DimseNode | None = None
    outbox: Path | None = None
    backoff: Backoff = field(default_factory=Backoff)


def add_archive_options(parser: argparse.ArgumentParser) -> None:
    """Add an option for each of the keys."""
    for key in (*_TEXTS, *_PATHS, *_NUMBERS):
        parser.add_argument(f"--{key}")
    for key in _SWITCHES:
        parser.add_argument(f"--{key}", action="store_true", default=None)


def archive_settings(options: argparse.Namespace, section: Mapping[str, Any]) -> ArchiveSettings:
    """Return the settings; an option comes before the same key of the configuration.

    Raises:
        ValueError: if an address, a file or the credentials are of no use, or something is missing.
    """
    for key in _SWITCHES:
        if not isinstance(section.get(key, False), bool):
            raise ValueError(f"archive, {key}: must be true or false")
    chosen = {key: getattr(options, key.replace("-", "_")) for key in ARCHIVE_KEYS}
    values = {key: section.get(key) if value is None else value for key, value in chosen.items()}
    texts = {key: str(values[key]) if values[key] else None for key in _TEXTS}
    paths = {key: Path(str(values[key])) if values[key] else None for key in _PATHS}
    source, send_to = texts["fetch-from"], texts["send-to"]
    environment = {"study": os.environ.get(STUDY_VARIABLE), "accession": os.environ.get(ACCESSION_VARIABLE)}
    study, accession = _study(chosen, section, environment)
    if source and not (study or accession):
        raise ValueError(f"--fetch-from needs --study UID or --accession NUMBER (or {STUDY_VARIABLE})")
    tls = Tls(paths["ca-file"], paths["certificate"], paths["key"])
    timeouts = _timeouts(values)
    target: DicomwebArchive | DimseNode | None = None
    if send_to and "://" in send_to:
        target = _dicomweb(send_to, values, paths, tls, timeouts)
    elif send_to:
        with_tls = bool(values["tls"] or paths["ca-file"] or paths["certificate"])
        own_ae_title = texts["own-ae-title"] or OWN_AE_TITLE
        own_tls = tls if with_tls else None
        target = DimseNode.parse(send_to, own_ae_title=own_ae_title, tls=own_tls, timeouts=timeouts)
    return ArchiveSettings(
        source=_dicomweb(source, values, paths, tls, timeouts) if source else None,
        study_uid=study,
        accession_number=accession,
        target=target,
        outbox=paths["outbox"],
        backoff=_backoff(values),
    )


def _timeouts(values: Mapping[str, Any]) -> Timeouts:
    usual = Timeouts()
    return Timeouts(
        _number(values, "connect-timeout", usual.connect_s), _number(values, "answer-timeout", usual.answer_s)
    )


def _backoff(values: Mapping[str, Any]) -> Backoff:
    attempts = _number(values, "attempts", Backoff().attempts)
    if not (attempts >= 1 and float(attempts).is_integer()):
        raise ValueError("archive, attempts: must be a whole number from 1")
    return Backoff(int(attempts))


def _number(values: Mapping[str, Any], key: str, default: float) -> float:
    try:
        return default if values[key] is None else float(str(values[key]))
    except ValueError:
        raise ValueError(f"archive, {key}: must be a number") from None


def _study(*places: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return study and accession number from the first place that has one of them: one place, one study.

    A variable that was left over must not stand against what somebody asked for.
    """
    for place in places:
        study, accession = (str(place[key]) if place.get(key) else None for key in ("study", "accession"))
        if study and accession:
            raise ValueError("a study is named both by its UID and by an accession number: give one of them")
        if study or accession:
            return study, accession
    return None, None


def _dicomweb(
    url: str, values: Mapping[str, Any], paths: Mapping[str, Path | None], tls: Tls, timeouts: Timeouts
) -> DicomwebArchive:
    credentials = read_credentials(os.environ, password_file=paths["password-file"], token_file=paths["token-file"])
    return DicomwebArchive(url, credentials, tls, timeouts, allow_plain_http=bool(values["allow-plain-http"]))
