"""The command line: ``chexmask-u``."""

from __future__ import annotations

import io
import json
import logging
import sys
import warnings
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

import monai_chexmask_u
from monai_chexmask_u.commands.archive import archive
from monai_chexmask_u.commands.calibrate import calibrate
from monai_chexmask_u.commands.console import (
    EXIT_SOME_FAILED,
    CommandGroup,
    err,
    out,
    printable,
    progress_bar,
    usage_error,
)
from monai_chexmask_u.commands.dataset import dataset
from monai_chexmask_u.commands.demo import demo
from monai_chexmask_u.commands.experiments import experiments
from monai_chexmask_u.commands.landmarks import landmarks

if TYPE_CHECKING:
    from monai_chexmask_u.batch import Outcome
    from monai_chexmask_u.radiograph import RadiographError
    from monai_chexmask_u.segmenter import Segmenter

__all__ = ["main"]


app = typer.Typer(
    cls=CommandGroup, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None
)
weights = typer.Typer(no_args_is_help=True, help="Weights files.")
app.add_typer(weights, name="weights")
app.add_typer(experiments, name="experiments")
app.add_typer(archive, name="archive")
app.add_typer(dataset, name="dataset")
app.command()(calibrate)
app.command()(landmarks)
app.command()(demo)


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


@app.command()
def segment(
    inputs: Annotated[list[Path], typer.Argument(help="Images (DICOM, PNG, JPEG, TIFF) and folders of them.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results; made if it is not there.")],
    write: Annotated[
        str,
        typer.Option(
            help="Results to write: json, png, mask, csv, mrk, ctbl; of DICOM images also "
            "seg, seg-fractional, seg-labelmap, seg-viewer, pr, sc, pdf, sr."
        ),
    ] = "json,png",
    samples: Annotated[int, typer.Option(min=2, help="Latent samples per image.")] = 50,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of the samples.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")] = "auto",
    model: Annotated[
        Path | None, typer.Option(help="Bundle folder or weights file; the shipped one by default.")
    ] = None,
    reproducible_uids: Annotated[
        bool, typer.Option("--reproducible-uids", help="Give DICOM results the same UIDs in every run.")
    ] = False,
) -> None:
    """Segment radiographs; a folder goes on after a bad file.

    Ends with 0 if every image was done, with 1 if some failed or a folder could not be listed (they are named), with 2
    if nothing could be started: also while another process writes into the output folder.
    """
    from monai_chexmask_u.batch import check_targets
    from monai_chexmask_u.files.signals import stopping_on_signals
    from monai_chexmask_u.reading import list_inputs
    from monai_chexmask_u.writers.formats import parse_formats
    from monai_chexmask_u.writers.result_sets import output_folder

    with ExitStack() as held:
        problems: list[RadiographError] = []
        try:
            formats = parse_formats(write)
            paths = list_inputs(inputs, on_problem=lambda _, problem: problems.append(problem))
            for problem in problems:
                err.print(f"chexmask-u: {printable(problem)} [{problem.code}]")
            if not paths:
                raise ValueError(f"{', '.join(map(str, inputs))}: no image found (DICOM, PNG, JPEG or TIFF)")
            check_targets(paths, output, formats)
            held.enter_context(stopping_on_signals())
            held.enter_context(output_folder(output))
        except (ValueError, OSError) as error:
            raise usage_error(str(error)) from error
        segmenter = _segmenter(model, samples, seed, device)
        outcomes = _segment_with_progress(segmenter, paths, output, formats, reproducible_uids)
    codes = [*(problem.code for problem in problems), *(outcome.code for outcome in outcomes if outcome.code)]
    _report(outcomes, codes, output)
    if codes:
        raise typer.Exit(EXIT_SOME_FAILED)


@app.command()
def train(
    data: Annotated[
        list[Path],
        typer.Option(help="Data set with train/ and val/; give it again for further sets.", show_default=False),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for checkpoints, weights and the record.")],
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs in all; the bundle's by default.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Images per step.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of weights, order and augmentation.")] = 0,
    resume: Annotated[bool, typer.Option(help="Go on from the last checkpoint in the output folder.")] = False,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="Any other entry of train.json, as NAME=VALUE (JSON).")
    ] = None,
) -> None:
    """Train the bundle's network; the best weights go to best.pt, the whole state to checkpoint_epoch=N.pt.

    Ends with 0 when done and with 2 if it cannot start or go on, which is said in one line.
    """
    from monai_chexmask_u import workflows

    chosen = {"epochs": epochs, "batch_size": batch_size, "seed": seed, "resume": resume}
    try:
        settings = {name: value for name, value in chosen.items() if value is not None} | _settings(setting or [])
        workflows.train(data, output, **settings)
    except (ValueError, OSError) as error:
        raise usage_error(str(error)) from error
    out.print(f"{output / 'best.pt'}: the weights with the least error on the validation images")


