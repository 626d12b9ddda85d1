from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

pytest.importorskip("cv2", reason="examples are made with OpenCV")

from monai_chexmask_u.calibrating.examples import ErrorExamples, ImageExamples
from monai_chexmask_u.calibrating.training import error_likelihood, train_detector, train_error_head
from monai_chexmask_u.networks.shift_detector import KINDS_OF_IMAGE


def silent(done: int, total: int) -> None:
    pass


@given(seed=st.integers(0, 9999))
def test_likelihood_is_that_of_a_gaussian(seed: int) -> None:
    random = np.random.default_rng(seed)
    factor, error = random.normal(size=(2, 2)), random.normal(size=2)
    covariance = factor @ factor.T + 0.1 * np.eye(2)
    ours = error_likelihood(torch.from_numpy(covariance), torch.from_numpy(error))
    theirs = -multivariate_normal([0, 0], covariance).logpdf(error) - np.log(2 * np.pi)
    np.testing.assert_allclose(float(ours), theirs, rtol=1e-9)


def error_examples(count: int) -> ErrorExamples:
    """Errors whose size stands in the first channel of the window; the other features say nothing."""
    generator = torch.Generator().manual_seed(0)
    size = torch.rand(count, 120, 1, generator=generator) * 0.05 + 0.002
    angle = torch.arange(120) / 120 * 2 * torch.pi
    mean = (0.5 + 0.3 * torch.stack([angle.sin(), angle.cos()], dim=-1)).expand(count, -1, -1)
    window = torch.randn(count, 120, 9, 48, generator=generator)
    window[..., 0] = torch.log(size)
    truth = mean + size * torch.randn(count, 120, 2, generator=generator)
    coarse = torch.randn(count, 120, 256, generator=generator)
    return ErrorExamples(torch.randn(count, 120, 6, generator=generator), window.half(), coarse.half(), mean, truth)


def test_error_head_learns_the_size_of_errors_and_repeats_itself() -> None:
    examples = error_examples(32)
    heads = [train_error_head(examples, steps=100, seed=3, progress=silent) for _ in range(2)]
    with torch.no_grad():
        covariances = [
            head.predict(examples.place, examples.window.float(), examples.coarse.float(), examples.mean)
            for head in heads
        ]
    torch.testing.assert_close(covariances[0], covariances[1], rtol=0, atol=0)
    expected = covariances[0].diagonal(dim1=-2, dim2=-1).sum(dim=-1).sqrt().flatten()
    true = examples.window[..., 0, 0].float().exp().flatten()
    assert float(torch.corrcoef(torch.stack([expected, true]))[0, 1]) > 0.6


def test_detector_learns_kinds_however_rare() -> None:
    generator = torch.Generator().manual_seed(0)
    kind = torch.cat([torch.zeros(90, dtype=torch.long), torch.arange(1, len(KINDS_OF_IMAGE)).repeat(3)])
    grid = 0.5 * torch.randn(len(kind), 256, 8, 8, generator=generator)
    grid[torch.arange(len(kind)), kind] += 4
    latent = torch.randn(len(kind), 128, generator=generator)
    examples = ImageExamples(grid.half(), latent.half(), torch.zeros(len(kind), 120, 2), kind)
    detector = train_detector(examples, steps=200, seed=0, progress=silent)
    with torch.no_grad():
        found = detector(examples.grid.float(), examples.latent.float()).argmax(dim=-1)
    assert float((found == kind).float().mean()) > 0.9


def test_unknown_organs_teach_nothing_and_break_nothing() -> None:
    examples = error_examples(8)
    examples.truth[:4, 94:] = torch.nan
    head = train_error_head(examples, steps=3, seed=0, progress=silent)
    assert all(bool(torch.isfinite(weights).all()) for weights in head.parameters())
