from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.samples.calibrations import make_examiner
from torch import Tensor

from monai_chexmask_u.networks import Examiner, HybridGNet
from monai_chexmask_u.networks.examiner import SCORES
from monai_chexmask_u.networks.shift_detector import KINDS_OF_IMAGE, ShiftDetector

Inputs = tuple[Tensor, list[Tensor], Tensor, Tensor, Tensor, Tensor]


@pytest.fixture(scope="module")
def network() -> HybridGNet:
    torch.manual_seed(2)
    return HybridGNet(64, refinements=3).eval()


@pytest.fixture(scope="module")
def examiner() -> Examiner:
    return make_examiner()


def inputs(network: HybridGNet, image: Tensor) -> Inputs:
    """What the inferer hands to an examiner."""
    with torch.no_grad():
        mean, log_var, features = network.encode(image)
        landmarks = network.decode(mean.unsqueeze(1), features).squeeze(1)
    covariance = 1e-4 * torch.eye(2).expand(len(image), 120, 2, 2)
    return image, features, landmarks, covariance, mean, torch.exp(0.5 * log_var)


def images(count: int = 3) -> Tensor:
    return torch.rand(count, 1, 64, 64, generator=torch.Generator().manual_seed(0))


def scores_of(examiner: Examiner, *arguments: object) -> dict[str, Tensor]:
    return dict(zip(SCORES, examiner(*arguments)[1].unbind(dim=1), strict=True))


def test_scores_are_in_the_order_of_their_names(network: HybridGNet, examiner: Examiner) -> None:
    arguments = inputs(network, images())
    _, features, landmarks, _, mean, std = arguments
    scores = scores_of(examiner, *arguments)
    grid = ShiftDetector.look_at(features)
    with torch.no_grad():
        kinds = examiner.detector(grid, torch.cat([mean, 2 * std.log()], dim=1)).softmax(dim=1).double()
    for number, kind in enumerate(KINDS_OF_IMAGE):
        torch.testing.assert_close(scores[f"is_{kind}"].double(), kinds[:, number], rtol=0, atol=1e-6)
    foreign = torch.log((1 - kinds[:, 0]) / kinds[:, 0]).float()
    torch.testing.assert_close(scores["foreign"], foreign, rtol=0, atol=1e-4)
    distance = examiner.features(grid.mean(dim=(2, 3)))
    torch.testing.assert_close(scores["feature_distance"], distance)
    torch.testing.assert_close(scores["combined"], foreign / 4 + distance / 2, rtol=0, atol=1e-4)
    torch.testing.assert_close(scores["latent_distance"], examiner.latent(mean))
    torch.testing.assert_close(scores["shape_distance"], examiner.shape(landmarks))
    normal = torch.distributions.Normal
    divergence = torch.distributions.kl_divergence(normal(mean, std), normal(torch.zeros(()), torch.ones(())))
    torch.testing.assert_close(scores["latent_divergence"], divergence.sum(dim=1), rtol=1e-4, atol=1e-3)


def test_errors_are_those_that_the_head_expects(network: HybridGNet, examiner: Examiner) -> None:
    arguments = inputs(network, images())
    covariance, _ = examiner(*arguments)
    assert not covariance.requires_grad
    with torch.no_grad():
        torch.testing.assert_close(covariance, examiner.error_head(*arguments[1:4]), rtol=0, atol=0)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.25, 0.75), (0.4, 0.4)])
def test_flatness_is_one_minus_the_range_of_gray_levels(
    network: HybridGNet, examiner: Examiner, low: float, high: float
) -> None:
    image = torch.full((1, 1, 64, 64), low)
    image[..., 32:] = high
    image[0, 0, 0, :40] = torch.linspace(0, 1, 40)  # a hundredth of the pixels does not count
    scores = scores_of(examiner, *inputs(network, image))
    assert scores["flatness"].item() == pytest.approx(1 - (high - low), abs=1e-6)


def test_saturation_is_the_share_of_the_brightest_level_of_255(network: HybridGNet, examiner: Examiner) -> None:
    image = torch.full((2, 1, 64, 64), 254 / 255)
    image[0, 0, :16] = 1
    scores = scores_of(examiner, *inputs(network, image))
    torch.testing.assert_close(scores["saturation"], torch.tensor([0.25, 0.0]))


def test_an_image_does_not_depend_on_its_batch(network: HybridGNet, examiner: Examiner) -> None:
    together = inputs(network, images())
    covariance, scores = examiner(*together)
    for index in range(3):
        rows = slice(index, index + 1)
        image, features, *others = together
        alone = examiner(image[rows], [level[rows] for level in features], *(other[rows] for other in others))
        torch.testing.assert_close(alone[0], covariance[rows], rtol=1e-3, atol=1e-9)
        torch.testing.assert_close(alone[1], scores[rows], rtol=1e-4, atol=1e-4)


def test_autocast_changes_nothing(network: HybridGNet, examiner: Examiner) -> None:
    arguments = inputs(network, images(1))
    expected = examiner(*arguments)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        actual = examiner(*arguments)
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_a_black_image_gives_finite_numbers(network: HybridGNet, examiner: Examiner) -> None:
    covariance, scores = examiner(*inputs(network, torch.zeros(1, 1, 64, 64)))
    assert torch.isfinite(covariance).all()
    assert torch.isfinite(scores).all()
    assert dict(zip(SCORES, scores[0].tolist(), strict=True))["flatness"] == 1


def test_state_round_trips(network: HybridGNet, examiner: Examiner, tmp_path: Path) -> None:
    examiner = make_examiner(seed=1)
    examiner.features.fit(torch.randn(300, 256, generator=torch.Generator().manual_seed(0)))
    examiner.shape.fit(torch.rand(40, 120, 2, generator=torch.Generator().manual_seed(0)))
    torch.save(examiner.state_dict(), tmp_path / "examiner.pt")
    other = Examiner(64).eval()
    other.load_state_dict(torch.load(tmp_path / "examiner.pt", weights_only=True))
    arguments = inputs(network, images())
    for actual, expected in zip(other(*arguments), examiner(*arguments), strict=True):
        torch.testing.assert_close(actual, expected, rtol=0, atol=0)
