"""Measures of uncertainty and the verdict."""

from monai_chexmask_u.uncertainty.ellipses import confidence_ellipse, contour_normals, normal_std, tangential_std
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
    "confidence_ellipse",
    "contour_normals",
    "latent_uncertainty",
    "node_uncertainty",
    "normal_std",
    "predictive_uncertainty",
    "tangential_std",
]
