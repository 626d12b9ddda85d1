"""Data sets of radiographs, with and without landmarks."""

from monai_chexmask_u.data.datalists import dicom_datalist, landmark_datalist, radiograph_datalist

__all__ = ["dicom_datalist", "landmark_datalist", "radiograph_datalist"]
