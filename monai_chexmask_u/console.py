"""What all commands write with: results to standard output, progress and errors to standard error."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Final

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

__all__ = ["EXIT_SOME_FAILED", "EXIT_USAGE", "err", "out", "progress_bar", "require_packages", "usage_error"]

EXIT_SOME_FAILED: Final = 1
EXIT_USAGE: Final = 2

out = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
err = Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)


def progress_bar(*, rate: str | None = None) -> Progress:
    """Return a progress bar on standard error, which stays away where that is no terminal.

    Args:
        rate: unit of a speed to show, such as ``films/s``.
    """
    columns: list[ProgressColumn] = [
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    ]
    if rate is not None:
        columns.insert(3, _Rate(rate))
    return Progress(*columns, console=err, disable=not sys.stderr.isatty())


class _Rate(ProgressColumn):
    """Steps per second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:.1f} {self.unit}")


def require_packages(extra: str, *packages: str) -> None:
    """See that packages of an extra are installed.

    Raises:
        typer.Exit: if one is not, after a line that tells how to install it.
    """
    for package in packages:
        if find_spec(package) is None:
            command = f"pip install '.[{extra}]'"
            raise usage_error(f"the package {package} is missing; install this one with its extra: {command}")


def usage_error(message: str) -> typer.Exit:
    """Say in one line why nothing could be done, and return the exit to raise."""
    err.print(f"chexmask-u: {message}")
    return typer.Exit(EXIT_USAGE)
