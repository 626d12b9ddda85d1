"""A client cannot change the weights of the server."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
import requests

pytest.importorskip("monailabel")

from monai_chexmask_u.model import default_bundle


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (folder / "models").iterdir()}


def test_weights_are_neither_replaced_nor_deleted(studies: Path, tmp_path: Path) -> None:
    from label_server import LabelServer

    # A copy: were the routes open, this test would destroy the shipped model.
    bundle = shutil.copytree(default_bundle(), tmp_path / "bundle")
    before = digests(bundle)
    quiet = {"MONAI_LABEL_AUTO_UPDATE_SCORING": "false"}
    with LabelServer(studies, tmp_path / "server", conf={"model": str(bundle)}, environment=quiet) as server:
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
