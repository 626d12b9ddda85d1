"""Data sets of radiographs with landmarks."""

from monai_chexmask_u.data.landmarks import landmark_datalist

__all__ = ["landmark_datalist"]
