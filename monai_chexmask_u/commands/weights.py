"""The command ``chexmask-u weights convert``; light to import, the work is imported when it starts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monai_chexmask_u.commands.console import out, usage_error

__all__ = ["weights"]

weights = typer.Typer(no_args_is_help=True, help="Weights files.")


@weights.command()
def convert(
    sources: Annotated[
        list[Path],
        typer.Argument(help="A checkpoint of this project or of the published HybridGNet; several are averaged."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The weights file to write.")],
    half: Annotated[bool, typer.Option(help="Store half precision, half the size.")] = False,
) -> None:
    """Write a checkpoint as a plain weights file, as a bundle's models/model.pt has to be."""
    from monai_chexmask_u.files.checksum import sha256_of
    from monai_chexmask_u.networks.checkpoints import read_average, write_checkpoint

    try:
        network = read_average(sources)
        write_checkpoint(network, output, half_precision=half)
    except ValueError as error:
        raise usage_error(str(error)) from error
    except OSError as error:
        raise usage_error(f"{output}: cannot be written ({error.strerror})") from error
    variant = "with" if network.skip_connections else "without"
    out.print(f"{output}: {network.image_size} pixels, {variant} skip connections, SHA-256 {sha256_of(output)}")
