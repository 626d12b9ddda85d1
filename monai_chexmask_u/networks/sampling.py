"""Reading feature maps of the image at the nodes' positions."""

import torch
from torch import Tensor

from monai_chexmask_u.networks.rows import sum_rows

__all__ = ["sample_features", "sample_window"]


def sample_window(features: Tensor, positions: Tensor, spacing: float = 1.0) -> Tensor:
    """Sample a feature map on a 3x3 grid of points around each position, bilinear.

    A point more than one pixel outside the map counts as zero, others are clamped to its border, as torchvision's
    ``roi_align`` does. No gradient reaches the positions.

    Args:
        features: ``(batch, channel, h, h)``; fastest where its memory format is channels-last.
        positions: ``(batch, point, 2)``, (x, y) in 0..1 of the map; 0 is the center of the first pixel.
        spacing: distance between the points of the grid, in pixels of the map.

    Returns:
        ``(batch, point, 9, channel)``, the grid row by row.
    """
    side = features.shape[-1]
    points, inside = _grid_points(positions, side, spacing)
    taps = points.floor() + torch.arange(2, device=points.device).reshape(2, 1)
    sampled = _weighted_sum(features, taps, _linear_weights(points, taps) * inside)
    return sampled.reshape(positions.shape[0], positions.shape[1], 9, -1)


def sample_features(features: Tensor, positions: Tensor) -> Tensor:
    """Return the mean of a 3x3 window, one feature pixel apart, at each position.

    It is torchvision's ``roi_align`` of a 3x3 box with a 1x1 output and a fixed 3x3 sampling grid.

    Args:
        features: ``(batch, channel, h, h)``.
        positions: ``(batch, point, 2)``, (x, y) in 0..1 of the map.

    Returns:
        ``(batch, point, channel)``.
    """
    side = features.shape[-1]
    points, inside = _grid_points(positions, side, 1.0)
    # The three points of an axis share four neighboring pixels, so that 16 pixels are read instead of 36.
    taps = points[:, :, 1:2].floor() + torch.arange(-1, 3, device=points.device).reshape(4, 1)
    weights = (_linear_weights(points, taps) * inside).mean(dim=2, keepdim=True)
    return _weighted_sum(features, taps, weights).reshape(positions.shape[0], positions.shape[1], -1)


def _grid_points(positions: Tensor, side: int, spacing: float) -> tuple[Tensor, Tensor]:
    """Return where the points of 3x3 grids lie along each axis.

    Returns:
        Coordinates in pixels, x and y, clamped to the map, and whether they count: ``(batch, 2, 3, 1, point)`` each.
    """
    # Points come last: on a CPU, elementwise operations are slow where the last axis is short.
    centers = (positions.detach() * side).transpose(1, 2).contiguous()
    steps = spacing * torch.arange(-1, 2, device=positions.device)
    points = centers[:, :, None, None] + steps.reshape(3, 1, 1)
    inside = (points >= -1) & (points <= side)  # NaN is not
    return torch.nan_to_num(points).clamp(0, side - 1), inside


def _linear_weights(points: Tensor, taps: Tensor) -> Tensor:
    """Return what linear interpolation at ``points`` of an axis takes from its pixels ``taps``; shapes broadcast."""
    return (1 - (points - taps).abs()).clamp_min(0)


def _weighted_sum(features: Tensor, taps: Tensor, weights: Tensor) -> Tensor:
    """Sum pixels of a map, weighted by the products of both axes' weights.

    Args:
        features: ``(batch, channel, h, h)``.
        taps: pixels along each axis, ``(batch, 2, step, tap, point)``, x first; those outside have no weight.
        weights: of the same shape.

    Returns:
        ``(batch * point * step * step, channel)``, the steps row by row.
    """
    batch, channels, side = features.shape[0], features.shape[1], features.shape[-1]
    pixels = taps.clamp(0, side - 1).long()
    first = torch.arange(batch, device=features.device).reshape(-1, 1, 1, 1, 1, 1) * (side * side)
    # (batch, step, step, tap, tap, point)
    rows = first + side * pixels[:, 1, :, None, :, None] + pixels[:, 0, None, :, None, :]
    products = weights[:, 1, :, None, :, None] * weights[:, 0, None, :, None, :]
    table = features.permute(0, 2, 3, 1).reshape(-1, channels).contiguous()
    terms = taps.shape[3] * taps.shape[3]
    return sum_rows(table, rows.movedim(-1, 1).reshape(-1, terms), products.movedim(-1, 1).reshape(-1, terms))
