"""What the published way of building a data set is measured with must give what ours gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

pytest.importorskip("cv2")
pytest.importorskip("pandas")
pytest.importorskip("skimage")
pytest.importorskip("benchmarks.published_pipeline", reason="benchmarks/ is in the checkout alone, and not on the path")
import pandas as pd

from benchmarks.published_pipeline import (
    PublishedDecoder,
    build_published_way,
    encoded_mask,
    read_latents,
    read_network_image,
)
from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.geometry import run_length_decode
from monai_chexmask_u.inferers import LandmarkUncertaintyInferer
from monai_chexmask_u.networks import HybridGNet

SIZE, SAMPLES, SEED = 64, 5, 3


@pytest.fixture(scope="module")
def network() -> HybridGNet:
    """An untrained network; this seed puts landmarks inside the image."""
    torch.manual_seed(2)
    return HybridGNet(SIZE).eval()


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """A image of the network's size, a wide one and a tall one."""
    generator = np.random.default_rng(0)
    paths = [tmp_path / f"radiograph,{number}.png" for number in range(3)]
    for path, shape in zip(paths, [(64, 64), (80, 128), (90, 66)], strict=True):
        Image.fromarray(generator.integers(0, 256, shape, dtype=np.uint8)).save(path)
    return paths


def noise() -> Tensor:
    """Standard normal numbers of all three images, one after the other."""
    generator = torch.Generator().manual_seed(SEED)
    return torch.stack([torch.randn(SAMPLES, 64, generator=generator) for _ in range(3)])


@torch.no_grad()
def test_decoder_gives_our_landmarks(network: HybridGNet) -> None:
    mean, _, features = network.encode(torch.rand(1, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0)))
    z = mean + torch.randn(7, 64, generator=torch.Generator().manual_seed(1))
    copies = [maps.repeat(7, 1, 1, 1) for maps in features]
    expected = network.decode(z[None], features)[0]
    assert ((expected > 0) & (expected < 1)).float().mean() > 0.2  # there is an image to read
    torch.testing.assert_close(PublishedDecoder(network)(z, copies), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("options", [{"skip_connections": False}, {"refinements": 1}])
def test_another_network_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="skip connections and no refinements"):
        PublishedDecoder(HybridGNet(64, **options))  # type: ignore[arg-type]


@torch.no_grad()
def test_csv_of_an_image_holds_our_mean_and_deviation(network: HybridGNet, files: list[Path], tmp_path: Path) -> None:
    build_published_way(files, tmp_path / "out", network, SAMPLES, SIZE, SEED)
    latents = read_latents(tmp_path / "out" / "images" / "latents.txt")
    for path, numbers in zip(files, noise(), strict=True):
        mean, log_var, features = network.encode(read_network_image(path, SIZE))
        z = mean + numbers * torch.exp(0.5 * log_var)
        landmarks = SIZE * network.decode(z[None], features)[0].double().numpy()
        nodes = pd.read_csv(tmp_path / "out" / "images" / f"{path.stem}.csv")
        assert list(nodes["Node"]) == list(range(120))
        np.testing.assert_allclose(nodes[["Mean x", "Mean y"]], landmarks.mean(axis=0), rtol=0, atol=1e-3)
        np.testing.assert_allclose(nodes[["Std x", "Std y"]], landmarks.std(axis=0), rtol=0, atol=1e-3)
        np.testing.assert_allclose(latents[path.stem], log_var[0].exp().numpy(), rtol=1e-5)


def test_an_image_alone_is_what_the_inferer_gives(network: HybridGNet, files: list[Path], tmp_path: Path) -> None:
    build_published_way(files[:1], tmp_path / "out", network, SAMPLES, SIZE, SEED)
    posterior = LandmarkUncertaintyInferer(SAMPLES, SEED)(read_network_image(files[0], SIZE), network)
    nodes = pd.read_csv(tmp_path / "out" / "images" / f"{files[0].stem}.csv")
    np.testing.assert_allclose(nodes[["Mean x", "Mean y"]], SIZE * posterior.mean[0].numpy(), rtol=0, atol=1e-3)
    std = SIZE * posterior.covariance[0].diagonal(dim1=-2, dim2=-1).sqrt().numpy()
    np.testing.assert_allclose(nodes[["Std x", "Std y"]], std, rtol=0, atol=1e-3)


def test_table_is_in_pixels_of_the_images(network: HybridGNet, files: list[Path], tmp_path: Path) -> None:
    seconds = build_published_way(files, tmp_path / "out", network, SAMPLES, SIZE, SEED)
    assert list(seconds)[:3] == ["read", "encode", "decode"]
    assert all(value > 0 for value in seconds.values())
    table = pd.read_csv(tmp_path / "out" / "table.csv")
    assert list(table["Image Index"]) == [path.name for path in files]
    for index, (scale, left, top) in enumerate([(1.0, 0, 0), (0.5, 0, 12), (64 / 90, 8, 0)]):
        row = table.loc[index]
        nodes = pd.read_csv(tmp_path / "out" / "images" / f"{files[index].stem}.csv")
        expected = (nodes[["Mean x", "Mean y"]].to_numpy() - [left, top]) / scale
        expected = expected.clip(0, [row["Width"] - 1, row["Height"] - 1])
        mean = np.array(row["Landmarks (Mean)"].split(","), dtype=float).reshape(120, 2)
        np.testing.assert_allclose(mean, expected, rtol=0, atol=0.5001)
        std = np.array(row["Landmarks (Std)"].split(","), dtype=float).reshape(120, 2)
        np.testing.assert_allclose(std, nodes[["Std x", "Std y"]].to_numpy() / scale, rtol=0, atol=0.00501)
        for organ in ORGANS:
            code = encoded_mask(mean[organ.nodes].astype(np.int64), row["Height"], row["Width"])
            assert row[organ.title.title()] == code


def test_images_lie_in_the_middle_of_a_black_square(tmp_path: Path) -> None:
    Image.fromarray(np.full((64, 128), 255, np.uint8)).save(tmp_path / "wide.png")
    image = read_network_image(tmp_path / "wide.png", SIZE)
    assert image.shape == (1, 1, SIZE, SIZE)
    rows = image[0, 0].mean(dim=1)
    torch.testing.assert_close(rows[18:46], torch.ones(28), rtol=0, atol=1e-3)
    torch.testing.assert_close(rows[[*range(14), *range(50, 64)]], torch.zeros(28), rtol=0, atol=1e-3)


def test_masks_are_filled_outlines_row_by_row() -> None:
    code = encoded_mask(np.array([[2, 1], [5, 1], [5, 3], [2, 3]]), 6, 8)
    assert code == "11 4 19 4 27 4"
    expected = np.zeros((6, 8), bool)
    expected[1:4, 2:6] = True
    np.testing.assert_array_equal(run_length_decode(code, (6, 8)), expected)


def test_a_file_that_is_no_image_is_named(network: HybridGNet, tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("no image")
    with pytest.raises(ValueError, match=r"notes\.png: not an image"):
        build_published_way([tmp_path / "notes.png"], tmp_path / "out", network, SAMPLES, SIZE, SEED)
