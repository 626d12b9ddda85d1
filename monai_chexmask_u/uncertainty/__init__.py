"""Measures of uncertainty and the verdict."""

from monai_chexmask_u.uncertainty.measures import (
    PUBLISHED_IMAGE_SIZE,
    latent_uncertainty,
    node_uncertainty,
    predictive_uncertainty,
)
from monai_chexmask_u.uncertainty.reliability import assess

__all__ = [
    "PUBLISHED_IMAGE_SIZE",
    "assess",
    "latent_uncertainty",
    "node_uncertainty",
    "predictive_uncertainty",
]
