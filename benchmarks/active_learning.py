"""Which radiographs the strategies of the label app hand out first, and what these are worth.

Usage: python benchmarks/active_learning.py --data JSRT/train --data JSRT/val --data NIH [--picks 20]

The radiographs of all folders are one pool in which nothing is annotated. Each strategy is asked again and again, as by
annotators who take one radiograph after the other. Folders with landmarks tell the error of the radiographs handed out;
others count for the coverage of the latent space alone. Random orders stand beside, the mean of 200 of them.
Needs the label app's environment (label/README.md).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from scipy.spatial.distance import cdist, pdist
from scipy.stats import spearmanr

from monai_chexmask_u.commands.console import progress_bar
from monai_chexmask_u.data.radiograph_sets import RadiographItem, read_sets
from monai_chexmask_u.model import load_model
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.segmenter import Segmenter

sys.path.insert(0, str(Path(__file__).parents[1]))  # label/ is no part of the package

RANDOM_ORDERS = 200
MEASURES = (
    "mean score",
    "mean error, px1024, of radiographs with outlines",
    "number of these",
    "handed out: to the nearest other one",
    "all radiographs: to the nearest handed out, mean",
    "largest",
)


@dataclass(frozen=True)
class Pool:
    """All images: ``score`` and ``error`` ``(image,)`` (NaN without outlines), ``latent`` ``(image, latent)``."""

    names: list[str]
    rejected: NDArray[np.bool_]
    score: NDArray[np.float64]
    error: NDArray[np.float64]
    latent: NDArray[np.float32]
    outlines: NDArray[np.float64]


class Datastore:
    """What the strategies ask of a datastore, in memory."""

    def __init__(self, pool: Pool) -> None:
        """Start with nothing annotated."""
        self.info: dict[str, dict[str, Any]] = {
            name: {"landmark_uncertainty": score, "verdict": "reject" if rejected else "review"}
            for name, score, rejected in zip(pool.names, pool.score.tolist(), pool.rejected, strict=True)
        }

    def list_images(self) -> list[str]:
        """Return all names."""
        return list(self.info)

    def get_unlabeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        """Return all names: nothing is annotated."""
        return list(self.info)

    def get_image_info(self, image_id: str) -> dict[str, Any]:
        """Return what is noted of a radiograph."""
        return self.info[image_id]


def main(
    data: Annotated[list[Path], typer.Option(help="Folder of radiographs; give it again for more, one has landmarks.")],
    picks: Annotated[int, typer.Option(min=1, help="Radiographs to hand out.")] = 20,
    balance: Annotated[float, typer.Option(min=0, max=1, help="Of UncertainAndDiverse.")] = 0.5,
) -> None:
    """Print what each strategy hands out first."""
    from label.tasks.latents import LatentStore
    from label.tasks.model_versions import ModelStore
    from label.tasks.strategies import MostUncertain, UncertainAndDiverse

    pool = _segment([item for each in read_sets(data) for item in each.radiographs])
    with TemporaryDirectory() as folder:
        store = ModelStore(Path(folder) / "model")
        latents = LatentStore(Path(folder), "benchmark")
        latents.add(store.load().identity.sha256, dict(zip(pool.names, pool.latent, strict=True)))
        orders = {
            "most_uncertain": _order(MostUncertain(), pool, picks),
            "uncertain_and_diverse": _order(UncertainAndDiverse(store, latents, balance), pool, picks),
        }
    _report(pool, orders, picks, balance)


def _segment(radiographs: Sequence[RadiographItem]) -> Pool:
    segmenter = Segmenter(load_model())
    rows = []
    with progress_bar() as bar:
        for item in bar.track(radiographs):
            radiograph = read_radiograph(item.path)
            posterior, frame = segmenter.infer(radiograph)
            found = segmenter.finish(posterior, frame, radiograph)
            side = 1024 / max(radiograph.shape)
            truth = np.full((120, 2), np.nan) if item.landmarks is None else item.landmarks
            error = (
                np.nanmean(np.linalg.norm(found.landmarks - truth, axis=1)) * side
                if item.landmarks is not None
                else np.nan
            )
            rejected = found.reliability.verdict == "reject"
            rows.append((item.key, rejected, found.score, error, posterior.latent_mean[0].cpu().numpy(), truth * side))
    names, *columns = zip(*rows, strict=True)
    return Pool(list(names), *(np.array(column) for column in columns))


def _order(strategy: Any, pool: Pool, picks: int) -> NDArray[np.intp]:
    """Ask for one radiograph after the other, noting what was handed out as MONAI Label does."""
    datastore, order = Datastore(pool), []
    for _ in range(min(picks, len(pool.names))):
        name = strategy({}, datastore)["id"]
        datastore.info[name]["strategy"] = {"benchmark": {"ts": int(time.time())}}
        order.append(pool.names.index(name))
    return np.array(order)


def _report(pool: Pool, orders: dict[str, NDArray[np.intp]], picks: int, balance: float) -> None:
    known = np.isfinite(pool.error)
    print(f"{len(pool.names)} radiographs, {known.sum()} with outlines; {picks} handed out; balance {balance}")
    print(f"Mean landmark error of all radiographs with outlines: {np.nanmean(pool.error):.1f} px of 1024;")
    print(f"rank correlation of score and error: {spearmanr(pool.score[known], pool.error[known]).statistic:.2f}")
    print("\nRank correlation of the distance of two radiographs' outlines with that of their latent means:")
    outlines, latent = pdist(pool.outlines[known].reshape(known.sum(), -1)), pool.latent[known]
    for name, scaled in (("as it is", latent), ("each dimension by its std", latent / latent.std(axis=0))):
        print(f"  {name}: {spearmanr(outlines, pdist(scaled)).statistic:.2f}")
    shuffle = np.random.default_rng(0).permutation
    randoms = [_measure(pool, shuffle(len(pool.names))[:picks]) for _ in range(RANDOM_ORDERS)]
    rows = {name: _measure(pool, order) for name, order in orders.items()}
    rows["random"] = np.nanmean(randoms, axis=0)
    print("\n| " + " | ".join(("order", *MEASURES)) + " |")
    print("| --- " + "| ---: " * len(MEASURES) + "|")
    for name, values in rows.items():
        print(f"| {name} | " + " | ".join(f"{value:.2f}" for value in values) + " |")
    first, second = (set(order.tolist()) for order in orders.values())
    print(f"\nBoth strategies hand out {len(first & second)} radiographs of {picks}.")
    for name, order in orders.items():
        print(f"{name}: {', '.join(pool.names[index] for index in order[:8])}, ...")


def _measure(pool: Pool, order: NDArray[np.intp]) -> NDArray[np.float64]:
    between = cdist(pool.latent[order], pool.latent[order])
    np.fill_diagonal(between, np.inf)
    covered = cdist(pool.latent, pool.latent[order]).min(axis=1)
    errors = pool.error[order]
    count = np.isfinite(errors).sum()
    error = np.nanmean(errors) if count else np.nan
    return np.array([pool.score[order].mean(), error, count, between.min(axis=1).mean(), covered.mean(), covered.max()])


if __name__ == "__main__":
    typer.run(main)
