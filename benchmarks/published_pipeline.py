"""How the published data set was built, for comparison with `chexmask-u dataset build`.

It was written for this purpose from the description of the method alone, and shares only the encoder with the library:
one image at a time, feature maps copied for every sample, message passing over edges, regions of interest collected in
a loop, one CSV per image and a text file of latents; then a second pass that reads all of them back and appends row
after row to a table. Each of these steps is done as well as it can be; where the description leaves a choice, the
libraries' defaults are taken. Reverse classification accuracy is not part of it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage.transform import resize
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.nn import ChebConv
from torch_geometric.utils import dense_to_sparse

from monai_chexmask_u.anatomy import COARSE_NODE_COUNT, HEART, LEFT_LUNG, RIGHT_LUNG, ring_adjacency, unpooling_matrix
from monai_chexmask_u.networks import HybridGNet
from monai_chexmask_u.networks.decoder import ImageToGraphConnection
from monai_chexmask_u.networks.graph import ChebyshevConvolution

__all__ = ["PublishedDecoder", "build_published_way"]

Floats = NDArray[np.float64]
LATENT_SIZE = 64
COLUMNS = {"Right Lung": RIGHT_LUNG, "Left Lung": LEFT_LUNG, "Heart": HEART}


def build_published_way(
    files: Sequence[Path], output: Path, network: HybridGNet, samples: int, size: int, seed: int
) -> dict[str, float]:
    """Build a data set of 8-bit images the published way.

    Args:
        files: images, with names that differ before their extension.
        output: folder; gets ``images/NAME.csv`` and ``images/latents.txt`` in network pixels, and ``table.csv``, the
            data set, in pixels of the images.
        network: with skip connections and without refinements, in evaluation mode.
        samples: latent samples per image.
        size: side of the network image in pixels.
        seed: of the one generator that all images' samples come from, one image after the other.

    Returns:
        Seconds of each stage, in order.

    Raises:
        ValueError: if the network is not the published one, or a file no image.
    """
    seconds: dict[str, float] = {}
    folder = output / "images"
    folder.mkdir(parents=True)
    segment_images(files, folder, network, samples, size, seed, seconds)
    merge_images(files, folder, output / "table.csv", size, seconds)
    return seconds


@contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Add the time of a block to a stage."""
    start = time.perf_counter()
    yield
    seconds[stage] = seconds.get(stage, 0.0) + time.perf_counter() - start


@torch.no_grad()
def segment_images(
    files: Sequence[Path],
    folder: Path,
    network: HybridGNet,
    samples: int,
    size: int,
    seed: int,
    seconds: dict[str, float],
) -> None:
    """Write a CSV for each image, and the latent variances of all images in one text file."""
    decoder = PublishedDecoder(network).eval()
    generator = torch.Generator().manual_seed(seed)
    for path in files:
        with timed(seconds, "read"):
            image = read_network_image(path, size)
        with timed(seconds, "encode"):
            mean, log_var, features = network.encode(image)
        with timed(seconds, "decode"):
            noise = torch.randn(samples, mean.shape[1], generator=generator)
            copies = [maps.repeat(samples, 1, 1, 1) for maps in features]
            landmarks = decoder(mean + noise * torch.exp(0.5 * log_var), copies)
        with timed(seconds, "write a CSV per image"):
            write_image(folder, path.stem, landmarks.numpy() * size, log_var[0].exp().numpy())


def write_image(folder: Path, name: str, landmarks: NDArray[np.float32], variances: NDArray[np.float32]) -> None:
    """Write mean and population standard deviation of the samples, and append the latent variances."""
    (x, y), (std_x, std_y) = landmarks.mean(axis=0).T, landmarks.std(axis=0).T
    nodes = pd.DataFrame({"Node": range(len(x)), "Mean x": x, "Mean y": y, "Std x": std_x, "Std y": std_y})
    nodes.to_csv(folder / f"{name}.csv", index=False)
    with (folder / "latents.txt").open("a") as latents:
        latents.write(",".join([name, *map(str, variances.tolist())]) + "\n")


