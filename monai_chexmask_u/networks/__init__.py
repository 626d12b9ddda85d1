"""The landmark network and its checkpoints."""

from monai_chexmask_u.networks.examiner import Examiner
from monai_chexmask_u.networks.hybridgnet import HybridGNet
from monai_chexmask_u.networks.variational import VariationalTraining

__all__ = ["Examiner", "HybridGNet", "VariationalTraining"]
