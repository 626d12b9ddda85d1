"""The label server on a real archive with real radiographs, asked over HTTP as its clients ask."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from support import judges

pytest.importorskip("monailabel")

from highdicom.seg import segread
from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid
from support.samples.dicom import save, set_pixels
from support.servers.label_server import LabelServer
from support.servers.orthanc_server import Orthanc, find_orthanc

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.archive.objects import read_dicom_file
from monai_chexmask_u.archive.settings import DicomwebArchive
from monai_chexmask_u.archive.stow import StowSender
from monai_chexmask_u.model import load_model
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation
from monai_chexmask_u.segmenter import Segmenter

pytestmark = pytest.mark.skipif(find_orthanc() is None, reason="Orthanc with its DICOMweb plug-in is not installed")

# What the viewer asks for with each segmentation.
OF_OHIF = {"result_extension": ".nrrd", "result_dtype": "uint8", "result_compress": False, "restore_label_idx": False}


class Clinic:
    """An archive with a real MONOCHROME1 radiograph and a part of it as another one, and the label server on it."""

    def __init__(self, folder: Path, radiograph: Path) -> None:
        (folder / "archive").mkdir()
        self.archive = Orthanc(folder / "archive")
        self.archive.start()
        self.radiograph = dcmread(radiograph, stop_before_pixels=True)
        self.part = part_of(radiograph)
        sender = StowSender(DicomwebArchive(self.archive.url))
        for path in (radiograph, save(self.part, folder / "part.dcm")):
            sender.send(read_dicom_file(path))
        environment = {"MONAI_LABEL_DICOMWEB_CACHE_PATH": str(folder / "cache")}
        self.server = LabelServer(self.archive.url, folder / "server", environment=environment)
        self.image_id = str(self.radiograph.SeriesInstanceUID)
        self.cache = folder / "cache"

    def ask(self, method: str, path: str, **arguments: Any) -> requests.Response:
        return requests.request(method, f"{self.server.url}{path}", timeout=120, **arguments)

    def infer(
        self, output: str, params: dict[str, Any] | None = None, model: str = "segmentation"
    ) -> requests.Response:
        path = f"/infer/chest_{model}?image={self.image_id}&output={output}"
        return self.ask("POST", path, data={"params": json.dumps(params or {})})


def part_of(radiograph: Path) -> FileDataset:
    """Return the upper part of a radiograph, as a radiograph of another study."""
    part = dcmread(radiograph)
    set_pixels(part, part.pixel_array[: part.Rows * 3 // 4], bits=part.BitsStored)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        setattr(part, keyword, generate_uid())
    part.file_meta.MediaStorageSOPInstanceUID = part.SOPInstanceUID
    return part


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory, chest_cr: Path) -> Iterator[Clinic]:
    clinic = Clinic(tmp_path_factory.mktemp("clinic"), chest_cr)
    with clinic.server:
        yield clinic
    clinic.archive.kill()


@pytest.fixture(scope="module")
def expected(chest_cr: Path) -> LandmarkSegmentation:
    """What the command line makes of the radiograph."""
    return Segmenter(load_model(), device="cpu").segment(read_radiograph(chest_cr))


def test_the_radiographs_of_the_archive_are_there(clinic: Clinic) -> None:
    info = clinic.ask("GET", "/info/").json()
    assert info["datastore"]["total"] == 2
    assert set(info["models"]) == {"chest_segmentation", "chest_landmarks"}
    known = clinic.ask("GET", "/datastore/?output=all").json()["objects"]
    assert set(known) == {clinic.image_id, str(clinic.part.SeriesInstanceUID)}


def test_the_viewer_gets_the_mask_as_it_reads_it(clinic: Clinic, expected: LandmarkSegmentation) -> None:
    content = clinic.infer("image", OF_OHIF).content
    head, _, pixels = content.partition(b"\n\n")
    lines = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
    rows, columns = expected.shape
    assert lines["sizes"] == f"{columns} {rows} 1"
    assert lines["encoding"] == "raw"
    assert lines["type"] in ("uint8", "unsigned char", "uchar")
    values = np.frombuffer(pixels, np.uint8).reshape(rows, columns)  # into the image's own order, as the viewer does
    np.testing.assert_array_equal(values, expected.label_mask())
    labels = clinic.ask("GET", "/info/").json()["models"]["chest_segmentation"]["labels"]
    assert labels == {organ.name: organ.label for organ in ORGANS}


def test_a_radiograph_that_is_stored_inverted_gives_what_the_command_line_gives(
    clinic: Clinic, expected: LandmarkSegmentation
) -> None:
    assert clinic.radiograph.PhotometricInterpretation == "MONOCHROME1"
    record = clinic.infer("json").json()["chexmask_u"]
    landmarks = np.array([[point["x"], point["y"]] for point in record["landmarks"]])
    np.testing.assert_allclose(landmarks, expected.landmarks, atol=1e-3)
    assert "photometric_inverted" in record["image"]["notes"]
    assert record["reliability"]["verdict"] == expected.reliability.verdict


@pytest.mark.parametrize("output", ["dicom_seg", "dicom_sr"])
def test_a_result_comes_as_a_dicom_object(
    output: str, clinic: Clinic, expected: LandmarkSegmentation, tmp_path: Path
) -> None:
    answer = clinic.infer(output)
    assert answer.headers["content-type"] == "application/dicom"
    path = tmp_path / "result.dcm"
    path.write_bytes(answer.content)
    for judge in judges.judges_of(path):
        if judges.is_available(judge):
            assert not judge(path)
    result = dcmread(path)
    assert result.StudyInstanceUID == clinic.radiograph.StudyInstanceUID
    if output == "dicom_seg":
        assert {str(item.SegmentAlgorithmType) for item in result.SegmentSequence} == {"AUTOMATIC"}
        pixels = segread(path).get_pixels_by_source_instance([clinic.radiograph.SOPInstanceUID])[0] != 0
        np.testing.assert_array_equal(pixels[..., 2], expected.mask(ORGANS[2]))


def test_the_next_sample_is_the_most_uncertain_and_names_its_study(clinic: Clinic) -> None:
    end = time.monotonic() + 60
    while True:  # scoring runs beside the server
        known = clinic.ask("GET", "/datastore/?output=all").json()["objects"]
        scores = {uid: item["image"]["info"].get("landmark_uncertainty") for uid, item in known.items()}
        if all(scores.values()) or time.monotonic() > end:
            break
        time.sleep(0.5)
    sample = clinic.ask("POST", "/activelearning/most_uncertain", json={}).json()
    assert sample["id"] == max(scores, key=scores.__getitem__)
    studies = {clinic.image_id: clinic.radiograph, str(clinic.part.SeriesInstanceUID): clinic.part}
    assert sample["StudyInstanceUID"] == studies[sample["id"]].StudyInstanceUID
    assert "PatientID" not in sample


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/infer/chest_segmentation?image=1.2.3&output=json", 404, "not found"),
        ("/infer/chest_segmentation?image=../../etc/passwd&output=json", 404, "not found"),
        ("/infer/nothing?image=1.2.3", 404, "no model"),
        ("/activelearning/nothing", 404, "no strategy"),
    ],
)
def test_a_mistake_is_told(path: str, status: int, words: str, clinic: Clinic) -> None:
    answer = clinic.ask("POST", path)
    assert answer.status_code == status
    assert words in answer.json()["detail"]


def test_a_label_that_is_none_is_told(clinic: Clinic) -> None:
    answer = clinic.ask(
        "PUT", f"/datastore/label?image={clinic.image_id}&tag=final", files={"label": ("mask.png", b"no image")}
    )
    assert answer.status_code == 400
    assert "cannot be read" in answer.json()["detail"]
    assert len(clinic.archive.instances()) == 2


def test_an_edited_result_is_stored_and_trained_on(clinic: Clinic, expected: LandmarkSegmentation) -> None:
    markups = clinic.infer("image", model="landmarks").content
    answer = clinic.ask(
        "PUT", f"/datastore/label?image={clinic.image_id}&tag=final", files={"label": ("edited.mrk.json", markups)}
    )
    assert answer.status_code == 200, answer.text
    assert len(clinic.archive.instances()) == 3
    assert clinic.ask("GET", "/datastore/").json()["completed"] == 1
    [pair] = clinic.ask("GET", "/datastore/?output=train").json()
    assert Path(pair["label"]).read_bytes() == markups
    assert read_radiograph(Path(pair["image"])).header.SOPInstanceUID == clinic.radiograph.SOPInstanceUID
    sample = clinic.ask("POST", "/activelearning/most_uncertain", json={}).json()
    assert sample["id"] == str(clinic.part.SeriesInstanceUID)


def test_an_archive_that_goes_away_is_told_and_the_server_lives_on(clinic: Clinic) -> None:
    clinic.archive.kill()
    try:
        answer = clinic.ask("POST", "/infer/chest_segmentation?image=1.2.3&output=json")
        assert answer.status_code == 502
        assert "cannot be reached" in answer.json()["detail"]
        assert clinic.ask("GET", "/proxy/dicom/qido/studies").status_code == 502
        assert clinic.infer("json").status_code == 200  # the radiograph is in the cache
    finally:
        clinic.archive.start()
    assert clinic.ask("GET", "/info/").status_code == 200


def test_nothing_of_the_patient_is_in_the_log(clinic: Clinic) -> None:
    clinic.infer("json")
    log = clinic.server.log.read_text()
    names = "".join(str(path) for path in clinic.cache.rglob("*"))
    for value in (str(clinic.radiograph.PatientID), str(clinic.radiograph.PatientName)):
        assert value
        assert value not in log + names
