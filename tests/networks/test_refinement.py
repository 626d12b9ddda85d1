from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from monai_chexmask_u.anatomy import HEART, LEFT_LUNG, ORGANS, Organ, ring_adjacency
from monai_chexmask_u.networks import HybridGNet
from monai_chexmask_u.networks.graph import chebyshev_basis
from monai_chexmask_u.networks.refinement import PYRAMID_CHANNELS, ContourRefinement

SIDE = 16


def images(count: int = 2) -> Tensor:
    return torch.rand(count, 1, 64, 64, generator=torch.Generator().manual_seed(1))


def step(spacing: float = 1.0, *, offsets: bool = True) -> ContourRefinement:
    torch.manual_seed(0)
    refinement = ContourRefinement(32, chebyshev_basis(ring_adjacency(), 6), spacing)
    if offsets:  # an untrained one moves nothing
        nn.init.normal_(refinement.offset.weight, 0, 0.1)
    return refinement


def inputs(rows: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """Node features, positions and fine map."""
    generator = torch.Generator().manual_seed(0)
    features, positions = torch.randn(rows, 120, 32, generator=generator), torch.rand(rows, 120, 2, generator=generator)
    return features, positions, torch.randn(rows, PYRAMID_CHANNELS, SIDE, SIDE, generator=generator)


@pytest.fixture
def refined() -> HybridGNet:
    """An untrained network with refinements; this seed puts landmarks inside the image."""
    torch.manual_seed(2)
    return HybridGNet(64, refinements=3)


@pytest.mark.parametrize("refinements", [1, 2, 3])
def test_refinements_start_from_the_published_network(refinements: int) -> None:
    torch.manual_seed(0)
    network, published = HybridGNet(64, 8, refinements=refinements), HybridGNet(64, 8)
    published.load_state_dict(network.state_dict(), strict=False)
    torch.testing.assert_close(network(images()), published(images()), rtol=0, atol=0)
    z, features = torch.randn(2, 4, 8), network.encode(images())[2]
    torch.testing.assert_close(network.decode(z, features), published.decode(z, features), rtol=0, atol=0)


def test_an_untrained_step_moves_nothing() -> None:
    features, positions, fine_map = inputs()
    torch.testing.assert_close(step(offsets=False)(features, positions, fine_map)[1], positions, rtol=0, atol=0)


def test_offsets_are_in_pixels_of_the_fine_map() -> None:
    refinement = step(offsets=False)
    nn.init.constant_(refinement.offset.bias, 3.0)
    features, positions, fine_map = inputs()
    after, moved = refinement(features, positions, fine_map)
    assert after.shape == (2, 120, 64)
    torch.testing.assert_close(moved, positions + 3 / SIDE)


def test_levels_before_the_refinements_come_last(refined: HybridGNet) -> None:
    for number, refinement in enumerate(refined.decoder.refinements):
        nn.init.constant_(refinement.get_parameter("offset.bias"), number + 1)
    mean, _, features = refined.encode(images())
    last, _, _, first, second, third = refined.decode_levels(mean.unsqueeze(1), features)
    for before, after, pixels in ((first, second, 1), (second, third, 2), (third, last, 3)):
        torch.testing.assert_close(after - before, torch.full_like(before, pixels / SIDE), rtol=0, atol=1e-5)


def test_no_gradient_flows_through_positions() -> None:
    features, positions, fine_map = inputs()
    positions.requires_grad_()
    fine_map.requires_grad_()
    after, moved = step()(features, positions, fine_map)
    (after.sum() + moved.square().sum()).backward()
    assert positions.grad is None
    assert fine_map.grad is not None
    assert fine_map.grad.any()


def test_refinements_train_the_whole_network_but_where_they_look(refined: HybridGNet) -> None:
    """Spread that the refinements take away has to be given back by the latent space."""
    for refinement in refined.decoder.refinements:
        nn.init.normal_(refinement.get_parameter("offset.weight"))
    refined(images()).square().sum().backward()
    trained = {name for name, value in refined.named_parameters() if value.grad is not None and value.grad.any()}
    assert {"encoder.blocks.0.conv2.weight", "encoder.blocks.5.conv2.weight"} <= trained
    assert {"latent_mean.weight", "decoder.from_latent.weight", "decoder.fine2.weight"} <= trained
    assert {f"decoder.refinements.{number}.look.weight" for number in range(3)} <= trained
    assert "decoder.to_landmarks.weight" not in trained


def test_window_is_as_wide_as_the_spacing() -> None:
    features, positions, fine_map = inputs()
    positions = torch.full_like(positions, 0.5)
    elsewhere = fine_map.clone()
    elsewhere[:, :, 6, 6] += 5  # two pixels above and to the left of the positions
    moves = {}
    for spacing in (2.0, 1.0, 0.5):
        after, before = (step(spacing)(features, positions, each)[1] for each in (elsewhere, fine_map))
        moves[spacing] = bool((after - before).any())
    assert moves == {2.0: True, 1.0: False, 0.5: False}


def test_steps_look_at_ever_narrower_windows(refined: HybridGNet) -> None:
    assert [refinement.spacing for refinement in refined.decoder.refinements] == [2.0, 1.0, 0.5]


@pytest.mark.parametrize("organ", ORGANS, ids=lambda organ: organ.name)
def test_nodes_talk_to_their_own_organ_alone(organ: Organ) -> None:
    features, positions, fine_map = inputs()
    changed = features.clone()
    changed[:, organ.first_node] += 1
    refinement = step()
    difference = refinement(changed, positions, fine_map)[1] - refinement(features, positions, fine_map)[1]
    moved = difference.abs().sum(dim=(0, 2)) > 1e-6
    others = [other for other in ORGANS if other is not organ]
    assert not any(moved[other.nodes].any() for other in others)
    # Two convolutions of six polynomials reach ten nodes each way; the graph is a ring.
    assert moved[organ.nodes].sum() == 21


def test_nodes_have_an_identity() -> None:
    """With the same to see everywhere, all nodes of a ring do the same, but for what each one has learned to be."""
    refinement = step()
    same = [torch.ones(1, 120, 32), torch.full((1, 120, 2), 0.5), torch.ones(1, PYRAMID_CHANNELS, SIDE, SIDE)]
    moved = refinement(*same)[1]
    torch.testing.assert_close(moved, moved[:, :1].expand(-1, 120, -1), rtol=0, atol=1e-5)
    with torch.no_grad():
        refinement.identity[LEFT_LUNG.first_node, ::2] += 1
    assert (refinement(*same)[1] - moved)[0, LEFT_LUNG.first_node].abs().max() > 1e-3


def test_samples_of_an_image_read_its_own_map() -> None:
    refinement = step()
    features, positions, fine_map = inputs(rows=6)
    together = refinement(features, positions, fine_map[:2])  # three samples of each image
    for image in range(2):
        rows = slice(3 * image, 3 * image + 3)
        alone = refinement(features[rows], positions[rows], fine_map[image : image + 1])
        for actual, expected in zip(together, alone, strict=True):
            torch.testing.assert_close(actual[rows], expected, rtol=0, atol=1e-5)


def test_positions_that_diverge_do_no_harm_to_other_images() -> None:
    features, positions, fine_map = inputs()
    diverged = positions.clone()
    diverged[0, HEART.nodes] = torch.nan
    expected, actual = (step()(features, each, fine_map)[1] for each in (positions, diverged))
    assert actual[0].isnan().any()
    torch.testing.assert_close(actual[1], expected[1], rtol=0, atol=0)
