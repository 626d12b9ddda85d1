"""The command ``chexmask-u segment``; light to import, the work is imported when it starts."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from monai_chexmask_u.commands.console import EXIT_SOME_FAILED, err, out, printable, progress_bar, usage_error
from monai_chexmask_u.files.result_suffixes import RESULT_SUFFIXES

if TYPE_CHECKING:
    from monai_chexmask_u.batch import Outcome
    from monai_chexmask_u.radiograph import RadiographError
    from monai_chexmask_u.segmenter import Segmenter

__all__ = ["segment"]

_OF_DICOM: Final = tuple(key for key, suffix in RESULT_SUFFIXES.items() if suffix.endswith(".dcm"))


def segment(
    inputs: Annotated[list[Path], typer.Argument(help="Images (DICOM, PNG, JPEG, TIFF) and folders of them.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results; made if it is not there.")],
    write: Annotated[
        str,
        typer.Option(
            help=f"Results to write: {', '.join(key for key in RESULT_SUFFIXES if key not in _OF_DICOM)}; "
            f"of DICOM images also {', '.join(_OF_DICOM)}."
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
    """Segment radiographs; a bad file does not stop the others.

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
                without = ", ".join(outcome.left_out)
                err.print(f"chexmask-u: {printable(outcome.path)}: {outcome.why_left_out}, so without {without}")
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
