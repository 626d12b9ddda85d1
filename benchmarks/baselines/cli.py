"""The command that trains all models at the same budget and writes the table that compares them."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.baselines.models import TITLES
from benchmarks.baselines.runner import Result, Setup, finished_result, run_model
from benchmarks.baselines.table import PUBLISHED, markdown, measured_row
from monai_chexmask_u.files.atomic import atomic_path

__all__ = ["compare", "main"]

NOTE = """\
{data}: {epochs} epochs at {image_size} pixels, batch {batch_size}, seed {seed}, one augmentation, no early stopping.
The averaged weights at the end of the training are measured at 1024 pixels: nothing was chosen on the images below.
Lungs are both lungs without the heart. Hausdorff distances (HD) are over the images on which both masks have pixels.
The training ran on: {devices}. It took the time given beside whatever else the machine did.
"""


def main() -> None:
    """Run the command line."""
    typer.run(compare)


def compare(
    data: Annotated[Path, typer.Option(help="Data set with train/ and val/, lungs and heart outlined.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for all runs, baselines.json and .md.")],
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of every model.")] = 60,
    image_size: Annotated[int, typer.Option(min=64, help="Side of the network image in pixels.")] = 256,
    batch_size: Annotated[int, typer.Option(min=1, help="Images per step.")] = 4,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of weights, order and augmentation.")] = 0,
    num_workers: Annotated[int, typer.Option(min=0, help="Processes that load images.")] = 1,
    only: Annotated[str, typer.Option(help="Models to run, separated by commas.")] = ",".join(TITLES),
    resume: Annotated[bool, typer.Option(help="Go on with what the output folder holds.")] = False,
) -> None:
    """Train each model at the same budget, evaluate it on val/ at 1024 pixels, and write a table.

    The table holds every finished run of this setup in the output folder. Ends with 2 if a model cannot be run, which
    is said in one line.
    """
    setup = Setup(str(data), epochs, image_size, batch_size, seed, num_workers)
    _show_progress()
    try:
        for name in _chosen(only):
            typer.echo(f"{TITLES[name]}: {output / name}")
            run_model(name, setup, output / name, resume=resume)
            _write(setup, output)
    except (ValueError, OSError) as error:
        typer.echo(f"baselines: {error}", err=True)
        raise typer.Exit(2) from error
    typer.echo((output / "baselines.md").read_text(encoding="utf-8"))


def _chosen(only: str) -> list[str]:
    names = [name.strip() for name in only.split(",")]
    unknown = [name for name in names if name not in TITLES]
    if unknown:
        raise ValueError(f"--only {only}: there is no model {unknown[0]!r}; there are {', '.join(TITLES)}")
    return names


def _show_progress() -> None:
    """Let MONAI's engines tell how the training goes, and not where its configurations lie."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("monai.bundle.workflows").setLevel(logging.ERROR)
    logging.getLogger("StatsHandler").setLevel(logging.INFO)


def _write(setup: Setup, output: Path) -> None:
    """Write ``baselines.json`` and ``baselines.md`` from all finished runs of the setup."""
    found = {name: finished_result(setup, output / name) for name in TITLES}
    results: dict[str, Result] = {name: result for name, result in found.items() if result is not None}
    rows = [measured_row(TITLES[name], result) for name, result in results.items()]
    devices = sorted({result.training["device"] for result in results.values()})
    content = {
        "setup": asdict(setup),
        "devices": devices,
        "software": {name: result.training["software"] for name, result in results.items()},
        "measured": [asdict(row) for row in rows],
        "published": [asdict(row) for row in PUBLISHED],
    }
    images = max(result.evaluation["images"] for result in results.values())
    note = NOTE.format(**asdict(setup), devices="; ".join(devices))
    with atomic_path(output / "baselines.json") as path:
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    with atomic_path(output / "baselines.md") as path:
        path.write_text(f"{note}\n{markdown(rows, images)}", encoding="utf-8")
