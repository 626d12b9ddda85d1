"""Self-training: label radiographs without outlines with the model itself, and keep those it is sure of.

Usage: python scripts/pseudo_label.py FOLDER... -o DATA [--max-uncertainty 6] [--drawn] [--held-out 0.3]
           [--leave-out NAME]... [--model PATH]

DATA becomes a data set for `chexmask-u train --data DATA`: train/landmarks.npz, and links to the images beside it.
Its outlines are the model's means, or with --drawn one draw each of where its calibration expects the true outline, or
without a calibration one of its samples: a network whose samples shall spread as far as outlines differ must not learn
from outlines that do not differ. Of a calibrated model, --drawn keeps only what it accepts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from monai_chexmask_u.data.patients import is_held_out, patients_of
from monai_chexmask_u.files.atomic import atomic_path
from monai_chexmask_u.files.naming import output_names
from monai_chexmask_u.model import load_model
from monai_chexmask_u.radiograph import RadiographError
from monai_chexmask_u.reading import list_inputs, read_radiograph
from monai_chexmask_u.segmenter import Segmenter
from monai_chexmask_u.transforms.network_frame import LANDMARK_MARGIN


def main(
    inputs: Annotated[list[Path], typer.Argument(help="Images and folders of them.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the data set.")],
    max_uncertainty: Annotated[
        float, typer.Option(help="Predictive uncertainty of an image up to which it is kept, px at 1024.")
    ] = 6.0,
    drawn: Annotated[bool, typer.Option("--drawn", help="Draw the outlines instead of taking their means.")] = False,
    held_out: Annotated[float, typer.Option(min=0, max=1, help="Share of the patients to leave out.")] = 0.0,
    leave_out: Annotated[
        list[str] | None, typer.Option(help="Name of an image, without suffix, that is no upright frontal chest.")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="Bundle or weights; the shipped ones by default.")] = None,
) -> None:
    """Write the data set and say how many images were kept."""
    segmenter = Segmenter(load_model(model))
    kept = {}
    paths = [
        path for folder in inputs for path in _learned_from(folder, held_out) if path.stem not in (leave_out or [])
    ]
    for index, (path, name) in enumerate(zip(paths, output_names(paths), strict=True)):
        try:
            segmentation = segmenter.segment(read_radiograph(path))
        except RadiographError as error:
            print(f"{path}: left out: {error} [{error.code}]")
            continue
        outline = segmentation.landmarks
        if drawn and segmentation.samples is not None:
            outline = segmentation.samples[index % len(segmentation.samples)]
        calibrated = segmenter.calibration is not None
        accepted = not (drawn and calibrated) or segmentation.reliability.verdict == "accept"
        if segmentation.predictive_px1024 <= max_uncertainty and accepted and _is_inside(outline, segmentation.shape):
            kept[name] = (path, outline.astype(np.float32))
    if not kept:
        raise SystemExit(f"none of {len(paths)} images has an uncertainty up to {max_uncertainty}: nothing was written")
    images = output / "train" / "images"
    images.mkdir(parents=True, exist_ok=True)
    for name, (path, _) in kept.items():
        link = images / f"{name}{path.suffix}"
        link.unlink(missing_ok=True)
        link.symlink_to(path.resolve())
    with atomic_path(output / "train" / "landmarks.npz") as temporary:
        np.savez(temporary, names=np.array(list(kept)), landmarks=np.stack([points for _, points in kept.values()]))
    print(f"{output}: {len(kept)} of {len(paths)} images kept")


def _learned_from(folder: Path, held_out: float) -> list[Path]:
    """List the radiographs of all patients but the held-out ones."""
    paths = list_inputs([folder])
    patients = patients_of(folder if folder.is_dir() else folder.parent, paths)
    return [path for path, patient in zip(paths, patients, strict=True) if not is_held_out(patient, held_out)]


def _is_inside(landmarks: NDArray[np.floating[Any]], shape: tuple[int, int]) -> bool:
    rows, columns = shape
    margin = LANDMARK_MARGIN * max(rows, columns)
    return bool(landmarks.min() >= -margin and (landmarks <= np.array([columns, rows]) - 1 + margin).all())


if __name__ == "__main__":
    typer.run(main)
