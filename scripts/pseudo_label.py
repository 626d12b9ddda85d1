"""Self-training: label radiographs without outlines with the model itself, and keep those it is sure of.

Usage: python scripts/pseudo_label.py FOLDER... -o DATA [--max-uncertainty 6] [--model PATH]

DATA becomes a data set for `chexmask-u train --data DATA`: train/landmarks.npz, and links to the images beside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

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
    model: Annotated[Path | None, typer.Option(help="Bundle or weights; the shipped ones by default.")] = None,
) -> None:
    """Write the data set and say how many images were kept."""
    segmenter = Segmenter(load_model(model))
    kept = {}
    paths = list_inputs(inputs)
    for path, name in zip(paths, output_names(paths), strict=True):
        try:
            segmentation = segmenter.segment(read_radiograph(path))
        except RadiographError as error:
            print(f"{path}: left out: {error} [{error.code}]")
            continue
        rows, columns = segmentation.shape
        margin = LANDMARK_MARGIN * max(rows, columns)
        inside = (
            segmentation.landmarks.min() >= -margin
            and (segmentation.landmarks <= np.array([columns, rows]) - 1 + margin).all()
        )
        if segmentation.predictive_px1024 <= max_uncertainty and inside:
            kept[name] = (path, segmentation.landmarks.astype(np.float32))
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


if __name__ == "__main__":
    typer.run(main)
