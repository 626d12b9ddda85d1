"""Which archive a study comes from and where results go: options, and the section ``archive`` of the configuration.

Secrets are in neither: they come from the environment, or from files that an option names.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, get_type_hints

from monai_chexmask_u.archive.fetch import MODALITIES
from monai_chexmask_u.archive.options import ArchiveOptions
from monai_chexmask_u.archive.settings import DicomwebArchive, DimseNode
from monai_chexmask_u.archive.waiting import Backoff

__all__ = ["ARCHIVE_KEYS", "ArchiveSettings", "add_archive_options", "archive_settings"]

# A container cannot be given arguments easily: which study is to be fetched may stand in its environment.
STUDY_VARIABLE: Final = "CHEXMASK_U_STUDY"
ACCESSION_VARIABLE: Final = "CHEXMASK_U_ACCESSION"

# Types of the options that the command line has as well, by their keys.
_SHARED: Final = {name.replace("_", "-"): kind for name, kind in get_type_hints(ArchiveOptions).items()}
ARCHIVE_KEYS: Final = ("fetch-from", "study", "accession", "modality", "send-to", "outbox", *_SHARED)


@dataclass(frozen=True)
class ArchiveSettings:
    """Where the study comes from and where the results go.

    Attributes:
        source: the archive to fetch from, or None for a folder.
        study_uid: Study Instance UID of the study to fetch.
        accession_number: or its accession number.
        modalities: of the series to fetch.
        target: the archive to send to, or None.
        outbox: where results wait until it has confirmed them; by default a folder in the output folder.
        backoff: how often to try what may pass.
    """

    source: DicomwebArchive | None = None
    study_uid: str | None = None
    accession_number: str | None = None
    modalities: tuple[str, ...] = MODALITIES
    target: DicomwebArchive | DimseNode | None = None
    outbox: Path | None = None
    backoff: Backoff = field(default_factory=Backoff)


def add_archive_options(parser: argparse.ArgumentParser) -> None:
    """Add an option for each of the keys."""
    for key in ARCHIVE_KEYS:
        if _SHARED.get(key) is bool:
            parser.add_argument(f"--{key}", action="store_true", default=None)
        else:
            parser.add_argument(f"--{key}", action="append" if key == "modality" else "store")


def archive_settings(options: argparse.Namespace, section: Mapping[str, Any]) -> ArchiveSettings:
    """Return the settings; an option comes before the same key of the configuration.

    Raises:
        ValueError: if an address, a file or the credentials cannot be used, or something is missing.
    """
    chosen = {key: getattr(options, key.replace("-", "_")) for key in ARCHIVE_KEYS}
    values = {key: section.get(key) if value is None else value for key, value in chosen.items()}
    shared = {key: _converted(key, values[key]) for key in _SHARED if values[key] is not None}
    reached = ArchiveOptions(**{key.replace("-", "_"): value for key, value in shared.items()})
    source, target = values["fetch-from"], str(values["send-to"] or "")
    environment = {"study": os.environ.get(STUDY_VARIABLE), "accession": os.environ.get(ACCESSION_VARIABLE)}
    study, accession = _study(chosen, section, environment)
    if source and not (study or accession):
        raise ValueError(f"--fetch-from needs --study UID or --accession NUMBER (or {STUDY_VARIABLE})")
    return ArchiveSettings(
        source=reached.dicomweb(str(source)) if source else None,
        study_uid=study,
        accession_number=accession,
        modalities=_modalities(values["modality"]),
        target=None if not target else reached.dicomweb(target) if "://" in target else reached.node(target),
        outbox=Path(str(values["outbox"])) if values["outbox"] else None,
        backoff=reached.backoff(),
    )


def _converted(key: str, value: Any) -> Any:
    """Return a value of the configuration or the command line as the option's type."""
    kind = _SHARED[key]
    if kind is bool:
        if not isinstance(value, bool):
            raise ValueError(f"archive, {key}: must be true or false")
        return value
    if kind not in (int, float):
        return str(value) if kind is str else Path(str(value)) if value else None
    try:
        number = float(str(value))
    except ValueError:
        raise ValueError(f"archive, {key}: must be a number") from None
    if kind is int and not (number >= 1 and number.is_integer()):
        raise ValueError(f"archive, {key}: must be a whole number from 1")
    return kind(number)


def _modalities(value: Any) -> tuple[str, ...]:
    """Return the modalities: an option that is given several times, or a list or one name in the configuration."""
    return tuple(map(str, value if isinstance(value, list) else [value])) if value else MODALITIES


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
