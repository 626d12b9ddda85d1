"""A finished segmentation of the synthetic chest, for tests of whatever takes one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from support.samples.dicom import chest_phantom, phantom_landmarks

from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import Estimate, LandmarkSegmentation, ModelIdentity, Reliability

__all__ = ["make_radiograph", "make_segmentation"]


def make_radiograph(rows: int = 250, columns: int = 200, **options: Any) -> Radiograph:
    """Return the phantom as read from an image file, without a DICOM header."""
    return Radiograph(chest_phantom(rows, columns), Path("images/chest.png"), **options)


def make_segmentation(radiograph: Radiograph, **changes: Any) -> LandmarkSegmentation:
    """Return the phantom's outlines with covariances that differ from node to node; keywords replace attributes."""
    factors = np.random.default_rng(0).normal(0, 2, (120, 2, 2))
    plain = LandmarkSegmentation(
        landmarks=phantom_landmarks(*radiograph.shape),
        covariance=factors @ factors.transpose(0, 2, 1),
        shape=radiograph.shape,
        spacing_mm=radiograph.spacing_mm,
        sample_count=50,
        latent_uncertainty=0.25,
        predictive_px1024=8.5,
        cardiothoracic_ratio=Estimate(0.43, 0.02),
        model=ModelIdentity("tiny", "1.2.3", "ab" * 32),
        reliability=Reliability("review", ("not_calibrated",)),
        radiograph=radiograph,
    )
    return replace(plain, **changes)
