"""Landmark segmentation of lungs and heart on chest radiographs, with the uncertainty of every landmark.

What a notebook needs is here, and is imported when it is first used:

    from monai_chexmask_u import segment
    segment("chest.png")
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

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

# Where each name comes from; ``__init__.pyi`` says the same to type checkers and editors.
_MODULES = {
    "NODE_IDS": "anatomy",
    "ORGANS": "anatomy",
    "HybridGNet": "networks",
    "LandmarkSegmentation": "segmentation",
    "LandmarkUncertaintyInferer": "inferers",
    "Radiograph": "radiograph",
    "RadiographError": "radiograph",
    "Segmenter": "segmenter",
    "load_model": "model",
    "read_radiograph": "reading",
    "segment": "segmenter",
    "segment_folder": "batch",
    "write_outputs": "writers.formats",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: the command line answers without torch."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
