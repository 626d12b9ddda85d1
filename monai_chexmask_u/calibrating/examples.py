"""What the examiner learns from: the landmark network's features and errors on altered radiographs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from monai_chexmask_u.data.radiograph_sets import RadiographItem
from monai_chexmask_u.geometry import Frame
from monai_chexmask_u.networks import HybridGNet
from monai_chexmask_u.networks.error_head import ErrorHead
from monai_chexmask_u.networks.network_image import to_network_image
from monai_chexmask_u.networks.posterior_sampler import PosteriorSampler
from monai_chexmask_u.networks.shift_detector import KINDS_OF_IMAGE, ShiftDetector
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.transforms.views import FOREIGN_VIEWS, corrupted_view, frontal_view

__all__ = ["ErrorExamples", "ImageExamples", "collect_error_examples", "collect_image_examples", "network_view"]

Progress = Callable[[int, int], None]
SAMPLES = 20
FRONTAL_VIEWS = 8
GREATEST_SIDE = 512


@dataclass(frozen=True, eq=False)
class ErrorExamples:
    """What the error head sees at the nodes of corrupted radiographs, and where the true landmarks are.

    The features are those of `ErrorHead.look_around`, the landmarks ``(example, 120, 2)`` in the network frame.
    """

    place: Tensor
    window: Tensor
    coarse: Tensor
    mean: Tensor
    truth: Tensor


@dataclass(frozen=True, eq=False)
class ImageExamples:
    """What the detector and the distances see of images, and what the images are.

    ``grid`` is that of `ShiftDetector.look_at`, ``latent`` ``(example, 2 * latent)`` mean and log variance, ``mean``
    the landmarks, ``kind`` an index of `KINDS_OF_IMAGE`.
    """

    grid: Tensor
    latent: Tensor
    mean: Tensor
    kind: Tensor


def network_view(pixels: NDArray[np.float32], network: HybridGNet) -> tuple[Tensor, Frame]:
    """Fit a view to the network: the image ``(1, 1, size, size)`` and the frame."""
    frame = Frame.fit(pixels.shape, network.image_size)
    return to_network_image(torch.from_numpy(np.ascontiguousarray(pixels)), frame).unsqueeze(0), frame


def collect_error_examples(
    radiographs: Sequence[RadiographItem],
    network: HybridGNet,
    *,
    rounds: int,
    seed: int,
    progress: Progress,
    workers: int = 0,
) -> ErrorExamples:
    """Run the landmark network on corrupted views of outlined radiographs.

    Args:
        radiographs: with landmarks.
        network: stays as it is.
        rounds: views of each radiograph.
        seed: of the views; they depend on radiograph and round alone.
        progress: called with the number of views done, and of all.
        workers: processes to share the work with; the result is the same.
    """
    sampler = PosteriorSampler(SAMPLES)
    loaded = [_upright(item) for item in radiographs]

    def examples(index: int) -> list[tuple[Tensor, ...]]:
        pixels, landmarks = loaded[index]
        made: list[tuple[Tensor, ...]] = []
        for turn in range(rounds):
            random = np.random.default_rng([seed, index, turn])
            partner = loaded[random.integers(len(loaded))][0]
            view, points = corrupted_view(pixels, np.asarray(landmarks), partner, random)
            image, frame = network_view(view, network)
            posterior, features = sampler.infer(image, network)
            seen = ErrorHead.look_around(features, posterior.mean, posterior.covariance)
            truth = torch.from_numpy(frame.to_network(points)).float()
            made.append((*(part[0] for part in seen), posterior.mean[0], truth))
        return made

    return ErrorExamples(*_collected(examples, len(radiographs), workers, progress))


def collect_image_examples(
    radiographs: Sequence[RadiographItem], network: HybridGNet, *, seed: int, progress: Progress, workers: int = 0
) -> ImageExamples:
    """Run the landmark network on views of frontal radiographs, and on what can be made of them.

    Args:
        radiographs: frontal radiographs, with landmarks or without.
        network: stays as it is.
        seed: of the views; they depend on the radiograph alone.
        progress: called with the number of radiographs done, and of all.
        workers: processes to share the work with; the result is the same.
    """
    sampler = PosteriorSampler(2)

    def examples(index: int) -> list[tuple[Tensor, ...]]:
        pixels = _reduced(_upright(radiographs[index])[0])
        made: list[tuple[Tensor, ...]] = []
        for kind, view in _views(pixels, np.random.default_rng([seed, index])):
            image, _ = network_view(np.clip(view, 0, 1).astype(np.float32), network)
            posterior, features = sampler.infer(image, network)
            latent = torch.cat([posterior.latent_mean, 2 * torch.log(posterior.latent_std)], dim=-1)
            with torch.no_grad():
                mean = network.decode(posterior.latent_mean.unsqueeze(1), features)[0, 0]
            made.append((ShiftDetector.look_at(features)[0], latent[0], mean, torch.tensor(kind)))
        return made

    return ImageExamples(*_collected(examples, len(radiographs), workers, progress))


def _upright(item: RadiographItem) -> tuple[NDArray[np.float32], NDArray[np.float64] | None]:
    """Read a radiograph and its landmarks, turned as the network is shown it."""
    radiograph = read_radiograph(item.path)
    pixels, landmarks = radiograph.pixels, item.landmarks
    for axis, reverse in ((0, radiograph.upside_down), (1, radiograph.mirrored)):
        if reverse:
            pixels = np.flip(pixels, axis)
            if landmarks is not None:
                landmarks = landmarks.copy()
                landmarks[:, 1 - axis] = pixels.shape[axis] - 1 - landmarks[:, 1 - axis]
    return np.ascontiguousarray(pixels), landmarks


def _views(pixels: NDArray[np.float32], random: np.random.Generator) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield a radiograph and its views, each with the index of its kind."""
    yield 0, pixels
    for _ in range(FRONTAL_VIEWS):
        yield 0, frontal_view(pixels, random)
    for kind, name in enumerate(KINDS_OF_IMAGE[1:], start=1):
        for make in FOREIGN_VIEWS[name]:
            yield kind, make(pixels, random)
            yield kind, make(frontal_view(pixels, random), random)


def _reduced(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shrink a radiograph to what the network can see of it, which makes its views faster."""
    import cv2

    factor = GREATEST_SIDE / max(pixels.shape)
    if factor >= 1:
        return pixels
    return cv2.resize(pixels, None, None, factor, factor, cv2.INTER_AREA).astype(np.float32)


class _Radiographs(Dataset[list[Tensor]]):
    """The examples of one radiograph at a time, stacked; features in half precision, since thousands are gigabytes."""

    def __init__(self, examples: Callable[[int], list[tuple[Tensor, ...]]], count: int) -> None:
        self.examples = examples
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> list[Tensor]:
        stacks = [torch.stack(parts) for parts in zip(*self.examples(index), strict=True)]
        return [stack.half() if stack.dim() >= 3 and stack.shape[-1] > 6 else stack for stack in stacks]


def _collected(
    examples: Callable[[int], list[tuple[Tensor, ...]]], count: int, workers: int, progress: Progress
) -> list[Tensor]:
    """Collect the examples of all radiographs, in the radiographs' order."""
    context = "fork" if workers else None  # the examples are closures, which cannot be sent to a new process
    loader = DataLoader(
        _Radiographs(examples, count), batch_size=None, num_workers=workers, multiprocessing_context=context
    )
    radiographs: list[list[Tensor]] = []
    for item in loader:
        radiographs.append(item)
        progress(len(radiographs), count)
    return [torch.cat(parts) for parts in zip(*radiographs, strict=True)]
