"""The command ``chexmask-u dataset build``; light to import, the work is imported when it starts."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Annotated, Final

import typer

from monai_chexmask_u.commands.build_progress import BuildProgress
from monai_chexmask_u.commands.console import EXIT_SOME_FAILED, err, require_packages, usage_error

__all__ = ["build"]

EXIT_INTERRUPTED: Final = 130


def build(
    images: Annotated[
        Path,
        typer.Option(
            help="Radiographs: a folder, a list of files (.txt), a table (.csv, .parquet), a .zip or .tar; "
            "a folder may hold archives, too.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the data set; one that is begun goes on.")],
    source: Annotated[
        str | None,
        typer.Option(help="The radiographs are from chestx-ray8, chexpert, mimic-cxr-jpg, padchest or vindr-cxr."),
    ] = None,
    id_column: Annotated[str | None, typer.Option(help="Column of a table that names the radiographs.")] = None,
    path_column: Annotated[
        str | None, typer.Option(help="Column of a table that says where the radiographs are.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="Bundle folder or weights file; the shipped one by default.")
    ] = None,
    samples: Annotated[int, typer.Option(min=2, help="Latent samples per radiograph.")] = 50,
    seed: Annotated[
        int,
        typer.Option(min=0, max=2**63 - 1, help="Seed; each radiograph's own derives from it and the radiograph's id."),
    ] = 0,
    crop_border: Annotated[
        bool | None,
        typer.Option(
            help="Leave out the black border around the radiograph; by default as the source's preprocessing does."
        ),
    ] = None,
    masks: Annotated[bool, typer.Option(help="Write masks, which follow from the landmarks.")] = True,
    rca: Annotated[
        Path | None,
        typer.Option(help="Radiographs with landmarks, to rate each result by reverse classification accuracy."),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Do the shards again in which radiographs failed.")
    ] = False,
    films_per_shard: Annotated[
        int, typer.Option(min=1, help="Radiographs of a shard; those under way are lost by a stop.")
    ] = 2000,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Radiographs that are handed on, or pass a GPU, together.")
    ] = 16,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; the number of cores by default.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")] = "auto",
    engine: Annotated[str, typer.Option(help="local, or ray for a cluster.")] = "local",
    ray_address: Annotated[
        str | None, typer.Option(help="Address of a Ray cluster; without one, Ray starts on this machine.")
    ] = None,
    ray_cpus: Annotated[float, typer.Option(min=0.01, help="CPUs, or a part of one, of a process that decodes.")] = 1.0,
    ray_gpus: Annotated[
        float, typer.Option(min=0, help="GPUs, or a part of one, of a process with the network.")
    ] = 1.0,
) -> None:
    """Segment a collection of radiographs into a data set; the same command goes on after any kind of stop.

    Ends with 0 if every radiograph has a row, with 1 if some failed (see failures.parquet), with 2 if it could not
    start or go on.
    """
    require_packages("dataset", "filelock", "pyarrow")
    if engine == "ray":
        require_packages("ray", "ray")
    from monai_chexmask_u.dataset.building.run import BuildOptions, build_dataset

    options = BuildOptions(
        images=images,
        output=output,
        source=source,
        id_column=id_column,
        path_column=path_column,
        model=model,
        samples=samples,
        seed=seed,
        crop_border=crop_border,
        masks=masks,
        rca=rca,
        retry_failed=retry_failed,
        films_per_shard=films_per_shard,
        batch_size=batch_size,
        workers=workers or _cores(),
        device=device,
        engine=engine,
        ray_address=ray_address,
        ray_cpus=ray_cpus,
        ray_gpus=ray_gpus,
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # of a scheduler or a container, as Ctrl-C of a person
    with BuildProgress() as progress:
        try:
            manifest = build_dataset(options, progress)
        except KeyboardInterrupt as error:
            err.print(f"chexmask-u: stopped; {progress.kept()}")
            raise typer.Exit(EXIT_INTERRUPTED) from error
        except (ValueError, RuntimeError) as error:
            raise usage_error(str(error)) from error
        except OSError as error:
            if not progress.begun:  # nothing is there yet, and the message is the project's own
                raise usage_error(str(error)) from error
            raise usage_error(f"{output}: cannot go on ({error.strerror or error}); {progress.kept()}") from error
    progress.summarize(manifest, output)
    if manifest.failure_count:
        raise typer.Exit(EXIT_SOME_FAILED)


def _cores() -> int:
    """Return how many cores this process may use, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
