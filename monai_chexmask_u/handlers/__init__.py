"""Training handlers that MONAI does not have."""

from monai_chexmask_u.handlers.kl_schedule import KLWeightSchedule

__all__ = ["KLWeightSchedule"]
