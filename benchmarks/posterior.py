"""How far the samples of a network tell the truth: accuracy, spread, intervals, and both measures against severity.

Usage: python -m benchmarks.posterior WEIGHTS --data JSRT/val [--foreign FOLDER] [--levels 6] [--radiographs 21]

Nothing of a calibration is used: the figures are those of the network's 50 samples alone, in pixels of a 1024-pixel
image. FOLDER has ``labels.csv``, and holds what is no frontal chest radiograph beside what is one.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.stats import rankdata, spearmanr

from monai_chexmask_u.anatomy import HEART, LEFT_LUNG, ORGANS, RIGHT_LUNG
from monai_chexmask_u.data.radiograph_sets import FRONTAL, RadiographItem, read_sets
from monai_chexmask_u.geometry import cardiothoracic_ratio, fill_polygon, polygon_area
from monai_chexmask_u.inferers import LandmarkUncertaintyInferer
from monai_chexmask_u.losses import energy_score
from monai_chexmask_u.networks import HybridGNet
from monai_chexmask_u.networks.checkpoints import read_checkpoint
from monai_chexmask_u.networks.network_image import fit_frame, to_network_image
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.transforms.corruptions import CORRUPTIONS, corrupt

SIDE: Final = 1024
LEAST_RISE: Final = 1.05  # of the error, for a level to count
OCCLUSION: Final = 301.0  # the published side of a square, px

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Result:
    """Samples ``(sample, 120, 2)`` and truth ``(120, 2)`` in px at 1024, and both measures."""

    samples: Floats
    truth: Floats
    latent: float

    @property
    def error(self) -> Floats:
        """Distance of each node's mean from the truth, ``(120,)``."""
        return np.asarray(np.linalg.norm(self.samples.mean(axis=0) - self.truth, axis=-1))

    @property
    def nodes(self) -> Floats:
        """Published predictive uncertainty of each node, ``(120,)``."""
        return np.asarray(self.samples.std(axis=0).mean(axis=-1))


class Sampler:
    """Shows pixels to a network and draws samples."""

    def __init__(self, network: HybridGNet) -> None:
        """Keep the network."""
        self.network = network
        self.inferer = LandmarkUncertaintyInferer()

    def __call__(self, pixels: NDArray[np.float32], landmarks: Floats | None) -> Result:
        """Sample one image."""
        frame = fit_frame(Radiograph(pixels, Path()), self.network.image_size)
        image = to_network_image(torch.from_numpy(np.ascontiguousarray(pixels)), frame)
        posterior = self.inferer(image.unsqueeze(0), self.network)
        truth = np.full((120, 2), np.nan) if landmarks is None else frame.to_network(landmarks)
        latent = float(posterior.latent_std.mean())
        return Result(posterior.samples[0].double().numpy() * SIDE, truth * SIDE, latent)


def main(
    weights: Annotated[Path, typer.Argument(help="Weights file.")],
    data: Annotated[Path, typer.Option(help="Outlined radiographs.")],
    foreign: Annotated[Path | None, typer.Option(help="Folder with labels.csv.")] = None,
    levels: Annotated[int, typer.Option(min=2, help="Levels per corruption.")] = 6,
    radiographs: Annotated[int, typer.Option(min=1, help="Outlined radiographs at most.")] = 1000,
) -> None:
    """Print the tables."""
    torch.set_num_threads(1)
    sample = Sampler(read_checkpoint(weights))
    outlined = [item for each in read_sets([data]) for item in each.radiographs][:radiographs]
    pixels = [read_radiograph(item.path).pixels for item in outlined]
    clean = [sample(image, item.landmarks) for image, item in zip(pixels, outlined, strict=True)]
    table = Table(title=f"{weights.name}: {len(outlined)} radiographs of {data.parent.name}/{data.name}")
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, value in [*_of_clean(clean), *_of_squares(sample, pixels, outlined)]:
        table.add_row(name, value)
    if foreign is not None:
        for name, value in _of_foreign(sample, clean, foreign):
            table.add_row(name, value)
    console = Console()
    console.print(table)
    console.print(_of_severity(sample, pixels, outlined, clean, levels))


def _of_clean(results: Sequence[Result]) -> Iterator[tuple[str, str]]:
    mean = np.array([result.samples.mean(axis=0) for result in results])
    truth = np.array([result.truth for result in results])
    yield "mean squared error, px^2", f"{np.square(mean - truth).mean():.1f}"
    dice = np.array([_dice(*pair) for pair in zip(mean, truth, strict=True)])
    yield "Dice lungs, heart", " ".join(f"{value:.4f}" for value in dice.mean(axis=0))
    spread = np.sqrt(np.mean([np.square(result.samples.std(axis=0)).mean() for result in results]))
    yield "spread / error, rms", f"{spread:.2f} / {np.sqrt(np.square(mean - truth).mean()):.2f}"
    scores = [energy_score(*(torch.from_numpy(each) for each in _flat(result))).item() for result in results]
    yield "energy score (240 numbers), px", f"{np.mean(scores):.1f}"
    quantities = {"ratio": cardiothoracic_ratio} | {
        organ.title: (lambda points, organ=organ: polygon_area(points[..., organ.nodes, :])) for organ in ORGANS
    }
    for name, quantity in quantities.items():
        inside, width = zip(
            *(_interval(quantity(one.samples), quantity(one.truth[None])) for one in results), strict=True
        )
        yield f"{name}: in 90 % interval, width", f"{np.mean(inside):.2f} {np.mean(width):.4g}"
    error, nodes = (np.concatenate([getattr(result, name) for result in results]) for name in ("error", "nodes"))
    yield "node error against predictive, Pearson", f"{np.corrcoef(error, nodes)[0, 1]:.3f}"
    yield "predictive, latent: mean", f"{nodes.mean():.2f} {np.mean([result.latent for result in results]):.3f}"


