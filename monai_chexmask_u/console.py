"""What all commands write with: results to standard output, progress and errors to standard error."""

from __future__ import annotations

import sys
from typing import Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

__all__ = ["EXIT_SOME_FAILED", "EXIT_USAGE", "err", "out", "progress_bar", "usage_error"]

EXIT_SOME_FAILED: Final = 1
EXIT_USAGE: Final = 2

out = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
err = Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)


def progress_bar() -> Progress:
    """Return a progress bar on standard error, which stays away where that is no terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=err, disable=not sys.stderr.isatty())


def usage_error(message: str) -> typer.Exit:
    """Say in one line why nothing could be done, and return the exit to raise."""
    err.print(f"chexmask-u: {message}")
    return typer.Exit(EXIT_USAGE)
