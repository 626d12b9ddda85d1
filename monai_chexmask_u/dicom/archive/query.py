"""Which studies, series and instances an archive has (QIDO-RS, PS3.18, 10.6)."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any, Final
from urllib.parse import quote, urlencode

import requests

from monai_chexmask_u.dicom.archive.failures import ArchiveUnusable
from monai_chexmask_u.dicom.archive.objects import is_uid
from monai_chexmask_u.dicom.archive.retry import Backoff
from monai_chexmask_u.dicom.archive.settings import DicomwebArchive
from monai_chexmask_u.dicom.archive.web_session import failures_explained, wrong_address

__all__ = ["Query"]

_ACCESSION_NUMBER: Final = "00080050"
_MODALITY: Final = "00080060"
_STUDY: Final = "0020000D"
_SERIES: Final = "0020000E"
_INSTANCE: Final = "00080018"

Item = dict[str, Any]


class Query:
    """Asks an archive what it has.

    All methods raise `ArchiveUnusable` or `TryLater` if the archive cannot be asked.

    Args:
        archive: whom to ask.
        session: an open one.
        backoff: how often to ask.
    """

    def __init__(self, archive: DicomwebArchive, session: requests.Session, backoff: Backoff) -> None:
        """Keep whom to ask, and how."""
        self._archive = archive
        self._session = session
        self._backoff = backoff

    def study(self, *, study_uid: str | None = None, accession_number: str | None = None) -> str:
        """Return the Study Instance UID of the one study that is meant.

        Args:
            study_uid: its Study Instance UID.
            accession_number: or its accession number.

        Raises:
            ArchiveUnusable: if there is no such study, or several have the accession number.
            ValueError: if none or both are given, or they hold what would match other studies.
        """
        tag, words = (_STUDY, "this Study Instance UID") if study_uid else (_ACCESSION_NUMBER, "this accession number")
        value = study_uid or accession_number
        if not value or (study_uid and accession_number):
            raise ValueError("a study is chosen by its Study Instance UID or by its accession number")
        if any(character in value for character in "*?\\,") or (study_uid and not is_uid(value)):
            raise ValueError(f"{words} cannot be: it holds characters that none has; wildcards are not allowed")
        found = self._all("studies", _STUDY, {tag: value})
        # Archives that do not know a filter leave it out: then there are the studies of other patients among them.
        studies = {_text(item, _STUDY) for item in found if _text(item, tag).strip() == value.strip()}
        if len(studies) != 1:
            count, advice = ("no study", "check it") if not studies else (f"{len(studies)} studies", "use the UID")
            raise ArchiveUnusable(f"{self._archive.name}: {count} with {words} in the archive; {advice}")
        return studies.pop()

    def series(self, study_uid: str, modalities: Collection[str]) -> list[str]:
        """Return the Series Instance UIDs of a study's series of some modalities.

        Raises:
            ArchiveUnusable: if it has none.
        """
        found = self._all(f"studies/{study_uid}/series", _SERIES)
        chosen = [_text(item, _SERIES) for item in found if _text(item, _MODALITY) in modalities]
        if not chosen:
            others = ", ".join(sorted({_text(item, _MODALITY) for item in found} - {""})) or "none"
            message = f"the study has no series of modality {', '.join(modalities)} (it has: {others})"
            raise ArchiveUnusable(f"{self._archive.name}: {message}")
        return chosen

    def instances(self, study_uid: str, series_uid: str) -> list[str]:
        """Return the SOP Instance UIDs of a series."""
        found = self._all(f"studies/{study_uid}/series/{series_uid}/instances", _INSTANCE)
        return [_text(item, _INSTANCE) for item in found]

    def series_of_modality(self, modality: str) -> dict[str, str]:
        """Return the Study Instance UIDs of all series of a modality in the archive, by their Series Instance UIDs."""
        found = self._all("series", _SERIES, {_MODALITY: modality})
        # Archives that do not know a filter leave it out.
        return {_text(item, _SERIES): _study_of(item) for item in found if _text(item, _MODALITY) == modality}

    def study_of_series(self, series_uid: str) -> str:
        """Return the Study Instance UID of a series.

        Raises:
            ArchiveUnusable: if there is no such series.
            ValueError: if this is no UID.
        """
        if not is_uid(series_uid):
            raise ValueError("a series is named by its Series Instance UID, digits and dots")
        found = self._all("series", _SERIES, {_SERIES: series_uid})
        studies = {_study_of(item) for item in found if _text(item, _SERIES) == series_uid} - {""}
        if len(studies) != 1:
            raise ArchiveUnusable(f"{self._archive.name}: the archive does not have the series {series_uid}")
        return studies.pop()

    def metadata(self, study_uid: str, series_uid: str) -> list[Item]:
        """Return the headers of a series' instances in DICOM JSON (PS3.18, 10.4.1.1.2)."""
        portion = self._backoff.run(partial(self._ask, f"studies/{study_uid}/series/{series_uid}/metadata", _INSTANCE))
        return list(portion.values())

    def _all(self, path: str, level: str, filters: dict[str, str] | None = None) -> list[Item]:
        """Return all results of a search: an archive may give them in portions."""
        found: dict[str, Item] = {}
        while True:
            parameters = (filters or {}) | ({"offset": str(len(found))} if found else {})
            portion = self._backoff.run(partial(self._ask, path, level, parameters))
            new = {uid: item for uid, item in portion.items() if uid not in found}
            if not new:  # archives that know no offset begin again
                return list(found.values())
            found |= new

    def _ask(self, path: str, level: str, parameters: dict[str, str] | None = None) -> dict[str, Item]:
        """Return one portion, by the UIDs of its level."""
        # Orthanc's plug-in 1.7 decodes nothing: what may stand as it is (RFC 3986, 3.4) does. A plus would be a space.
        query = urlencode(parameters or {}, safe="/:@!$'()*;", quote_via=quote)
        timeouts = (self._archive.timeouts.connect_s, self._archive.timeouts.answer_s)
        with failures_explained(self._archive):
            response = self._session.get(
                f"{self._archive.url}/{path}",
                params=query,
                headers={"Accept": "application/dicom+json"},
                timeout=timeouts,
            )
            response.raise_for_status()
            items = response.json() if response.content else []
        # Orthanc's other interface has /studies, too, and answers with something else than DICOM JSON.
        if not isinstance(items, list) or not all(_is_item(item) for item in items):
            raise wrong_address(self._archive)
        named = {_text(item, level): item for item in items}
        if not all(is_uid(uid) for uid in named):  # they become names of files
            raise wrong_address(self._archive)
        return named


def _is_item(item: Any) -> bool:
    """Tell whether this is DICOM JSON, as far as it is looked at here."""
    if not isinstance(item, dict):
        return False
    attributes = [item[tag] for tag in (_ACCESSION_NUMBER, _MODALITY, _STUDY, _SERIES, _INSTANCE) if tag in item]
    return all(isinstance(each, dict) and isinstance(each.get("Value") or [], list) for each in attributes)


def _study_of(item: Item) -> str:
    """Return the study that an archive says a series is of, or nothing if that is no UID."""
    study = _text(item, _STUDY)
    return study if is_uid(study) else ""


def _text(item: Item, tag: str) -> str:
    """Return the first value of an attribute in DICOM JSON (PS3.18, annex F)."""
    values = item.get(tag, {}).get("Value") or [""]
    return str(values[0] or "")
