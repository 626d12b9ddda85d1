"""The PCA baseline: the encoder states coefficients of a linear shape model of the training landmarks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from monai_chexmask_u.anatomy import NODE_COUNT
from monai_chexmask_u.networks import HybridGNet

__all__ = ["PCAShapeNet", "ShapeModel"]

# Standard deviation exp(-20): the latent sample that the training draws is the mean itself.
NO_VARIANCE = -40.0


class PCAShapeNet(HybridGNet):
    """HybridGNet's encoder with a linear shape model in the place of the graph decoder; deterministic.

    The training's augmentation moves shapes out of the model's span. What lies outside adds a constant to the squared
    error of an image, and so nothing to its gradient: the coefficients learned are those of the nearest shape.

    Args:
        image_size: side of the square network image in pixels; divisible by 32, at least 64.
        components: number of coefficients; 50 hold 99.9 % of the variance of the 174 JSRT training shapes.
        landmarks: training landmarks ``(image, 120, 2)`` in the network frame; without them the shape model is empty,
            to be filled from a checkpoint.

    References:
        Gaggion et al., HybridGNet, https://arxiv.org/abs/2203.10977, which compares with the same kind of model
    """

    def __init__(self, image_size: int, components: int = 50, landmarks: Tensor | None = None) -> None:
        """Build the encoder with random weights, and the shape model from the landmarks."""
        super().__init__(image_size, components, skip_connections=False)
        self.register_module("decoder", ShapeModel(components, landmarks))
        self.register_module("latent_log_var", _NoVariance(components))


class ShapeModel(nn.Module):
    """A mean shape and its principal modes of variation, in the network frame.

    Args:
        components: number of modes; those beyond what the landmarks vary in are zero.
        landmarks: ``(image, 120, 2)`` to compute the model from; an empty model without them.

    Raises:
        ValueError: if the landmarks have another shape or are not all finite.
    """

    mean: Tensor
    modes: Tensor

    def __init__(self, components: int, landmarks: Tensor | None = None) -> None:
        """Compute the model."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(NODE_COUNT * 2))
        self.register_buffer("modes", torch.zeros(components, NODE_COUNT * 2))
        if landmarks is not None:
            self._fit(landmarks)

    def forward(self, z: Tensor, features: list[Tensor]) -> list[Tensor]:
        """Turn coefficients into shapes.

        Args:
            z: ``(batch, sample, components)``, in standard deviations of the training shapes.
            features: the encoder's maps, of which a shape model has no use.

        Returns:
            One level, the landmarks ``(batch, sample, 120, 2)`` in the network frame.
        """
        return [(self.mean + z @ self.modes).unflatten(-1, (NODE_COUNT, 2))]

    def _fit(self, landmarks: Tensor) -> None:
        if landmarks.shape[1:] != (NODE_COUNT, 2) or not landmarks.isfinite().all():
            raise ValueError(
                f"a shape model needs all {NODE_COUNT} landmarks of every training image, got {tuple(landmarks.shape)}"
                f" with {int((~landmarks.isfinite()).sum())} unknown coordinates"
            )
        shapes = landmarks.double().flatten(1)
        mean = shapes.mean(dim=0)
        _, singular, axes = torch.linalg.svd(shapes - mean, full_matrices=False)
        deviations = singular / max(1, len(shapes) - 1) ** 0.5
        kept = min(len(self.modes), len(singular))
        self.mean.copy_(mean)
        self.modes[:kept] = (deviations[:, None] * axes)[:kept].float()


class _NoVariance(nn.Module):
    """Stands where HybridGNet has the layer of the latent log variance, and has no parameters."""

    def __init__(self, components: int) -> None:
        """Keep the number of coefficients."""
        super().__init__()
        self.components = components

    def forward(self, flat: Tensor) -> Tensor:
        """Return log variances ``(batch, components)`` of practically no variance."""
        return flat.new_full((flat.shape[0], self.components), NO_VARIANCE)
