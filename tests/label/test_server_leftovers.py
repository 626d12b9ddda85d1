"""What a server leaves on the disk, and that it keeps to its radiographs wherever it was started."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

pytest.importorskip("monailabel")

from monai_chexmask_u.files.private_folder import MARKER

if TYPE_CHECKING:
    from support.servers.label_server import LabelServer


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's folder for temporary files."""
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def studies(studies: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of its own: this server has further images."""
    return shutil.copytree(
        studies, tmp_path_factory.mktemp("own") / "studies", ignore=lambda *_: ["labels", "datastore_v2.json"]
    )


@pytest.fixture(scope="module")
def label_server(studies: Path, temporary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelServer]:
    from support.servers.label_server import LabelServer

    # A server is started in the repository's folder, where this is the name of a folder and that of a file.
    for name in ("docs.jpg", "Makefile.jpg"):
        shutil.copy(studies / "JPCLN001.jpg", studies / name)
    environment = {"MONAI_LABEL_AUTO_UPDATE_SCORING": "false", "TMPDIR": str(temporary)}
    with LabelServer(studies, tmp_path_factory.mktemp("server"), environment=environment) as server:
        yield server


def radiographs_left(temporary: Path) -> list[str]:
    """Return what is left when the server has had time to remove it, which it does after it has answered."""
    for _ in range(50):
        (own,) = temporary.glob("chexmask-u-label-*")
        # Beside what answers leave, it holds its marker and, while the server runs, MONAI Label's settings of logs.
        left = sorted(path.name for path in own.iterdir() if path.name.startswith("chexmask") or path.suffix != ".json")
        left = [name for name in left if name not in (MARKER, "torchinductor_root")]
        left += [path.name for path in temporary.iterdir() if path.name.startswith(("chexmask", "tmp")) and path != own]
        if not left:
            break
        time.sleep(0.1)
    return left


def segment(server: LabelServer, output: str = "json", **sent: object) -> requests.Response:
    address = f"{server.url}/infer/chest_segmentation?output={output}"
    return requests.post(address, timeout=120, **sent)  # type: ignore[arg-type]


@pytest.mark.parametrize("image", ["docs", "Makefile"])
def test_an_id_is_no_path_beside_the_server(label_server: LabelServer, image: str) -> None:
    assert (Path(__file__).parents[2] / image).exists(), "the test needs a file of that name where the server runs"
    named, original = (segment(label_server, params={"image": each}).json() for each in (image, "JPCLN001"))
    assert named["chexmask_u"] == original["chexmask_u"]


@pytest.mark.parametrize("output", ["json", "image", "all", "dicom_seg", "dicom_sr"])
def test_nothing_is_left_of_results(label_server: LabelServer, temporary: Path, output: str) -> None:
    assert segment(label_server, output, params={"image": "cr"}).status_code == 200
    assert radiographs_left(temporary) == []


def test_nothing_is_left_of_saved_labels(label_server: LabelServer, studies: Path, temporary: Path) -> None:
    saved = {"params": json.dumps({"save_label": True, "label_tag": "tried"})}
    assert segment(label_server, params={"image": "cr"}, data=saved).status_code == 200
    assert (studies / "labels" / "tried" / "cr.nrrd").is_file()
    refused = {"params": json.dumps({"save_label": True, "label_tag": "../tried"})}
    assert segment(label_server, params={"image": "cr"}, data=refused).status_code == 400
    assert radiographs_left(temporary) == []


@pytest.mark.parametrize("output", ["json", "image", "dicom_seg"])
def test_nothing_is_left_of_what_was_sent(
    label_server: LabelServer, studies: Path, temporary: Path, output: str
) -> None:
    radiograph = (studies / "cr.dcm").read_bytes()
    assert segment(label_server, output, files={"file": ("a.dcm", radiograph)}).status_code == 200
    assert segment(label_server, output, files={"file": ("a.dcm", radiograph[:5000])}).status_code == 400
    assert radiographs_left(temporary) == []


def test_an_unusable_radiograph_does_not_stop_a_batch(
    label_server: LabelServer, studies: Path, temporary: Path
) -> None:
    (studies / "text.png").write_text("hello")
    address = f"{label_server.url}/batch/infer/chest_segmentation?run_sync=true"
    results = requests.post(address, json={}, timeout=300).json()
    (studies / "text.png").unlink()
    assert "no PNG, JPEG or TIFF" in results.pop("text")["error"]
    assert len(results) == 7
    assert all(result["label"] == image for image, result in results.items())
    assert radiographs_left(temporary) == []


def test_an_archive_cannot_write_elsewhere(label_server: LabelServer, temporary: Path) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("../escaped.png"), io.BytesIO())
    address = f"{label_server.url}/session/?uncompress=true"
    for name, sent in (("a.tar", content.getvalue()), ("a.zip", b"no archive")):
        answer = requests.put(address, files={"files": (name, sent)}, timeout=60)
        assert answer.status_code == 400
        assert "cannot be unpacked" in answer.json()["detail"]
    assert not list(temporary.parent.rglob("escaped.png"))


def test_a_folder_has_no_archive_behind_it(label_server: LabelServer) -> None:
    for path in ("dicom/studies", "dicom/wado/studies"):
        answer = requests.get(f"{label_server.url}/proxy/{path}", timeout=60)
        assert answer.status_code == 404
        assert "no archive" in answer.json()["detail"]


def test_parameters_nested_without_end_are_refused(label_server: LabelServer) -> None:
    answer = segment(label_server, params={"image": "cr"}, data={"params": "[" * 100_000})
    assert answer.status_code == 400
    assert "JSON object" in answer.json()["detail"]


def test_labels_that_no_training_could_use_are_refused(
    label_server: LabelServer, studies: Path, temporary: Path
) -> None:
    url = f"{label_server.url}/datastore/label?image=cr&tag=final"
    mask = segment(label_server, "image", params={"image": "cr"}).content
    assert requests.put(url, files={"label": ("a.nrrd", mask)}, timeout=60).json() == {"image": "cr", "label": "cr"}
    as_image = {"params": json.dumps({"result_extension": ".png"})}
    other = segment(label_server, "image", params={"image": "JPCLN001"}, data=as_image).content
    for name, content in (("a.png", b"junk"), ("a.mrk.json", b"{}"), ("b.png", other), ("label", mask)):
        answer = requests.put(url, files={"label": (name, content)}, timeout=60)
        assert answer.status_code == 400, name
        assert answer.json()["detail"].startswith(("label", "a label")), "the sentence names the file, not its place"
    assert [path.name for path in (studies / "labels" / "final").iterdir()] == ["cr.nrrd"]
    assert requests.get(f"{label_server.url}/datastore/label?label=cr&tag=final", timeout=60).content == mask
    assert radiographs_left(temporary) == []


@pytest.mark.parametrize("place", ["image", ""])
def test_an_image_can_be_added_as_slicer_does_it(label_server: LabelServer, studies: Path, place: str) -> None:
    url = f"{label_server.url}/datastore"
    radiograph = (studies / "cr.dcm").read_bytes()
    sent = {"file": ("C:\\radiographs\\x.dcm", radiograph)}
    answer = requests.put(f"{url}/{place}", params={"image": "added"}, files=sent, timeout=60)
    assert answer.json() == {"image": "added"}
    assert (studies / "added.dcm").read_bytes() == radiograph
    assert requests.delete(f"{url}/image?id=added", timeout=60).status_code == 200
    assert not (studies / "added.dcm").exists()


@pytest.mark.parametrize("text", ["[1]", "5", "null"])
def test_notes_must_be_objects(label_server: LabelServer, studies: Path, text: str) -> None:
    url = f"{label_server.url}/datastore"
    radiograph = (studies / "cr.dcm").read_bytes()
    for answer in (
        requests.put(f"{url}/image/info?image=cr", data={"info": text}, timeout=60),
        requests.put(f"{url}/label/info?label=cr&tag=final", data={"info": text}, timeout=60),
        requests.put(f"{url}/label?image=cr", data={"params": text}, files={"label": ("a.nrrd", b"x")}, timeout=60),
        requests.put(
            f"{url}/image?image=new", data={"params": text}, files={"file": ("a.dcm", radiograph)}, timeout=60
        ),
    ):
        assert answer.status_code == 400
        assert "JSON object" in answer.json()["detail"]
    assert not (studies / "new.dcm").exists()


def test_the_data_set_is_what_is_labeled(label_server: LabelServer, studies: Path, temporary: Path) -> None:
    answer = requests.get(f"{label_server.url}/datastore/dataset", timeout=60)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert sorted(archive.namelist()) == ["image/cr.dcm", "label/cr.nrrd", "metadata.json"]
    requests.delete(f"{label_server.url}/datastore/label?id=cr&tag=final", timeout=60)
    answer = requests.get(f"{label_server.url}/datastore/dataset", timeout=60)
    assert (answer.status_code, answer.json()) == (404, {"detail": "no image has a final label yet"})
    assert not [path for path in temporary.iterdir() if path.is_file() and zipfile.is_zipfile(path)]


@pytest.mark.parametrize("asked", [{"device": "cuda:99"}, {"max_samples": "many"}])
def test_scoring_refuses_what_it_cannot_use(label_server: LabelServer, asked: dict[str, str]) -> None:
    answer = requests.post(f"{label_server.url}/scoring/landmark_uncertainty?run_sync=true", json=asked, timeout=120)
    assert answer.status_code == 400
    assert next(iter(asked.values())) in answer.json()["detail"]


def test_a_failure_of_the_server_is_told_as_one(label_server: LabelServer) -> None:
    answer = requests.head(f"{label_server.url}/datastore/image?image=cr&check_sum=unknown:1", timeout=60)
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/json"
    for _ in range(50):  # the log is written after the answer
        if "Traceback" in label_server.log.read_text():
            return
        time.sleep(0.1)
    pytest.fail("the log does not say where")
