"""The application, run in this process, on studies and with a model of the tests' own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from monai_chexmask_u.networks import HybridGNet
from monai_chexmask_u.networks.checkpoints import write_checkpoint

RunApp = Callable[..., int]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose network is tiny and knows nothing."""
    folder = tmp_path_factory.mktemp("bundle")
    (folder / "configs").mkdir()
    (folder / "models").mkdir()
    (folder / "configs" / "metadata.json").write_text('{"name": "tiny", "version": "9.9"}')
    torch.manual_seed(0)
    network = HybridGNet(64)
    with torch.no_grad():
        network.decoder.to_landmarks.weight.mul_(0.1)
    write_checkpoint(network, folder / "models" / "model.pt")
    return folder


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    folder.mkdir()
    return folder


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def run_app(monkeypatch: pytest.MonkeyPatch, repository: Path) -> Iterator[RunApp]:
    """Run the application in this process, which saves its start of several seconds; undo what it does to logging."""
    monkeypatch.syspath_prepend(str(repository))
    monkeypatch.delenv("HOLOSCAN_MODEL_PATH", raising=False)
    root, handlers, level = logging.root, logging.root.handlers[:], logging.root.level

    def run(*arguments: str | Path) -> int:
        from app.__main__ import main

        return main([str(argument) for argument in arguments])

    yield run
    root.handlers[:], root.level = handlers, level