def _of_squares(
    sample: Sampler, pixels: Sequence[NDArray[np.float32]], radiographs: Sequence[RadiographItem]
) -> list[tuple[str, str]]:
    inside: list[Floats] = []
    outside: list[Floats] = []
    for index, (image, item) in enumerate(zip(pixels, radiographs, strict=True)):
        corrupted = corrupt(image, "occlusion", OCCLUSION, seed=index, landmarks=item.landmarks)
        result = sample(corrupted.pixels, item.landmarks)
        both = np.stack([result.nodes, result.error])
        inside.append(both[:, corrupted.altered_nodes])
        outside.append(both[:, ~corrupted.altered_nodes])
    spread, error = np.concatenate(inside, axis=1).mean(axis=1) / np.concatenate(outside, axis=1).mean(axis=1)
    return [("inside / outside a square: spread, error", f"{spread:.2f} {error:.2f}")]


def _of_foreign(sample: Sampler, clean: Sequence[Result], folder: Path) -> Iterator[tuple[str, str]]:
    with (folder / "labels.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    results: dict[bool, list[Result]] = {True: list(clean), False: []}
    for row in rows:
        path = next(place / row["file"] for place in (folder / "images", folder) if (place / row["file"]).is_file())
        results[row["label"] == FRONTAL].append(sample(read_radiograph(path).pixels, None))
    for name in ("predictive", "latent"):
        values = [[_measure(result, name) for result in results[key]] for key in (True, False)]
        yield f"foreign ({len(results[False])}) against frontal, AUC: {name}", f"{_auc(*values):.3f}"


def _of_severity(
    sample: Sampler,
    pixels: Sequence[NDArray[np.float32]],
    radiographs: Sequence[RadiographItem],
    clean: Sequence[Result],
    levels: int,
) -> Table:
    table = Table(title="against severity, medians over radiographs")
    for column in ("kind", "error, px", "predictive, px", "latent", "Spearman"):
        table.add_column(column)
    for kind, corruption in CORRUPTIONS.items():
        outlined = [level for level in corruption.levels[1:] if level <= corruption.outlined_up_to]
        chosen = [outlined[round(index)] for index in np.linspace(0, len(outlined) - 1, min(levels, len(outlined)))]
        rows = [_medians(clean)]
        for level in chosen:
            results = []
            for index, (image, item) in enumerate(zip(pixels, radiographs, strict=True)):
                partner = pixels[(index + 1) % len(pixels)] if corruption.needs_partner else None
                view = corrupt(image, kind, level, seed=index, landmarks=item.landmarks, partner=partner)
                results.append(sample(view.pixels, view.landmarks))
            rows.append(_medians(results))
        error, predictive, latent = np.array(rows).T
        counts = np.r_[True, error[1:] > LEAST_RISE * error[0]]
        found = [spearmanr(error[counts], each[counts]).statistic for each in (predictive, latent)]
        cells = [" ".join(f"{value:.3g}" for value in each) for each in (error, predictive, latent)]
        table.add_row(kind, *cells, " ".join(f"{value:.2f}" for value in found) if counts.sum() > 2 else "")
    return table


def _medians(results: Sequence[Result]) -> tuple[float, float, float]:
    error = float(np.mean([result.error.mean() for result in results]))
    predictive, latent = (
        float(np.median([_measure(one, name) for one in results])) for name in ("predictive", "latent")
    )
    return error, predictive, latent


def _measure(result: Result, name: str) -> float:
    return float(result.nodes.mean()) if name == "predictive" else result.latent


def _flat(result: Result) -> tuple[Floats, Floats]:
    return result.samples.reshape(1, len(result.samples), -1), result.truth.reshape(1, -1)


def _dice(mean: Floats, truth: Floats) -> tuple[float, ...]:
    """Return Dice of both lungs without the heart, and of the heart."""
    pairs = []
    for points in (mean, truth):
        lungs, heart = np.zeros((SIDE, SIDE), bool), fill_polygon(points[HEART.nodes], (SIDE, SIDE)).astype(bool)
        for lung in (RIGHT_LUNG, LEFT_LUNG):
            lungs |= fill_polygon(points[lung.nodes], (SIDE, SIDE)).astype(bool)
        pairs.append((lungs & ~heart, heart))
    return tuple(2 * (one & two).sum() / (one.sum() + two.sum()) for one, two in zip(*pairs, strict=True))


def _interval(samples: Floats, truth: Floats) -> tuple[bool, float]:
    low, high = np.quantile(samples, [0.05, 0.95])
    return bool(low <= truth[0] <= high), float(high - low)


def _auc(lower: Sequence[float], higher: Sequence[float]) -> float:
    ranks = rankdata([*lower, *higher])[len(lower) :]
    return float((ranks.sum() - len(higher) * (len(higher) + 1) / 2) / (len(lower) * len(higher)))


if __name__ == "__main__":
    typer.run(main)
