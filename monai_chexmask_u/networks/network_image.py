"""How a radiograph is shown to the network: fitted into its square."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from monai_chexmask_u.geometry import Frame, content_box
from monai_chexmask_u.radiograph import Radiograph

__all__ = ["fit_frame", "to_network_image"]


def fit_frame(radiograph: Radiograph, network_size: int, *, crop_border: bool = False) -> Frame:
    """Fit a radiograph into the network's square, upright and with the patient's right on the left.

    Args:
        radiograph: its flags decide about reversal, its spacing or else its pixel aspect about proportions.
        network_size: side of the network image.
        crop_border: leave out the black border around the exposed field.
    """
    return Frame.fit(
        radiograph.shape,
        network_size,
        pixel_aspect=radiograph.height_over_width,
        crop=content_box(radiograph.pixels) if crop_border else None,
        mirrored=radiograph.mirrored,
        upside_down=radiograph.upside_down,
    )


def to_network_image(pixels: Tensor, frame: Frame) -> Tensor:
    """Resample an image ``(row, column)`` to the network image ``(1, size, size)``, black around it.

    The bilinear filter is widened when it shrinks the image (anti-aliasing), and maps pixel edges to pixel edges as the
    frame does.
    """
    image = pixels[frame.crop.slices]
    reverse = [axis for axis, wanted in enumerate((frame.upside_down, frame.mirrored)) if wanted]
    image = torch.flip(image, reverse) if reverse else image
    size = (frame.content.height, frame.content.width)
    resized = F.interpolate(image[None, None], size=size, mode="bilinear", antialias=True, align_corners=False)[0]
    network_image = pixels.new_zeros(1, frame.network_size, frame.network_size)
    network_image[(slice(None), *frame.content.slices)] = resized.clamp(0, 1)
    return network_image
