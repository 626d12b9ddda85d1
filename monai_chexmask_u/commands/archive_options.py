"""The options of `ArchiveOptions` on the command line."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import Field, fields
from typing import Annotated, Any, get_args, get_type_hints

import typer

from monai_chexmask_u.archive.options import OF_NODE, ArchiveOptions
from monai_chexmask_u.commands.console import usage_error

__all__ = ["takes_archive_options"]


def takes_archive_options(*, node: bool) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for each field of `ArchiveOptions`, and hand them over as its argument `options`.

    Args:
        node: also those that only a DIMSE node needs.
    """
    chosen = [each for each in fields(ArchiveOptions) if node or each.name not in OF_NODE]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True)
        parameters = [each for each in own.parameters.values() if each.name != "options"] + [*map(_parameter, chosen)]

        @functools.wraps(command)
        def with_options(**values: Any) -> None:
            given = {each.name: values.pop(each.name) for each in chosen}
            try:
                options = ArchiveOptions(**given)
            except ValueError as error:
                raise usage_error(str(error)) from error
            command(**values, options=options)

        with_options.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
        with_options.__annotations__ = {each.name: each.annotation for each in parameters}
        return with_options

    return decorate


def _parameter(option: Field[Any]) -> inspect.Parameter:
    """Return what Typer makes an option of."""
    kind, words, *least = get_args(get_type_hints(ArchiveOptions, include_extras=True)[option.name])
    info = typer.Option(f"--{option.name.replace('_', '-')}", help=words, min=least[0] if least else None)
    keyword = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(option.name, keyword, default=option.default, annotation=Annotated[kind, info])
