"""The commands ``chexmask-u dataset ...``; light to import, the work is imported when one starts."""

from __future__ import annotations

import typer

from monai_chexmask_u.commands.dataset_build import build
from monai_chexmask_u.commands.dataset_check import card, check
from monai_chexmask_u.commands.dataset_convert import convert

__all__ = ["dataset"]

dataset = typer.Typer(no_args_is_help=True, help="Data sets of segmented radiographs, of any size.")
for _command in (build, convert, check, card):
    dataset.command()(_command)
