"""Finding the model: the bundle that ships with the project, another bundle, or a weights file."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

from monai_chexmask_u.files.checksum import sha256_of
from monai_chexmask_u.files.faults import cause_of
from monai_chexmask_u.networks import HybridGNet
from monai_chexmask_u.networks.checkpoints import CheckpointError, read_checkpoint
from monai_chexmask_u.segmentation import ModelIdentity
from monai_chexmask_u.uncertainty.calibration import Calibration, CalibrationError, read_calibration

__all__ = [
    "Model",
    "calibration_file",
    "default_bundle",
    "identify",
    "load_calibration",
    "load_model",
    "model_identity",
    "weights_file",
]

CALIBRATION_SUFFIX = ".calibration.pt"


@dataclass(frozen=True)
class Model:
    """A network ready for use, what it is called in every output, and its calibration if there is one."""

    network: HybridGNet
    identity: ModelIdentity
    calibration: Calibration | None = None


def default_bundle() -> Path:
    """Return the folder of the MONAI Bundle that belongs to this library.

    It lies in the installed package, in the checkout, or around the library that travels in a bundle's zip.
    """
    package = Path(__file__).parent
    if (package / "bundle").is_dir():
        return package / "bundle"
    around = package.parent
    return around if (around / "configs" / "metadata.json").is_file() else around / "bundle"


def load_model(path: Path | str | None = None, *, calibrated: bool = True) -> Model:
    """Load a network and its identity.

    Args:
        path: a bundle folder (``configs/metadata.json`` and ``models/model.pt``), a folder that holds just one such
            bundle (as an application package does) or weights file, or a weights file; the project's own bundle by
            default.
        calibrated: load its calibration, where there is one.

    Raises:
        CheckpointError: if there is no model there, or it is broken; the message names the file.
        CalibrationError: if its calibration is broken or belongs to other weights.
    """
    path = default_bundle() if path is None else Path(path)
    try:
        identity = model_identity(path)
        network = read_checkpoint(weights_file(path))
        if model_identity(path) != identity:  # a training may be writing there; results would name other weights
            raise CheckpointError(f"{weights_file(path)}: the file has changed while it was read; try again")
        calibration = load_calibration(path) if calibrated else None  # after the weights: damaged ones are others, too
    except OSError as error:
        raise CheckpointError(
            f"{path}: the model cannot be read ({cause_of(error)}); check its name and its permissions"
        ) from error
    if calibration is not None:
        _check_fit(calibration, network, calibration_file(weights_file(path)))
    return Model(network, _with_calibration(identity, calibration), calibration)


def identify(path: Path) -> tuple[ModelIdentity, Calibration | None]:
    """Return what outputs say of the model at a path, and its calibration, without building its network.

    Args:
        path: as for `load_model`.

    Raises:
        CheckpointError: if there is no model there.
        CalibrationError: if its calibration is broken or belongs to other weights.
    """
    calibration = load_calibration(path)
    return _with_calibration(model_identity(path), calibration), calibration


def _with_calibration(identity: ModelIdentity, calibration: Calibration | None) -> ModelIdentity:
    return replace(identity, calibration_sha256=calibration.sha256 if calibration else None)


def _check_fit(calibration: Calibration, network: HybridGNet, path: Path) -> None:
    """See that the examiner can look at what this network computes.

    Raises:
        CalibrationError: if it cannot, though the file names these weights.
    """
    latent_size = len(calibration.examiner.latent.mean)
    if latent_size != network.latent_size or not network.refinements:
        raise CalibrationError(
            f"{path}: was made for a network with refinements and {latent_size} latent dimensions, and these weights "
            "are of another; make it anew with chexmask-u calibrate, or take the file away"
        )


def load_calibration(path: Path) -> Calibration | None:
    """Read the calibration of the model at a path: ``model.calibration.pt`` beside the weights ``model.pt``.

    Args:
        path: as for `load_model`.

    Returns:
        The calibration, or None if there is none.

    Raises:
        CheckpointError: if there is no model there.
        CalibrationError: if the calibration is broken or belongs to other weights.
    """
    weights = weights_file(path)
    file = calibration_file(weights)
    return read_calibration(file, sha256_of(weights)) if file.is_file() else None


def calibration_file(weights: Path) -> Path:
    """Return where the calibration of a weights file lies, whether there is one or not."""
    return weights.with_name(weights.stem + CALIBRATION_SUFFIX)


def model_identity(path: Path) -> ModelIdentity:
    """Return what the weights at a path are called, without building their network and without their calibration.

    Args:
        path: as for `load_model`.

    Raises:
        CheckpointError: if there is no model there.
    """
    weights = weights_file(path)
    if not weights.is_file():
        raise CheckpointError(f"{weights}: there is no weights file here; give the path of a model.pt or a bundle")
    name, version = _name_and_version(weights)
    return ModelIdentity(name, version, sha256_of(weights))


def weights_file(path: Path) -> Path:
    """Return the weights file of a model.

    Args:
        path: as for `load_model`.

    Raises:
        CheckpointError: if a folder holds none, or several.
    """
    if not path.is_dir():
        return path
    main = path / "models" / "model.pt"
    if main.is_file() or (path / "configs" / "metadata.json").is_file():  # a bundle's other weights are variants
        return main
    bundles = sorted(path.glob("*/models/model.pt"))
    found = bundles or sorted(file for file in path.rglob("*.pt") if not file.name.endswith(CALIBRATION_SUFFIX))
    if len(found) != 1:
        raise CheckpointError(
            f"{path}: expected one bundle with models/model.pt, or just one .pt file, and found {len(found)}"
        )
    return found[0]


def _name_and_version(weights: Path) -> tuple[str, str]:
    """Read the identity from the bundle that the weights lie in; a lone file has its own name and no version."""
    metadata = weights.parent.parent / "configs" / "metadata.json"
    if not metadata.is_file():
        return re.sub(r"[^\w .+-]", "_", weights.stem)[:64], "unknown"  # DICOM allows no more
    try:
        content = json.loads(metadata.read_text(encoding="utf-8"))
        return str(content["name"]), str(content["version"])
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{metadata}: not a bundle's metadata with name and version ({error})") from error
