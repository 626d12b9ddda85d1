from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from monai_chexmask_u.uncertainty import latent_uncertainty, node_uncertainty, predictive_uncertainty


def samples(seed: int, *, batch: int = 2, sample: int = 6) -> Tensor:
    """Landmarks in 0..1; x spreads more than y, and some nodes more than others."""
    generator = torch.Generator().manual_seed(seed)
    spread = torch.rand(batch, 1, 120, 2, generator=generator) * torch.tensor([0.1, 0.02])
    return 0.5 + spread * torch.randn(batch, sample, 120, 2, generator=generator)


@given(seed=st.integers(0, 999), sample=st.integers(2, 12))
def test_measures_are_the_published_ones(seed: int, sample: int) -> None:
    """Compute them as the paper's code does: numpy's std (ddof=0) in pixels of 1024, per image, node by node."""
    landmarks = samples(seed, sample=sample)
    for image in range(2):
        pixels = landmarks[image].double().numpy() * 1024
        std_x, std_y = np.std(pixels[:, :, 0], axis=0), np.std(pixels[:, :, 1], axis=0)
        nodes = (std_x + std_y) / 2
        np.testing.assert_allclose(node_uncertainty(landmarks)[image].numpy() * 1024, nodes, rtol=1e-5)
        np.testing.assert_allclose(predictive_uncertainty(landmarks)[image], np.mean(nodes), rtol=1e-5)


@given(seed=st.integers(0, 999))
def test_latent_uncertainty_is_the_mean_of_the_standard_deviations(seed: int) -> None:
    # The paper's code stores variances, whose mean of roots this is, not the root of their mean.
    variances = np.random.default_rng(seed).uniform(0.01, 4, (3, 64))
    actual = latent_uncertainty(torch.from_numpy(variances).sqrt())
    np.testing.assert_allclose(actual.numpy(), np.mean(np.sqrt(variances), axis=1), rtol=1e-12)


@given(seed=st.integers(0, 999), scale=st.floats(0.1, 10), shift=st.floats(-1000, 1000))
def test_node_uncertainty_scales_with_the_landmarks_and_ignores_translation(
    seed: int, scale: float, shift: float
) -> None:
    landmarks = samples(seed).double()
    torch.testing.assert_close(node_uncertainty(scale * landmarks + shift), scale * node_uncertainty(landmarks))


@given(seed=st.integers(0, 999))
def test_order_of_the_samples_does_not_matter(seed: int) -> None:
    landmarks = samples(seed)
    torch.testing.assert_close(predictive_uncertainty(landmarks.flip(1)), predictive_uncertainty(landmarks))


def test_an_image_does_not_depend_on_its_batch() -> None:
    landmarks = samples(0)
    for index in range(2):
        alone = predictive_uncertainty(landmarks[index : index + 1])
        torch.testing.assert_close(alone, predictive_uncertainty(landmarks)[index : index + 1], rtol=0, atol=0)


def test_samples_that_agree_are_certain() -> None:
    same = torch.full((1, 50, 120, 2), 0.3)
    assert predictive_uncertainty(same).item() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("shape", [(2, 1, 120, 2), (6, 120, 2), (2, 6, 120, 3)])
def test_anything_but_samples_of_points_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="sample >= 2"):
        node_uncertainty(torch.zeros(shape))