def read_network_image(path: Path, size: int) -> Tensor:
    """Read an image, pad it to a square with black, resize it; ``(1, 1, size, size)`` in 0..1."""
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise ValueError(f"{path}: not an image that OpenCV reads")
    height, width = image.shape
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    square = np.pad(image, ((top, side - height - top), (left, side - width - left)))
    resized = resize(square, (size, size), preserve_range=True) / 255
    return torch.from_numpy(resized).float()[None, None]


class PublishedDecoder(nn.Module):
    """The graph decoder with message passing over edges and copied feature maps.

    Args:
        network: whose weights are copied.

    Raises:
        ValueError: if it has no skip connections, or has refinements.
    """

    def __init__(self, network: HybridGNet) -> None:
        """Put the weights into torch-geometric's convolutions."""
        super().__init__()
        ours = network.decoder
        if ours.coarse_connection is None or ours.fine_connection is None or network.refinements:
            raise ValueError("the published network has skip connections and no refinements")
        self.from_latent = ours.from_latent
        self.coarse1, self.coarse2, self.coarse3 = (
            _convolution(each) for each in (ours.coarse1, ours.coarse2, ours.coarse3)
        )
        self.fine1, self.fine2 = _convolution(ours.fine1), _convolution(ours.fine2)
        self.coarse_position, self.fine_position = _position(ours.coarse_connection), _position(ours.fine_connection)
        self.to_landmarks = _linear(ours.to_landmarks)
        self.unpool = torch.from_numpy(unpooling_matrix()).float()
        self.coarse_edges = dense_to_sparse(torch.from_numpy(ring_adjacency(coarse=True)))[0]
        self.fine_edges = dense_to_sparse(torch.from_numpy(ring_adjacency()))[0]

    def forward(self, z: Tensor, copies: list[Tensor]) -> Tensor:
        """Decode latent vectors.

        Args:
            z: ``(sample, latent)``.
            copies: feature maps from `HybridGNet.encode`, once per sample.

        Returns:
            ``(sample, 120, 2)``, (x, y) in the network frame.
        """
        x = F.relu(self.from_latent(z)).reshape(len(z), COARSE_NODE_COUNT, -1)
        x = _normalized(self.coarse1(x, self.coarse_edges))
        x = _normalized(self.coarse2(x, self.coarse_edges))
        position = self.coarse_position(x, self.coarse_edges)
        x = torch.cat([x, regions_of_interest(copies[1], position), position], dim=-1)
        x = _normalized(self.coarse3(x, self.coarse_edges))
        x = _normalized(self.fine1(self.unpool @ x, self.fine_edges))
        position = self.fine_position(x, self.fine_edges)
        x = torch.cat([x, regions_of_interest(copies[0], position), position], dim=-1)
        x = _normalized(self.fine2(x, self.fine_edges))
        landmarks: Tensor = self.to_landmarks(x, self.fine_edges)
        return landmarks


def _convolution(ours: ChebyshevConvolution) -> ChebConv:
    order, out_features, in_features = ours.weight.shape
    theirs = ChebConv(in_features, out_features, K=order, normalization="sym")
    for linear, weight in zip(theirs.lins, ours.weight, strict=True):
        linear.weight.data = weight.detach().clone()
    theirs.bias.data = ours.bias.detach().clone()
    return theirs


def _linear(ours: nn.Linear) -> ChebConv:
    theirs = ChebConv(ours.in_features, ours.out_features, K=1, normalization="sym", bias=False)
    theirs.lins[0].weight.data = ours.weight.detach().clone()
    return theirs


def _position(ours: ImageToGraphConnection) -> ChebConv:
    return _linear(ours.position)


def _normalized(x: Tensor) -> Tensor:
    return F.relu(F.instance_norm(x))


