"""The command ``chexmask-u calibrate``; light to import, the work is imported when it starts."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from monai_chexmask_u.commands.console import out, progress_bar, usage_error

if TYPE_CHECKING:
    from monai_chexmask_u.calibrating.fit import CalibrationRadiographs, Settings
    from monai_chexmask_u.model import Model
    from monai_chexmask_u.uncertainty.calibration import Calibration

__all__ = ["calibrate"]

STAGES: Final = ("errors", "images", "error head", "detector", "correlation", "held-out radiographs")
# Share of the patients of the frontal radiographs; self-training that holds out as many holds out the same ones.
HELD_OUT: Final = 0.3


def calibrate(
    data: Annotated[Path, typer.Option(help="Outlined radiographs: train/ to learn from, val/ to set the radii by.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write: WEIGHTS.calibration.pt.")],
    frontal: Annotated[
        list[Path] | None,
        typer.Option(help="Frontal chest radiographs of another scanner, without outlines; give it again for more."),
    ] = None,
    leave_out: Annotated[
        list[str] | None,
        typer.Option(help="Name of a radiograph, without suffix, that is no upright frontal chest of an adult."),
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="Bundle folder or weights file; the shipped one by default.")
    ] = None,
    record: Annotated[Path | None, typer.Option(help="JSON file for what it was made from and what came out.")] = None,
    work: Annotated[Path, typer.Option(help="Folder for what is collected on the way.")] = Path("runs/calibration"),
    rounds: Annotated[int, typer.Option(min=1, help="Corrupted views of each outlined radiograph.")] = 36,
    error_steps: Annotated[int, typer.Option(min=1, help="Training steps of the error head.")] = 1500,
    detector_steps: Annotated[int, typer.Option(min=1, help="Training steps of the detector.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed of views and trainings.")] = 0,
    workers: Annotated[int, typer.Option(min=0, help="Further processes that make the views.")] = 0,
) -> None:
    """Calibrate a model: expected errors, radii, scores of foreign images, and the limits of the verdict.

    Of the patients of the frontal radiographs, three in ten are held out to set the limits, the same ones each time.
    Ends with 0 when done and with 2 if it cannot be.
    """
    if find_spec("cv2") is None:
        raise usage_error("the package cv2 is missing; install it with its extra: pip install '.[experiments]'")
    from monai_chexmask_u.calibrating.fit import Settings
    from monai_chexmask_u.files.atomic import prepare_folder
    from monai_chexmask_u.model import default_bundle, load_model, weights_file
    from monai_chexmask_u.uncertainty.calibration import read_calibration, write_calibration, write_record

    settings = Settings(rounds, error_steps, detector_steps, seed, workers)
    try:
        radiographs = _radiographs(data, frontal or [], leave_out or [])
        if output.exists() and output.resolve() == weights_file(model or default_bundle()).resolve():
            raise ValueError(f"{output}: are the weights themselves; give WEIGHTS.calibration.pt beside them")
        for folder in (output.parent, work, *([record.parent] if record else [])):
            prepare_folder(folder)
        calibration = _with_progress(load_model(model, calibrated=False), radiographs, settings, work)
        write_calibration(calibration, output)
        if record is not None:
            write_record(read_calibration(output, calibration.weights_sha256), record)
    except (ValueError, OSError) as error:
        raise usage_error(str(error)) from error
    factors = ", ".join(f"{organ} {factor:.2f}" for organ, factor in calibration.radius_factors.items())
    out.print(f"{output}: radius over expected error: {factors}")


def _radiographs(data: Path, frontal: list[Path], leave_out: list[str]) -> CalibrationRadiographs:
    """Read the radiographs, and hold out ``val/`` and a share of the patients of the frontal ones."""
    from monai_chexmask_u.calibrating.fit import CalibrationRadiographs
    from monai_chexmask_u.data.patients import is_held_out
    from monai_chexmask_u.data.radiograph_sets import FRONTAL, read_sets

    folders = [data / "train", data / "val", *frontal]
    found = read_sets(folders, leave_out=leave_out)
    for each, folder in zip(found[:2], folders[:2], strict=True):
        if each.kind != "outlined":
            raise ValueError(
                f"{folder}: no landmarks beside these images; --data needs outlined radiographs in train/ and val/"
            )
    sets = [[radiograph for radiograph in each.radiographs if radiograph.label == FRONTAL] for each in found]
    learn, hold = (
        [one for radiographs in sets[2:] for one in radiographs if is_held_out(one.patient, HELD_OUT) is held]
        for held in (False, True)
    )
    taught = {radiograph.patient for radiograph in sets[0]}
    if both := [radiograph for radiograph in sets[1] if radiograph.patient in taught]:
        raise ValueError(
            f"{both[0].path}: {data / 'train'} has a radiograph of the same patient; keep it in one of them"
        )
    return CalibrationRadiographs(sets[0], learn, sets[1], hold)


def _with_progress(model: Model, radiographs: CalibrationRadiographs, settings: Settings, work: Path) -> Calibration:
    from monai_chexmask_u.calibrating.fit import calibrate as fit

    with progress_bar() as bar:

        def stage(name: str) -> Callable[[int, int], None]:
            task = bar.add_task(name, total=None)
            return lambda done, total: bar.update(task, completed=done, total=total)

        return fit(model, radiographs, settings, work=work, progress={name: stage(name) for name in STAGES})
