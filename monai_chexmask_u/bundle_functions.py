"""What the bundle's configurations call.

A configuration reaches the library through one entry, ``library``, so that a bundle that was unzipped anywhere finds
the library that travels inside it, without an installation and without PYTHONPATH.
"""

from __future__ import annotations

import logging
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import monai_chexmask_u
from monai_chexmask_u.checksum import sha256_of
from monai_chexmask_u.data import dicom_datalist, landmark_datalist, radiograph_datalist
from monai_chexmask_u.model import load_calibration, model_identity
from monai_chexmask_u.networks import HybridGNet
from monai_chexmask_u.networks.checkpoints import (
    is_complete,
    latest_checkpoint,
    read_checkpoint,
    start_from,
)
from monai_chexmask_u.transforms.masks import MASK_CHANNELS

__all__ = [
    "MASK_CHANNELS",
    "dicom_datalist",
    "is_complete",
    "is_true",
    "landmark_datalist",
    "latest_checkpoint",
    "library_of",
    "load_calibration",
    "model_identity",
    "radiograph_datalist",
    "read_checkpoint",
    "sha256_of",
    "start_from",
    "with_tensorrt",
]

logger = logging.getLogger(__name__)


def is_true(name: str, value: object) -> bool:
    """Return what an option of yes and no says, however the command line gave it.

    Args:
        name: of the option.
        value: true or false, 1 or 0, as such or as text.

    Raises:
        ValueError: if it is anything else; a guess could run the other network than the one asked for.

    Example:
        >>> is_true("skip_connections", "False")
        False
    """
    known = {"true": True, "1": True, "false": False, "0": False}
    if (text := str(value).lower()) not in known:
        raise ValueError(f"{name}: expected true or false, got {value!r}")
    return known[text]


def library_of(bundle_root: str) -> ModuleType:
    """Return this module, having made sure that it is the one that belongs to a bundle.

    Args:
        bundle_root: folder of the bundle.

    Raises:
        ImportError: if the bundle has a library of its own, and another one was imported before.
    """
    own = Path(bundle_root).resolve() / "monai_chexmask_u"
    used = Path(monai_chexmask_u.__file__).resolve().parent
    if (own / "__init__.py").is_file() and own != used:
        raise ImportError(
            f"the bundle has its own library (in {own}), but version {monai_chexmask_u.__version__} of the installed "
            "package monai-chexmask-u was imported before; run one of both in a process of its own"
        )
    origin = "the bundle's own" if own == used else "installed"
    logger.info("Library: monai-chexmask-u %s, %s", monai_chexmask_u.__version__, origin)
    return sys.modules[__name__]


def with_tensorrt(network: HybridGNet) -> HybridGNet:
    """Let TensorRT run a network's encoder, where nearly all of the time goes; the sampling stays as it is.

    Args:
        network: on its GPU; its weights may be loaded afterwards, as the encoder is compiled at its first image.

    Raises:
        SystemExit: if TensorRT or a GPU is missing, with one sentence and the way out: MONAI would wrap any other error
            in several of its own, and print all of them.
    """
    import torch

    if find_spec("torch_tensorrt") is None:
        raise SystemExit(
            "TensorRT is not installed; run configs/inference.json alone, "
            "or install it on a machine with an NVIDIA GPU: pip install torch-tensorrt"
        )
    if not torch.cuda.is_available():
        raise SystemExit("TensorRT needs an NVIDIA GPU, and there is none; run configs/inference.json alone")
    network.encode = torch.compile(network.encode, backend="torch_tensorrt")  # type: ignore[method-assign]
    return network
