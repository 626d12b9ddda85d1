"""The commands ``chexmask-u experiments ...``; light to import, the work is imported when it starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.table import Table

from monai_chexmask_u.commands.console import EXIT_SOME_FAILED, err, out, progress_bar, usage_error

if TYPE_CHECKING:
    from monai_chexmask_u.data.radiograph_sets import RadiographSet
    from monai_chexmask_u.experiments.report import Report
    from monai_chexmask_u.segmenter import Segmenter

__all__ = ["experiments"]

COMMANDS: Final = {
    "corruption": "Uncertainty against the severity of noise, blur, occlusion and other corruptions.",
    "error": "Error against uncertainty, of images and of nodes.",
    "ood": "Foreign images against chest radiographs, and the verdicts on them.",
    "calibration": "Coverage of the error radii and of confidence ellipses on clean radiographs.",
    "all": "All of these, in one report.",
}

experiments = typer.Typer(no_args_is_help=True, help="Experiments on uncertainty: tables, figures and a report.")


def _command(name: str) -> Callable[..., None]:
    def command(
        data: Annotated[
            list[Path],
            typer.Option(
                help="Folder of radiographs, outlined in at least one; give it again for more.", show_default=False
            ),
        ],
        output: Annotated[
            Path, typer.Option("--output", "-o", help="Folder for the results; a run that was stopped continues in it.")
        ],
        leave_out: Annotated[
            list[str] | None,
            typer.Option(help="Name of a file, without suffix, that is not what its folder says; again for more."),
        ] = None,
        radiographs: Annotated[
            int | None,
            typer.Option("--radiographs", "--films", min=1, help="Radiographs of each folder; all by default."),
        ] = None,
        samples: Annotated[int, typer.Option(min=2, help="Latent samples per image.")] = 50,
        seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of samples, noise and places.")] = 0,
        device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")] = "auto",
        model: Annotated[
            Path | None, typer.Option(help="Bundle folder or weights file; the shipped one by default.")
        ] = None,
    ) -> None:
        names = [each for each in COMMANDS if each != "all"] if name == "all" else [name]
        report = _run(names, data, output, radiographs, leave_out or [], samples, seed, device, model)
        _print(report, output)
        if len(report.failures):
            raise typer.Exit(EXIT_SOME_FAILED)

    return command


for _name, _help in COMMANDS.items():
    experiments.command(_name, help=_help)(_command(_name))


def _run(
    names: Sequence[str],
    data: Sequence[Path],
    output: Path,
    radiographs: int | None,
    leave_out: Sequence[str],
    samples: int,
    seed: int,
    device: str,
    model: Path | None,
) -> Report:
    missing = [package for package in ("pandas", "pyarrow", "matplotlib", "cv2") if find_spec(package) is None]
    if missing:
        message = f"the package {missing[0]} is missing; install this one with its extra: pip install '.[experiments]'"
        raise usage_error(message)
    from monai_chexmask_u.data.radiograph_sets import read_sets
    from monai_chexmask_u.files.atomic import prepare_folder
    from monai_chexmask_u.model import load_model
    from monai_chexmask_u.segmenter import Segmenter

    try:
        sets = read_sets(data, limit=radiographs, leave_out=leave_out)
        segmenter = Segmenter(load_model(model), num_samples=samples, seed=seed, device=device)
        prepare_folder(output)
        return _run_with_progress(names, sets, segmenter, output)
    except (ValueError, OSError) as error:
        raise usage_error(str(error)) from error


def _run_with_progress(
    names: Sequence[str], sets: Sequence[RadiographSet], segmenter: Segmenter, output: Path
) -> Report:
    from monai_chexmask_u.experiments.run import run_experiments

    with progress_bar() as progress:
        task = progress.add_task("measuring", total=None)
        return run_experiments(
            names,
            sets,
            segmenter,
            output,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )


def _print(report: Report, folder: Path) -> None:
    """Print published numbers beside ours, what failed, and where the report lies."""
    from monai_chexmask_u.experiments.report import comparison_rows

    table = Table()
    table.add_column("quantity", overflow="fold")
    table.add_column("published", overflow="fold")
    table.add_column("ours", justify="right", no_wrap=True)
    for row in comparison_rows(report.summary):
        table.add_row(row["quantity"], row["published"], row["ours"])
    out.print(table)
    for note in report.notes:
        out.print(note)
    for failure in report.failures.to_dict("records"):
        condition = f" as {failure['kind']} {failure['severity']:g}" if failure["kind"] else ""
        err.print(f"chexmask-u: {failure['radiograph']}{condition}: {failure['message']} [{failure['code']}]")
    out.print(f"{folder}: report.html, summary.json, and the folders tables and figures")
