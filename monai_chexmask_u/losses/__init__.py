"""Losses that MONAI does not have."""

from monai_chexmask_u.losses.energy_score import energy_score
from monai_chexmask_u.losses.hybridgnet import HybridGNetLoss
from monai_chexmask_u.losses.posterior import PosteriorLoss
from monai_chexmask_u.losses.shape_code import ShapeCode

__all__ = ["HybridGNetLoss", "PosteriorLoss", "ShapeCode", "energy_score"]
