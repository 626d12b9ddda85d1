"""What ``__init__.py`` imports when it is used, for type checkers and editors."""

from monai_chexmask_u.anatomy import NODE_IDS as NODE_IDS
from monai_chexmask_u.anatomy import ORGANS as ORGANS
from monai_chexmask_u.batch import segment_folder as segment_folder
from monai_chexmask_u.inferers import LandmarkUncertaintyInferer as LandmarkUncertaintyInferer
from monai_chexmask_u.model import load_model as load_model
from monai_chexmask_u.networks import HybridGNet as HybridGNet
from monai_chexmask_u.radiograph import Radiograph as Radiograph
from monai_chexmask_u.radiograph import RadiographError as RadiographError
from monai_chexmask_u.reading import read_radiograph as read_radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation as LandmarkSegmentation
from monai_chexmask_u.segmenter import Segmenter as Segmenter
from monai_chexmask_u.segmenter import segment as segment
from monai_chexmask_u.writers.formats import write_outputs as write_outputs

__version__: str

__all__ = [
    "NODE_IDS",
    "ORGANS",
    "HybridGNet",
    "LandmarkSegmentation",
    "LandmarkUncertaintyInferer",
    "Radiograph",
    "RadiographError",
    "Segmenter",
    "__version__",
    "load_model",
    "read_radiograph",
    "segment",
    "segment_folder",
    "write_outputs",
]
