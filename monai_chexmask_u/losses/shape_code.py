"""What the leading latent dimensions mean: the pose of the chest, and the principal components of its shape."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from monai_chexmask_u.anatomy import LEFT_LUNG, NODE_COUNT, RIGHT_LUNG

__all__ = ["ShapeCode"]

POSE = 4
# An outline beyond four standard deviations of the population is one that a corruption has moved there.
LARGEST = 4.0


class ShapeCode(nn.Module):
    """Describes outlines by numbers of mean 0 and variance 1 over a population.

    The first four are the pose: center x and y, log size, and turn of the line between the lungs. The others are the
    principal components of the shape that is left without them. A latent Gaussian whose dimensions have this meaning
    knows no more than the population where it is N(0, 1), and a standard deviation below 1 is what an image tells.

    Args:
        outlines: of the population, ``(outline, 120, 2)`` in the network frame, all known.
        size: number of dimensions, more than four.

    Raises:
        ValueError: if there are fewer outlines than dimensions, or the size is too small.
    """

    mean: Tensor
    components: Tensor
    center: Tensor
    scale: Tensor

    def __init__(self, outlines: Tensor, size: int = 32) -> None:
        """Fit the components."""
        super().__init__()
        if not POSE < size <= min(len(outlines), 2 * NODE_COUNT):
            raise ValueError(f"a code of {size} dimensions needs more of them than {POSE}, and as many outlines")
        self.size = size
        pose, shape = _split(outlines.double())
        self.register_buffer("mean", shape.mean(dim=0))
        _, _, components = torch.linalg.svd(shape - self.mean, full_matrices=False)
        self.register_buffer("components", components[: size - POSE])
        raw = self._raw(pose, shape)
        self.register_buffer("center", raw.mean(dim=0))
        self.register_buffer("scale", raw.std(dim=0).clamp_min(1e-9))

    def forward(self, outlines: Tensor) -> Tensor:
        """Describe outlines ``(batch, 120, 2)`` in the network frame.

        Returns:
            ``(batch, size)``, clamped to four standard deviations; NaN where a landmark is unknown.
        """
        raw = self._raw(*_split(outlines.double()))
        return ((raw - self.center) / self.scale).clamp(-LARGEST, LARGEST).to(outlines.dtype)

    def _raw(self, pose: Tensor, shape: Tensor) -> Tensor:
        return torch.cat([pose, (shape - self.mean) @ self.components.t()], dim=-1)


def _split(outlines: Tensor) -> tuple[Tensor, Tensor]:
    """Split outlines into their pose ``(batch, 4)`` and the shape without it, ``(batch, 240)``."""
    center = outlines.mean(dim=1, keepdim=True)
    centered = outlines - center
    size = centered.square().sum(dim=-1).mean(dim=-1).sqrt()
    line = centered[:, LEFT_LUNG.nodes].mean(dim=1) - centered[:, RIGHT_LUNG.nodes].mean(dim=1)
    turn = torch.atan2(line[:, 1], line[:, 0])
    cos, sin = turn.cos(), turn.sin()
    back = torch.stack([torch.stack([cos, -sin], dim=-1), torch.stack([sin, cos], dim=-1)], dim=-2)
    shape = centered @ back / size[:, None, None]
    pose = torch.cat([center[:, 0], size.log()[:, None], turn[:, None]], dim=-1)
    return pose, shape.flatten(1)
