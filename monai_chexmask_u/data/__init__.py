"""Data sets of radiographs, with and without landmarks."""

from monai_chexmask_u.data.landmarks import landmark_datalist
from monai_chexmask_u.data.radiographs import radiograph_datalist

__all__ = ["landmark_datalist", "radiograph_datalist"]
