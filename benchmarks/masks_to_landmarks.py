"""Masks to landmarks and back: how far landmarks that were placed on a mask's outline are from the true ones.

    python benchmarks/masks_to_landmarks.py JSRT/val

fills the true landmarks of a data set to masks at 1024 pixels, places landmarks on them, and fills these again. "One
label image" is a mask in which the heart covers the lungs, as a single label file has it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monai_chexmask_u.anatomy import HEART, ORGANS, Organ
from monai_chexmask_u.annotations.landmark_placement import landmarks_of_masks
from monai_chexmask_u.data import landmark_datalist
from monai_chexmask_u.geometry import fill_polygon

SIDE = 1024
Floats = NDArray[np.float64]
Masks = dict[Organ, NDArray[np.bool_]]


def filled(landmarks: Floats) -> Masks:
    """Return the masks of landmarks ``(120, 2)``."""
    return {organ: fill_polygon(landmarks[organ.nodes], (SIDE, SIDE)) for organ in ORGANS}


def one_label_image(masks: Masks) -> Masks:
    """Take from the lungs what the heart covers."""
    return {organ: mask if organ is HEART else mask & ~masks[HEART] for organ, mask in masks.items()}


def across(difference: Floats, true: Floats) -> Floats:
    """Return the part of differences ``(node, 2)`` that is at right angles to the true contour."""
    along = np.roll(true, -1, axis=0) - np.roll(true, 1, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    return np.abs(difference[:, 0] * along[:, 1] - difference[:, 1] * along[:, 0])


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Return the overlap of two masks."""
    return 2 * float((one & other).sum()) / float(one.sum() + other.sum())


def measure(truth: list[Floats], masks: list[Masks]) -> Mapping[Organ, tuple[Floats, Floats, Floats]]:
    """Return per organ all distances, their parts across the contour, and the overlap of each radiograph."""
    found = [landmarks_of_masks(each) for each in masks]
    result = {}
    for organ in ORGANS:
        pairs = [(placed[organ.nodes], true[organ.nodes]) for placed, true in zip(found, truth, strict=True)]
        distance = np.concatenate([np.linalg.norm(placed - true, axis=1) for placed, true in pairs])
        off = np.concatenate([across(placed - true, true) for placed, true in pairs])
        overlap = [dice(filled(placed)[organ], mask[organ]) for placed, mask in zip(found, masks, strict=True)]
        result[organ] = (distance, off, np.array(overlap))
    return result


def main(folder: str) -> None:
    """Print the table of a data set."""
    truth = [item["label"].astype(np.float64) for item in landmark_datalist(Path(folder))]
    whole = [filled(landmarks) for landmarks in truth]
    print(f"{len(truth)} radiographs\n")
    print("| masks | organ | error, px at 1024: mean | 95 % | largest | across the contour | Dice: mean | lowest |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for title, masks in (("one per organ", whole), ("one label image", [one_label_image(each) for each in whole])):
        for organ, (distance, off, overlap) in measure(truth, masks).items():
            numbers = (distance.mean(), np.percentile(distance, 95), distance.max(), off.mean())
            errors = " | ".join(f"{number:.1f}" for number in numbers)
            print(f"| {title} | {organ.title.lower()} | {errors} | {overlap.mean():.4f} | {overlap.min():.4f} |")


if __name__ == "__main__":
    main(sys.argv[1])
