"""MONAI transforms that the project adds, and the corruptions of images that they apply.

They are imported when they are used: the corruptions do not need MONAI, whose import takes seconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from monai_chexmask_u.transforms.corrupting import Corrupt, Corruptd
    from monai_chexmask_u.transforms.corruptions import CORRUPTIONS, corrupt
    from monai_chexmask_u.transforms.load import LoadRadiographd
    from monai_chexmask_u.transforms.masks import LandmarksToMasksd
    from monai_chexmask_u.transforms.network_frame import LandmarksToTargetd, ToNetworkFramed

__all__ = [
    "CORRUPTIONS",
    "Corrupt",
    "Corruptd",
    "LandmarksToMasksd",
    "LandmarksToTargetd",
    "LoadRadiographd",
    "ToNetworkFramed",
    "corrupt",
]

_MODULES = {
    "CORRUPTIONS": "corruptions",
    "Corrupt": "corrupting",
    "Corruptd": "corrupting",
    "LandmarksToMasksd": "masks",
    "LandmarksToTargetd": "network_frame",
    "LoadRadiographd": "load",
    "ToNetworkFramed": "network_frame",
    "corrupt": "corruptions",
}


def __getattr__(name: str) -> Any:
    """Import a name when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
