"""The commands ``chexmask-u train`` and ``evaluate``; light to import, the work is imported when it starts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from monai_chexmask_u.commands.console import out, usage_error

__all__ = ["evaluate", "train"]


def train(
    data: Annotated[
        list[Path],
        typer.Option(help="Data set with train/ and val/; give it again for further sets.", show_default=False),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for checkpoints, weights and the record.")],
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs in all; the bundle's by default.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Images per step.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of weights, order and augmentation.")] = 0,
    resume: Annotated[bool, typer.Option(help="Continue from the last checkpoint in the output folder.")] = False,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="Any other entry of train.json, as NAME=VALUE (JSON).")
    ] = None,
) -> None:
    """Train the bundle's network; the best weights go to best.pt, the whole state to checkpoint_epoch=N.pt.

    Ends with 0 when done and with 2 if it cannot start or continue, which is said in one line.
    """
    from monai_chexmask_u import workflows

    chosen = {"epochs": epochs, "batch_size": batch_size, "seed": seed, "resume": resume}
    try:
        settings = {name: value for name, value in chosen.items() if value is not None} | _settings(setting or [])
        workflows.train(data, output, **settings)
    except (ValueError, OSError) as error:
        raise usage_error(str(error)) from error
    out.print(f"{output / 'best.pt'}: the weights with the least error on the validation images")


def evaluate(
    data: Annotated[Path, typer.Option(help="Images with landmarks.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for per_image.csv and summary.json.")],
    model: Annotated[
        Path | None, typer.Option(help="Bundle folder or weights file; the shipped one by default.")
    ] = None,
    spacing_mm: Annotated[
        float | None,
        typer.Option(min=0.001, help="Millimeters per pixel at 1024 pixels where the files do not say (JSRT: 0.35)."),
    ] = None,
) -> None:
    """Compare predicted with true landmarks: errors, overlap, distances, areas and cardiothoracic ratio."""
    from monai_chexmask_u import workflows

    try:
        workflows.evaluate(data, output, model, spacing_mm=spacing_mm)
    except (ValueError, OSError) as error:
        raise usage_error(str(error)) from error
    _print_summary(output / "summary.json")


def _settings(pairs: list[str]) -> dict[str, object]:
    """Parse ``NAME=VALUE``; a value that is not JSON is taken as text.

    Raises:
        ValueError: if there is no ``=``, or the value is Python's spelling of a JSON constant.
    """
    settings: dict[str, object] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ValueError(f"--set {pair}: expected NAME=VALUE")
        try:
            if value in ("True", "False", "None"):
                raise ValueError(f"--set {pair}: write true, false or null")  # as text it would count as true
            settings[name] = json.loads(value)
        except json.JSONDecodeError:
            settings[name] = value
    return settings


def _print_summary(path: Path) -> None:
    """Print the means of an evaluation as a table: a row per metric, a column per organ."""
    summary = json.loads(path.read_text(encoding="utf-8"))
    organs = ("right_lung", "left_lung", "heart", "lungs")
    rows: dict[str, dict[str, str]] = {}
    for name, values in summary["metrics"].items():
        organ = next((organ for organ in organs if name.endswith(f"_{organ}")), "")
        metric = name.removesuffix(f"_{organ}") if organ else name
        mean, failed = values["mean"], values["failed"]
        cell = "" if mean is None else f"{mean:.4g}" if mean < 1000 else f"{mean:.0f}"
        rows.setdefault(metric, {})[organ] = cell + (f" ({failed} failed)" if failed else "")
    table = Table(title=f"mean over {summary['images']} images")
    table.add_column("metric", no_wrap=True)
    for title in ("all", *(organ.replace("_", " ") for organ in organs)):
        table.add_column(title, justify="right", overflow="fold")
    for metric, cells in rows.items():
        if any(cells.values()):
            table.add_row(metric, *(cells.get(organ, "") for organ in ("", *organs)))
    out.print(table)
    out.print(f"{path.parent}: per_image.csv, and summary.json with the spread")
