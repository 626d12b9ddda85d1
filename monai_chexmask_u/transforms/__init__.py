"""MONAI transforms that the project adds."""

from monai_chexmask_u.transforms.load import LoadRadiographd
from monai_chexmask_u.transforms.masks import LandmarksToMasksd
from monai_chexmask_u.transforms.network_frame import LandmarksToTargetd, ToNetworkFramed, fit_frame, to_network_image

__all__ = [
    "LandmarksToMasksd",
    "LandmarksToTargetd",
    "LoadRadiographd",
    "ToNetworkFramed",
    "fit_frame",
    "to_network_image",
]
