from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.data import decollate_batch

from monai_chexmask_u.posterior import LandmarkPosterior

FIELDS = ["mean", "covariance", "latent_mean", "latent_std", "samples", "error_covariance", "scores"]


def posterior(*, seed: int = 0, batch: int = 3, sample: int = 7) -> LandmarkPosterior:
    generator = torch.Generator().manual_seed(seed)
    samples = torch.randn(batch, sample, 120, 2, generator=generator) * 0.1 + 0.5
    latent = torch.randn(2, batch, 8, generator=generator)
    return LandmarkPosterior.from_samples(samples, latent[0], latent[1].exp())


@given(seed=st.integers(0, 999), sample=st.integers(2, 20))
def test_mean_and_covariance_are_those_of_the_samples_as_a_population(seed: int, sample: int) -> None:
    result = posterior(seed=seed, batch=2, sample=sample)
    for image in range(2):
        for node in (0, 60, 119):
            points = result.samples[image, :, node].double().numpy()
            expected = np.cov(points.T, ddof=0)
            np.testing.assert_allclose(result.mean[image, node].numpy(), points.mean(axis=0), rtol=1e-6)
            # float32 holds seven digits, of the larger entries for the smaller ones
            np.testing.assert_allclose(result.covariance[image, node].numpy(), expected, rtol=1e-5, atol=1e-8)


def test_samples_that_agree_have_no_covariance() -> None:
    # 0.3 is no binary fraction: in float32 the mean of many would differ from it
    result = LandmarkPosterior.from_samples(torch.full((1, 50, 120, 2), 0.3), torch.zeros(1, 8), torch.ones(1, 8))
    torch.testing.assert_close(result.covariance, torch.zeros(1, 120, 2, 2), rtol=0, atol=1e-15)
    torch.testing.assert_close(result.mean, torch.full((1, 120, 2), 0.3), rtol=0, atol=0)


def test_is_a_mapping_of_its_fields() -> None:
    result = posterior()
    assert list(result) == FIELDS
    assert len(result) == 7
    assert result["mean"] is result.mean
    assert dict(result)["samples"] is result.samples
    assert "covariance" in result
    assert "image" not in result  # a method is no field
    for absent in ("image", "std"):
        with pytest.raises(KeyError, match=absent):
            result[absent]


def test_decollates_into_one_dictionary_per_image() -> None:
    result = posterior()
    images = decollate_batch({"pred": result})
    assert len(images) == 3
    for index, image in enumerate(images):
        assert list(image["pred"]) == FIELDS
        for name, value in image["pred"].items():
            torch.testing.assert_close(value, result[name][index], rtol=0, atol=0, equal_nan=True)


def test_samples_alone_say_nothing_of_errors_and_foreign_images() -> None:
    result = posterior()
    assert result.error_covariance.shape == (3, 120, 2, 2)
    assert result.error_covariance.isnan().all()
    assert result.scores.shape == (3, 0)
    assert {value.dtype for value in result.values()} == {torch.float32}


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("mean", (120, 2)),
        ("mean", (3, 119, 2)),
        ("covariance", (3, 120, 2)),
        ("covariance", (2, 120, 2, 2)),
        ("latent_std", (3, 9)),
        ("latent_mean", (2, 8)),
        ("samples", (3, 120, 2)),
        ("samples", (2, 7, 120, 2)),
        ("error_covariance", (3, 120, 2)),
        ("error_covariance", (2, 120, 2, 2)),
        ("scores", (2, 15)),
        ("scores", (3, 15, 1)),
    ],
)
def test_fields_of_different_batches_are_refused(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="must have shape"):
        LandmarkPosterior(**{**posterior(), name: torch.zeros(shape)})
