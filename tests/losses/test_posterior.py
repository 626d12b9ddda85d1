"""The loss of a truthful posterior, and the shape code that its latent space is taught."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from support.samples.dicom import phantom_landmarks
from torch import Tensor

from monai_chexmask_u.losses import PosteriorLoss, ShapeCode, energy_score
from monai_chexmask_u.networks import HybridGNet, VariationalTraining
from monai_chexmask_u.networks.error_head import contour_axes

BASE = torch.from_numpy(phantom_landmarks(1, 1)).float()
SIZE = 8


def outlines(count: int = 200, *, seed: int = 0) -> Tensor:
    """Outlines that differ in place, size, turn and shape."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, 4, generator=generator)
    center = BASE.mean(dim=0)
    turn = 0.1 * noise[:, 0]
    rotation = torch.stack([turn.cos(), -turn.sin(), turn.sin(), turn.cos()], dim=-1).reshape(-1, 2, 2)
    shape = BASE - center + 0.01 * torch.randn(count, 120, 2, generator=generator)
    return (0.1 * noise[:, 1]).exp()[:, None, None] * shape @ rotation + center + 0.05 * noise[:, None, 2:]


@pytest.fixture(scope="module")
def code() -> ShapeCode:
    return ShapeCode(outlines(), SIZE)


def prediction(target: Tensor, *, spread: float = 0.02, samples: int = 6, seed: int = 0) -> dict[str, Any]:
    """What a network gives whose samples lie around the target, with a latent space that is the prior."""
    generator = torch.Generator().manual_seed(seed)
    filled = target.nan_to_num(0.5)
    coarse = torch.cat([filled[:, :44], filled[:, 44:94], filled[:, 94:]], dim=1).unflatten(1, (60, 2)).mean(dim=2)
    levels = [
        level.unsqueeze(1) + spread * torch.randn(len(target), samples, level.shape[1], 2, generator=generator)
        for level in (filled, coarse, filled)
    ]
    return {
        "levels": levels,
        "latent_mean": torch.zeros(len(target), 12),
        "latent_log_var": torch.zeros(len(target), 12),
    }


def test_the_code_has_mean_0_and_variance_1_over_its_population(code: ShapeCode) -> None:
    found = code(outlines())
    assert found.shape == (200, SIZE)
    torch.testing.assert_close(found.mean(dim=0), torch.zeros(SIZE), rtol=0, atol=0.05)
    torch.testing.assert_close(found.std(dim=0), torch.ones(SIZE), rtol=0, atol=0.05)


def test_the_first_dimensions_are_the_pose_and_the_others_do_not_know_it(code: ShapeCode) -> None:
    plain = outlines(1, seed=7)
    center = plain.mean(dim=1, keepdim=True)
    quarter = torch.tensor([[0.9, 0.4358899], [-0.4358899, 0.9]])
    moved = 1.1 * (plain - center) @ quarter + center + torch.tensor([0.02, -0.03])
    change = code(moved) - code(plain)
    assert (change[0, :4].abs() > 0.05).all()
    torch.testing.assert_close(change[0, 4:], torch.zeros(SIZE - 4), rtol=0, atol=1e-3)


def test_outlines_beyond_the_population_are_clamped(code: ShapeCode) -> None:
    assert code(outlines(1) + 5).abs().max() == 4


def test_a_code_wants_more_dimensions_than_the_pose_has_and_as_many_outlines() -> None:
    with pytest.raises(ValueError, match="needs more of them"):
        ShapeCode(outlines(), 4)
    with pytest.raises(ValueError, match="as many outlines"):
        ShapeCode(outlines(5), 8)


def test_samples_are_scored_node_by_node_and_as_whole_shapes_at_every_level(code: ShapeCode) -> None:
    target = outlines(2)
    given = prediction(target)
    loss = PosteriorLoss(code, code_weight=0, free_weight=0, prior_weight=0, across_weight=0)(given, target)
    pooled = target.unflatten(1, (60, 2)).mean(dim=2)
    expected = torch.zeros(())
    for level, truth in zip(given["levels"], (target, pooled, target), strict=True):
        expected = expected + energy_score(level, truth).mean()
        expected = expected + (energy_score(level.flatten(2), truth.flatten(1)) / truth.shape[1] ** 0.5).mean()
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-6)


