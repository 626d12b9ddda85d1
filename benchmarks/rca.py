"""Reverse classification accuracy beside the uncertainty: `python benchmarks/rca.py --references TRAIN --data VAL`.

Radiographs with known outlines are corrupted, so that their Dice varies. Every number that a user has without the truth
is then compared with the true Dice. The tables are printed in Markdown. OMP_NUM_THREADS=1 gives the time on one core.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from monai_chexmask_u.data import landmark_datalist
from monai_chexmask_u.dataset.rca.rating import (
    NEIGHBORS,
    Rating,
    ReferenceSet,
    label_map,
    load_references,
    overlap,
    rate,
)
from monai_chexmask_u.experiments.statistics import area_under_roc, pearson, spearman
from monai_chexmask_u.model import load_model
from monai_chexmask_u.networks.network_image import to_network_image
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.segmenter import Segmenter
from monai_chexmask_u.transforms import corrupt
from monai_chexmask_u.uncertainty import PUBLISHED_IMAGE_SIZE

Floats = NDArray[np.float64]

CLEAN: Final = ("gaussian_noise", 0.0)
IN_PLACE: Final = (
    ("occlusion", 301.0),
    ("occlusion", 501.0),
    ("occlusion_4", 351.0),
    ("occlusion_4", 501.0),
    ("gaussian_noise", 400.0),
    ("gaussian_noise", 1000.0),
    ("gaussian_blur", 110.0),
    ("contrast_loss", 0.985),
    ("overexposure", 0.75),
    ("overexposure", 1.25),
    ("underexposure", 6.5),
)
"""Corruptions that leave the organs where they are."""
MOVING: Final = (("rotation", 15.0), ("rotation", 30.0), ("crop", 0.3))


@dataclass(frozen=True, eq=False)
class View:
    """One radiograph as it is shown to the network: image, segmentation and truth in the network frame."""

    image: NDArray[np.float32]
    landmarks: Floats
    truth: Floats
    latent_mean: Floats
    uncertainties: dict[str, float]


@dataclass(frozen=True)
class Case:
    """A segmentation, its true Dice of lungs and heart, and all that is known without the truth.

    ``rating`` is made with the corrupted radiograph, ``clean_rating`` with the clean one, where its organs lie the
    same.
    """

    condition: tuple[str, float]
    dice: tuple[float, float]
    uncertainties: dict[str, float]
    rating: Rating
    clean_rating: Rating | None


def main(
    references: Annotated[Path, typer.Option(help="Outlined radiographs to judge by.")],
    data: Annotated[Path, typer.Option(help="Outlined radiographs to be judged.")],
    radiographs: Annotated[int, typer.Option(help="How many of them.")] = 21,
    neighbors: Annotated[int, typer.Option(help="References per radiograph.")] = NEIGHBORS,
    threshold: Annotated[float, typer.Option(help="Segmentations of a lower Dice are to be found.")] = 0.9,
    bundle: Annotated[Path | None, typer.Option(help="A calibrated model; the shipped one by default.")] = None,
) -> None:
    """Rate every view, and print the tables."""
    segmenter = Segmenter(load_model(bundle), device="cpu")
    known = load_references(references, segmenter)
    seconds: list[float] = []
    cases = [
        case
        for index, item in enumerate(landmark_datalist(data)[:radiographs])
        for case in radiograph_cases(item, index, segmenter, known, neighbors, seconds)
    ]
    print(
        f"{radiographs} images of {data.name}, {len(cases)} views, {len(known.names)} references of {references.name},"
    )
    print(f"{neighbors} per image, model {segmenter.identity.sha256[:12]}; RCA {np.median(seconds):.2f} s a radiograph")
    print_table("All views", cases, threshold)
    print_table("Views whose organs stayed in place", [case for case in cases if case.clean_rating], threshold)
    print_table("Clean radiographs", [case for case in cases if case.condition == CLEAN], threshold)
    print_conditions(cases)


def radiograph_cases(
    item: dict[str, object],
    index: int,
    segmenter: Segmenter,
    references: ReferenceSet,
    neighbors: int,
    seconds: list[float],
) -> list[Case]:
    """Segment and rate one radiograph in all conditions; add how long each rating took."""
    radiograph, truth = read_radiograph(Path(str(item["image"]))), np.asarray(item["label"], np.float64)
    cases: list[Case] = []
    clean: View | None = None
    for condition in (CLEAN, *IN_PLACE, *MOVING):
        view = look(radiograph, truth, condition, index, segmenter)
        clean = clean or view
        start = time.process_time()
        rating = rate(view.image, view.landmarks, view.latent_mean, references, neighbors=neighbors)
        seconds.append(time.process_time() - start)
        again: Rating | None = rating
        if condition in MOVING:
            again = None
        elif view is not clean:
            again = rate(clean.image, view.landmarks, clean.latent_mean, references, neighbors=neighbors)
        cases.append(Case(condition, true_dice(view), view.uncertainties, rating, again))
    return cases


def look(radiograph: Radiograph, truth: Floats, condition: tuple[str, float], seed: int, segmenter: Segmenter) -> View:
    """Corrupt and segment a radiograph."""
    corrupted = corrupt(radiograph.pixels, *condition, seed=seed, landmarks=truth)
    shown = replace(radiograph, pixels=corrupted.pixels)
    posterior, frame = segmenter.infer(shown)
    result = segmenter.finish(posterior, frame, shown)
    if result.total_px1024 is None:
        raise typer.BadParameter("the model has no calibration, so no total uncertainty")
    return View(
        to_network_image(torch.from_numpy(shown.pixels), frame)[0].numpy(),
        posterior.mean[0].double().numpy(),
        frame.to_network(np.asarray(corrupted.landmarks)),
        posterior.latent_mean[0].double().numpy(),
        {
            "total uncertainty": result.total_px1024,
            "predictive uncertainty": result.predictive_px1024,
            "latent uncertainty": result.latent_uncertainty,
        },
    )


def true_dice(view: View) -> tuple[float, float]:
    """Return the Dice of lungs and heart, of masks of 1024 pixels."""
    size = PUBLISHED_IMAGE_SIZE
    found, true = (label_map(points * size, size) for points in (view.landmarks, view.truth))
    return overlap(found, true)


def columns_of(cases: Sequence[Case]) -> dict[str, tuple[Floats, Floats, bool]]:
    """Return for each number its values, the true Dice it stands for, and whether it estimates that Dice."""
    lungs, heart = np.array([case.dice for case in cases]).T
    both = (lungs + heart) / 2
    ratings = [case.rating for case in cases]
    columns = {
        "RCA, mean": (_values(ratings, "dice_mean"), both, True),
        "RCA, max": (_values(ratings, "dice_max"), both, True),
        "RCA, mean, lungs": (_values(ratings, "lungs_mean"), lungs, True),
        "RCA, mean, heart": (_values(ratings, "heart_mean"), heart, True),
    }
    again = [case.clean_rating for case in cases]
    if all(again) and any(case.condition != CLEAN for case in cases):
        for name in ("mean", "max"):
            columns[f"RCA, {name}, registered on the clean radiograph"] = (_values(again, f"dice_{name}"), both, True)
    for name in cases[0].uncertainties:
        columns[name] = (-np.array([case.uncertainties[name] for case in cases]), both, False)
    return columns


def _values(ratings: Sequence[Rating | None], name: str) -> Floats:
    return np.array([np.nan if getattr(rating, name) is None else getattr(rating, name) for rating in ratings])


def print_table(title: str, cases: Sequence[Case], threshold: float) -> None:
    """Print how well each number predicts the true Dice; an uncertainty counts with its sign turned."""
    dice = np.array([np.mean(case.dice) for case in cases])
    bad = dice < threshold
    print(f"\n{title} ({len(cases)}; true Dice {dice.mean():.3f}, {dice.min():.3f} to {dice.max():.3f};")
    print(f"{bad.sum()} below {threshold:g})\n")
    print(f"| number | rated | Pearson | Spearman | mean absolute error | AUC, Dice < {threshold:g} |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, (values, true, estimates) in columns_of(cases).items():
        rated = np.isfinite(values)
        error = f"{np.abs(values - true)[rated].mean():.3f}" if estimates else ""
        area = area_under_roc(-values[bad & rated], -values[~bad & rated])
        print(
            f"| {name} | {rated.sum()} | {pearson(values, true):.2f} | {spearman(values, true):.2f} | {error} "
            f"| {'' if np.isnan(area) else f'{area:.2f}'} |"
        )


def print_conditions(cases: Sequence[Case]) -> None:
    """Print the means of each condition."""
    print("\n| condition | true Dice | RCA, mean | RCA, max | rated | total uncertainty, px |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for condition in dict.fromkeys(case.condition for case in cases):
        chosen = [case for case in cases if case.condition == condition]
        ratings = [case.rating for case in chosen]
        mean, best = _values(ratings, "dice_mean"), _values(ratings, "dice_max")
        name = "clean" if condition == CLEAN else f"{condition[0]} {condition[1]:g}"
        print(
            f"| {name} | {np.mean([case.dice for case in chosen]):.3f} | {np.nanmean(mean):.3f} "
            f"| {np.nanmean(best):.3f} | {np.isfinite(mean).sum()} of {len(chosen)} "
            f"| {np.mean([case.uncertainties['total uncertainty'] for case in chosen]):.1f} |"
        )


if __name__ == "__main__":
    typer.run(main)
