"""What all tests share: repeatable Hypothesis runs, a tiny model, and real radiographs where they are at hand."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from monai_chexmask_u.model import Model
    from monai_chexmask_u.networks import HybridGNet

# torch's first call is slower than Hypothesis' deadline; a fixed set of examples makes runs repeatable.
settings.register_profile("repeatable", deadline=None, derandomize=True, max_examples=50, database=None)
settings.load_profile("repeatable")

REPOSITORY = Path(__file__).parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put modules with slow tests first, so that no worker is left alone with one at the end."""
    slow = {item.path for item in items if any(item.iter_markers("slow")) or any(item.iter_markers("fresh"))}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real radiographs that lie beside the repository and never in it."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real radiographs beside the repository (../shared/data)")
    return folder


def _pydicom_data(name: str) -> Path:
    try:
        folder = Path(str(distribution("pydicom-data").locate_file("data_store"))) / "data"
    except PackageNotFoundError:
        pytest.skip("the package pydicom-data is not installed")
    path = folder / name
    if not path.is_file():
        pytest.skip(f"pydicom-data has no {name}")
    return path


@pytest.fixture(scope="session")
def chest_cr() -> Path:
    """A real CR chest PA, MONOCHROME1, 1955x1841, with a pixel spacing of zero."""
    return _pydicom_data("RG1_UNCR.dcm")


@pytest.fixture(scope="session")
def leg_cr() -> Path:
    """A real CR of a lower leg."""
    return _pydicom_data("RG3_UNCR.dcm")


@pytest.fixture(scope="session")
def tiny_network() -> HybridGNet:
    """A network of random weights, which tests must not change; this seed puts landmarks inside the phantom's image."""
    import torch

    from monai_chexmask_u.networks import HybridGNet

    torch.manual_seed(2)
    return HybridGNet(64).eval()


@pytest.fixture(scope="session")
def tiny_model(tiny_network: HybridGNet) -> Model:
    from monai_chexmask_u.model import Model
    from monai_chexmask_u.segmentation import ModelIdentity

    return Model(tiny_network, ModelIdentity("tiny", "1.2.3", "ab" * 32))


@pytest.fixture(scope="session")
def tiny_bundle(tiny_network: HybridGNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle folder that holds the tiny network's weights."""
    from monai_chexmask_u.networks.checkpoints import write_checkpoint

    folder = tmp_path_factory.mktemp("bundle")
    (folder / "configs").mkdir()
    (folder / "models").mkdir()
    (folder / "configs" / "metadata.json").write_text('{"name": "tiny", "version": "1.2.3"}')
    write_checkpoint(tiny_network, folder / "models" / "model.pt")
    return folder


@pytest.fixture(scope="session")
def calibrated_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle folder that holds a tiny network with refinements, and a calibration that accepts everything."""
    import torch
    from support.samples.calibrations import make_calibration

    from monai_chexmask_u.files.checksum import sha256_of
    from monai_chexmask_u.model import calibration_file
    from monai_chexmask_u.networks import HybridGNet
    from monai_chexmask_u.networks.checkpoints import write_checkpoint
    from monai_chexmask_u.uncertainty.calibration import write_calibration

    folder = tmp_path_factory.mktemp("calibrated")
    (folder / "configs").mkdir()
    (folder / "models").mkdir()
    (folder / "configs" / "metadata.json").write_text('{"name": "tiny", "version": "1.2.3"}')
    torch.manual_seed(2)  # puts landmarks inside the phantom's image
    weights = folder / "models" / "model.pt"
    write_checkpoint(HybridGNet(64, refinements=3), weights)
    write_calibration(make_calibration(sha256_of(weights)), calibration_file(weights))
    return folder


@pytest.fixture(scope="session")
def calibrated_model(calibrated_bundle: Path) -> Model:
    from monai_chexmask_u.model import load_model

    return load_model(calibrated_bundle)


@pytest.fixture
def landmark_data(tmp_path: Path) -> Path:
    """Four images of 64 pixels with landmarks, as training and as validation set."""
    import numpy as np
    from PIL import Image
    from support.samples.dicom import phantom_landmarks

    for part in ("train", "val"):
        images = tmp_path / "data" / part / "images"
        images.mkdir(parents=True)
        points = np.stack([phantom_landmarks(64, 64)] * 4).astype(np.float32)
        names = [f"{part}{number}" for number in range(4)]
        generator = np.random.default_rng(0)
        for name in names:
            Image.fromarray(generator.integers(0, 255, (64, 64), dtype=np.uint8)).save(images / f"{name}.png")
        np.savez(images.parent / "landmarks.npz", names=np.array(names), landmarks=points)
    return tmp_path / "data"
