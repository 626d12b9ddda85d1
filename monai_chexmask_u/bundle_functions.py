"""What the bundle's configurations call.

A configuration reaches the library through one entry, ``library``, so that a bundle that was unzipped anywhere finds
the library that travels inside it, without an installation and without PYTHONPATH.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

import monai_chexmask_u
from monai_chexmask_u.data import dicom_datalist, landmark_datalist, radiograph_datalist
from monai_chexmask_u.files.checksum import sha256_of
from monai_chexmask_u.losses import ShapeCode
from monai_chexmask_u.model import load_calibration, model_identity
from monai_chexmask_u.networks import HybridGNet
from monai_chexmask_u.networks.checkpoints import (
    is_complete,
    latest_checkpoint,
    read_checkpoint,
    start_from,
)
from monai_chexmask_u.networks.network_image import fit_frame
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.transforms.masks import MASK_CHANNELS

__all__ = [
    "MASK_CHANNELS",
    "clip_gradients",
    "computes_in_bfloat16",
    "dicom_datalist",
    "fit_shape_code",
    "has_bounded_variance",
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


def fit_shape_code(items: Sequence[Mapping[str, Any]], *, size: int, seed: int = 0, outlines: int = 3000) -> ShapeCode:
    """Fit the shape code to training outlines, each as if its patient stood a little otherwise.

    Args:
        items: of `landmark_datalist`; those with unknown landmarks are left out.
        size: dimensions of the code.
        seed: of the positionings.
        outlines: number of moved outlines.

    Raises:
        ValueError: if no outline is whole.
    """
    from monai_chexmask_u.transforms.views import random_positioning  # needs OpenCV, which inference does not

    whole = [item for item in items if np.isfinite(item["label"]).all()]
    if not whole:
        raise ValueError("no radiograph of the training set has landmarks of both lungs and the heart")
    radiographs = [read_radiograph(Path(item["image"])) for item in whole[:outlines]]
    frames = [(radiograph.shape, fit_frame(radiograph, 1024)) for radiograph in radiographs]
    random = np.random.default_rng(seed)
    moved = []
    for index in range(outlines):
        shape, frame = frames[index % len(frames)]
        matrix = random_positioning(shape, random)
        points = np.asarray(whole[index % len(frames)]["label"], dtype=np.float64)
        moved.append(frame.to_network(points @ matrix[:, :2].T + matrix[:, 2]))
    return ShapeCode(torch.from_numpy(np.stack(moved)), size)


def clip_gradients(optimizer: torch.optim.Optimizer, largest_norm: float) -> None:
    """Have an optimizer shorten gradients that are longer than a norm, together, before each of its steps."""

    def clip(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        torch.nn.utils.clip_grad_norm_(parameters, largest_norm)

    optimizer.register_step_pre_hook(clip)


def computes_in_bfloat16(device: torch.device) -> bool:
    """Say whether a device has instructions for bfloat16; a processor without them is far slower than in float32."""
    if device.type != "cpu":
        return True
    capabilities: Mapping[str, Any] = getattr(
        torch.cpu, "get_capabilities", dict
    )()  # PyTorch before 2.11 does not tell
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16") or capabilities.get("bf16"))


def has_bounded_variance(weights: str | None) -> bool:
    """Tell whether weights are of the variant with bounded latent variances, which a training from them has to keep.

    Args:
        weights: their file, or None where a training starts from random ones.

    Raises:
        CheckpointError: if the file cannot be used.
    """
    return weights is not None and read_checkpoint(Path(weights)).bounded_variance


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
        SystemExit: if TensorRT or a GPU is missing, in one sentence; MONAI would wrap any other error in several of its
            own, and print all of them.
    """
    if find_spec("torch_tensorrt") is None:
        raise SystemExit(
            "TensorRT is not installed; run configs/inference.json alone, "
            "or install it on a machine with an NVIDIA GPU: pip install torch-tensorrt"
        )
    if not torch.cuda.is_available():
        raise SystemExit("TensorRT needs an NVIDIA GPU, and there is none; run configs/inference.json alone")
    network.encode = torch.compile(network.encode, backend="torch_tensorrt")  # type: ignore[method-assign]
    return network
