"""Cross-validation: how the figures vary with the images that are held out.

Usage: python benchmarks/cross_validation.py --data DATA -o OUT [--folds 5] [--epochs 60] [--image-size 256]

DATA has train/ and val/; their images are pooled and dealt to the folds at random. Each fold is trained on the others
with the bundle's train.json, for a fixed number of epochs: the last averaged weights are evaluated, not the best ones,
so that the held-out images decide nothing. A run that was stopped continues where it was.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from monai_chexmask_u import workflows
from monai_chexmask_u.data import landmark_datalist
from monai_chexmask_u.files.atomic import atomic_path

METRICS = ("mse", "distance_px1024", "dice_lungs", "dice_right_lung", "dice_left_lung", "dice_heart")


def main(
    data: Annotated[Path, typer.Option(help="Data set with train/ and val/.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the folds and the result.")],
    folds: Annotated[int, typer.Option(min=2, help="Number of folds.")] = 5,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of each fold.")] = 60,
    image_size: Annotated[int, typer.Option(help="Side of the network image.")] = 256,
    seed: Annotated[int, typer.Option(help="Of dealing and training.")] = 0,
) -> None:
    """Train and evaluate every fold, and print mean and spread."""
    items = landmark_datalist([data / "train", data / "val"])
    _claim(output, {"data": str(data.resolve()), "folds": folds, "image_size": image_size, "seed": seed})
    order = np.random.default_rng(seed).permutation(len(items))
    results = []
    for fold in range(folds):
        held_out = {int(index) for index in order[fold::folds]}
        folder = output / f"fold{fold}"
        _write_part(folder / "data" / "train", [item for index, item in enumerate(items) if index not in held_out])
        _write_part(folder / "data" / "val", [item for index, item in enumerate(items) if index in held_out])
        summary = folder / f"evaluation_{epochs}" / "summary.json"  # more epochs continue the same training
        if not summary.is_file():
            _train(folder, epochs=epochs, image_size=image_size, seed=seed)
            workflows.evaluate(folder / "data" / "val", summary.parent, folder / "runs" / "final.pt")
        results.append(json.loads(summary.read_text(encoding="utf-8")))
        _report(results, output, epochs=epochs, image_size=image_size, folds=folds, seed=seed)


def _claim(output: Path, setup: dict[str, Any]) -> None:
    """Note what the folds are in a new folder; refuse a folder of other folds, whose weights have seen these images."""
    note = output / "setup.json"
    if note.is_file() and json.loads(note.read_text(encoding="utf-8")) != setup:
        raise SystemExit(f"{output}: holds a cross-validation with another setup; give another output folder")
    output.mkdir(parents=True, exist_ok=True)
    with atomic_path(note) as path:
        path.write_text(json.dumps(setup, indent=2) + "\n", encoding="utf-8")


def _write_part(folder: Path, items: list[dict[str, Any]]) -> None:
    """Write a part of a fold: links to the images and their landmarks."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for item in items:
        link = folder / "images" / Path(item["image"]).name
        if not link.exists():
            link.symlink_to(Path(item["image"]).resolve())
    with atomic_path(folder / "landmarks.npz") as path:
        np.savez(path, names=[item["name"] for item in items], landmarks=[item["label"] for item in items])


def _train(folder: Path, **settings: Any) -> None:
    runs = folder / "runs"
    record = runs / "training_record.json"
    done = json.loads(record.read_text(encoding="utf-8"))["epochs"] if record.is_file() else 0
    if done > settings["epochs"]:
        raise SystemExit(f"{folder}: was trained for {done} epochs already; ask for as many or more")
    if done < settings["epochs"] or not (runs / "final.pt").is_file():
        resume = any(runs.glob("checkpoint_epoch=*.pt"))
        workflows.train([folder / "data"], runs, resume=resume, early_stopping=0, val_interval=10, **settings)


def _report(results: list[dict[str, Any]], output: Path, **settings: Any) -> None:
    """Write and print the mean over the folds and its spread, and the mean over all images."""
    table: dict[str, Any] = {}
    for metric in METRICS:
        means = np.array([result["metrics"][metric]["mean"] for result in results])
        spread = float(means.std(ddof=1)) if len(means) > 1 else None
        table[metric] = {"mean": float(means.mean()), "std_over_folds": spread, "folds": means.tolist()}
        print(f"{metric:20} {means.mean():9.4f} ± {spread or 0:.4f}   {np.round(means, 4)}")
    content = {"settings": settings, "images": sum(result["images"] for result in results), "metrics": table}
    with atomic_path(output / "cross_validation.json") as path:
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
