"""Learn where landmarks sit on outlines: makes ``monai_chexmask_u/annotations/landmark_placement.npz``.

    python scripts/learn_placement.py JSRT/train

takes a data set with landmarks, keeps the proportions between corners and a Gaussian model of each organ's shape, and
nothing of a single radiograph.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monai_chexmask_u.anatomy import ORGANS, Organ
from monai_chexmask_u.annotations.landmark_placement import CORNERS, MODEL_FILE, NEIGHBORS, OutlineFrame
from monai_chexmask_u.data import landmark_datalist
from monai_chexmask_u.files.atomic import atomic_path

MODES = 24
NOISE = 0.02  # of a quarter of the perimeter; the best of 0.01, 0.02 and 0.04 in five folds of JSRT/train
Floats = NDArray[np.float64]


def learn(landmarks: Floats, organ: Organ) -> dict[str, Any]:
    """Return the model of one organ.

    Args:
        landmarks: ``(radiograph, 120, 2)``, upright, with square pixels.
        organ: whose.
    """
    corners = (*CORNERS[organ], organ.node_count)
    within, sections, shapes = [], [], []
    for points in landmarks:
        contour = points[organ.nodes]
        outline = OutlineFrame.of(contour)
        ways = np.diff(outline.arc[list(corners)])
        section = np.searchsorted(corners, np.arange(organ.node_count), side="right") - 1
        within.append((outline.arc[:-1] - outline.arc[np.array(corners)[section]]) / ways[section])
        sections.append(ways)
        around = [outline.normalized(contour), outline.normalized(points[NEIGHBORS[organ]])]
        shapes.append(np.concatenate(around).ravel())
    mean = np.mean(shapes, axis=0)
    _, deviations, modes = np.linalg.svd(np.array(shapes) - mean, full_matrices=False)
    scaled = (deviations[:MODES, None] * modes[:MODES] / np.sqrt(len(shapes) - 1)).T
    learned = {"within": np.mean(within, axis=0), "sections": np.mean(sections, axis=0), "mean": mean}
    return {**learned, "modes": scaled, "noise": np.array(NOISE)}


def main(folder: str) -> None:
    """Learn from a data set and write the file beside the code."""
    landmarks = np.stack([item["label"] for item in landmark_datalist(Path(folder))]).astype(np.float64)
    arrays = {f"{organ.name}/{name}": array for organ in ORGANS for name, array in learn(landmarks, organ).items()}
    with atomic_path(MODEL_FILE) as path, path.open("wb") as stream:
        np.savez_compressed(stream, **{name: array.astype(np.float32) for name, array in arrays.items()})


if __name__ == "__main__":
    main(sys.argv[1])
