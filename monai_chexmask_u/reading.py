"""Reading of radiographs from any supported file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from monai_chexmask_u.radiograph import Radiograph

__all__ = ["read_radiograph"]


def read_radiograph(path: Path) -> Radiograph:
    """Read an 8-bit picture."""
    with Image.open(path) as image:
        return Radiograph(np.asarray(image.convert("L"), dtype=np.float32) / 255, path)
