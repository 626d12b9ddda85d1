"""LandmarkPosterior: what the inferer hands on, as tensors in the network frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import overload

import torch
from torch import Tensor

from monai_chexmask_u.anatomy import NODE_COUNT

__all__ = ["LandmarkPosterior"]


@dataclass(frozen=True, eq=False)
class LandmarkPosterior(Mapping[str, "Tensor"]):
    """Distribution of the landmarks of a batch of images, in the network frame (x, y in 0..1 of the square image).

    It is also a mapping from field name to tensor, so that MONAI's evaluators can split a batch into its images.

    Attributes:
        mean: ``(batch, 120, 2)``, mean of the sampled landmarks, (x, y).
        covariance: ``(batch, 120, 2, 2)``, population covariance of x and y over the samples.
        latent_mean: ``(batch, latent)``.
        latent_std: ``(batch, latent)``, the spread that the encoder predicts.
        samples: ``(batch, sample, 120, 2)``, the decoded landmarks themselves.
        error_covariance: ``(batch, 120, 2, 2)``, covariance of the landmarks' errors that an examiner expects; NaN
            without one.
        scores: ``(batch, score)``, how foreign the images are, in the order of the examiner's `SCORES`; no score
            without one.
    """

    mean: Tensor
    covariance: Tensor
    latent_mean: Tensor
    latent_std: Tensor
    samples: Tensor
    error_covariance: Tensor
    scores: Tensor

    def __post_init__(self) -> None:
        """Check that all fields speak of the same batch.

        Raises:
            ValueError: if a shape does not fit.
        """
        batch = self.mean.shape[0] if self.mean.ndim == 3 else -1
        expected = {
            "mean": (batch, NODE_COUNT, 2),
            "covariance": (batch, NODE_COUNT, 2, 2),
            "latent_std": (batch, self.latent_mean.shape[-1]),
            "latent_mean": (batch, self.latent_mean.shape[-1]),
            "error_covariance": (batch, NODE_COUNT, 2, 2),
            "scores": (batch, self.scores.shape[-1]),
            "samples": (batch, self.samples.shape[1] if self.samples.ndim == 4 else -1, NODE_COUNT, 2),
        }
        for name, shape in expected.items():
            if tuple(self[name].shape) != shape:
                raise ValueError(f"{name} must have shape {shape}, got {tuple(self[name].shape)}")

    @classmethod
    def from_samples(cls, samples: Tensor, latent_mean: Tensor, latent_std: Tensor) -> LandmarkPosterior:
        """Summarize decoded samples.

        Args:
            samples: ``(batch, sample, 120, 2)`` in the network frame.
            latent_mean: ``(batch, latent)``.
            latent_std: ``(batch, latent)``.

        Returns:
            The posterior, with the population covariance (divided by the number of samples), as published.
        """
        exact = samples.double()
        mean = exact.mean(dim=1)
        centered = exact - mean.unsqueeze(1)
        covariance = torch.einsum("bsni,bsnj->bnij", centered, centered) / samples.shape[1]
        return cls(
            mean.float(),
            covariance.float(),
            latent_mean.float(),
            latent_std.float(),
            samples.float(),
            error_covariance=torch.full_like(covariance, torch.nan, dtype=torch.float32),
            scores=latent_mean.new_zeros(len(mean), 0, dtype=torch.float32),
        )

    @overload
    def __getitem__(self, name: str) -> Tensor: ...

    @overload
    def __getitem__(self, name: int) -> dict[str, Tensor]: ...

    def __getitem__(self, name: str | int) -> Tensor | dict[str, Tensor]:
        """Return a field by its name; or all fields of one image of the batch, as MONAI Label takes the first one."""
        if isinstance(name, int):
            return {field: value[name] for field, value in self.items()}
        if name not in self:
            raise KeyError(name)
        value: Tensor = getattr(self, name)
        return value

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the fields."""
        return (field.name for field in fields(self))

    def __len__(self) -> int:
        """Return the number of fields."""
        return len(fields(self))

    def __contains__(self, name: object) -> bool:
        """Tell whether there is a field of that name."""
        return any(field.name == name for field in fields(self))
