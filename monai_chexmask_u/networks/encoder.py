"""The convolutional encoder of HybridGNet: six residual blocks, and the path that joins their maps to one fine map."""

from typing import Final

from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["CHANNELS", "Encoder", "FeaturePyramid"]

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

    def forward(self, image: Tensor) -> list[Tensor]:
        """Encode images.

        Args:
            image: ``(batch, 1, size, size)`` in 0..1.

        Returns:
            The blocks' feature maps from fine to coarse, ``(batch, channel, side, side)`` with the channels of
            `CHANNELS` and sides from size to size / 32.
        """
        maps: list[Tensor] = []
        x = image
        for index, block in enumerate(self.blocks):
            if index > 0:
                x = F.max_pool2d(x, 2)
            x = block(x)
            maps.append(x)
        return maps


class FeaturePyramid(nn.Module):
    """Joins the coarse maps of the encoder to its fine ones, from coarse to fine, in one map of a quarter of the size.

    Args:
        channels: of the joined map.

    References:
        Lin et al., Feature pyramid networks, https://arxiv.org/abs/1612.03144
    """

    FIRST: Final[int] = 2  # so annotated, TorchScript knows it too

    def __init__(self, channels: int) -> None:
        """Bring every map to the same number of channels."""
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(count, channels, 1) for count in CHANNELS[self.FIRST :])
        self.join = nn.ModuleList(
            nn.Sequential(_norm(channels), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1))
            for _ in CHANNELS[self.FIRST : -1]
        )

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Join the encoder's maps to ``(batch, channels, size / 4, size / 4)``."""
        lateral: list[Tensor] = []
        for index, layer in enumerate(self.lateral):
            lateral.append(layer(maps[index + self.FIRST]))
        joined = lateral[-1]
        for index, layer in enumerate(self.join):
            finer = lateral[len(lateral) - 2 - index]
            joined = layer(finer + F.interpolate(joined, scale_factor=2.0, mode="nearest"))
        return joined
