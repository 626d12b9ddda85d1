"""Handlers that MONAI does not have."""

from monai_chexmask_u.handlers.evaluation_report import EvaluationReport
from monai_chexmask_u.handlers.kl_schedule import KLWeightSchedule
from monai_chexmask_u.handlers.training_record import TrainingRecord

__all__ = ["EvaluationReport", "KLWeightSchedule", "TrainingRecord"]
