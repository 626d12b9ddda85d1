"""Let every Python process of this environment find the CUDA runtime that Holoscan wants, even on a CPU.

With the MONAI Deploy App SDK installed, `import monai` imports Holoscan, which needs libcudart.so.13. Where the system
has none, the one of the wheel nvidia-cuda-runtime must be loaded first: a .pth file does that at Python's start.
"""

from __future__ import annotations

import shutil
import sysconfig
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "app" / "cuda_runtime.py"
NAME = "chexmask_u_cuda_runtime"


def main() -> None:
    """Install the module and the .pth file into the running environment."""
    site_packages = Path(sysconfig.get_paths()["purelib"])
    shutil.copy(SOURCE, site_packages / f"{NAME}.py")
    (site_packages / f"{NAME}.pth").write_text(f"import {NAME}; {NAME}.preload_cuda_runtime()\n")


if __name__ == "__main__":
    main()
