"""The label server over HTTP on real radiographs: what it gives is what the library gives."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import requests
from numpy.typing import NDArray
from PIL import Image

pytest.importorskip("monailabel")

from requests_toolbelt.multipart import decoder  # type: ignore[import-not-found,unused-ignore]

from monai_chexmask_u.annotations.slicer_plane import slicer_plane
from monai_chexmask_u.model import load_model
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation
from monai_chexmask_u.segmenter import Segmenter
from monai_chexmask_u.writers.markups import markups_document
from monai_chexmask_u.writers.record import segmentation_record

if TYPE_CHECKING:
    from support.servers.label_server import LabelServer


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter(load_model(), device="cpu")


def infer(
    server: LabelServer, image: str, output: str, model: str = "chest_segmentation", **params: Any
) -> requests.Response:
    address = f"{server.url}/infer/{model}"
    answer = requests.post(
        address, params={"image": image, "output": output}, data={"params": json.dumps(params)}, timeout=120
    )
    assert answer.status_code == 200, answer.text
    return answer


def result_of(segmenter: Segmenter, path: Path) -> tuple[LandmarkSegmentation, Radiograph]:
    radiograph = read_radiograph(path)
    return segmenter.segment(radiograph), radiograph


def without_path(record: dict[str, Any]) -> Any:
    """Return the record as it comes through JSON."""
    del record["image"]["path"]
    return json.loads(json.dumps(record))


def volume(content: bytes, path: Path) -> tuple[NDArray[Any], Any]:
    import SimpleITK as sitk

    path.write_bytes(content)
    image = sitk.ReadImage(str(path))
    return sitk.GetArrayFromImage(image), image


def test_the_server_tells_what_it_has(label_server: LabelServer) -> None:
    info = requests.get(f"{label_server.url}/info/", timeout=60).json()
    assert info["models"]["chest_segmentation"]["type"] == "segmentation"
    assert info["models"]["chest_segmentation"]["labels"] == {"right_lung": 1, "left_lung": 2, "heart": 3}
    assert info["models"]["chest_landmarks"]["type"] == "detection"
    assert set(info["strategies"]) >= {"most_uncertain", "uncertain_and_diverse"}
    assert set(info["scoring"]) == {"landmark_uncertainty"}
    assert set(info["trainers"]) == {"chest_landmarks"}
    assert info["datastore"]["total"] == 5


@pytest.mark.parametrize("name", ["JPCLN001.jpg", "cr.dcm"])
def test_the_mask_is_that_of_the_library(
    label_server: LabelServer, studies: Path, segmenter: Segmenter, name: str, tmp_path: Path
) -> None:
    segmentation, _ = result_of(segmenter, studies / name)
    image = Path(name).stem
    answer = infer(label_server, image, "image", result_extension=".png")
    (tmp_path / "mask.png").write_bytes(answer.content)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "mask.png")), segmentation.label_mask())
    for extension in (".nrrd", ".nii.gz"):
        mask, _ = volume(
            infer(label_server, image, "image", result_extension=extension).content, tmp_path / f"m{extension}"
        )
        assert mask.dtype == np.uint8
        np.testing.assert_array_equal(mask, segmentation.label_mask()[None])


@pytest.mark.parametrize("name", ["JPCLN001.jpg", "cr.dcm"])
def test_the_mask_lies_where_slicer_puts_the_image(
    label_server: LabelServer, studies: Path, name: str, tmp_path: Path
) -> None:
    radiograph = read_radiograph(studies / name)
    _, image = volume(infer(label_server, Path(name).stem, "image").content, tmp_path / "mask.nrrd")
    corner = (radiograph.shape[1] - 1, radiograph.shape[0] - 1)
    expected = slicer_plane(radiograph).to_space(np.array([corner], dtype=float))[0]
    np.testing.assert_allclose(image.TransformIndexToPhysicalPoint((*corner, 0)), expected, atol=1e-6)


def test_parameters_are_the_record_without_a_path(
    label_server: LabelServer, studies: Path, segmenter: Segmenter
) -> None:
    params = infer(label_server, "cr", "json").json()
    record = without_path(segmentation_record(*result_of(segmenter, studies / "cr.dcm")))
    assert params["chexmask_u"] == record
    assert params["label_names"] == {"right_lung": 1, "left_lung": 2, "heart": 3}
    assert params["latencies"]["total"] >= params["latencies"]["infer"] > 0
    assert str(studies) not in json.dumps(params)


def test_markups_are_those_of_the_writer(label_server: LabelServer, studies: Path, segmenter: Segmenter) -> None:
    segmentation, radiograph = result_of(segmenter, studies / "cr.dcm")
    expected = json.loads(json.dumps(markups_document(segmentation, radiograph, slicer_plane(radiograph))))
    answer = infer(label_server, "cr", "image", "chest_landmarks")
    assert answer.json() == expected
    assert "result.mrk.json" in answer.headers["content-disposition"]
    # 3D Slicer's plugin asks every model for this.
    assert infer(label_server, "cr", "image", "chest_landmarks", result_extension=".nrrd").json() == expected


def test_everything_comes_in_parts_with_one_request(label_server: LabelServer) -> None:
    answer = infer(label_server, "JPCLN001", "all")
    parts = decoder.MultipartDecoder.from_response(answer).parts
    names = [part.headers[b"Content-Disposition"].decode() for part in parts]
    assert 'name="params"' in names[0]
    assert 'name="image"; filename="result.nrrd"' in names[1]
    assert json.loads(parts[0].content)["chexmask_u"]["image"]["height"] == 1024
    assert parts[1].content.startswith(b"NRRD")


def test_a_radiograph_that_is_sent_gives_the_same_as_one_of_the_studies(
    label_server: LabelServer, studies: Path
) -> None:
    with (studies / "cr.dcm").open("rb") as file:
        answer = requests.post(
            f"{label_server.url}/infer/chest_segmentation?output=json", files={"file": ("a b.dcm", file)}, timeout=120
        )
    assert answer.json()["chexmask_u"] == infer(label_server, "cr", "json").json()["chexmask_u"]


def test_samples_and_seed_come_from_the_request(label_server: LabelServer, studies: Path) -> None:
    radiograph = read_radiograph(studies / "cr.dcm")
    expected = Segmenter(load_model(), num_samples=7, seed=3, device="cpu").segment(radiograph)
    params = infer(label_server, "cr", "json", samples=7, seed=3, device="cpu").json()
    assert params["chexmask_u"] == without_path(segmentation_record(expected, radiograph))


def test_a_result_can_be_wanted_without_a_file(label_server: LabelServer) -> None:
    answer = infer(label_server, "cr", "all", result_write_to_file=False)
    assert answer.json()["chexmask_u"]["samples"] == 50


def test_masks_can_have_another_data_type(label_server: LabelServer, tmp_path: Path) -> None:
    mask, _ = volume(infer(label_server, "cr", "image", result_dtype="int16").content, tmp_path / "m.nrrd")
    assert mask.dtype == np.int16


def test_batch_inference_works_on_the_cpu_as_clients_ask_for_it(label_server: LabelServer) -> None:
    asked: dict[str, Any] = {"device": "cuda", "multi_gpu": True, "gpus": "all"}
    answer = requests.post(f"{label_server.url}/batch/infer/chest_segmentation?run_sync=true", json=asked, timeout=300)
    assert answer.status_code == 200, answer.text
    images = requests.get(f"{label_server.url}/datastore/?output=all", timeout=60).json()["objects"]
    assert set(answer.json()) == set(images)
    assert all(image["labels"]["original"]["ext"] == ".nrrd" for image in images.values())


def test_batch_inference_in_the_background_writes_no_landmarks_into_the_log(label_server: LabelServer) -> None:
    address = f"{label_server.url}/batch/infer/chest_segmentation"
    assert requests.post(address, json={"device": "cpu"}, timeout=60).status_code == 200
    for _ in range(240):
        task = requests.get(f"{label_server.url}/batch/infer/", timeout=60).json()
        if task["status"] != "RUNNING":
            break
        time.sleep(0.5)
    assert task["status"] == "DONE", task
    lines = label_server.log.read_text(errors="replace").splitlines()
    assert any("Result: " in line for line in lines)
    assert max(map(len, lines)) < 2000


def test_a_label_is_kept_and_the_latest_counts(label_server: LabelServer, studies: Path, tmp_path: Path) -> None:
    mask = infer(label_server, "cr", "image", result_extension=".png").content
    markups = infer(label_server, "cr", "image", "chest_landmarks").content
    address = f"{label_server.url}/datastore/label"
    for name, content in (("a.png", mask), ("b.mrk.json", markups)):
        answer = requests.put(f"{address}?image=cr&tag=final", files={"label": (name, content)}, timeout=60)
        assert answer.json() == {"image": "cr", "label": "cr"}
    assert sorted(path.name for path in (studies / "labels" / "final").iterdir()) == ["cr.mrk.json"]
    assert requests.get(f"{address}?label=cr&tag=final", timeout=60).content == markups
    deleted = requests.delete(f"{address}?id=cr&tag=final", timeout=60)
    assert deleted.status_code == 200
    assert requests.get(f"{address}?label=cr&tag=final", timeout=60).status_code == 404


def test_logs_say_nothing_of_what_is_asked_and_answered(label_server: LabelServer) -> None:
    before = len(label_server.log.read_text())
    infer(label_server, "cr", "json", samples=11)
    log = label_server.log.read_text()
    assert "Infer Request" not in log
    assert "landmarks" not in log[before:]
