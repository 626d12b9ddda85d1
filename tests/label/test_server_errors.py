"""The label server answers each mistake with one sentence and lives on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

pytest.importorskip("monailabel")

from support.samples.dicom import make_dx, save

if TYPE_CHECKING:
    from support.servers.label_server import LabelServer


@pytest.fixture(autouse=True)
def lives_on(label_server: LabelServer) -> Iterator[None]:
    yield
    answer = requests.post(
        f"{label_server.url}/infer/chest_segmentation?image=JPCLN001&output=json",
        data={"params": json.dumps({"samples": 2})},
        timeout=120,
    )
    assert answer.status_code == 200
    assert "Traceback" not in label_server.log.read_text()


def sentence(answer: requests.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    detail = answer.json()["detail"]
    assert isinstance(detail, str)
    return detail


def segment(server: LabelServer, name: str, content: bytes) -> requests.Response:
    return requests.post(f"{server.url}/infer/chest_segmentation", files={"file": (name, content)}, timeout=120)


def test_a_text_file_called_png(label_server: LabelServer, studies: Path) -> None:
    (studies / "text.png").write_text("hello")
    assert "no PNG, JPEG or TIFF" in sentence(segment(label_server, "text.png", b"hello"), 400)
    answer = requests.post(f"{label_server.url}/infer/chest_segmentation?image=text", timeout=60)
    assert "no PNG, JPEG or TIFF" in sentence(answer, 400)
    (studies / "text.png").unlink()


def test_an_image_that_does_not_exist(label_server: LabelServer) -> None:
    answer = requests.post(f"{label_server.url}/infer/chest_segmentation?image=nothing", timeout=60)
    assert sentence(answer, 404) == "there is no image 'nothing' in the studies"


@pytest.mark.parametrize("path", ["/etc/passwd", "../../../../etc/passwd", "{studies}/cr.dcm"])
def test_a_path_is_no_image(label_server: LabelServer, studies: Path, path: str) -> None:
    image = path.format(studies=studies)
    address = f"{label_server.url}/infer/chest_segmentation"
    sentence(requests.post(address, params={"image": image}, timeout=60), 404)
    named = {"params": json.dumps({"image": image})}
    sentence(requests.post(address, params={"image": "cr"}, data=named, timeout=60), 400)
    batch = f"{label_server.url}/batch/infer/chest_segmentation?run_sync=true"
    sentence(requests.post(batch, json={"images": [image]}, timeout=60), 404)


@pytest.mark.parametrize("place", ["infer/x?image=cr", "train/x", "scoring/x", "activelearning/x", "batch/infer/x"])
def test_a_name_that_nothing_has(label_server: LabelServer, place: str) -> None:
    message = sentence(requests.post(f"{label_server.url}/{place}", timeout=60), 404)
    assert "'x'; there are " in message


@pytest.mark.parametrize("params", ["{broken", "[1]", '{"samples": 1}', '{"samples": "many"}', '{"device": "cuda:99"}'])
def test_parameters_that_cannot_be_used(label_server: LabelServer, params: str) -> None:
    address = f"{label_server.url}/infer/chest_segmentation?image=cr"
    sentence(requests.post(address, data={"params": params}, timeout=60), 400)


@pytest.mark.parametrize("wanted", [{"result_extension": ".exe"}, {"result_dtype": "complex64"}])
def test_results_that_there_are_not(label_server: LabelServer, wanted: dict[str, str]) -> None:
    address = f"{label_server.url}/infer/chest_segmentation?image=cr"
    assert " is not one of " in sentence(requests.post(address, data={"params": json.dumps(wanted)}, timeout=60), 400)


def test_nothing_to_segment(label_server: LabelServer) -> None:
    assert "send a file" in sentence(requests.post(f"{label_server.url}/infer/chest_segmentation", timeout=60), 400)


def test_a_lateral_radiograph(label_server: LabelServer, tmp_path: Path) -> None:
    dataset = make_dx()
    dataset.ViewPosition = "LL"
    path = save(dataset, tmp_path / "lateral.dcm")
    answer = segment(label_server, "lateral.dcm", path.read_bytes())
    assert "frontal" in sentence(answer, 400)
    assert answer.json()["code"] == "not_frontal"


def test_a_request_that_is_too_large(label_server: LabelServer) -> None:
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    request = requests.Request("POST", f"{label_server.url}/infer/chest_segmentation", headers=kind).prepare()
    request.headers["Content-Length"] = str(2**40)
    with requests.Session() as session:
        assert "MiB at most" in sentence(session.send(request, timeout=60), 413)


@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded", "text/plain", ""])
def test_parameters_that_would_fill_the_memory(label_server: LabelServer, kind: str) -> None:
    url = f"{label_server.url}/train/chest_landmarks"
    request = requests.Request("POST", url, headers={"Content-Type": kind} if kind else {}).prepare()
    request.headers["Content-Length"] = str(64 * 2**20)
    with requests.Session() as session:
        assert "2 MiB at most" in sentence(session.send(request, timeout=60), 413)
    in_pieces = (b"[" * 2**16 for _ in range(64))
    headers = {"Content-Type": kind} if kind else {}
    sentence(
        requests.post(f"{label_server.url}/activelearning/random", data=in_pieces, headers=headers, timeout=60), 413
    )


@pytest.mark.parametrize("name", ["../../x", "..", "a/b", ".hidden"])
def test_names_that_lead_elsewhere(label_server: LabelServer, studies: Path, name: str) -> None:
    before = sorted(path for path in studies.parent.rglob("*"))
    url = f"{label_server.url}/datastore"
    radiograph = (studies / "JPCLN001.jpg").read_bytes()
    sentence(
        requests.put(f"{url}/image", params={"image": name}, files={"file": ("a.jpg", radiograph)}, timeout=60), 400
    )
    label = {"label": ("a.png", radiograph)}
    sentence(requests.put(f"{url}/label", params={"image": "cr", "tag": name}, files=label, timeout=60), 400)
    sentence(requests.put(f"{url}/label", params={"image": name}, files=label, timeout=60), 404)
    sentence(requests.get(f"{url}/label", params={"label": name, "tag": name}, timeout=60), 404)
    sentence(requests.get(f"{url}/image", params={"image": name}, timeout=60), 404)
    assert sorted(path for path in studies.parent.rglob("*")) == before


def test_unusable_labels_and_images(label_server: LabelServer) -> None:
    url = f"{label_server.url}/datastore"
    assert "its name must end so" in sentence(
        requests.put(f"{url}/label?image=cr&tag=original", files={"label": ("a.exe", b"x")}, timeout=60), 400
    )
    assert "no PNG" in sentence(requests.put(f"{url}/image", files={"file": ("a.png", b"x")}, timeout=60), 400)
    sentence(requests.delete(f"{url}/image?id=nothing", timeout=60), 404)
    sentence(requests.delete(f"{url}/label?id=cr&tag=nothing", timeout=60), 404)


def test_a_folder_without_radiographs(tmp_path: Path) -> None:
    from support.servers.label_server import LabelServer

    (tmp_path / "studies").mkdir()
    with LabelServer(tmp_path / "studies", tmp_path / "server") as server:
        for name in (None, "notes.txt"):
            if name is not None:
                (tmp_path / "studies" / name).write_text("no radiograph")
            assert requests.get(f"{server.url}/info/", timeout=60).json()["datastore"]["total"] == 0
            answer = requests.post(f"{server.url}/activelearning/most_uncertain", timeout=60)
            assert (answer.status_code, answer.json()) == (200, {})
            scored = requests.post(f"{server.url}/scoring/landmark_uncertainty?run_sync=true", timeout=120)
            assert scored.status_code in (200, 429)
