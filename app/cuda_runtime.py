"""Make the CUDA runtime of the wheel ``nvidia-cuda-runtime`` known to the dynamic loader.

Holoscan needs ``libcudart.so.13`` to be imported, even where it then runs on the CPU, and MONAI imports Holoscan as
soon as the MONAI Deploy App SDK is installed. The wheel puts the library where the loader does not look.
This module uses the standard library only, so that it can be called before anything else is imported.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

__all__ = ["preload_cuda_runtime"]

LIBRARY = "libcudart.so.13"
FOLDER_IN_WHEEL = Path("nvidia", "cu13", "lib")


def preload_cuda_runtime() -> None:
    """Load the wheel's CUDA runtime if the system has none; do nothing if the wheel is not there either.

    A library that is loaded already satisfies every later one that needs it by name.
    """
    if _load(LIBRARY):
        return
    for folder in sys.path:
        path = Path(folder) / FOLDER_IN_WHEEL / LIBRARY
        if path.is_file() and _load(str(path)):
            return


def _load(name: str) -> bool:
    try:
        ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
    except OSError:
        return False
    return True
