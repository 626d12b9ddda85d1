"""Training and evaluation: the bundle's own configurations, run with settings, and with errors a person can act on."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from monai_chexmask_u.data import landmark_datalist
from monai_chexmask_u.files.atomic import prepare_folder
from monai_chexmask_u.model import default_bundle, weights_file
from monai_chexmask_u.networks.checkpoints import read_checkpoint

__all__ = ["EngineError", "evaluate", "train"]


class EngineError(ValueError):
    """A training or an evaluation cannot continue; the message names the cause and what to do."""


def train(data: Sequence[Path], output: Path, **settings: Any) -> None:
    """Train with the bundle's ``train.json``.

    Args:
        data: data sets, each a folder with ``train/`` and perhaps ``val/`` in a layout of `landmark_datalist`; at least
            one has ``val/``. Sets of lungs alone may stand beside sets of lungs and heart.
        output: folder for checkpoints, the best weights, TensorBoard's files and the training record.
        settings: entries of ``train.json`` to change, such as ``epochs=10`` or ``resume=True``.

    Raises:
        EngineError: if there is nothing to validate on, a setting cannot be used, or memory runs out.
        ValueError: if a data set cannot be used.
    """
    _refuse_unknown(settings)
    absent = [folder for folder in data if not (folder / "train").is_dir()]
    if absent:
        raise EngineError(f"{absent[0]}: no folder train/ here; a data set has train/ and, at least one, val/")
    validation = [folder / "val" for folder in data if (folder / "val").is_dir()]
    if not validation:
        raise EngineError(f"{data[0]}: no folder val/ with images to validate on; a data set has train/ and val/")
    parts = {"train_dir": [folder / "train" for folder in data], "val_dir": validation}
    for folders in parts.values():
        landmark_datalist(folders)  # what is wrong with the data is said before anything is written
    prepare_folder(output)
    texts = {name: [str(folder) for folder in folders] for name, folders in parts.items()}
    _run(["train.json"], "logging.conf", dataset_dir=str(data[0]), ckpt_dir=str(output), **texts, **settings)


def evaluate(data: Path, output: Path, model: Path | None = None, **settings: Any) -> None:
    """Evaluate with the bundle's ``evaluate.json``; writes ``per_image.csv`` and ``summary.json``.

    Args:
        data: images with landmarks, in a layout of `landmark_datalist`.
        output: folder for the two files.
        model: bundle folder or weights file; the shipped one by default.
        settings: entries of the configurations to change, such as ``spacing_mm=0.35``.

    Raises:
        EngineError: if a setting cannot be used, or memory runs out.
        ValueError: if the data cannot be used.
        CheckpointError: if there is no model, or it is broken.
    """
    weights = weights_file(model or default_bundle())
    read_checkpoint(weights)  # what is wrong with the weights or the data is said before anything is written
    landmark_datalist(data)
    prepare_folder(output)
    _run(
        ["train.json", "evaluate.json"],
        dataset_dir=str(data),
        val_dir=str(data),
        output_dir=str(output),
        ckpt_path=str(weights),
        **{"validate#handlers#0#_disabled_": True},  # it logs what the summary says
        **settings,
    )


def _refuse_unknown(settings: Mapping[str, Any]) -> None:
    """Refuse what ``train.json`` does not have: MONAI would add it, and nobody would read it."""
    from monai.bundle import ConfigParser

    reserved = [name for name in settings if name in ("bundle_root", "dataset_dir", "train_dir", "val_dir", "ckpt_dir")]
    if reserved:
        raise EngineError(f"{reserved[0]} follows from --data and --output and cannot be set")
    parser = ConfigParser()
    parser.read_config(str(default_bundle() / "configs" / "train.json"))
    unknown = [name for name in settings if name not in parser]
    if unknown:
        raise EngineError(f"train.json has no entry {unknown[0]!r}; see the names in it")


def _run(configs: list[str], log: str | None = None, /, **settings: Any) -> None:
    """Run configurations of the shipped bundle; with a logging configuration they tell how it goes."""
    missing = [package for package in ("ignite", "tensorboard") if find_spec(package) is None]
    if missing:
        raise EngineError(
            f"the package {missing[0]} is missing; install this one with its extra: pip install '.[bundle]'"
        )
    configurations = default_bundle() / "configs"
    with _explained():
        from monai.bundle import ConfigWorkflow

        logging.getLogger("monai.bundle.workflows").setLevel(logging.ERROR)  # it warns that there is no log
        workflow = ConfigWorkflow(
            config_file=[str(configurations / name) for name in configs],
            meta_file=str(configurations / "metadata.json"),
            logging_file=str(configurations / log) if log else False,
            workflow_type="train",
            bundle_root=str(configurations.parent),
            **settings,
        )
        workflow.initialize()
        workflow.run()
        workflow.finalize()


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what a person can mend into one sentence; MONAI wraps it in errors of its own."""
    try:
        yield
    except Exception as error:  # MONAI raises RuntimeError around nearly anything
        cause = _cause(error)
        if _is_out_of_memory(cause):
            advice = "use a smaller batch (--batch-size) or smaller images (--set image_size=256)"
            raise EngineError(f"memory ran out; {advice}, and --resume to continue from the last checkpoint") from error
        if isinstance(cause, ValueError | OSError | TypeError):
            raise EngineError(str(cause)) from error
        raise


def _cause(error: BaseException) -> BaseException:
    """Return what MONAI's RuntimeErrors are wrapped around: the first error of another kind, or the last of all."""
    while type(error) is RuntimeError and error.__cause__ is not None:
        error = error.__cause__
    return error


def _is_out_of_memory(error: BaseException) -> bool:
    """Tell by type on a GPU, and by the allocator's words on a CPU, where torch raises a plain RuntimeError."""
    import torch

    words = ("can't allocate memory", "not enough memory", "killed by signal: Killed")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(word in str(error) for word in words)