def test_what_lies_across_counts_by_node_by_organ_and_as_the_outlines_shift(code: ShapeCode) -> None:
    target = outlines(2)
    given = prediction(target) | {"levels": [prediction(target)["levels"][0]]}
    losses = [
        PosteriorLoss(code, code_weight=0, free_weight=0, prior_weight=0, across_weight=weight)(given, target)
        for weight in (2.0, 0.0)
    ]
    normals = contour_axes(given["levels"][0].mean(dim=1))[:, :, 0]
    sampled, true = (given["levels"][0] * normals[:, None]).sum(dim=-1), (target * normals).sum(dim=-1)
    expected = energy_score(sampled[..., None], true[..., None]).mean()
    for part in (slice(0, 44), slice(44, 94), slice(94, 120)):
        one, truth = sampled[..., part], true[..., part]
        outline = energy_score(one, truth) / truth.shape[1] ** 0.5
        shift = energy_score(one.mean(dim=-1, keepdim=True), truth.mean(dim=-1, keepdim=True))
        expected = expected + (outline + shift).mean() / 3
    torch.testing.assert_close(losses[0] - losses[1], 2 * expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("wrong", ["none", "half", "double", "each node by itself"])
def test_what_lies_across_the_contours_is_to_spread_as_its_error_does(code: ShapeCode, wrong: str) -> None:
    """Outlines grow or shrink as a whole by 0.02, beside errors along the contour that are five times as large."""
    generator = torch.Generator().manual_seed(0)
    count, samples = 300, 12
    axes = contour_axes(BASE[None])
    scale = {"none": 0.0, "half": 0.5, "double": 2.0}.get(wrong, 1.0)

    def outline(size: float, *shape: int, together: bool = True) -> Tensor:
        across = size * 0.02 * torch.randn(*shape, 1 if together else 120, generator=generator).expand(*shape, 120)
        along = 0.1 * torch.randn(*shape, 120, generator=generator)
        return BASE + across[..., None] * axes[0, :, 0] + along[..., None] * axes[0, :, 1]

    def loss(forecast: Tensor) -> Tensor:
        given = prediction(truth) | {"levels": [forecast]}
        only = PosteriorLoss(code, code_weight=0, free_weight=0, prior_weight=0)
        without = PosteriorLoss(code, code_weight=0, free_weight=0, prior_weight=0, across_weight=0)
        difference: Tensor = only(given, truth) - without(given, truth)
        return difference

    truth = outline(1.0, count)
    right = loss(outline(1.0, count, samples))
    assert loss(outline(scale, count, samples, together=wrong != "each node by itself")) > 1.03 * right


def test_the_code_is_learned_by_likelihood_and_the_rest_by_divergence(code: ShapeCode) -> None:
    target = outlines(3)
    best = prediction(target)
    best["latent_mean"] = torch.cat([code(target), torch.zeros(3, 4)], dim=1)
    loss = PosteriorLoss(code)
    for change in ("latent_mean", "latent_log_var"):
        for dimension in (0, SIZE + 1):
            worse = {**best, change: best[change].clone()}
            worse[change][:, dimension] += 1.0
            if change == "latent_log_var" and dimension == 0:
                continue  # with the very code as mean, less variance would be better still
            assert loss(worse, target) > loss(best, target)
    surer = {**best, "latent_log_var": best["latent_log_var"].clone()}
    surer["latent_log_var"][:, 0] -= 1.0
    assert loss(surer, target) < loss(best, target)


def test_an_image_without_a_chest_wants_the_prior_and_no_outline(code: ShapeCode) -> None:
    target = torch.full((2, 120, 2), torch.nan)
    loss = PosteriorLoss(code)
    assert loss(prediction(target), target) == 0
    assert loss(prediction(target, spread=0.3), target) == 0
    sure = {**prediction(target), "latent_log_var": torch.full((2, 12), -1.0)}
    assert loss(sure, target) > 0


def test_unknown_landmarks_do_not_matter(code: ShapeCode) -> None:
    target = outlines(2)
    target[:, 94:] = torch.nan
    given = prediction(target)
    moved = {**given, "levels": [level.clone() for level in given["levels"]]}
    for level in moved["levels"]:
        level[:, :, level.shape[2] * 94 // 120 :] += 0.5
    loss = PosteriorLoss(code)
    torch.testing.assert_close(loss(moved, target), loss(given, target))


def test_gradients_are_finite_for_every_mixture_and_reach_the_whole_network(code: ShapeCode) -> None:
    torch.manual_seed(0)
    network = HybridGNet(64, 12, refinements=1, bounded_variance=True)
    target = outlines(3)
    target[1] = torch.nan
    target[2, :44] = torch.nan
    PosteriorLoss(code)(VariationalTraining(network, samples=3)(torch.rand(3, 1, 64, 64)), target).backward()
    gradients = {name: value.grad for name, value in network.named_parameters() if value.grad is not None}
    assert all(gradient.isfinite().all() for gradient in gradients.values())
    for name in ("latent_mean.weight", "latent_log_var.weight", "decoder.from_latent.weight"):
        assert gradients[name].any()


def test_a_training_that_diverges_is_stopped(code: ShapeCode) -> None:
    target = outlines(2)
    given = copy.copy(prediction(target))
    given["latent_mean"] = torch.full((2, 12), torch.nan)
    with pytest.raises(ValueError, match="diverged"):
        PosteriorLoss(code)(given, target)
