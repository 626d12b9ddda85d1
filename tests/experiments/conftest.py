from __future__ import annotations

from pathlib import Path

import pytest
from support.samples.experiments import CalibratedSegmenter, Folders, make_folders

from monai_chexmask_u.model import Model
from monai_chexmask_u.segmenter import Segmenter


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return make_folders(tmp_path)


@pytest.fixture(scope="module")
def plain(tiny_model: Model) -> Segmenter:
    return Segmenter(tiny_model, num_samples=3, device="cpu")


@pytest.fixture(scope="module")
def calibrated(tiny_model: Model) -> Segmenter:
    return CalibratedSegmenter(tiny_model, num_samples=3, device="cpu")
