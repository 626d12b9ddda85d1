"""What MONAI Label loads: `monailabel start_server --app label`; the folder may have been copied under another name."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path


def _load_package() -> None:
    """Make this folder the package `label`, whatever it is called and wherever it lies."""
    folder = Path(__file__).resolve().parent
    spec = importlib.util.spec_from_file_location(
        "label", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{folder} is not the folder of the label app")
    package = importlib.util.module_from_spec(spec)
    sys.modules["label"] = package
    spec.loader.exec_module(package)


if "label" not in sys.modules:
    _load_package()

from label.app import ChestLandmarksApp  # noqa: E402

__all__ = ["ChestLandmarksApp"]
