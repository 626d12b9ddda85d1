"""A DICOMweb archive with one study, which answers as an archive does, but for what a test changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import UID
from support.samples.dicom import make_cr
from support.servers.archive_servers import Answer, Request

__all__ = ["ACCESSION", "STUDY", "StudyArchive", "dicom_bytes", "listed", "make_object"]

STUDY: Final = "1.2.826.0.1"
ACCESSION: Final = "A1"
SERIES: Final = {f"{STUDY}.1": "DX", f"{STUDY}.2": "SR", f"{STUDY}.3": "CR"}

QIDO_KEYWORDS: Final = (
    *("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"),
    *("AccessionNumber", "Modality", "PatientID", "IssuerOfPatientID"),
)


def make_object(number: int, *, series: str = f"{STUDY}.1", modality: str = "DX") -> FileDataset:
    """Make a small object of the study."""
    dataset = make_cr(rows=8, columns=8)
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = STUDY, series
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(f"{series}.{number}")
    dataset.AccessionNumber, dataset.Modality = ACCESSION, modality
    dataset.IssuerOfPatientID = "HOSPITAL"
    return dataset


def dicom_bytes(dataset: FileDataset) -> bytes:
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def listed(dataset: Dataset, keywords: tuple[str, ...] = QIDO_KEYWORDS) -> dict[str, Any]:
    """Return what a search says of an object, in DICOM JSON."""
    item: dict[str, Any] = Dataset({}).to_json_dict()
    for keyword in keywords:
        if keyword in dataset:
            element = dataset[keyword]
            item[f"{element.tag:08X}"] = {"vr": element.VR, "Value": [str(element.value)]}
    return item


class StudyArchive:
    """Answers requests for one study of three series with two objects each.

    Attributes:
        objects: by their UIDs as listed.
        list_change: what becomes of each item of a search, by the last word of its path.
        breaks_off: how often the second object breaks off.
    """

    def __init__(self) -> None:
        made = [
            make_object(number, series=series, modality=modality)
            for series, modality in SERIES.items()
            for number in (1, 2)
        ]
        self.objects: dict[str, FileDataset] = {str(each.SOPInstanceUID): each for each in made}
        self.list_change: Callable[[str, dict[str, Any]], None] = lambda level, item: None
        self.breaks_off = 0
        self._listed = {uid: listed(each) for uid, each in self.objects.items()}

    def __call__(self, request: Request) -> Answer:
        """Answer a request."""
        address = urlsplit(request.path)
        parts = address.path.removeprefix("/dicom-web/").split("/")
        if "offset" in parse_qs(address.query):
            return Answer(204)
        if parts[-1] in ("studies", "series", "instances"):
            return Answer(body=json.dumps(self._search(parts)).encode())
        if self.breaks_off and list(self.objects).index(parts[-1]) == 1:
            self.breaks_off -= 1
            return Answer(200, b"half", "application/dicom", missing=100)
        return Answer(200, dicom_bytes(self.objects[parts[-1]]), "application/dicom")

    def _search(self, parts: list[str]) -> list[dict[str, Any]]:
        tag = {"studies": "0020000D", "series": "0020000E", "instances": "00080018"}[parts[-1]]
        series = parts[3] if parts[-1] == "instances" else None
        found: dict[str, dict[str, Any]] = {}
        for item in self._listed.values():
            if series in (None, item["0020000E"]["Value"][0]):
                found.setdefault(item[tag]["Value"][0], json.loads(json.dumps(item)))
        for item in found.values():
            self.list_change(parts[-1], item)
        return list(found.values())
