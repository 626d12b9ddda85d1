"""Tiny radiographs in the three kinds of folder, and a model with a calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image
from support.samples.dicom import chest_phantom, phantom_landmarks

from monai_chexmask_u.experiments.conditions import Plan
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation
from monai_chexmask_u.segmenter import Segmenter

__all__ = ["FEW", "CalibratedSegmenter", "Folders", "make_folders", "save_radiographs"]

FEW = Plan(
    levels={"gaussian_noise": (60.0, 190.0), "occlusion": (301.0,), "blending": (0.5,), "crop": (0.2,)},
    foreign=("inverted", "blank", "heavy_crop"),
)


class CalibratedSegmenter(Segmenter):
    """Doubles the samples' spread, and calls dark images foreign."""

    def segment(self, radiograph: Radiograph) -> LandmarkSegmentation:
        plain = super().segment(radiograph)
        return replace(
            plain,
            error_covariance=4 * plain.covariance,
            total_px1024=2 * plain.predictive_px1024,
            radius90=np.full(120, 20.0),
            scores={"combined": 1 - float(radiograph.pixels.mean())},
        )


@dataclass(frozen=True)
class Folders:
    outlined: Path
    labeled: Path
    frontal: Path

    @property
    def all(self) -> Sequence[Path]:
        return (self.outlined, self.labeled, self.frontal)


def save_radiographs(folder: Path, names: Sequence[str], rows: int = 96, columns: int = 80) -> None:
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        pixels = (255 * chest_phantom(rows, columns, seed=number)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")


def make_folders(folder: Path) -> Folders:
    """Make three outlined radiographs, two labeled ones of which one is a hand, and two of another scanner."""
    made = Folders(folder / "set" / "val", folder / "teaching", folder / "scanner")
    names = ["a", "b", "c"]
    save_radiographs(made.outlined / "images", names)
    points = np.stack([phantom_landmarks(96, 80)] * 3).astype(np.float32)
    np.savez(made.outlined / "landmarks.npz", names=np.array(names), landmarks=points)
    save_radiographs(made.labeled / "images", ["1", "2"], 90, 90)
    (made.labeled / "labels.csv").write_text("file,label\n1.png,frontal_chest\n2.png,hand\n")
    save_radiographs(made.frontal, ["x", "y"], 70, 100)
    return made
