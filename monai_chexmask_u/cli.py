"""The command line ``chexmask-u``: its commands put together."""

from __future__ import annotations

import io
import logging
import sys
import warnings
from typing import Annotated

import typer

import monai_chexmask_u
from monai_chexmask_u.commands.archive import archive
from monai_chexmask_u.commands.calibrate import calibrate
from monai_chexmask_u.commands.console import CommandGroup, out
from monai_chexmask_u.commands.dataset import dataset
from monai_chexmask_u.commands.demo import demo
from monai_chexmask_u.commands.experiments import experiments
from monai_chexmask_u.commands.landmarks import landmarks
from monai_chexmask_u.commands.segment import segment
from monai_chexmask_u.commands.train import evaluate, train
from monai_chexmask_u.commands.weights import weights

__all__ = ["main"]


app = typer.Typer(
    cls=CommandGroup, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None
)
for _command in (calibrate, landmarks, demo, segment, train, evaluate):
    app.command()(_command)
for _name, _group in {"weights": weights, "experiments": experiments, "archive": archive, "dataset": dataset}.items():
    app.add_typer(_group, name=_name)


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")  # a name of a file may hold what the terminal cannot show
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # of libraries on their own affairs; pydicom's may quote the patient's name
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    app()


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"chexmask-u {monai_chexmask_u.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Landmark segmentation of lungs and heart on chest radiographs, with uncertainty. For research use only."""


if __name__ == "__main__":
    main()
