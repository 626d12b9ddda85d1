"""The Secondary Capture shows the overlay, and says what it was made from and what it is not for."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset

from monai_chexmask_u.dicom.numbering import Numbering
from monai_chexmask_u.dicom.reading.read import read_dicom
from monai_chexmask_u.dicom.secondary_capture import build_secondary_capture
from monai_chexmask_u.dicom.source import SourceImage
from monai_chexmask_u.radiograph import Radiograph, RadiographError
from monai_chexmask_u.segmentation import LandmarkSegmentation, Reliability

Results = Callable[..., LandmarkSegmentation]
Radiographs = Callable[[str], Radiograph]
Codes = Callable[[Dataset], set[tuple[str, str, str]]]


@pytest.fixture(scope="module")
def image(radiograph: Radiograph, result: LandmarkSegmentation) -> NDArray[np.uint8]:
    return np.asarray(result.with_radiograph(radiograph).overlay)


@pytest.fixture(scope="module")
def built(image: NDArray[np.uint8], radiograph: Radiograph, result: LandmarkSegmentation) -> Dataset:
    return build_secondary_capture(image, result, SourceImage(radiograph), Numbering())


@pytest.fixture(scope="module")
def written(built: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sc") / "dx.sc.dcm"
    built.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture(scope="module")
def of_source(source_name: str, radiograph_of: Radiographs, result_for: Results) -> tuple[Radiograph, Dataset]:
    """A source and the small image built for it."""
    radiograph = radiograph_of(source_name)
    small = np.random.default_rng(0).integers(0, 256, (41, 31, 3), dtype=np.uint8)  # an odd number of bytes
    return radiograph, build_secondary_capture(small, result_for(radiograph), SourceImage(radiograph), Numbering())


def test_validator_finds_no_error(
    of_source: tuple[Radiograph, Dataset], dciodvfy: Callable[[Path], list[str]], tmp_path: Path
) -> None:
    of_source[1].save_as(tmp_path / "x.sc.dcm", enforce_file_format=True)
    assert dciodvfy(tmp_path / "x.sc.dcm") == []


def test_validator_notices_a_missing_conversion_type(
    written: Path, dciodvfy: Callable[[Path], list[str]], tmp_path: Path
) -> None:
    broken = pydicom.dcmread(written)
    del broken.ConversionType
    broken.save_as(tmp_path / "broken.dcm")
    assert any("ConversionType" in error for error in dciodvfy(tmp_path / "broken.dcm"))


def test_real_radiograph_with_spacing_of_zero(
    chest_cr: Path, result_for: Results, dciodvfy: Callable[[Path], list[str]], tmp_path: Path
) -> None:
    radiograph = read_dicom(chest_cr)
    result = result_for(radiograph)
    overlay = np.asarray(result.with_radiograph(radiograph).overlay)
    build_secondary_capture(overlay, result, SourceImage(radiograph), Numbering()).save_as(
        tmp_path / "x.sc.dcm", enforce_file_format=True
    )
    assert dciodvfy(tmp_path / "x.sc.dcm") == []
    np.testing.assert_array_equal(pydicom.dcmread(tmp_path / "x.sc.dcm").pixel_array, overlay)


def test_pixels_are_those_of_the_overlay_with_its_words(written: Path, image: NDArray[np.uint8]) -> None:
    stored = pydicom.dcmread(written)
    assert stored.file_meta.TransferSyntaxUID.name == "RLE Lossless"
    np.testing.assert_array_equal(stored.pixel_array, image)
    # White letters on the dark caption: the text is burned in, and the object says so.
    caption = stored.pixel_array[1200:]
    assert (caption == 255).all(axis=-1).sum() > 1000
    assert stored.BurnedInAnnotation == "YES"


def test_another_toolkit_decodes_the_same_pixels(written: Path, image: NDArray[np.uint8], tmp_path: Path) -> None:
    if shutil.which("dcm2pnm") is None:
        pytest.skip("dcm2pnm is not installed")
    subprocess.run(["dcm2pnm", "--write-raw-pnm", written, tmp_path / "x.ppm"], check=True, capture_output=True)
    with Image.open(tmp_path / "x.ppm") as shown:
        np.testing.assert_array_equal(np.asarray(shown), image)


def test_orientation_is_that_of_the_source_or_empty(radiograph_of: Radiographs, result_for: Results) -> None:
    dot = np.zeros((2, 2, 3), np.uint8)
    for name, orientation in (("dx", ["L", "F"]), ("bad_header", [])):
        radiograph = radiograph_of(name)
        built = build_secondary_capture(dot, result_for(radiograph), SourceImage(radiograph), Numbering())
        assert list(built.PatientOrientation or []) == orientation
    mirrored = radiograph_of("dx")
    mirrored.header.PatientOrientation = ["R", "F"]
    assert list(
        build_secondary_capture(dot, result_for(mirrored), SourceImage(mirrored), Numbering()).PatientOrientation
    ) == ["R", "F"]


def test_it_refers_to_the_radiograph_as_what_was_processed(
    built: Dataset, radiograph: Radiograph, wrong_codes: Codes
) -> None:
    (source,) = built.SourceImageSequence
    assert source.ReferencedSOPClassUID == radiograph.header.SOPClassUID
    assert source.ReferencedSOPInstanceUID == radiograph.header.SOPInstanceUID
    assert source.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
    assert wrong_codes(built) == set()


def test_it_says_that_it_is_derived_and_not_for_diagnosis(built: Dataset) -> None:
    assert list(built.ImageType) == ["DERIVED", "SECONDARY"]
    assert (built.Modality, built.ConversionType, built.BodyPartExamined) == ("OT", "WSD", "CHEST")
    assert built.SeriesDescription == "Overlay (review), not for diagnosis"
    assert "For research use only, not for diagnosis." in built.DerivationDescription
    assert f"Model hybridgnet 1.2.3, weights {'ab' * 32}." in built.DerivationDescription
    assert built.ImageComments == "Verdict: review (The model is not calibrated; Latent uncertainty high)."
    assert "PixelSpacing" not in built
    assert "PixelAspectRatio" not in built
    assert "LossyImageCompression" not in built


def test_series_description_fits_every_verdict(radiograph: Radiograph, result: LandmarkSegmentation) -> None:
    for verdict in ("accept", "reject"):
        changed = replace(result, reliability=Reliability(verdict, ()))
        built = build_secondary_capture(np.zeros((2, 2, 3), np.uint8), changed, SourceImage(radiograph), Numbering())
        assert built.SeriesDescription == f"Overlay ({verdict}), not for diagnosis"
        assert built.ImageComments == f"Verdict: {verdict}."


def test_pixels_that_are_not_square_keep_their_aspect(radiograph_of: Radiographs, result_for: Results) -> None:
    radiograph = radiograph_of("non_square")  # 0.2 mm high, 0.1 mm wide
    built = build_secondary_capture(
        np.zeros((2, 2, 3), np.uint8), result_for(radiograph), SourceImage(radiograph), Numbering()
    )
    assert list(built.PixelAspectRatio) == [2, 1]
    wide = replace(radiograph_of("cr_without_spacing"), pixel_aspect=0.75)
    built = build_secondary_capture(np.zeros((2, 2, 3), np.uint8), result_for(wide), SourceImage(wide), Numbering())
    assert list(built.PixelAspectRatio) == [3, 4]


def test_text_and_loss_in_the_source_are_passed_on(
    radiograph: Radiograph,
    result: LandmarkSegmentation,
    dciodvfy: Callable[[Path], list[str]],
    tmp_path: Path,
) -> None:
    header = deepcopy(radiograph.header)
    header.LossyImageCompressionRatio, header.LossyImageCompressionMethod = "12.5", "ISO_10918_1"
    noted = replace(radiograph, header=header, notes=("burned_in_annotation", "lossy_compression"))
    built = build_secondary_capture(np.zeros((2, 2, 3), np.uint8), result, SourceImage(noted), Numbering())
    assert built.ImageComments.endswith("text is burned into the image; it may identify the patient.")
    assert built.LossyImageCompression == "01"
    assert (built.LossyImageCompressionRatio, built.LossyImageCompressionMethod) == (12.5, "ISO_10918_1")
    built.save_as(tmp_path / "x.dcm", enforce_file_format=True)
    assert dciodvfy(tmp_path / "x.dcm") == []


def test_it_is_not_read_as_a_radiograph(written: Path) -> None:
    with pytest.raises(RadiographError) as caught:
        read_dicom(written)
    assert caught.value.code == "wrong_modality"


def test_images_of_one_study_are_numbered_in_one_series(radiograph: Radiograph, result: LandmarkSegmentation) -> None:
    numbering, dot = Numbering(), np.zeros((2, 2, 3), np.uint8)
    first, second = (build_secondary_capture(dot, result, SourceImage(radiograph), numbering) for _ in range(2))
    assert first.SeriesInstanceUID == second.SeriesInstanceUID
    assert (first.InstanceNumber, second.InstanceNumber, first.SeriesNumber) == (1, 2, 104)
    assert (
        build_secondary_capture(dot, result, SourceImage(radiograph), Numbering()).SeriesInstanceUID
        != first.SeriesInstanceUID
    )


@pytest.mark.parametrize(
    "wrong", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)]
)
def test_what_is_no_image_is_refused(wrong: Any, radiograph: Radiograph, result: LandmarkSegmentation) -> None:
    with pytest.raises(ValueError, match="image must be uint8"):
        build_secondary_capture(wrong, result, SourceImage(radiograph), Numbering())


def test_result_or_header_of_another_image_is_refused(radiograph: Radiograph, result: LandmarkSegmentation) -> None:
    dot = np.zeros((2, 2, 3), np.uint8)
    with pytest.raises(ValueError, match="must be of one image"):
        build_secondary_capture(dot, replace(result, shape=(7, 9)), SourceImage(radiograph), Numbering())
    with pytest.raises(ValueError, match="no DICOM outputs can be made of"):
        build_secondary_capture(dot, result, SourceImage(replace(radiograph, header=None)), Numbering())
