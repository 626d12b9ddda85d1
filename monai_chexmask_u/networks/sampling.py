"""Reading feature maps of the image at the nodes' positions."""

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["sample_features", "sample_window"]


def sample_window(features: Tensor, positions: Tensor, spacing: float = 1.0) -> Tensor:
    """Sample a feature map on a 3x3 grid of points around each position, bilinear.

    A point more than one pixel outside the map counts as zero, others are clamped to its border, as torchvision's
    ``roi_align`` does. No gradient reaches the positions.

    Args:
        features: ``(batch, channel, h, h)``.
        positions: ``(batch, point, 2)``, (x, y) in 0..1 of the map; 0 is the center of the first pixel.
        spacing: distance between the points of the grid, in pixels of the map.

    Returns:
        ``(batch, point, 9, channel)``, the grid row by row.
    """
    side = features.shape[-1]
    step = torch.tensor([-1.0, 0.0, 1.0], device=positions.device, dtype=positions.dtype) * spacing
    offsets = torch.stack(torch.meshgrid(step, step, indexing="xy"), dim=-1).reshape(1, 1, 9, 2)
    points = (positions.detach() * side).unsqueeze(2) + offsets
    inside = ((points >= -1) & (points <= side)).all(dim=-1)
    # Far positions and NaN (a network that diverges) must not reach grid_sample, whose gradient would crash on them.
    points = torch.nan_to_num(points, nan=-2.0).clamp(-2.0, side + 1.0)
    grid = (2 * points + 1) / side - 1
    values = F.grid_sample(features, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return (values * inside.to(values.dtype).unsqueeze(1)).permute(0, 2, 3, 1)


def sample_features(features: Tensor, positions: Tensor) -> Tensor:
    """Return the mean of a 3x3 window, one feature pixel apart, at each position.

    It is torchvision's ``roi_align`` of a 3x3 box with a 1x1 output and a fixed 3x3 sampling grid.

    Args:
        features: ``(batch, channel, h, h)``.
        positions: ``(batch, point, 2)``, (x, y) in 0..1 of the map.

    Returns:
        ``(batch, point, channel)``.
    """
    return sample_window(features, positions).mean(dim=2)