def regions_of_interest(maps: Tensor, positions: Tensor) -> Tensor:
    """Average 3x3 pixels of a map around each position; the boxes are collected sample by sample.

    Torch's grid sampling stands in for torchvision's ``roi_align`` with a fixed grid, and has its border rule.

    Args:
        maps: ``(sample, channel, h, h)``.
        positions: ``(sample, node, 2)``, (x, y) in 0..1.

    Returns:
        ``(sample, node, channel)``.
    """
    side = maps.shape[-1]
    boxes = []
    for sample in range(len(positions)):
        centers = positions[sample] * side
        boxes.append(torch.cat([centers - 1, centers + 2], dim=1))
    corners = torch.stack(boxes)[:, :, :2]
    steps = torch.arange(3.0)
    points = corners.unsqueeze(2) + torch.stack(torch.meshgrid(steps, steps, indexing="xy"), dim=-1).reshape(9, 2)
    inside = ((points >= -1) & (points <= side)).all(dim=-1)
    values = F.grid_sample(maps, (2 * points + 1) / side - 1, padding_mode="border", align_corners=False)
    return (values * inside.unsqueeze(1)).mean(dim=-1).transpose(1, 2)


def merge_images(files: Sequence[Path], folder: Path, table_file: Path, size: int, seconds: dict[str, float]) -> None:
    """Read the CSV of every image back, and write one table in the pixels of the images."""
    table = pd.DataFrame()
    latents = read_latents(folder / "latents.txt")
    for path in files:
        with timed(seconds, "read CSVs back and remap"):
            with Image.open(path) as image:  # which reads no pixels
                width, height = image.size
            mean, std = read_nodes(folder / f"{path.stem}.csv", height, width, size)
        with timed(seconds, "draw and encode masks"):
            masks = {title: encoded_mask(mean[organ.nodes], height, width) for title, organ in COLUMNS.items()}
        with timed(seconds, "append to the table"):
            row = {
                "Image Index": path.name,
                "Landmarks (Mean)": ",".join(map(str, mean.flatten().tolist())),
                "Landmarks (Std)": ",".join(f"{value:.2f}" for value in std.flatten().tolist()),
                **masks,
                "Height": height,
                "Width": width,
                "latents": ",".join(f"{variance**0.5:.4f}" for variance in latents[path.stem]),
            }
            # DataFrame.append, which pandas 2 no longer has, did just this.
            table = pd.concat([table, pd.DataFrame([row])], ignore_index=True)
    with timed(seconds, "write the table"):
        table.to_csv(table_file, index=False)


def read_latents(path: Path) -> dict[str, list[float]]:
    """Read the latent variances by the images' names, which may hold commas."""
    latents = {}
    for line in path.read_text().splitlines():
        name, *variances = line.rsplit(",", LATENT_SIZE)
        latents[name] = [float(variance) for variance in variances]
    return latents


def read_nodes(path: Path, height: int, width: int, size: int) -> tuple[NDArray[np.int64], Floats]:
    """Read the CSV of an image, and go from network pixels to those of the image.

    Returns:
        Mean ``(120, 2)``, (x, y) rounded and clipped to the image, and standard deviation ``(120, 2)``.
    """
    means, stds = [], []
    for _, node in pd.read_csv(path).iterrows():
        means.append((node["Mean x"], node["Mean y"]))
        stds.append((node["Std x"], node["Std y"]))
    scale = size / max(height, width)
    padding = [(size - round(extent * scale)) // 2 for extent in (width, height)]
    mean = np.round((np.array(means) - padding) / scale).astype(np.int64)
    return np.clip(mean, 0, [width - 1, height - 1]), np.array(stds) / scale


def encoded_mask(outline: NDArray[np.int64], height: int, width: int) -> str:
    """Fill an outline ``(node, 2)``, and return its run-length code: start and length, from 1, row by row."""
    mask = np.zeros((height, width), np.uint8)
    cv2.drawContours(mask, [outline.reshape(-1, 1, 2).astype(np.int32)], -1, 1, -1)
    framed = np.concatenate([[0], mask.flatten(), [0]])
    runs = np.flatnonzero(framed[1:] != framed[:-1]) + 1
    runs[1::2] -= runs[::2]
    return " ".join(map(str, runs.tolist()))
