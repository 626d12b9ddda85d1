"""MONAI transforms that the project adds."""

from monai_chexmask_u.transforms.corrupting import Corrupt, Corruptd
from monai_chexmask_u.transforms.corruptions import CORRUPTIONS, corrupt
from monai_chexmask_u.transforms.load import LoadRadiographd
from monai_chexmask_u.transforms.masks import LandmarksToMasksd
from monai_chexmask_u.transforms.network_frame import LandmarksToTargetd, ToNetworkFramed, fit_frame, to_network_image

__all__ = [
    "CORRUPTIONS",
    "Corrupt",
    "Corruptd",
    "LandmarksToMasksd",
    "LandmarksToTargetd",
    "LoadRadiographd",
    "ToNetworkFramed",
    "corrupt",
    "fit_frame",
    "to_network_image",
]
