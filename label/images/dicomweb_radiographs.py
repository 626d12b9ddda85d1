"""The chest radiographs of a DICOMweb archive as files: which there are, which image of a series it is, and labels."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from label.images.sweep import sweep_cache
from monai_chexmask_u.archive.objects import read_dicom_file
from monai_chexmask_u.archive.query import Query
from monai_chexmask_u.archive.retrieve import retrieve_instance
from monai_chexmask_u.archive.settings import DicomwebArchive
from monai_chexmask_u.archive.stow import StowSender
from monai_chexmask_u.archive.waiting import Backoff
from monai_chexmask_u.archive.web_session import open_session
from monai_chexmask_u.dicom.seg.annotation import AnnotationFacts, annotation_facts
from monai_chexmask_u.files.atomic import atomic_path
from monai_chexmask_u.files.leftovers import partial_folder
from monai_chexmask_u.radiograph import RadiographError
from monai_chexmask_u.reading import read_radiograph

__all__ = ["ArchiveAnnotation", "ArchiveRadiographs"]

# A person waits for the answer: an error that does not pass within seconds is reported.
_PATIENCE: Final = Backoff(attempts=2)
_MOST_IMAGES: Final = 32  # of a series; no radiograph has as many views


@dataclass(frozen=True)
class ArchiveAnnotation:
    """A label in the archive: the series that holds it, its study, and what it is of."""

    series_uid: str
    study_uid: str
    facts: AnnotationFacts


class ArchiveRadiographs:
    """Fetches radiographs and their labels once, and stores new labels.

    A radiograph is a series, as in MONAI Label; its file is named after the Series Instance UID. Every file is there
    whole or not at all. Why a series holds no radiograph is remembered as long as its images stay the same.

    Methods that ask the archive raise `ArchiveError`.

    Args:
        archive: where the radiographs are.
        folder: for the files; exists.
        modalities: of the series that may be radiographs.
    """

    def __init__(self, archive: DicomwebArchive, folder: Path, modalities: tuple[str, ...]) -> None:
        """Start without asking the archive, which may not be there yet."""
        self._archive = archive
        self._folder = folder
        self._refusals = folder / "refused"
        self._refusals.mkdir(exist_ok=True)
        sweep_cache(folder)
        self._modalities = modalities
        self._annotations: dict[str, AnnotationFacts | None] = {}

    def series(self) -> dict[str, str]:
        """Return the Study Instance UIDs of the series that may be radiographs, by their Series Instance UIDs."""
        with self._query() as query:
            found: dict[str, str] = {}
            for modality in self._modalities:  # a query holds one value (PS3.4, C.2.2.2)
                found |= query.series_of_modality(modality)
        return found

    def path(self, series_uid: str) -> Path:
        """Return the radiograph's file, which may not be there yet."""
        return self._folder / f"{series_uid}.dcm"

    def fetch(self, series_uid: str, study_uid: str) -> Path:
        """Return the file of a series' one frontal chest radiograph; it is fetched if it is not there.

        Raises:
            RadiographError: if the series holds none, or ``ambiguous_series`` if it holds several.
        """
        path = self.path(series_uid)
        if path.is_file():
            return path
        with self._query() as query:
            images = sorted(query.instances(study_uid, series_uid))
        self._raise_known_refusal(series_uid, images)
        with partial_folder(self._folder) as temporary:
            try:
                radiograph = self._select(study_uid, series_uid, images, temporary)
            except RadiographError as refusal:
                self._remember(series_uid, images, refusal)
                raise
            radiograph.replace(path)
        return path

    def is_refused(self, series_uid: str) -> bool:
        """Tell whether a series was fetched and holds no radiograph to work on."""
        return self._refusal_path(series_uid).is_file()

    def forget(self, present: Mapping[str, str]) -> None:
        """Remove what was kept of series that the archive no longer has."""
        for path in [*self._folder.glob("*.dcm"), *self._refusals.glob("*.json")]:
            if path.stem not in present:
                path.unlink(missing_ok=True)

    def annotations(self, radiographs: Mapping[str, str]) -> dict[str, ArchiveAnnotation]:
        """Return the latest label in the archive of each radiograph that has one.

        Segmentations by a model are no labels, nor are those that this project's application sent there.

        Args:
            radiographs: Study Instance UIDs by Series Instance UIDs, from `series`.
        """
        studies = set(radiographs.values())
        latest: dict[str, ArchiveAnnotation] = {}
        with self._query() as query:
            for series_uid, study_uid in query.series_of_modality("SEG").items():
                if study_uid not in studies:
                    continue
                if series_uid not in self._annotations:  # a series with a UID does not change
                    self._annotations[series_uid] = annotation_facts(query.metadata(study_uid, series_uid))
                facts = self._annotations[series_uid]
                if facts is None or radiographs.get(facts.image_series_uid) != study_uid:
                    continue
                known = latest.get(facts.image_series_uid)
                if known is None or known.facts.written < facts.written:
                    latest[facts.image_series_uid] = ArchiveAnnotation(series_uid, study_uid, facts)
        return latest

    def fetch_annotation(self, annotation: ArchiveAnnotation, path: Path) -> None:
        """Write a label's DICOM file."""
        with self._query() as query, open_session(self._archive) as session:
            for uid in query.instances(annotation.study_uid, annotation.series_uid):
                retrieve_instance(self._archive, session, annotation.study_uid, annotation.series_uid, uid, path)

    def store(self, path: Path) -> None:
        """Send a DICOM file to the archive; return once it has confirmed it."""
        StowSender(self._archive).send(read_dicom_file(path))

    @contextmanager
    def _query(self) -> Iterator[Query]:
        with open_session(self._archive) as session:
            yield Query(self._archive, session, _PATIENCE)

    def _select(self, study_uid: str, series_uid: str, images: list[str], folder: Path) -> Path:
        if len(images) > _MOST_IMAGES:
            raise RadiographError(
                "ambiguous_series", f"the series {series_uid} holds more images than a radiograph has views"
            )
        radiographs: list[Path] = []
        refusals: list[RadiographError] = []
        with open_session(self._archive) as session:
            for uid in images:
                path = folder / f"{uid}.dcm"
                retrieve_instance(self._archive, session, study_uid, series_uid, uid, path)
                try:
                    read_radiograph(path)
                    radiographs.append(path)
                except RadiographError as refusal:
                    refusals.append(refusal)
        if len(radiographs) > 1:
            message = f"the series {series_uid} holds {len(radiographs)} frontal chest radiographs; give each its own"
            raise RadiographError("ambiguous_series", message)
        if not radiographs:
            code, cause = (refusals[0].code, str(refusals[0])) if refusals else ("no_pixels", "it holds no image")
            raise RadiographError(code, f"the series {series_uid} holds no frontal chest radiograph: {cause}")
        return radiographs[0]

    def _refusal_path(self, series_uid: str) -> Path:
        return self._refusals / f"{series_uid}.json"

    def _remember(self, series_uid: str, images: list[str], refusal: RadiographError) -> None:
        with atomic_path(self._refusal_path(series_uid)) as temporary:
            record = {"images": images, "code": refusal.code, "message": str(refusal)}
            temporary.write_text(json.dumps(record), encoding="utf-8")

    def _raise_known_refusal(self, series_uid: str, images: list[str]) -> None:
        path = self._refusal_path(series_uid)
        if not path.is_file():
            return
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["images"] == images:
            raise RadiographError(record["code"], record["message"])
        path.unlink(missing_ok=True)
