"""MONAI inferers for the landmark network."""

from monai_chexmask_u.inferers.uncertainty import LandmarkUncertaintyInferer

__all__ = ["LandmarkUncertaintyInferer"]
