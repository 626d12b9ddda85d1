"""The commands ``chexmask-u dataset ...``; light to import, the work is imported when one starts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monai_chexmask_u.commands.console import EXIT_SOME_FAILED, err, out, require_packages, usage_error
from monai_chexmask_u.commands.dataset_build import build
from monai_chexmask_u.commands.dataset_convert import convert

__all__ = ["dataset"]


def check(
    dataset: Annotated[Path, typer.Argument(help="Folder of a data set.")],
    masks: Annotated[bool, typer.Option("--masks", help="Decode every mask, too, which takes longer.")] = False,
) -> None:
    """See that a data set is whole: every file as it was written, every radiograph once, every landmark finite.

    Ends with 0 if so, with 1 if something is wrong, which is listed, with 2 if there is no data set.
    """
    require_packages("dataset", "pyarrow")
    from monai_chexmask_u.dataset.check import check_dataset
    from monai_chexmask_u.dataset.folder import read_manifest

    try:
        manifest = read_manifest(dataset)
        problems = list(check_dataset(dataset, masks=masks))
    except (ValueError, OSError) as error:
        raise usage_error(str(error)) from error
    for problem in problems:
        err.print(f"chexmask-u: {dataset / problem.file}: {problem.message}")
    if problems:
        out.print(f"problems found: {len(problems)}")
        raise typer.Exit(EXIT_SOME_FAILED)
    failed = f"; radiographs that failed: {manifest.failure_count}" if manifest.failure_count else ""
    out.print(f"{dataset}: whole and as written; rows: {manifest.rows}; shards: {len(manifest.shards)}{failed}")


def card(
    dataset: Annotated[Path, typer.Argument(help="Folder of a data set.")],
) -> None:
    """Write README.md and figures into a data set: counts, uncertainty of each node, failures, license, columns."""
    require_packages("dataset", "pyarrow", "matplotlib")
    from monai_chexmask_u.dataset.card.readme import write_card

    try:
        written = write_card(dataset)
    except (ValueError, OSError) as error:
        raise usage_error(str(error)) from error
    out.print(f"{written}: the data set's card")


dataset = typer.Typer(no_args_is_help=True, help="Data sets of segmented radiographs, of any size.")
for _command in (build, convert, check, card):
    dataset.command()(_command)
