"""Which studies, series and instances an archive has (QIDO-RS, PS3.18, 10.6)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from urllib.parse import quote, urlencode

from monai_chexmask_u.archive.dicom_json import MOST_ANSWER_BYTES, Item, items_of, text_of
from monai_chexmask_u.archive.failures import ArchiveUnusable
from monai_chexmask_u.archive.objects import is_uid
from monai_chexmask_u.archive.settings import DicomwebArchive
from monai_chexmask_u.archive.waiting import Backoff, Deadline
from monai_chexmask_u.archive.web_session import WebSession, read_body, wrong_address

__all__ = ["FoundStudy", "Query"]

_ACCESSION_NUMBER: Final = "00080050"
_MODALITY: Final = "00080060"
_PATIENT_ID: Final = "00100020"
_ISSUER: Final = "00100021"
_STUDY: Final = "0020000D"
_SERIES: Final = "0020000E"
_INSTANCE: Final = "00080018"
_LOOKED_AT: Final = (_ACCESSION_NUMBER, _MODALITY, _PATIENT_ID, _ISSUER, _STUDY, _SERIES, _INSTANCE)

_MOST_PAGES: Final = 1000
_MOST_RESULTS: Final = 10_000  # in a study
_MOST_SERIES: Final = 100_000  # in an archive
_CODE_STRING: Final = re.compile(r"[A-Z0-9_ ]{1,16}")  # PS3.5, 6.2
# No accession number has these: the first would match several, the others break what they are put in.
_FORBIDDEN: Final = "*?\\,"


@dataclass(frozen=True)
class FoundStudy:
    """The study that was meant. What would identify the patient is shown nowhere.

    Attributes:
        uid: Study Instance UID.
        accession_number: by which it was found; None if it was found by its UID.
        patient_id: whose it is, as far as the archive tells.
        issuer_of_patient_id: who gave the patient that identifier.
    """

    uid: str
    accession_number: str | None = field(default=None, repr=False)
    patient_id: str = field(default="", repr=False)
    issuer_of_patient_id: str = field(default="", repr=False)


class Query:
    """Asks an archive what it has. What it answers without having been asked for it, is no answer.

    All methods raise `ArchiveUnusable` or `TryLater` if the archive cannot be asked.

    Args:
        archive: whom to ask.
        session: an open one.
        backoff: how often to ask.
    """

    def __init__(self, archive: DicomwebArchive, session: WebSession, backoff: Backoff) -> None:
        """Keep whom to ask, and how."""
        self._archive = archive
        self._session = session
        self._backoff = backoff

    def study(self, *, study_uid: str | None = None, accession_number: str | None = None) -> FoundStudy:
        """Return the one study that is meant.

        Args:
            study_uid: its Study Instance UID.
            accession_number: or its accession number.

        Raises:
            ArchiveUnusable: if there is no such study, or several have the accession number.
            ValueError: if none or both are given, or they hold what would match other studies.
        """
        tag, words = (_STUDY, "this Study Instance UID") if study_uid else (_ACCESSION_NUMBER, "this accession number")
        value = (study_uid or accession_number or "").strip()
        if not value or (study_uid and accession_number):
            raise ValueError("a study is chosen by its Study Instance UID or by its accession number")
        if not value.isprintable() or set(_FORBIDDEN) & set(value) or (study_uid and not is_uid(value)):
            raise ValueError(f"{words} cannot be: it holds characters that none has; wildcards are not allowed")
        found = self._all("studies", _STUDY, {tag: value})
        # Archives that do not know a filter leave it out: then there are the studies of other patients among them.
        studies = [item for item in found if text_of(item, tag).strip() == value]
        if len(studies) != 1:
            count, advice = ("no study", "check it") if not studies else (f"{len(studies)} studies", "use the UID")
            raise ArchiveUnusable(f"{self._archive.name}: {count} with {words} in the archive; {advice}")
        uid, patient, issuer = (text_of(studies[0], each).strip() for each in (_STUDY, _PATIENT_ID, _ISSUER))
        return FoundStudy(uid, None if study_uid else value, patient, issuer)

    def series(self, study_uid: str, modalities: Collection[str]) -> list[str]:
        """Return the Series Instance UIDs of a study's series of some modalities.

        Raises:
            ArchiveUnusable: if it has none, or the archive lists series of another study.
            ValueError: if a modality is none.
        """
        if not modalities or not all(_CODE_STRING.fullmatch(each) for each in modalities):
            raise ValueError("a modality is a code of up to 16 capital letters and digits, as in CR")
        found = self._all(f"studies/{study_uid}/series", _SERIES, above={_STUDY: study_uid})
        chosen = [text_of(item, _SERIES) for item in found if _modality(item) in modalities]
        if not chosen:
            # A code of the standard's form tells nothing of a patient; anything else may.
            others = {modality for modality in map(_modality, found) if _CODE_STRING.fullmatch(modality)}
            words = ", ".join(sorted(others)[:10]) or "none"
            message = f"the study has no series of modality {', '.join(modalities)} (it has: {words})"
            raise ArchiveUnusable(f"{self._archive.name}: {message}")
        return chosen

    def instances(self, study_uid: str, series_uid: str) -> list[str]:
        """Return the SOP Instance UIDs of a series.

        Raises:
            ArchiveUnusable: if the archive lists instances of another study or series.
        """
        path = f"studies/{study_uid}/series/{series_uid}/instances"
        found = self._all(path, _INSTANCE, above={_STUDY: study_uid, _SERIES: series_uid})
        return [text_of(item, _INSTANCE) for item in found]

    def series_of_modality(self, modality: str) -> dict[str, str]:
        """Return the Study Instance UIDs of all series of a modality in the archive, by their Series Instance UIDs."""
        found = self._all("series", _SERIES, {_MODALITY: modality}, most=_MOST_SERIES)
        # Archives that do not know a filter leave it out.
        return {text_of(item, _SERIES): _study_of(item) for item in found if _modality(item) == modality}

    def study_of_series(self, series_uid: str) -> str:
        """Return the Study Instance UID of a series.

        Raises:
            ArchiveUnusable: if there is no such series.
            ValueError: if this is no UID.
        """
        if not is_uid(series_uid):
            raise ValueError("a series is named by its Series Instance UID, digits and dots")
        found = self._all("series", _SERIES, {_SERIES: series_uid})
        studies = {_study_of(item) for item in found if text_of(item, _SERIES) == series_uid} - {""}
        if len(studies) != 1:
            raise ArchiveUnusable(f"{self._archive.name}: the archive does not have the series {series_uid}")
        return studies.pop()

    def metadata(self, study_uid: str, series_uid: str) -> list[Item]:
        """Return the headers of a series' instances in DICOM JSON (PS3.18, 10.4.1.1.2)."""
        deadline = Deadline(self._archive.timeouts.answer_s)
        ask = self._asking(f"studies/{study_uid}/series/{series_uid}/metadata", _INSTANCE, {}, deadline, _MOST_RESULTS)
        return list(self._backoff.run(ask, deadline).values())

    def _all(
        self,
        path: str,
        level: str,
        filters: dict[str, str] | None = None,
        *,
        above: dict[str, str] | None = None,
        most: int | None = None,
    ) -> list[Item]:
        """Return all results of a search: an archive may give them in pages, for which there is one time in all.

        Args:
            path: below the archive's address.
            level: attribute that tells the results apart.
            filters: what to match.
            above: attributes that all results share, where the archive gives them.
            most: results; None for as many as a study may have.
        """
        most = most or _MOST_RESULTS
        deadline = Deadline(self._archive.timeouts.answer_s)
        found: dict[str, Item] = {}
        for _ in range(_MOST_PAGES):
            parameters = (filters or {}) | ({"offset": str(len(found))} if found else {})
            page = self._backoff.run(self._asking(path, level, parameters, deadline, most), deadline)
            new = {uid: item for uid, item in page.items() if uid not in found}
            if not new:  # archives that know no offset begin again
                return list(found.values())
            if not all(text_of(item, tag) in ("", uid) for item in new.values() for tag, uid in (above or {}).items()):
                message = "the archive lists what belongs to another study or series than was asked for; see its log"
                raise ArchiveUnusable(f"{self._archive.name}: {message}")
            found |= new
            if len(found) > most:
                break
        message = f"the archive's list does not end within {most:,} results on {_MOST_PAGES:,} pages"
        raise ArchiveUnusable(f"{self._archive.name}: {message}; see its log")

    def _asking(
        self, path: str, level: str, parameters: dict[str, str], deadline: Deadline, most: int
    ) -> Callable[[], dict[str, Item]]:
        return partial(self._ask, path, level, parameters, deadline, most)

    def _ask(self, path: str, level: str, parameters: dict[str, str], deadline: Deadline, most: int) -> dict[str, Item]:
        """Return one page, by the UIDs of its level."""
        # Orthanc's plug-in 1.7 decodes nothing: what may stand as it is (RFC 3986, 3.4) does. A plus would be a space.
        query = urlencode(parameters, safe="/:@!$'()*;", quote_via=quote)
        headers = {"Accept": "application/dicom+json"}
        with self._session.ask(
            "GET", path, most_bytes=MOST_ANSWER_BYTES, deadline=deadline, params=query, headers=headers
        ) as response:
            body = read_body(response)
        try:
            items = items_of(body, most=most)
        except ValueError as error:
            raise ArchiveUnusable(f"{wrong_address(self._archive)}; its answer cannot be used: {error}") from None
        named: dict[str, Item] = {}
        for item in items:
            uid = text_of(item, level)
            broken = any(not isinstance(item.get(tag, {}), dict) for tag in _LOOKED_AT)
            if broken or not is_uid(uid):  # they become names of files; Orthanc's other interface has /studies, too
                raise wrong_address(self._archive)
            if _facts(named.setdefault(uid, item)) != _facts(item):
                raise ArchiveUnusable(f"{self._archive.name}: the archive says two things of one object; see its log")
        return named


def _facts(item: Item) -> list[str]:
    return [text_of(item, tag) for tag in _LOOKED_AT]


def _modality(item: Item) -> str:
    return text_of(item, _MODALITY).strip()


def _study_of(item: Item) -> str:
    """Return the study that an archive says a series is of, or nothing if that is no UID."""
    study = text_of(item, _STUDY)
    return study if is_uid(study) else ""
