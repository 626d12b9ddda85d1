"""Sources and results to write, and the independent checkers of what was written."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dicom_samples import make_cr, make_dx, phantom_landmarks, save
from pydicom.dataset import Dataset, FileDataset
from pydicom.sr._concepts_dict import concepts

from monai_chexmask_u.geometry import cardiothoracic_ratio
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import Estimate, LandmarkSegmentation, ModelIdentity, Reliability

JAPANESE_NAME = "Yamada^Tarou=山田^太郎=やまだ^たろう"
JAPANESE_TEXT = "胸部正面"
NOTES = ("photometric_inverted", "orientation_assumed")
SOURCES = ("dx", "dx_monochrome1", "cr_without_spacing", "non_square", "japanese", "bad_header")
# Right codes that pydicom's dictionary does not have, or has with other words: a SNOMED code of an extensible group, a
# unit in braces, the language, and two that highdicom's templates write with the words of PS3.16's template tables.
OTHER_WORDS = {
    ("SCT", "399208008"): "plain chest x-ray",
    ("UCUM", "{pixels}"): "pixels",
    ("RFC5646", "en-US"): "english (united states)",
    ("SCT", "260753009"): "source",
    ("SCT", "276214006"): "finding category",
}


def _dataset(name: str) -> tuple[FileDataset, tuple[float, float] | None]:
    """Return a source and the spacing that a reader would take from it."""
    if name == "dx":
        return make_dx(), (0.139, 0.139)
    if name == "dx_monochrome1":
        return make_dx(photometric="MONOCHROME1"), (0.139, 0.139)
    if name == "non_square":
        return make_dx(spacing=(0.2, 0.1)), (0.2, 0.1)
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


@pytest.fixture(scope="session", params=SOURCES)
def source_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def radiograph_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Radiograph]:
    """Radiographs as a reader hands them on, by the name of their source."""
    folder = tmp_path_factory.mktemp("sources")

    def make(name: str) -> Radiograph:
        dataset, spacing_mm = _dataset(name)
        path = folder / f"{name}.dcm"
        with pydicom.config.disable_value_validation():
            save(dataset, path)
        header = pydicom.dcmread(path, stop_before_pixels=True)
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


@pytest.fixture(scope="session")
def radiograph(radiograph_of: Callable[[str], Radiograph]) -> Radiograph:
    """The plain DX; modules that need another source have a fixture of their own."""
    return radiograph_of("dx")


@pytest.fixture(scope="session")
def result(radiograph: Radiograph, result_for: Callable[..., LandmarkSegmentation]) -> LandmarkSegmentation:
    return result_for(radiograph)


def _checker(command: str, *arguments: str) -> Callable[[Path], tuple[int, str]]:
    if shutil.which(command) is None:
        pytest.skip(f"{command} is not installed")

    def check(path: Path) -> tuple[int, str]:
        done = subprocess.run([command, *arguments, str(path)], capture_output=True, text=True, errors="replace")
        return done.returncode, done.stdout + done.stderr

    return check


@pytest.fixture(scope="session")
def dciodvfy() -> Callable[[Path], list[str]]:
    """David Clunie's validator; gives the errors that it finds."""
    check = _checker("dciodvfy", "-new")

    def errors(path: Path) -> list[str]:
        code, text = check(path)
        found = [line for line in text.splitlines() if line.startswith(("Error", "Abort"))]
        return found or ([f"exit code {code}"] if code else [])

    return errors


@pytest.fixture(scope="session")
def dsrdump() -> Callable[[Path], tuple[int, str]]:
    """DCMTK's reader of reports; gives its exit code and the report as text."""
    return _checker("dsrdump")


@pytest.fixture(scope="session")
def wrong_codes() -> Callable[[Dataset], set[tuple[str, str, str]]]:
    """Standard codes (scheme, value, meaning) in a data set that PS3.16, as in pydicom, does not have like this."""
    meanings: dict[tuple[str, str], set[str]] = {}
    dictionary: dict[str, Any] = concepts
    for scheme, keywords in dictionary.items():
        for values in keywords.values():
            for value, (meaning, _) in values.items():
                meanings.setdefault((scheme, value), set()).add(meaning.lower())

    def find(dataset: Dataset) -> set[tuple[str, str, str]]:
        found = set()
        for item in _items(dataset):
            if "CodeMeaning" not in item or item.CodingSchemeDesignator.startswith("99"):
                continue
            key = (str(item.CodingSchemeDesignator), str(item.CodeValue))
            if item.CodeMeaning.lower() not in meanings.get(key, set()) | {OTHER_WORDS.get(key)}:
                found.add((*key, str(item.CodeMeaning)))
        return found

    return find


def _items(dataset: Dataset) -> Iterator[Dataset]:
    yield dataset
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from _items(item)
