"""MONAI Label's own app for bundles takes the zip as it is."""

from __future__ import annotations

import io
import json
import shutil
import sys
import urllib.request
import uuid
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.samples.bundle_zip import NAME, unpack_bundle
from support.servers.label_server import LabelServer

pytest.importorskip("monailabel")

from monai_chexmask_u.model import load_model
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.segmenter import Segmenter
from monai_chexmask_u.writers.record import segmentation_record

STOCK_APP = Path(sys.prefix) / "monailabel" / "sample-apps" / "monaibundle"


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory, chest_cr: Path) -> Path:
    """A DICOM file and a PNG that is not square."""
    folder = tmp_path_factory.mktemp("studies")
    shutil.copy(chest_cr, folder / "dicom.dcm")
    pixels = (read_radiograph(chest_cr).pixels * 255).astype(np.uint8)[100:1800:2, ::2]
    Image.fromarray(pixels).save(folder / "image.png")
    return folder


def stock_server(app: Path, studies: Path, repository: Path) -> LabelServer:
    """Return MONAI Label's own server with the bundle as its model."""
    server = LabelServer(
        studies,
        app.parent / "server",
        environment={
            "PYTHONPATH": str(repository / "label" / "stubs"),
            "MONAI_LABEL_TRACKING_ENABLED": "false",
            "MONAI_LABEL_AUTO_UPDATE_SCORING": "false",
            "MONAI_LABEL_SESSION_PATH": str(app.parent / "sessions"),
            "MONAI_LABEL_DATASTORE_FILE_EXT": '["*.png","*.dcm"]',
        },
    )
    start = [sys.executable, "-m", "monailabel.main", "start_server", "--app", str(app), "--studies", str(studies)]
    port = server.url.rpartition(":")[2]
    conf = ["--conf", "models", NAME, "--conf", "zoo_source", "local"]
    server.command = [*start, "--host", "127.0.0.1", "--port", port, *conf]
    return server


def infer(url: str, image: str, output: str, **params: str) -> bytes:
    """Post a request as the clients do, a form with the parameters in JSON."""
    boundary = uuid.uuid4().hex
    form = f'--{boundary}\r\nContent-Disposition: form-data; name="params"\r\n\r\n'
    form += f"{json.dumps({'device': 'cpu', **params})}\r\n--{boundary}--\r\n"
    request = urllib.request.Request(
        f"{url}/infer/{NAME}?image={image}&output={output}",
        data=form.encode(),
        headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        content: bytes = answer.read()
    return content


def test_the_stock_app_gives_the_librarys_mask_and_record(studies: Path, repository: Path, tmp_path: Path) -> None:
    if not STOCK_APP.is_dir():
        pytest.skip("monailabel's sample apps are not installed")
    app = Path(shutil.copytree(STOCK_APP, tmp_path / "app"))
    shutil.rmtree(app / "model", ignore_errors=True)
    unpacked = unpack_bundle(repository, tmp_path / "bundle")
    shutil.copytree(unpacked, app / "model" / NAME)
    segmenter = Segmenter(load_model(), device="cpu")
    with stock_server(app, studies, repository) as server:
        url = server.url
        models = json.loads(urllib.request.urlopen(f"{url}/info/").read())["models"]
        assert models[NAME]["labels"] == {"right lung": 1, "left lung": 2, "heart": 3}
        for path in (studies / "dicom.dcm", studies / "image.png"):
            radiograph: Radiograph = read_radiograph(path)
            expected = segmenter.segment(radiograph)
            with Image.open(io.BytesIO(infer(url, path.stem, "image", result_extension=".png"))) as mask:
                np.testing.assert_array_equal(np.asarray(mask), expected.label_mask())
            record = json.loads(infer(url, path.stem, "json"))
            theirs = segmentation_record(expected, radiograph)
            assert record["reliability"]["verdict"] == theirs["reliability"]["verdict"] == "accept"
            for name in ("x", "y", "std_x", "std_y", "radius90"):
                ours = [landmark[name] for landmark in record["landmarks"]]
                np.testing.assert_allclose(ours, [landmark[name] for landmark in theirs["landmarks"]], atol=1e-2)
    assert not list((app / "model" / NAME).rglob("*.overlay.png")), "the server writes results nobody asked for"
