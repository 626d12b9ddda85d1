"""Radiographs, labels and stores that the tests of scoring, strategies and training share."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.data import landmark_datalist
from monai_chexmask_u.geometry import fill_polygon

Landmarks = NDArray[np.float64]


def noise_radiograph(path: Path, seed: int) -> None:
    """Write an image of 64 pixels with a gradient and noise, different for each seed."""
    generator = np.random.default_rng(seed)
    gray = np.linspace(0, 160, 64)[None, :] + generator.integers(0, 90, (64, 64))
    Image.fromarray(gray.astype(np.uint8)).save(path)


def outlined_radiographs(folder: Path, count: int) -> dict[str, tuple[Path, Landmarks]]:
    """Return path and true landmarks of the first radiographs of a data set, by name."""
    items = landmark_datalist(folder)[:count]
    return {item["name"]: (Path(item["image"]), np.asarray(item["label"], float)) for item in items}


def annotate(studies: Path, radiographs: Mapping[str, tuple[Path, Landmarks]], masks: Sequence[str] = ()) -> None:
    """Put radiographs into a folder of studies with final labels: masks for those named, markups for the others."""
    labels = studies / "labels" / "final"
    labels.mkdir(parents=True, exist_ok=True)
    for name, (path, landmarks) in radiographs.items():
        shutil.copy(path, studies / path.name)
        if name in masks:
            write_mask(labels / f"{name}.png", landmarks, path)
        else:
            (labels / f"{name}.mrk.json").write_text(json.dumps(closed_curves(landmarks)), encoding="utf-8")


def write_mask(target: Path, landmarks: Landmarks, image: Path) -> None:
    """Fill the organs of a radiograph in a label image; the heart covers the lungs."""
    with Image.open(image) as radiograph:
        shape = (radiograph.height, radiograph.width)
    mask = np.zeros(shape, np.uint8)
    for number, organ in enumerate(ORGANS, start=1):
        mask[fill_polygon(landmarks[organ.nodes], shape)] = number
    Image.fromarray(mask).save(target)


def closed_curves(landmarks: Landmarks) -> dict[str, object]:
    """Return what 3D Slicer saves of three closed curves on an image whose pixels are 1 mm wide."""
    curves = []
    for organ in ORGANS:
        points = [
            {"id": str(number + 1), "label": f"{organ.prefix}{number:02d}", "position": [float(x), float(y), 0.0]}
            for number, (x, y) in enumerate(landmarks[organ.nodes])
        ]
        curves.append({"type": "ClosedCurve", "coordinateSystem": "LPS", "name": organ.title, "controlPoints": points})
    return {"markups": curves}
