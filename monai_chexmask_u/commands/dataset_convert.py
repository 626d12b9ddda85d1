"""The command ``chexmask-u dataset convert``; light to import, the work is imported when it starts."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from monai_chexmask_u.commands.console import EXIT_SOME_FAILED, err, out, progress_bar, require_packages, usage_error

if TYPE_CHECKING:
    from rich.progress import Progress

    from monai_chexmask_u.dataset.selection import Selection

__all__ = ["convert"]

_TABLES: Final = (".csv", ".csv.gz")
_SHOWN: Final = 10


def convert(
    data: Annotated[
        Path,
        typer.Argument(help="A published table (.csv, .csv.gz), or a data set to write as one.", show_default=False),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the data set, or the table to write (.csv, .csv.gz).")
    ],
    frame: Annotated[
        str | None,
        typer.Option(
            help="Pixels of the coordinates: image or preprocessed. Of a table by default: image for ChestX-ray8, "
            "preprocessed if all sizes are 1024, image otherwise; of a data set as its rows are."
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            help="The radiographs are from chestx-ray8, chexpert, mimic-cxr-jpg, padchest or vindr-cxr; of a data set, "
            "take only those."
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="The radiographs, to place preprocessed landmarks on and to take missing sizes from."),
    ] = None,
    layout: Annotated[
        str | None, typer.Option(help="Of the table to write: chexmask or chexmask-u; by default as it came.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that read radiographs.")] = 1,
    min_rca: Annotated[
        float | None, typer.Option(help="Least Dice by reverse classification accuracy; CheXmask's authors use 0.7.")
    ] = None,
    rca: Annotated[str, typer.Option(help="Which Dice: mean over the references, or max.")] = "mean",
    max_score: Annotated[
        float | None, typer.Option(help="Greatest score (uncertainty in pixels of a 1024-pixel image).")
    ] = None,
    max_uncertainty: Annotated[
        list[str] | None, typer.Option(help="Greatest uncertainty of an organ in pixels, such as heart=12.")
    ] = None,
    verdict: Annotated[list[str] | None, typer.Option(help="Take this verdict: accept, review or reject.")] = None,
) -> None:
    """Convert a table of CheXmask or CheXmask-U to a data set, or a data set to such a table.

    Ends with 0 if every row was converted, with 1 if some failed (see failures.parquet), with 2 if it could not start
    or continue.
    """
    require_packages("dataset", "pyarrow")
    from monai_chexmask_u.dataset.selection import Selection, parse_limits

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that nothing half done is left behind
    try:
        where = Selection(min_rca, rca, max_score, parse_limits(max_uncertainty or []), tuple(verdict or ()))
        if data.name.lower().endswith(_TABLES):
            if layout is not None:
                raise ValueError("--layout is for writing a table; leave it out, the header of a table tells its own")
            _table_to_data_set(data, output, frame, source, images, where, workers)
        else:
            if images is not None:
                raise ValueError("--images is for reading a preprocessed table; leave it out to write one")
            _data_set_to_table(data, output, layout, frame, source, where)
    except ValueError as error:
        raise usage_error(str(error)) from error
    except OSError as error:  # the project's own have no errno
        cause = f"{output}: cannot be written ({error.strerror})" if error.strerror else str(error)
        raise usage_error(cause) from error


def _table_to_data_set(
    data: Path,
    output: Path,
    frame: str | None,
    source: str | None,
    images: Path | None,
    where: Selection,
    workers: int,
) -> None:
    from monai_chexmask_u.dataset.published_tables.convert import convert_table

    with progress_bar(rate="rows/s") as progress:
        manifest = convert_table(
            data,
            output,
            frame=frame,
            source=source,
            images=images,
            where=where,
            workers=workers,
            progress=_step(progress, "converting"),
        )
    settings = manifest.settings
    if settings["dropped"]:
        err.print(f"chexmask-u: {data.name}: left out the columns {', '.join(settings['dropped'])}")
    if not settings["placed_on_images"]:
        out.print(f"coordinates are in the frame {settings['frame']}")
    out.print(f"{manifest.rows} rows in {output}")
    if manifest.failure_count:
        _say_failures(output, manifest.failure_count)
        raise typer.Exit(EXIT_SOME_FAILED)


def _say_failures(folder: Path, count: int) -> None:
    """Name some of the rows that failed, and why."""
    import pyarrow.parquet as pq

    from monai_chexmask_u.dataset.folder import FAILURES

    with pq.ParquetFile(folder / FAILURES) as file:
        first = next(file.iter_batches(_SHOWN)).to_pylist()
    for failure in first:
        err.print(f"chexmask-u: {failure['image_id']}: {failure['message']}")
    err.print(f"chexmask-u: {count} rows failed; {folder / FAILURES} has them all")


def _data_set_to_table(
    data: Path, output: Path, layout: str | None, frame: str | None, source: str | None, where: Selection
) -> None:
    from monai_chexmask_u.dataset.published_tables.writing import write_published

    if not output.name.lower().endswith(_TABLES):
        raise ValueError(f"{output}: a data set is written as a table; name one that ends with .csv or .csv.gz with -o")
    if output.exists():
        raise ValueError(f"{output}: is there, and nothing is replaced; choose another name with -o")
    if not output.parent.is_dir():
        raise ValueError(f"{output.parent}: there is no such folder; make it first, or choose another with -o")
    with progress_bar(rate="rows/s") as progress:
        step = _step(progress, "writing")
        rows = write_published(data, output, layout=layout, frame=frame, source=source, where=where, progress=step)
    out.print(f"{rows} rows in {output}")


def _step(progress: Progress, words: str) -> Callable[[int], None]:
    """Return what moves a new bar on by some rows."""
    task = progress.add_task(words, total=None)
    return lambda rows: progress.advance(task, rows)
