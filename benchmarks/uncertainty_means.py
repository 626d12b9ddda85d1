"""Ways to estimate the uncertainty of landmarks, side by side: `python benchmarks/uncertainty_means.py --data DATA`.

DATA holds outlined radiographs, such as the validation radiographs of JSRT. Each way sees the same radiographs, clean
and corrupted, and is judged by how well it predicts the error, and by what it costs. The table is printed in Markdown.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import cv2
import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch import Tensor

from monai_chexmask_u.data import landmark_datalist
from monai_chexmask_u.experiments.statistics import pearson
from monai_chexmask_u.geometry import Frame
from monai_chexmask_u.inferers import LandmarkUncertaintyInferer
from monai_chexmask_u.model import Model, load_model
from monai_chexmask_u.networks import HybridGNet
from monai_chexmask_u.networks.network_image import to_network_image
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.transforms import corrupt
from monai_chexmask_u.uncertainty import PUBLISHED_IMAGE_SIZE

CONDITIONS: Final = {
    "clean": [("gaussian_noise", 0.0)],
    "occlusion": [("occlusion", 301.0), ("occlusion", 501.0), ("occlusion_4", 201.0), ("occlusion_4", 351.0)],
    "other": [
        ("gaussian_noise", 120.0),
        ("gaussian_noise", 400.0),
        ("gaussian_blur", 48.0),
        ("gaussian_blur", 110.0),
        ("contrast_loss", 0.97),
        ("overexposure", 0.75),
        ("underexposure", 5.0),
    ],
}
WIDENING: Final = 4.0
AUGMENTATIONS: Final = 8
MAP_NOISE: Final = 0.1


@dataclass(frozen=True, eq=False)
class View:
    """One corrupted radiograph on its way through the ways.

    ``image`` is ``(1, 1, size, size)``, ``truth`` ``(120, 2)`` in the network frame, ``inside`` tells which nodes lie
    in an occluded square.
    """

    group: str
    image: Tensor
    truth: NDArray[np.float64]
    inside: NDArray[np.bool_]


Way = Callable[[Model, Tensor], Tensor]
"""From a model and an image to the standard deviation of x and y per node, ``(120, 2)``, in the network frame."""


def sampled(draw: Callable[[int], Tensor], widening: float = 1.0) -> Way:
    """Return the way that decodes given standard normal vectors; ``draw`` takes the size of the latent space."""

    def way(model: Model, image: Tensor) -> Tensor:
        mean, log_var, features = model.network.encode(image)
        z = mean.unsqueeze(1) + widening * draw(mean.shape[1]) * torch.exp(0.5 * log_var).unsqueeze(1)
        return model.network.decode(z, features)[0].double().std(dim=0, correction=0)

    return way


def random(count: int) -> Callable[[int], Tensor]:
    """Draw as published."""
    return lambda size: torch.randn(count, size, generator=torch.Generator().manual_seed(0))


def antithetic(count: int) -> Callable[[int], Tensor]:
    """Draw half of them, and take their negatives as well."""
    half = random(count // 2)
    return lambda size: torch.cat([half(size), -half(size)])


def quasi_random(count: int) -> Callable[[int], Tensor]:
    """Draw from a scrambled Sobol sequence."""

    def draw(size: int) -> Tensor:
        uniform = torch.quasirandom.SobolEngine(size, scramble=True, seed=0).draw(count, dtype=torch.float64)
        normal: Tensor = torch.special.ndtri(uniform.clamp(1e-6, 1 - 1e-6))
        return normal.float()

    return draw


def first_order(model: Model, image: Tensor) -> Tensor:
    """Propagate the latent variances through central differences of half a standard deviation.

    The decoder reads the image at positions that carry no gradient, so that its derivative is not that of what it does.
    """
    mean, log_var, features = model.network.encode(image)
    steps = 0.5 * torch.diag_embed(torch.exp(0.5 * log_var))[0]
    ends = model.network.decode(torch.stack([mean + steps, mean - steps]).flatten(0, 1).unsqueeze(0), features)[0]
    forward, backward = ends.double().chunk(2)
    return (forward - backward).square().sum(dim=0).sqrt()


def augmented(model: Model, image: Tensor) -> Tensor:
    """Turn, scale, shift and expose the image anew, and look how far the landmarks of the latent mean move."""
    random_numbers = np.random.default_rng(0)
    pixels, size = image[0, 0].numpy(), image.shape[-1]
    moved = []
    for _ in range(AUGMENTATIONS):
        center = ((size - 1) / 2, (size - 1) / 2)
        matrix = cv2.getRotationMatrix2D(center, random_numbers.normal() * 4, random_numbers.uniform(0.9, 1.1))
        view = np.clip(cv2.warpAffine(pixels, matrix, (size, size)), 0, 1) ** random_numbers.uniform(0.75, 1.3)
        points = model.network(torch.from_numpy(view.astype(np.float32))[None, None])[0].double().numpy() * size
        back = cv2.invertAffineTransform(matrix)
        moved.append((points @ back[:, :2].T + back[:, 2]) / size)
    return torch.from_numpy(np.std(moved, axis=0))


def map_noise(model: Model, image: Tensor) -> Tensor:
    """Sample the latent vector, and drop features of the maps too, which the published way keeps fixed."""
    mean, log_var, features = model.network.encode(image)
    generator = torch.Generator().manual_seed(0)
    landmarks = []
    for noise in random(20)(mean.shape[1]):
        kept = [
            level * (torch.rand(level.shape[:2], generator=generator) >= MAP_NOISE)[..., None, None] / (1 - MAP_NOISE)
            for level in features
        ]
        landmarks.append(model.network.decode((mean + noise * torch.exp(0.5 * log_var)).unsqueeze(1), kept)[0, 0])
    return torch.stack(landmarks).double().std(dim=0, correction=0)


def error_head(model: Model, image: Tensor) -> Tensor:
    """Ask the calibration's error head: the total uncertainty of every result."""
    if model.calibration is None:
        raise typer.BadParameter("the model has no calibration, so no error head")
    posterior = LandmarkUncertaintyInferer(50, examiner=model.calibration.examiner)(image, model.network)
    return posterior.error_covariance[0].diagonal(dim1=-2, dim2=-1).double().sqrt()


