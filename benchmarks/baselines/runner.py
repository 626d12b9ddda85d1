"""Training and evaluating one model with the bundle's configurations, so that a run that was cut off can continue."""

from __future__ import annotations

import gc
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from monai.bundle import ConfigWorkflow

from benchmarks.baselines.models import evaluation_configs, training_configs
from monai_chexmask_u.data import landmark_datalist
from monai_chexmask_u.files.atomic import atomic_path, prepare_folder
from monai_chexmask_u.model import default_bundle
from monai_chexmask_u.networks.checkpoints import CheckpointError, latest_checkpoint

__all__ = ["Result", "Setup", "finished_result", "run_model"]

VAL_INTERVAL: Final = 5


@dataclass(frozen=True)
class Setup:
    """What all compared models share.

    Attributes:
        data: data set with ``train/`` and ``val/``.
        epochs: passes over the training images; there is no early stopping.
        image_size: side of the network image in pixels.
        batch_size: images per step.
        seed: of weights, order and augmentation.
        num_workers: processes that load images; the augmentation's random numbers depend on it.
    """

    data: str
    epochs: int
    image_size: int
    batch_size: int
    seed: int
    num_workers: int


@dataclass(frozen=True)
class Result:
    """What a finished run left behind.

    Attributes:
        training: the bundle's ``training_record.json``.
        evaluation: the bundle's ``summary.json``.
    """

    training: dict[str, Any]
    evaluation: dict[str, Any]


def run_model(name: str, setup: Setup, folder: Path, *, resume: bool = False) -> None:
    """Train a model and evaluate it on the validation images at 1024 pixels.

    The averaged weights at the end of the training are evaluated, not the best ones: nothing is chosen on the images
    of the evaluation.

    Args:
        name: one of `TITLES`.
        setup: what all models share.
        folder: of this model's run.
        resume: continue the run in the folder, if there is one; a finished one is left as it is.

    Raises:
        ValueError: if the data cannot be used, or the folder holds another run, or one that was not to be resumed.
    """
    for part in ("train", "val"):
        landmark_datalist(Path(setup.data) / part)
    _claim(folder, setup, resume=resume)
    if finished_result(setup, folder) is None:
        _train(name, setup, folder)
        _evaluate(name, setup, folder)


def finished_result(setup: Setup, folder: Path) -> Result | None:
    """Return the result of the run in a folder; None if it is not finished or had another setup."""
    if _setup_of(folder) != asdict(setup) or not _summary(folder).is_file():
        return None
    files = (folder / "training_record.json", _summary(folder))
    return Result(*(json.loads(file.read_text(encoding="utf-8")) for file in files))


def _claim(folder: Path, setup: Setup, *, resume: bool) -> None:
    """Note the setup in a new folder; refuse a folder whose run must not be touched."""
    earlier = _setup_of(folder)
    if earlier is None:
        prepare_folder(folder)
        with atomic_path(folder / "setup.json") as path:
            path.write_text(json.dumps(asdict(setup), indent=2) + "\n", encoding="utf-8")
    elif earlier != asdict(setup):
        raise ValueError(f"{folder}: holds a run with another setup, {earlier}; give another output folder")
    elif not resume:
        raise ValueError(f"{folder}: holds a run already; continue it with --resume, or give another output folder")


def _train(name: str, setup: Setup, folder: Path) -> None:
    _run(
        training_configs(name),
        dataset_dir=setup.data,
        ckpt_dir=str(folder),
        epochs=setup.epochs,
        image_size=setup.image_size,
        batch_size=setup.batch_size,
        seed=setup.seed,
        num_workers=setup.num_workers,
        val_interval=min(VAL_INTERVAL, setup.epochs),
        early_stopping=0,
        resume=_has_checkpoint(folder),
        **{"train#handlers#5#settings#parameters": "$sum(values.numel() for values in @network.parameters())"},
    )


def _evaluate(name: str, setup: Setup, folder: Path) -> None:
    images = str(Path(setup.data) / "val")
    _run(
        evaluation_configs(name),
        dataset_dir=images,
        val_dir=images,
        ckpt_path=str(folder / "final.pt"),
        output_dir=str(_summary(folder).parent),
        image_size=setup.image_size,
        network="$@network_def.to(@device)",
        initialize=[
            "$monai.utils.set_determinism(seed=@seed)",
            "$@network.load_state_dict(torch.load(@ckpt_path, map_location=@device, weights_only=True)['ema'])",
        ],
    )


def _run(configs: list[Path], **settings: Any) -> None:
    bundle = default_bundle()
    workflow = ConfigWorkflow(
        config_file=[str(path) for path in configs],
        meta_file=str(bundle / "configs" / "metadata.json"),
        logging_file=False,
        workflow_type="train",
        bundle_root=str(bundle),
        **settings,
    )
    workflow.initialize()
    workflow.run()
    workflow.finalize()
    del workflow
    gc.collect()  # its objects refer to each other, and would keep their loading processes beside the next model


def _setup_of(folder: Path) -> dict[str, Any] | None:
    path = folder / "setup.json"
    if not path.is_file():
        return None
    setup: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return setup


def _summary(folder: Path) -> Path:
    return folder / "evaluation" / "summary.json"


def _has_checkpoint(folder: Path) -> bool:
    try:
        latest_checkpoint(folder)
    except CheckpointError:
        return False
    return True
