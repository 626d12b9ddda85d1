from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from monai_chexmask_u.losses import energy_score


def samples(seed: int, count: int = 6, nodes: int = 5) -> torch.Tensor:
    return torch.randn(2, count, nodes, 2, generator=torch.Generator().manual_seed(seed))


@given(seed=st.integers(0, 999), count=st.integers(2, 8))
def test_it_is_the_mean_error_less_half_the_mean_distance_of_pairs(seed: int, count: int) -> None:
    drawn, truth = samples(seed, count), torch.randn(2, 5, 2, generator=torch.Generator().manual_seed(seed + 5000))
    error = torch.stack([(drawn[:, m] - truth).norm(dim=-1) for m in range(count)]).mean(dim=0)
    pairs = [(drawn[:, m] - drawn[:, n]).norm(dim=-1) for m in range(count) for n in range(count) if m != n]
    torch.testing.assert_close(energy_score(drawn, truth), error - torch.stack(pairs).mean(dim=0) / 2)


@given(seed=st.integers(0, 99), scale=st.floats(0.1, 10), shift=st.floats(-5, 5))
def test_it_scales_with_the_unit_and_ignores_translation(seed: int, scale: float, shift: float) -> None:
    drawn, truth = samples(seed), torch.zeros(2, 5, 2)
    moved = energy_score(scale * drawn + shift, scale * truth + shift)
    torch.testing.assert_close(moved, scale * energy_score(drawn, truth), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("spread", [0.0, 0.3, 0.6, 1.6, 3.0])
def test_on_average_the_right_spread_wins(spread: float) -> None:
    """The truth is drawn from N(0, 1): too little and too much spread both cost."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(4000, 1, 2, generator=generator)
    drawn = torch.randn(4000, 20, 1, 2, generator=generator)
    assert energy_score(spread * drawn, truth).mean() > energy_score(drawn, truth).mean() + 0.01


def test_the_best_expected_score_is_half_the_mean_distance_of_two_draws() -> None:
    generator = torch.Generator().manual_seed(0)
    truth, drawn = torch.randn(20000, 2, generator=generator), torch.randn(20000, 8, 2, generator=generator)
    expected = math.sqrt(math.pi) / 2  # the distance of two draws of N(0, 1) in the plane is sqrt(pi) on average
    assert abs(energy_score(drawn, truth).mean().item() - expected) < 0.02


def test_equal_samples_have_a_finite_gradient() -> None:
    drawn = torch.zeros(1, 3, 2, requires_grad=True)
    energy_score(drawn, torch.zeros(1, 2)).sum().backward()
    assert drawn.grad is not None
    assert drawn.grad.isfinite().all()


def test_one_sample_is_not_enough() -> None:
    with pytest.raises(ValueError, match="at least two samples"):
        energy_score(torch.zeros(1, 1, 2), torch.zeros(1, 2))