@app.command()
def evaluate(
    data: Annotated[Path, typer.Option(help="Images with landmarks.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for per_image.csv and summary.json.")],
    model: Annotated[
        Path | None, typer.Option(help="Bundle folder or weights file; the shipped one by default.")
    ] = None,
    spacing_mm: Annotated[
        float | None,
        typer.Option(min=0.001, help="Millimeters per pixel at 1024 pixels where the files do not say (JSRT: 0.35)."),
    ] = None,
) -> None:
    """Compare predicted with true landmarks: errors, overlap, distances, areas and cardiothoracic ratio."""
    from monai_chexmask_u import workflows

    try:
        workflows.evaluate(data, output, model, spacing_mm=spacing_mm)
    except (ValueError, OSError) as error:
        raise usage_error(str(error)) from error
    _print_summary(output / "summary.json")


@weights.command()
def convert(
    source: Annotated[Path, typer.Argument(help="A checkpoint of this project or of the published HybridGNet.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The weights file to write.")],
    half: Annotated[bool, typer.Option(help="Store half precision, half the size.")] = False,
) -> None:
    """Write a checkpoint as a plain weights file, as a bundle's models/model.pt has to be."""
    from monai_chexmask_u.files.checksum import sha256_of
    from monai_chexmask_u.networks.checkpoints import read_checkpoint, write_checkpoint

    try:
        network = read_checkpoint(source)
        write_checkpoint(network, output, half_precision=half)
    except ValueError as error:
        raise usage_error(str(error)) from error
    except OSError as error:
        raise usage_error(f"{output}: cannot be written ({error.strerror})") from error
    variant = "with" if network.skip_connections else "without"
    out.print(f"{output}: {network.image_size} pixels, {variant} skip connections, SHA-256 {sha256_of(output)}")


def _settings(pairs: list[str]) -> dict[str, object]:
    """Parse ``NAME=VALUE``; a value that is not JSON is taken as text.

    Raises:
        ValueError: if there is no ``=``, or the value is Python's spelling of a JSON constant.
    """
    settings: dict[str, object] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ValueError(f"--set {pair}: expected NAME=VALUE")
        try:
            if value in ("True", "False", "None"):
                raise ValueError(f"--set {pair}: write true, false or null")  # as text it would count as true
            settings[name] = json.loads(value)
        except json.JSONDecodeError:
            settings[name] = value
    return settings


def _print_summary(path: Path) -> None:
    """Print the means of an evaluation as a table: a row per metric, a column per organ."""
    summary = json.loads(path.read_text(encoding="utf-8"))
    organs = ("right_lung", "left_lung", "heart", "lungs")
    rows: dict[str, dict[str, str]] = {}
    for name, values in summary["metrics"].items():
        organ = next((organ for organ in organs if name.endswith(f"_{organ}")), "")
        metric = name.removesuffix(f"_{organ}") if organ else name
        mean, failed = values["mean"], values["failed"]
        cell = "" if mean is None else f"{mean:.4g}" if mean < 1000 else f"{mean:.0f}"
        rows.setdefault(metric, {})[organ] = cell + (f" ({failed} failed)" if failed else "")
    table = Table(title=f"mean over {summary['images']} images")
    table.add_column("metric", no_wrap=True)
    for title in ("all", *(organ.replace("_", " ") for organ in organs)):
        table.add_column(title, justify="right", overflow="fold")
    for metric, cells in rows.items():
        if any(cells.values()):
            table.add_row(metric, *(cells.get(organ, "") for organ in ("", *organs)))
    out.print(table)
    out.print(f"{path.parent}: per_image.csv, and summary.json with the spread")


def _segmenter(model: Path | None, samples: int, seed: int, device: str) -> Segmenter:
    from monai_chexmask_u.model import load_model
    from monai_chexmask_u.segmenter import Segmenter

    try:
        return Segmenter(load_model(model), num_samples=samples, seed=seed, device=device)
    except ValueError as error:
        raise usage_error(str(error)) from error


def _segment_with_progress(
    segmenter: Segmenter, paths: list[Path], folder: Path, formats: list[str], reproducible_uids: bool
) -> list[Outcome]:
    from monai_chexmask_u.batch import segment_files

    outcomes = []
    with progress_bar() as progress:
        task = progress.add_task("segmenting", total=len(paths))
        for outcome in segment_files(segmenter, paths, folder, formats, reproducible_uids=reproducible_uids):
            outcomes.append(outcome)
            progress.advance(task)
            if outcome.code:
                err.print(f"chexmask-u: {printable(outcome.path)}: {printable(outcome.message)} [{outcome.code}]")
            elif outcome.left_out:
                err.print(
                    f"chexmask-u: {printable(outcome.path)}: no DICOM image, so without {', '.join(outcome.left_out)}"
                )
    return outcomes


def _report(outcomes: list[Outcome], codes: list[str], folder: Path) -> None:
    """Say what was written, and count the verdicts, and the failures by cause."""
    done = [outcome for outcome in outcomes if not outcome.code]
    files = sum(len(outcome.written) for outcome in outcomes)
    out.print(f"{len(done)} of {len(outcomes)} images segmented, {files} files written to {folder}")
    verdicts = Counter(outcome.verdict for outcome in done)
    if verdicts:
        counts = ", ".join(f"{verdicts[name]} {name}" for name in ("accept", "review", "reject") if verdicts[name])
        out.print(f"verdicts: {counts}")
    failures = Counter(codes)
    if failures:
        causes = ", ".join(f"{count} {code}" for code, count in failures.most_common())
        out.print(f"{failures.total()} failed: {causes}")


if __name__ == "__main__":
    main()
