"""Sources as readers hand them on and results for them, made up: what outputs are written from."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset
from support.samples.dicom import make_cr, make_dx, phantom_landmarks, save

from monai_chexmask_u.geometry import cardiothoracic_ratio
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import Estimate, LandmarkSegmentation, ModelIdentity, Reliability

__all__ = ["SOURCES", "radiograph_of", "result_for"]

JAPANESE_NAME = "Yamada^Tarou=山田^太郎=やまだ^たろう"
JAPANESE_TEXT = "胸部正面"
NOTES = ("photometric_inverted", "orientation_assumed")
SOURCES = ("dx", "dx_monochrome1", "cr_without_spacing", "non_square", "japanese", "bad_header")


def _dataset(name: str) -> tuple[FileDataset, tuple[float, float] | None]:
    """Return a source and the spacing that a reader would take from it."""
    if name == "dx":
        return make_dx(), (0.7, 0.7)
    if name == "dx_monochrome1":
        return make_dx(photometric="MONOCHROME1"), (0.7, 0.7)
    if name == "non_square":
        return make_dx(spacing=(0.8, 0.4)), (0.8, 0.4)
    dataset = make_cr(spacing=None)
    if name == "japanese":
        dataset.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
        dataset.PatientName = JAPANESE_NAME
        dataset.StudyDescription = JAPANESE_TEXT
    if name == "bad_header":
        for keyword in ("PatientID", "AccessionNumber", "StudyID", "StudyTime"):
            delattr(dataset, keyword)
        # As some devices write them: no dates, a sex in words, spacings of zero, private attributes.
        for keyword, value in (("PatientBirthDate", "UNKNOWN"), ("StudyDate", "0"), ("PatientSex", "MALE")):
            dataset[keyword]._value = value
        dataset.PatientName = "SECRET"  # without a caret, which highdicom warns of and quotes
        dataset.ReferringPhysicianName = ["Two^People", "In^One"]
        dataset.PatientOrientation = "L"
        study = Dataset()  # highdicom copies this sequence as a whole
        study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = "1.2.840.10008.3.1.2.3.1", "1.2.3"
        study.private_block(0x11, "SOMEBODY", create=True).add_new(1, "LO", "private secret")
        dataset.ReferencedStudySequence = [study]
        dataset.PixelSpacing = dataset.ImagerPixelSpacing = ["0.000", "0.000"]
        dataset.private_block(0x11, "SOMEBODY", create=True).add_new(1, "LO", "private secret")
    return dataset, None


@pytest.fixture(scope="session")
def radiograph_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Radiograph]:
    """Radiographs as a reader hands them on, by the name of their source."""
    folder = tmp_path_factory.mktemp("sources")

    headers: dict[str, tuple[FileDataset, tuple[float, float] | None]] = {}

    def make(name: str) -> Radiograph:
        path = folder / f"{name}.dcm"
        if name not in headers:
            dataset, spacing_mm = _dataset(name)
            with pydicom.config.disable_value_validation():
                save(dataset, path)
            headers[name] = pydicom.dcmread(path, stop_before_pixels=True), spacing_mm
        # Always the same image; a header of its own for each, since tests change it.
        header, spacing_mm = deepcopy(headers[name])
        pixels = np.zeros((header.Rows, header.Columns), np.float32)
        return Radiograph(pixels, path, spacing_mm=spacing_mm, notes=NOTES, header=header)

    return make


@pytest.fixture(scope="session")
def result_for() -> Callable[..., LandmarkSegmentation]:
    """Results for a radiograph: the phantom's outlines with random covariances; keywords replace attributes."""

    def make(radiograph: Radiograph, **changes: Any) -> LandmarkSegmentation:
        landmarks = phantom_landmarks(*radiograph.shape)
        factors = np.random.default_rng(0).normal(0, 3, (len(landmarks), 2, 2))
        result = LandmarkSegmentation(
            landmarks=landmarks,
            covariance=factors @ factors.transpose(0, 2, 1),
            samples=(landmarks + np.random.default_rng(1).normal(0, 3, (50, 120, 2))).astype(np.float32),
            shape=radiograph.shape,
            spacing_mm=radiograph.spacing_mm,
            sample_count=50,
            latent_uncertainty=0.3141592653,
            predictive_px1024=4.2424242424,
            cardiothoracic_ratio=Estimate(float(cardiothoracic_ratio(landmarks)), 0.0123456789),
            model=ModelIdentity("hybridgnet", "1.2.3", "ab" * 32),
            reliability=Reliability("review", ("not_calibrated", "latent_uncertainty_high")),
        )
        return replace(result, **changes)

    return make
