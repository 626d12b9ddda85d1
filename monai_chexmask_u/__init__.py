"""Landmark segmentation of lungs and heart on chest radiographs, with the uncertainty of every landmark."""

__version__ = "0.1.0"

__all__ = ["__version__"]
