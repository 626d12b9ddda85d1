"""Which models are compared, and the configurations of each."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from monai_chexmask_u.model import default_bundle

__all__ = ["TITLES", "evaluation_configs", "training_configs"]

TITLES: Final = {
    "pca": "PCA shape model",
    "fc": "Fully connected decoder",
    "hybridgnet-no-skip": "HybridGNet, no skip connections",
    "hybridgnet": "HybridGNet, two skip connections",
    "hybridgnet-refined": "HybridGNet, refined (this project)",
    "unet": "U-Net on masks (MONAI)",
}


def training_configs(name: str) -> list[Path]:
    """Return the bundle's ``train.json`` and what a model changes in it, ``configs/NAME.json``."""
    return [_bundle("train.json"), _own(f"{name}.json")]


def evaluation_configs(name: str) -> list[Path]:
    """Return the configurations of the training, ``evaluate.json``, and ``configs/NAME_evaluate.json`` if there is."""
    further = _own(f"{name}_evaluate.json")
    return [*training_configs(name), _bundle("evaluate.json"), *([further] if further.is_file() else [])]


def _bundle(file: str) -> Path:
    return default_bundle() / "configs" / file


def _own(file: str) -> Path:
    return Path(__file__).parent / "configs" / file
