"""Checkpoints as a training needs them: weights to start from, and the newest complete file to resume from."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from monai_chexmask_u.networks import HybridGNet
from monai_chexmask_u.networks.checkpoints import CheckpointError, latest_checkpoint, start_from, write_checkpoint

HEADS = ("latent_mean", "latent_log_var")


def network(image_size: int = 64, *, seed: int = 0, **options: Any) -> HybridGNet:
    torch.manual_seed(seed)
    return HybridGNet(image_size, **({"latent_size": 8} | options))


def constant_map(image_size: int) -> Tensor:
    """A coarsest map of one value per channel, as the latent layers take it."""
    values = torch.rand(1, 128, 1, 1, generator=torch.Generator().manual_seed(0))
    return values.expand(-1, -1, image_size // 32, image_size // 32).flatten(1)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    write_checkpoint(network(refinements=2), tmp_path / "weights.pt")
    return tmp_path / "weights.pt"


def test_weights_of_the_same_size_are_taken_as_they_are(weights: Path) -> None:
    target = network(refinements=2, seed=1)
    start_from(target, str(weights))
    for name, value in network(refinements=2).state_dict().items():
        torch.testing.assert_close(target.state_dict()[name], value, rtol=0, atol=0)


def test_weights_of_another_size_are_taken_but_for_the_latent_layers(weights: Path) -> None:
    target = network(128, refinements=2, seed=1)
    start_from(target, weights)
    source = network(refinements=2).state_dict()
    differing = [name for name, value in target.state_dict().items() if not torch.equal(value, source[name])]
    assert differing == [f"{head}.weight" for head in HEADS]


@pytest.mark.parametrize(("before", "after"), [(64, 128), (64, 96), (64, 256), (128, 256), (128, 64)])
def test_latent_layers_answer_a_constant_map_as_before(tmp_path: Path, before: int, after: int) -> None:
    source, target = network(before), network(after, seed=1)
    write_checkpoint(source, tmp_path / "weights.pt")
    start_from(target, tmp_path / "weights.pt")
    for head in HEADS:
        expected = source.get_submodule(head)(constant_map(before))
        torch.testing.assert_close(target.get_submodule(head)(constant_map(after)), expected, rtol=0, atol=1e-4)


def test_resampled_weights_stay_in_their_place_and_channel(tmp_path: Path) -> None:
    source, target = network(), network(128, seed=1)
    torch.nn.init.zeros_(source.latent_mean.weight)
    with torch.no_grad():
        source.latent_mean.weight.reshape(8, 128, 2, 2)[3, 77, 0, 1] = 1  # top right
    write_checkpoint(source, tmp_path / "weights.pt")
    start_from(target, tmp_path / "weights.pt")
    resampled = target.latent_mean.weight.detach().reshape(8, 128, 4, 4)
    assert resampled.nonzero()[:, :2].unique(dim=0).tolist() == [[3, 77]]
    corner = resampled[3, 77]
    assert float(corner[0, 3]) == float(corner.max()) == 0.25
    assert not corner[3].any()
    assert not corner[:, 0].any()


@pytest.mark.parametrize(
    "options", [{}, {"refinements": 3}, {"skip_connections": False}, {"refinements": 2, "latent_size": 16}]
)
@pytest.mark.parametrize("image_size", [64, 96])
def test_weights_of_another_variant_are_refused_with_the_file(
    weights: Path, image_size: int, options: dict[str, Any]
) -> None:
    message = f"{weights}: these weights belong to another variant"
    with pytest.raises(CheckpointError, match=re.escape(message)):
        start_from(network(image_size, **options), weights)


def test_files_that_are_no_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=re.escape(str(tmp_path / "none.pt"))):
        start_from(network(), tmp_path / "none.pt")


def checkpoint(folder: Path, epoch: int, *, age: int) -> Path:
    """Write what a training saves; `age` tells how long ago."""
    path = folder / f"checkpoint_epoch={epoch}.pt"
    layer = torch.nn.Linear(40, 40)
    optimizer = torch.optim.AdamW(layer.parameters())
    layer(torch.rand(1, 40)).sum().backward()
    optimizer.step()
    state = {"network": layer.state_dict(), "optimizer": optimizer.state_dict(), "trainer": {"epoch": epoch}}
    torch.save(state, path)
    os.utime(path, (1_000_000_000 - age, 1_000_000_000 - age))
    return path


def truncate(path: Path, size: int) -> None:
    """Cut a file short without making it any newer."""
    times = (path.stat().st_atime, path.stat().st_mtime)
    path.write_bytes(path.read_bytes()[:size])
    os.utime(path, times)


def test_newest_checkpoint_is_taken_whatever_its_epoch(tmp_path: Path) -> None:
    """A folder may still hold those of an earlier, longer training."""
    checkpoint(tmp_path, 200, age=30)
    newest = checkpoint(tmp_path, 10, age=10)
    checkpoint(tmp_path, 5, age=20)
    assert latest_checkpoint(tmp_path) == latest_checkpoint(str(tmp_path)) == str(newest)


@pytest.mark.parametrize("size", [0, 100, -100])
def test_a_truncated_checkpoint_gives_way_to_the_one_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, size: int
) -> None:
    before = checkpoint(tmp_path, 5, age=20)
    checkpoint(tmp_path, 1, age=30)
    broken = checkpoint(tmp_path, 10, age=10)
    truncate(broken, size)
    assert latest_checkpoint(tmp_path) == str(before)
    assert [record.getMessage() for record in caplog.records if str(broken) in record.getMessage()]


def test_without_a_complete_checkpoint_there_is_nothing_to_resume_from(tmp_path: Path) -> None:
    message = f"{tmp_path}: no complete checkpoint to resume from"
    with pytest.raises(CheckpointError, match=re.escape(message)):
        latest_checkpoint(tmp_path)
    checkpoint(tmp_path, 1, age=0).rename(tmp_path / "best.pt")  # weights alone do not tell where a training was
    truncate(checkpoint(tmp_path, 2, age=0), 1000)
    with pytest.raises(CheckpointError, match=re.escape(message)):
        latest_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match="start the training without resume"):
        latest_checkpoint(tmp_path / "none")
