"""Distances of an image's features and of its outlines from those of the radiographs that were trained on."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from monai_chexmask_u.anatomy import NODE_COUNT

__all__ = ["GaussianDistance", "ShapeModel"]

ROUNDING = 1e-3


class GaussianDistance(nn.Module):
    """Mahalanobis distance from a Gaussian, standardized: 0 is the median of the images it was fitted to, 1 their 95 %.

    Args:
        size: dimensions of the vectors.
    """

    mean: Tensor
    precision: Tensor
    center: Tensor
    scale: Tensor

    def __init__(self, size: int) -> None:
        """Start with the standard Gaussian."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("precision", torch.eye(size))
        self.register_buffer("center", torch.tensor(0.0))
        self.register_buffer("scale", torch.tensor(1.0))

    def fit(self, vectors: Tensor, *, shrinkage: float = 0.05) -> None:
        """Fit to vectors ``(sample, size)``; the covariance is drawn toward a multiple of the identity."""
        exact = vectors.double()
        covariance = torch.cov(exact.T)
        identity = torch.eye(len(covariance), dtype=torch.float64)
        shrunk = (1 - shrinkage) * covariance + shrinkage * covariance.trace() / len(covariance) * identity
        self.mean.copy_(exact.mean(dim=0))
        self.precision.copy_(torch.linalg.inv(shrunk))
        _standardize(self, self._raw(vectors))

    def fault(self) -> str | None:
        """Return what makes this no distance, in words, or None.

        A precision that is not positive definite finds some foreign image at no distance at all.
        """
        matrix = self.precision.double()
        if not torch.allclose(matrix, matrix.T, rtol=1e-3, atol=1e-6 * float(matrix.abs().max())):
            return "a precision matrix that is not symmetric"
        if torch.linalg.cholesky_ex((matrix + matrix.T) / 2).info:
            return "a precision matrix that is not positive definite"
        return _fault_of_scale(self)

    def _raw(self, vectors: Tensor) -> Tensor:
        offset = vectors - self.mean
        squared: Tensor = torch.einsum("bi,ij,bj->b", offset, self.precision, offset)
        return squared.clamp_min(0).sqrt()

    def forward(self, vectors: Tensor) -> Tensor:
        """Return the distance of each vector, ``(batch,)``."""
        standardized: Tensor = (self._raw(vectors) - self.center) / self.scale
        return standardized


class ShapeModel(nn.Module):
    """Distance of outlines from the shapes of training radiographs, whatever their place and size.

    It is what the principal components of the training shapes cannot explain, standardized like `GaussianDistance`.

    Args:
        components: number of principal components.

    References:
        Cootes et al., Active shape models, Comput Vis Image Underst 1995;61:38-59
    """

    mean: Tensor
    basis: Tensor
    center: Tensor
    scale: Tensor

    def __init__(self, components: int = 20) -> None:
        """Start without a shape."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(2 * NODE_COUNT))
        self.register_buffer("basis", torch.zeros(components, 2 * NODE_COUNT))
        self.register_buffer("center", torch.tensor(0.0))
        self.register_buffer("scale", torch.tensor(1.0))

    def fit(self, landmarks: Tensor) -> None:
        """Fit to landmarks ``(sample, 120, 2)``, more of them than there are components."""
        shapes = _without_place_and_size(landmarks).double()
        self.mean.copy_(shapes.mean(dim=0))
        _, _, directions = torch.linalg.svd(shapes - shapes.mean(dim=0), full_matrices=False)
        self.basis.copy_(directions[: len(self.basis)])
        _standardize(self, self._raw(landmarks))

    def fault(self) -> str | None:
        """Return what makes this no distance, in words, or None; longer directions would explain more than there is."""
        basis = self.basis.double()
        if torch.linalg.matrix_norm(basis, ord=2) > 1 + ROUNDING:
            return "principal components that are longer than 1, or not at right angles"
        return _fault_of_scale(self)

    def _raw(self, landmarks: Tensor) -> Tensor:
        offset = _without_place_and_size(landmarks) - self.mean
        unexplained: Tensor = (offset - offset @ self.basis.T @ self.basis).norm(dim=-1)
        return unexplained

    def forward(self, landmarks: Tensor) -> Tensor:
        """Return the distance of each shape ``(batch, 120, 2)``, ``(batch,)``."""
        standardized: Tensor = (self._raw(landmarks) - self.center) / self.scale
        return standardized


def _fault_of_scale(distance: GaussianDistance | ShapeModel) -> str | None:
    return None if distance.scale > 0 else "a scale that is not positive"


def _standardize(distance: GaussianDistance | ShapeModel, raw: Tensor) -> None:
    """Set the zero and the unit of a distance by those of the radiographs it was fitted to."""
    center, upper = torch.quantile(raw.double(), torch.tensor([0.5, 0.95], dtype=torch.float64))
    distance.center.copy_(center)
    distance.scale.copy_((upper - center).clamp_min(1e-6))


def _without_place_and_size(landmarks: Tensor) -> Tensor:
    """Move shapes ``(batch, 120, 2)`` to the origin and scale them to length 1; returns ``(batch, 240)``."""
    centered = (landmarks - landmarks.mean(dim=1, keepdim=True)).flatten(1)
    scaled: Tensor = centered / centered.norm(dim=-1, keepdim=True).clamp_min(1e-9)
    return scaled
