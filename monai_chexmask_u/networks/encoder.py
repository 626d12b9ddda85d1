"""The convolutional encoder of HybridGNet: six residual blocks."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["CHANNELS", "Encoder"]

CHANNELS = (8, 16, 32, 64, 128, 128)


def _norm(channels: int) -> nn.InstanceNorm2d:
    """Return the normalization layer.

    The published network uses batch statistics in evaluation as well, so that an image's result depends on its batch.
    At batch size 1, at which the published results were made, that is exactly an affine instance normalization.
    """
    return nn.InstanceNorm2d(channels, affine=True)


class ResidualBlock(nn.Module):
    """Two pre-activated 3x3 convolutions beside a shortcut, with a ReLU after the sum."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        """Use a 1x1 convolution as shortcut where the number of channels changes."""
        super().__init__()
        self.norm1 = _norm(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm2 = _norm(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != out_channels:
            self.shortcut = nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, bias=False), _norm(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, in_channels, h, w)`` to ``(batch, out_channels, h, w)``."""
        y = self.conv1(F.relu(self.norm1(x)))
        y = self.conv2(F.relu(self.norm2(y)))
        return F.relu(y + self.shortcut(x))


class Encoder(nn.Module):
    """Six residual blocks with max pooling between them.

    References:
        HybridGNet, https://arxiv.org/abs/2203.10977
    """

    def __init__(self) -> None:
        """Build the blocks with 8 to 128 channels."""
        super().__init__()
        self.blocks = nn.ModuleList(
            ResidualBlock(before, after) for before, after in zip((1, *CHANNELS), CHANNELS, strict=False)
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Encode images.

        Args:
            image: ``(batch, 1, size, size)`` in 0..1.

        Returns:
            The last two feature maps, ``(batch, 128, side, side)`` with side = size / 16 and size / 32.
        """
        x = image
        finer = torch.empty(0)
        for index, block in enumerate(self.blocks):
            if index > 0:
                finer = x
                x = F.max_pool2d(x, 2)
            x = block(x)
        return finer, x
