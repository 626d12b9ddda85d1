"""The loss where landmarks are unknown (NaN): they count nowhere, whatever the network says there."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.data import MetaTensor
from torch import Tensor

from monai_chexmask_u.anatomy import HEART, LEFT_LUNG, ORGANS, RIGHT_LUNG
from monai_chexmask_u.losses import HybridGNetLoss
from monai_chexmask_u.networks import HybridGNet, VariationalTraining

FIRST_COARSE_OF_HEART = RIGHT_LUNG.coarse_node_count + LEFT_LUNG.coarse_node_count


def prediction(count: int = 2, *, seed: int = 0) -> dict[str, Any]:
    """What a network with refinements gives, as far as landmarks go; the divergence is zero."""
    generator = torch.Generator().manual_seed(seed)
    levels = [torch.rand(count, nodes, 2, generator=generator) for nodes in (120, 60, 120)]
    refined = [torch.rand(count, 120, 2, generator=generator) for _ in range(3)]
    return {
        "levels": levels,
        "refined": refined,
        "latent_mean": torch.zeros(count, 8),
        "latent_log_var": torch.zeros(count, 8),
    }


def only(images: slice, given_prediction: dict[str, Any], *, until: int = 120, until_coarse: int = 60) -> list[Tensor]:
    """All predicted positions of some images, up to some node."""
    until_of = {120: until, 60: until_coarse}
    levels = [*given_prediction["levels"], *given_prediction["refined"]]
    return [level[images, : until_of[level.shape[1]]] for level in levels]


def landmarks(count: int = 2, *, seed: int = 0) -> Tensor:
    return torch.rand(count, 120, 2, generator=torch.Generator().manual_seed(seed + 1000))


def without(target: Tensor, nodes: slice | list[int], *, images: slice = slice(None)) -> Tensor:
    partial = target.clone()
    partial[images, nodes] = torch.nan
    return partial


def smooth_l1(difference: Tensor, beta: float = 0.01) -> Tensor:
    """Half the square over beta up to beta, linear beyond."""
    size = difference.abs()
    return torch.where(size < beta, size.square() / (2 * beta), size - beta / 2)


def squared(difference: Tensor) -> Tensor:
    return difference.square()


@given(seed=st.integers(0, 99))
def test_lungs_alone_count_as_if_the_graph_ended_there(seed: int) -> None:
    given_prediction, target = prediction(seed=seed), landmarks(seed=seed)
    actual = HybridGNetLoss(0.0)(given_prediction, without(target, HEART.nodes))
    parts = only(slice(None), given_prediction, until=HEART.first_node, until_coarse=FIRST_COARSE_OF_HEART)
    lungs = target[:, : HEART.first_node]
    pairs = torch.cat(
        [target[:, organ.nodes].unflatten(1, (-1, 2)).mean(dim=2) for organ in (RIGHT_LUNG, LEFT_LUNG)], dim=1
    )
    kinds = [(squared, lungs), (squared, pairs), (squared, lungs), *[(smooth_l1, lungs)] * 3]
    errors = [kind(part - truth).mean() for part, (kind, truth) in zip(parts, kinds, strict=True)]
    torch.testing.assert_close(actual, sum(errors, torch.tensor(0.0)), rtol=1e-5, atol=1e-7)


def test_lungs_stand_beside_a_whole_image_and_every_known_landmark_counts_alike() -> None:
    given_prediction, target = prediction(), landmarks()
    actual = HybridGNetLoss(0.0)({**given_prediction, "refined": []}, without(target, HEART.nodes, images=slice(0, 1)))
    expected = torch.tensor(0.0)
    pool = HybridGNetLoss().pool
    for level in given_prediction["levels"]:
        nodes = level.shape[1]
        error = (level - (target if nodes == 120 else pool @ target)).square().sum(dim=-1)
        lungs = 94 if nodes == 120 else 47
        expected += (error[0, :lungs].sum() + error[1].sum()) / (2 * (lungs + nodes))
    torch.testing.assert_close(actual, expected)


def test_what_the_network_says_of_an_unknown_organ_does_not_matter() -> None:
    loss, target = HybridGNetLoss(0.0), without(landmarks(), HEART.nodes)
    changed = prediction()
    for level in [*changed["levels"], *changed["refined"]]:
        level[:, {120: HEART.first_node, 60: FIRST_COARSE_OF_HEART}[level.shape[1]] :] = 1e6
    torch.testing.assert_close(loss(changed, target), loss(prediction(), target), rtol=0, atol=0)


def test_a_pooled_node_with_an_unknown_member_is_unknown() -> None:
    middle = {**prediction(), "levels": prediction()["levels"][1:2], "refined": []}
    target = landmarks()
    actual = HybridGNetLoss(0.0)(middle, without(target, [7]))
    error = (middle["levels"][0] - HybridGNetLoss().pool @ target).square()
    keep = [node for node in range(60) if node != 3]  # the mean of nodes 6 and 7
    torch.testing.assert_close(actual, error[:, keep].mean())


def test_a_level_without_a_known_node_adds_nothing() -> None:
    every_second = list(range(0, 120, 2))
    target = without(landmarks(), every_second)
    alone = {**prediction(), "levels": prediction()["levels"][:1], "refined": []}
    both = {**alone, "levels": prediction()["levels"][:2]}
    torch.testing.assert_close(HybridGNetLoss(0.0)(both, target), HybridGNetLoss(0.0)(alone, target), rtol=0, atol=0)


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: MetaTensor(x), lambda x: x.double()])
def test_gradient_is_finite_and_zero_where_nothing_is_known(wrap: Any) -> None:
    given_prediction = prediction()
    everything = [level.requires_grad_() for level in [*given_prediction["levels"], *given_prediction["refined"]]]
    HybridGNetLoss(1.0)(given_prediction, wrap(without(landmarks(), HEART.nodes))).backward()
    for level in everything:
        heart = {120: HEART.first_node, 60: FIRST_COARSE_OF_HEART}[level.shape[1]]
        assert level.grad is not None
        assert level.grad.isfinite().all()
        assert not level.grad[:, heart:].any()
        assert level.grad[:, :heart].any(dim=-1).all()


def test_training_on_lungs_alone_leaves_the_network_finite(tiny_network: HybridGNet) -> None:
    torch.manual_seed(0)
    for network in (copy.deepcopy(tiny_network), HybridGNet(64, refinements=3)):
        given_prediction = VariationalTraining(network)(torch.rand(2, 1, 64, 64))
        HybridGNetLoss(1e-2, mask_weight=0.1)(given_prediction, without(landmarks(), HEART.nodes)).backward()
        gradients = [value.grad for value in network.parameters() if value.grad is not None]
        assert gradients
        assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("unknown", [torch.nan, torch.inf])
def test_a_batch_without_a_known_landmark_is_refused(unknown: float) -> None:
    with pytest.raises(ValueError, match="no landmark of the batch is known: leave images without landmarks out"):
        HybridGNetLoss()(prediction(), torch.full((2, 120, 2), unknown))


def test_half_known_coordinates_are_unknown() -> None:
    target = landmarks()
    half = target.clone()
    half[:, HEART.nodes, 1] = torch.nan
    expected = HybridGNetLoss()(prediction(), without(target, HEART.nodes))
    torch.testing.assert_close(HybridGNetLoss()(prediction(), half), expected, rtol=0, atol=0)


def test_every_organ_may_be_the_unknown_one() -> None:
    for organ in ORGANS:
        assert HybridGNetLoss(0.0)(prediction(), without(landmarks(), organ.nodes)).isfinite()
