"""Measures of uncertainty and the verdict."""

from monai_chexmask_u.geometry import contour_normals
from monai_chexmask_u.uncertainty.conformal import conformal_quantile, error_scale
from monai_chexmask_u.uncertainty.ellipses import confidence_ellipse, normal_std, tangential_std
from monai_chexmask_u.uncertainty.measures import (
    PUBLISHED_IMAGE_SIZE,
    latent_uncertainty,
    node_uncertainty,
    predictive_uncertainty,
)
from monai_chexmask_u.uncertainty.reliability import NOT_CALIBRATED, Limit, Limits, assess, organ_uncertainty

__all__ = [
    "NOT_CALIBRATED",
    "PUBLISHED_IMAGE_SIZE",
    "Limit",
    "Limits",
    "assess",
    "confidence_ellipse",
    "conformal_quantile",
    "contour_normals",
    "error_scale",
    "latent_uncertainty",
    "node_uncertainty",
    "normal_std",
    "organ_uncertainty",
    "predictive_uncertainty",
    "tangential_std",
]
