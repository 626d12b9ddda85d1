"""Losses that MONAI does not have."""

from monai_chexmask_u.losses.hybridgnet import HybridGNetLoss

__all__ = ["HybridGNetLoss"]
