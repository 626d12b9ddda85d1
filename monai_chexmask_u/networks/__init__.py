"""The landmark network and its checkpoints."""

from monai_chexmask_u.networks.hybridgnet import HybridGNet

__all__ = ["HybridGNet"]
