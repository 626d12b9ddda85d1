"""What the label app's training makes of few radiographs, and whether it is published.

Usage: PYTHONPATH=tests python benchmarks/fine_tuning.py --data JSRT/val [--radiographs 10] [--replay JSRT]

The radiographs get their true landmarks as labels, every other one as a mask, the others as markups; then labels with
the heart drawn higher, a convention that the model has not learned. Needs the label app's environment
(label/README.md).
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from support.samples.learning import annotate, outlined_radiographs

sys.path.insert(0, str(Path(__file__).parents[1]))  # label/ is no part of the package

HEART = slice(94, None)


def main(
    data: Annotated[Path, typer.Option(help="Outlined radiographs.")],
    radiographs: Annotated[int, typer.Option(min=4, help="Number of radiographs to annotate.")] = 10,
    raised: Annotated[list[float] | None, typer.Option(help="Pixels by which hearts are drawn higher.")] = None,
    epochs: Annotated[int, typer.Option(min=1)] = 20,
    replay: Annotated[Path | None, typer.Option(help="Data set of which radiographs are mixed in.")] = None,
) -> None:
    """Print a row for each convention."""
    from label.images.folder_datastore import ChestLocalDatastore
    from label.tasks.model_versions import ModelStore
    from label.tasks.training import FineTune

    print(
        "| heart raised, px | images | held out | replayed | error, px1024 | Dice lungs | Dice heart | published | s |"
    )
    print("| ---: " * 7 + "| --- | ---: |")
    for offset in raised or [0.0, 40.0]:
        found = outlined_radiographs(data, radiographs)
        for _, landmarks in found.values():
            landmarks[HEART, 1] -= offset
        with TemporaryDirectory() as folder:
            studies = Path(folder) / "studies"
            annotate(studies, found, masks=list(found)[::2])
            task = FineTune(ModelStore(Path(folder) / "model"), replay)
            logging.disable(logging.ERROR)  # a row says all
            result = task({"max_epochs": epochs}, ChestLocalDatastore(studies))
        if result["after"] is None:
            raise SystemExit(result["message"])
        before, after = result["before"], result["after"]
        changes = [
            f"{before[name]:.3f} to {after[name]:.3f}" for name in ("distance_px1024", "dice_lungs", "dice_heart")
        ]
        counts = [str(result[name]) for name in ("films", "held_out", "replayed")]
        published = "yes" if result["published"] else "no"
        print(" | ".join([f"| {offset:g}", *counts, *changes, published, f"{result['seconds']} |"]), flush=True)


if __name__ == "__main__":
    typer.run(main)
