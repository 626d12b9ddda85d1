"""What all commands write with: results to standard output, progress and errors to standard error."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Any, Final

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
from typer.core import TyperGroup

__all__ = [
    "EXIT_SOME_FAILED",
    "EXIT_USAGE",
    "CommandGroup",
    "err",
    "out",
    "printable",
    "progress_bar",
    "require_packages",
    "usage_error",
]

EXIT_SOME_FAILED: Final = 1
EXIT_USAGE: Final = 2

out = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
err = Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)


def progress_bar(*, rate: str | None = None) -> Progress:
    """Return a progress bar on standard error, which stays away where that is no terminal.

    Args:
        rate: unit of a speed to show, such as ``radiographs/s``.
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
    err.print(f"chexmask-u: {printable(message)}")
    return typer.Exit(EXIT_USAGE)


def printable(text: object) -> str:
    """Return a text without line breaks and other control characters, which names of files may hold."""
    return "".join(character if character.isprintable() else "?" for character in str(text))


class CommandGroup(TyperGroup):
    """Commands that take no empty argument: as a path it would be the current folder.

    An empty text is no answer to any option, and mostly a variable of a script that is not set.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuse an empty argument or option, before any command is looked for.

        Raises:
            typer.Exit: if there is one.
        """
        for place, argument in enumerate(args):
            if argument == "--":
                break
            if argument.startswith("--") and argument.endswith("=") and argument.count("=") == 1:
                raise usage_error(f"{argument} has no value; give one, or leave the option away")
            if argument == "":
                before = f" after {args[place - 1]}" if place and args[place - 1].startswith("-") else ""
                raise usage_error(f"an argument{before} is empty; give a name, or . for the current folder")
        if "" in args:
            raise usage_error("an argument is empty; give a name, or . for the current folder")
        rest: list[str] = super().parse_args(ctx, args)
        return rest
