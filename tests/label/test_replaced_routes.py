"""A client cannot change the weights of the server."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

pytest.importorskip("monailabel")

from monai_chexmask_u.model import default_bundle

if TYPE_CHECKING:
    from support.servers.label_server import LabelServer


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (folder / "models").iterdir()}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the shipped model, which the test would destroy if the routes were open."""
    return shutil.copytree(default_bundle(), tmp_path_factory.mktemp("model") / "bundle")


@pytest.fixture(scope="module")
def server(bundle: Path, studies: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelServer]:
    from support.servers.label_server import LabelServer

    quiet = {"MONAI_LABEL_AUTO_UPDATE_SCORING": "false"}
    conf = {"model": str(bundle)}
    with LabelServer(studies, tmp_path_factory.mktemp("server"), conf=conf, environment=quiet) as server:
        yield server


def test_weights_are_neither_replaced_nor_deleted(server: LabelServer, bundle: Path) -> None:
    before = digests(bundle)
    for model in ("chest_segmentation", "chest_landmarks", "nothing"):
        address = f"{server.url}/model/{model}"
        for answer in (
            requests.put(address, files={"file": ("model.pt", b"no weights")}, timeout=60),
            requests.delete(address, timeout=60),
        ):
            assert answer.status_code == 405
            assert "models are not changed from outside" in answer.json()["detail"]
    served = requests.get(f"{server.url}/model/chest_segmentation", timeout=60)
    assert hashlib.sha256(served.content).hexdigest() == before["model.pt"]
    assert digests(bundle) == before


def test_a_server_without_a_model_says_so_and_lives_on(server: LabelServer, bundle: Path) -> None:
    weights = bundle / "models" / "model.pt"
    whole = weights.read_bytes()
    address = f"{server.url}/infer/chest_segmentation?image=cr&output=json"
    weights.write_bytes(b"no weights")
    answer = requests.post(address, timeout=60)
    assert (answer.status_code, answer.json()) == (
        503,
        {"detail": "the server has no model that it can use; its log says why"},
    )
    assert "not a complete PyTorch weights file" in server.log.read_text()
    weights.write_bytes(whole)
    assert requests.post(address, timeout=60).status_code == 200
