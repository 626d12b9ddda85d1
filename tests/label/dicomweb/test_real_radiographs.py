"""Real radiographs in a real archive: the server hands out the most uncertain first, and learns which are done."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

pytest.importorskip("monailabel")

from PIL import Image
from support.samples.dicom import make_dx, save, set_pixels
from support.servers.label_server import LabelServer
from support.servers.orthanc_server import Orthanc, find_orthanc

from monai_chexmask_u.archive.objects import read_dicom_file
from monai_chexmask_u.archive.settings import DicomwebArchive
from monai_chexmask_u.archive.stow import StowSender
from monai_chexmask_u.model import load_model
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.segmenter import Segmenter

pytestmark = pytest.mark.skipif(find_orthanc() is None, reason="Orthanc with its DICOMweb plug-in is not installed")

COUNT = 6


@pytest.fixture(scope="module")
def radiographs(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Radiographs of the NIH data set as DX, every other one stored inverted, by their Series Instance UIDs."""
    folder = tmp_path_factory.mktemp("radiographs")
    found = {}
    for number, path in enumerate(sorted((shared_data / "nih" / "images").glob("*.jpg"))[:COUNT]):
        dataset = make_dx(photometric="MONOCHROME1" if number % 2 else "MONOCHROME2", bits=8)
        gray = np.asarray(Image.open(path).convert("L"))
        set_pixels(dataset, 255 - gray if number % 2 else gray)
        dataset.WindowCenter, dataset.WindowWidth = 128, 256
        found[str(dataset.SeriesInstanceUID)] = save(dataset, folder / f"{number}.dcm")
    return found


@pytest.fixture(scope="module")
def server(radiographs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelServer]:
    folder = tmp_path_factory.mktemp("server")
    (folder / "archive").mkdir()
    archive = Orthanc(folder / "archive")
    archive.start()
    for path in radiographs.values():
        StowSender(DicomwebArchive(archive.url)).send(read_dicom_file(path))
    environment = {"MONAI_LABEL_DICOMWEB_CACHE_PATH": str(folder / "cache")}
    with LabelServer(archive.url, folder / "models", environment=environment) as server:
        yield server
    archive.kill()


@pytest.fixture(scope="module")
def scores(server: LabelServer) -> dict[str, float]:
    """What the server says of each radiograph, once it has scored all."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        objects = ask(server, "GET", "/datastore/?output=all")["objects"]
        found = {uid: item["image"]["info"].get("landmark_uncertainty") for uid, item in objects.items()}
        if len(found) == COUNT and None not in found.values():
            return found
        time.sleep(0.5)
    pytest.fail(f"not all radiographs were scored: {found}")


def ask(server: LabelServer, method: str, path: str, **arguments: Any) -> Any:
    answer = requests.request(method, f"{server.url}{path}", timeout=120, **arguments)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_scores_are_those_of_the_command_line(scores: dict[str, float], radiographs: dict[str, Path]) -> None:
    segmenter = Segmenter(load_model(), device="cpu")
    for uid, path in radiographs.items():
        assert scores[uid] == pytest.approx(segmenter.segment(read_radiograph(path)).score, rel=1e-4)


def test_the_most_uncertain_radiograph_comes_first_until_all_are_labeled(
    server: LabelServer, scores: dict[str, float], radiographs: dict[str, Path]
) -> None:
    assert set(scores) == set(radiographs)
    handed_out = []
    for _ in range(COUNT):
        sample = ask(server, "POST", "/activelearning/most_uncertain", json={})
        handed_out.append(sample["id"])
        path = f"/infer/chest_segmentation?image={sample['id']}&output=image"
        mask = requests.post(f"{server.url}{path}", data={"params": '{"result_extension": ".nrrd"}'}, timeout=120)
        label = {"label": ("mask.nrrd", mask.content)}
        ask(server, "PUT", f"/datastore/label?image={sample['id']}&tag=final", files=label)
    assert handed_out == sorted(scores, key=scores.__getitem__, reverse=True)
    assert ask(server, "GET", "/datastore/")["completed"] == COUNT
    assert ask(server, "POST", "/activelearning/most_uncertain", json={}) == {}
    pairs = ask(server, "GET", "/datastore/?output=train")
    assert {Path(pair["image"]).stem for pair in pairs} == set(radiographs)
    from label.images.submissions import read_submitted

    segmenter = Segmenter(load_model(), device="cpu")
    for pair in pairs:  # what training reads of a segmentation is what was submitted, but for rounding to pixels
        radiograph = read_radiograph(Path(pair["image"]))
        submitted = segmenter.segment(radiograph).landmarks
        distances = np.linalg.norm(read_submitted(Path(pair["label"]), radiograph, {}) - submitted, axis=1)
        assert Path(pair["label"]).suffix == ".dcm"
        assert distances.mean() < 0.01 * max(radiograph.shape)