WAYS: Final[dict[str, Way]] = {
    "published: 50 random samples": sampled(random(50)),
    "10 random samples": sampled(random(10)),
    "10 antithetic samples": sampled(antithetic(10)),
    "10 quasi-random samples": sampled(quasi_random(10)),
    "50 antithetic samples": sampled(antithetic(50)),
    "50 quasi-random samples": sampled(quasi_random(50)),
    "first order, no samples": first_order,
    f"50 samples, {WIDENING:g} times as wide": sampled(random(50), WIDENING),
    f"{AUGMENTATIONS} test-time augmentations": augmented,
    f"20 samples, {MAP_NOISE:.0%} of the features dropped": map_noise,
    "error head on top of the 50 samples": error_head,
}


def main(
    data: Annotated[Path, typer.Option(help="Outlined radiographs.")],
    radiographs: Annotated[int, typer.Option(help="How many of them.")] = 21,
    reference: Annotated[int, typer.Option(help="Random samples that the others are compared with.")] = 2000,
    bundle: Annotated[Path | None, typer.Option(help="A calibrated model; the shipped one by default.")] = None,
) -> None:
    """Measure every way on every view, and print the table."""
    model = load_model(bundle)
    model.network.eval()
    with torch.no_grad():
        views = list(read_views(data, radiographs, model.network))
        exact = [sampled(random(reference))(model, view.image) for view in views if view.group == "clean"]
        error = np.array([node_errors(model, view) for view in views])
        print(f"{radiographs} radiographs of {data.name}, {len(views)} views, model {model.identity.sha256[:12]}\n")
        print(
            "| way | node r, all | node r, clean | image r, clean and occluded | inside / outside | spread, clean, px |"
        )
        print("| --- | ---: | ---: | ---: | ---: | ---: |", flush=True)
        rows = [measure(name, way, model, views, error, exact) for name, way in WAYS.items()]
    print(f"\n| way | ms an image | difference from {reference} random samples |\n| --- | ---: | ---: |")
    for name, milliseconds, difference in rows:
        print(f"| {name} | {milliseconds:.0f} | {difference} |")


def measure(
    name: str, way: Way, model: Model, views: list[View], error: NDArray[np.float64], reference: list[Tensor]
) -> tuple[str, float, str]:
    """Print a way's row, and return its time and its distance from the reference where it estimates the same."""
    start = time.perf_counter()
    spreads = [way(model, view.image) for view in views]
    milliseconds = (time.perf_counter() - start) / len(views) * 1000
    node = np.array([spread.mean(dim=-1).numpy() for spread in spreads]) * PUBLISHED_IMAGE_SIZE
    group = np.array([view.group for view in views])
    occluded = [index for index, view in enumerate(views) if view.inside.any()]
    inside = np.concatenate([node[index][views[index].inside] for index in occluded])
    outside = np.concatenate([node[index][~views[index].inside] for index in occluded])
    clean, near = group == "clean", np.isin(group, ["clean", "occlusion"])
    print(
        f"| {name} | {pearson(node, error):.2f} | {pearson(node[clean], error[clean]):.2f} "
        f"| {pearson(node[near].mean(axis=1), error[near].mean(axis=1)):.2f} "
        f"| {np.median(inside) / np.median(outside):.2f} | {node[clean].mean():.1f} |",
        flush=True,
    )
    same = name.endswith(("samples", "no samples")) and "error head" not in name
    of_clean = [spread for spread, view in zip(spreads, views, strict=True) if view.group == "clean"]
    ratios = [float((one / other - 1).abs().mean()) for one, other in zip(of_clean, reference, strict=True)]
    return name, milliseconds, f"{np.mean(ratios):.1%}" if same else ""


def read_views(data: Path, radiographs: int, network: HybridGNet) -> Iterator[View]:
    """Read radiographs and corrupt them."""
    for index, item in enumerate(landmark_datalist(data)[:radiographs]):
        pixels, landmarks = read_radiograph(Path(item["image"])).pixels, np.asarray(item["label"], np.float64)
        for group, conditions in CONDITIONS.items():
            for kind, severity in conditions:
                corrupted = corrupt(pixels, kind, severity, seed=index, landmarks=landmarks)
                frame = Frame.fit(corrupted.pixels.shape, network.image_size)
                image = to_network_image(torch.from_numpy(corrupted.pixels), frame).unsqueeze(0)
                yield View(group, image, frame.to_network(np.asarray(corrupted.landmarks)), corrupted.altered_nodes)


def node_errors(model: Model, view: View) -> NDArray[np.float64]:
    """Return the distance of the mean of 50 samples from the truth, ``(120,)``, in pixels of 1024."""
    mean = LandmarkUncertaintyInferer(50)(view.image, model.network).mean[0].double().numpy()
    distance: NDArray[np.float64] = np.linalg.norm(mean - view.truth, axis=-1) * PUBLISHED_IMAGE_SIZE
    return distance


if __name__ == "__main__":
    typer.run(main)
