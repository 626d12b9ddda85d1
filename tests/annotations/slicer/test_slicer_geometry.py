"""The rule of where 3D Slicer puts an image, judged by Slicer itself over a table of headers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import config
from pydicom.uid import UID
from support.samples.dicom import make_cr, save

from monai_chexmask_u.annotations.slicer_plane import slicer_plane
from monai_chexmask_u.geometry import ImagePlane
from monai_chexmask_u.reading import read_radiograph

CR, DX = UID("1.2.840.10008.5.1.4.1.1.1"), UID("1.2.840.10008.5.1.4.1.1.1.1")
CAPTURE = UID("1.2.840.10008.5.1.4.1.1.7")
BOTH: Final = {"PixelSpacing": r"0.3\0.15", "ImagerPixelSpacing": r"0.2\0.1"}

# Attributes that may or may not decide; the same table for each kind of object.
HEADERS: Final[dict[str, dict[str, str]]] = {
    "none": {},
    "imager": {"ImagerPixelSpacing": r"0.2\0.1"},
    "pixel": {"PixelSpacing": r"0.3\0.15"},
    "both": BOTH,
    "nominal": {"NominalScannedPixelSpacing": r"0.4\0.2"},
    "all": {**BOTH, "NominalScannedPixelSpacing": r"0.4\0.2", "PixelAspectRatio": r"2\1"},
    "aspect": {"PixelAspectRatio": r"2\1"},
    "magnified": {"ImagerPixelSpacing": r"0.2\0.2", "EstimatedRadiographicMagnificationFactor": "1.25"},
    "calibrated": {**BOTH, "PixelSpacingCalibrationType": "GEOMETRY"},
    "empty pixel, nominal": {"PixelSpacing": "", "NominalScannedPixelSpacing": r"0.4\0.2"},
    "zero pixel, nominal": {"PixelSpacing": r"0\0", "NominalScannedPixelSpacing": r"0.4\0.2"},
    "zero imager, pixel": {"ImagerPixelSpacing": r"0\0", "PixelSpacing": r"0.3\0.15"},
    "position": {**BOTH, "ImagePositionPatient": r"10\20\30"},
    "short position": {**BOTH, "ImagePositionPatient": r"1\2"},
    "position with a gap": {**BOTH, "ImagePositionPatient": r"1\\2"},
    "coronal": {**BOTH, "ImageOrientationPatient": r"1\0\0\0\0\-1", "ImagePositionPatient": r"10\20\30"},
    "coronal, mirrored": {**BOTH, "ImageOrientationPatient": r"-1\0\0\0\0\-1", "ImagePositionPatient": r"1\2\3"},
    "oblique": {**BOTH, "ImageOrientationPatient": r"0.8\0.6\0\-0.6\0.8\0"},
    "no unit vectors": {**BOTH, "ImageOrientationPatient": r"1.6\1.2\0\-0.6\0.8\0"},
    "nearly right angle": {**BOTH, "ImageOrientationPatient": r"0.8\0.6\0\-0.59928\0.80054\0"},
    "no right angle": {**BOTH, "ImageOrientationPatient": r"0.8\0.6\0\-0.598\0.802\0"},
    "zero directions": {**BOTH, "ImageOrientationPatient": r"0\0\0\0\0\0"},
    "half directions": {**BOTH, "ImageOrientationPatient": r"1\0\0"},
}
# Contents of the one attribute that decides.
SIZES: Final = (
    r"0.139\0.139",
    r"0.2\0.1",
    "0.139",
    r"0.1\0.2\0.3",
    "",
    r"0\0",
    r"0.000\0.000",
    r"0.3\0.0",
    r"0.0\0.3",
    r"-0.2\-0.1",
    r"0.1\-0.2",
    r"0,139\0,139",
    r"1.39e-1\2E-1",
    r"13.9\13.9",
    r"nan\inf",
    r"abc\def",
    r"0.139mm\0.2mm",
    "0.1\\",
    r"\0.1",
    r"0.1\\0.2",
    r"0.1 \0.2",
    r" 0.1\ 0.2",
    r"+0.1\+.2",
    r"0.1.5\0.3",
    r"1-1\2",
    r".\0.2",
    r"1e\0.2",
    "0,1",
    "-0.1",
    "abc",
)


def make_radiograph(folder: Path, sop_class: UID, elements: dict[str, str]) -> Path:
    """Write a radiograph whose elements hold these characters, whatever their representation allows."""
    dataset = make_cr(rows=70, columns=66, spacing=None)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.Modality = "DX" if sop_class == DX else "CR"
    with config.disable_value_validation():
        for keyword, characters in elements.items():
            setattr(dataset, keyword, "1")
            dataset[keyword]._value = characters.split("\\") if "\\" in characters else characters
    return save(dataset, folder / "radiograph.dcm")


def slicers_matrix(path: Path) -> NDArray[np.float64]:
    from support.samples.slicer_scene import ijk_to_ras, load_volume, make_scene

    return ijk_to_ras(load_volume(make_scene(), path))


def assert_same_place(plane: ImagePlane, matrix: NDArray[np.float64]) -> None:
    """Compare four pixels, those of the corners of a large radiograph."""
    pixels = np.array([[0.0, 0.0], [3000.0, 0.0], [0.0, 4000.0], [3000.0, 4000.0]])
    homogeneous = np.concatenate([pixels, np.zeros((4, 1)), np.ones((4, 1))], axis=1)
    expected = (homogeneous @ matrix.T)[:, :3] * [-1, -1, 1]
    np.testing.assert_allclose(plane.to_space(pixels), expected, atol=1e-6)


@pytest.mark.parametrize("sop_class", [CR, DX, CAPTURE], ids=["CR", "DX", "SC"])
@pytest.mark.parametrize("name", HEADERS)
def test_an_image_lies_where_slicer_puts_it(name: str, sop_class: UID, tmp_path: Path) -> None:
    pytest.importorskip("slicer")
    path = make_radiograph(tmp_path, sop_class, HEADERS[name])
    assert_same_place(slicer_plane(read_radiograph(path)), slicers_matrix(path))


@pytest.mark.parametrize(
    ("sop_class", "keyword"), [(CR, "ImagerPixelSpacing"), (CAPTURE, "PixelSpacing")], ids=["CR", "SC"]
)
@pytest.mark.parametrize("characters", SIZES)
def test_damaged_sizes_are_taken_as_slicer_takes_them(
    characters: str, sop_class: UID, keyword: str, tmp_path: Path
) -> None:
    pytest.importorskip("slicer")
    path = make_radiograph(tmp_path, sop_class, {keyword: characters})
    assert_same_place(slicer_plane(read_radiograph(path)), slicers_matrix(path))


def test_real_radiographs_lie_where_slicer_puts_them(chest_cr: Path) -> None:
    pytest.importorskip("slicer")
    assert_same_place(slicer_plane(read_radiograph(chest_cr)), slicers_matrix(chest_cr))


@pytest.mark.parametrize("name", ["CR-MONO1-10-chest.dcm", "nih-dx-chest.dcm"])
def test_shared_radiographs_lie_where_slicer_puts_them(name: str, shared_data: Path) -> None:
    pytest.importorskip("slicer")
    path = shared_data / "dicom" / name
    assert_same_place(slicer_plane(read_radiograph(path)), slicers_matrix(path))


@pytest.mark.parametrize(
    ("elements", "column_mm", "row_mm"),
    [(BOTH, 0.1, 0.2), ({"PixelSpacing": r"0.3\0.15"}, 1.0, 1.0), ({}, 1.0, 1.0)],
    ids=["both", "pixel", "none"],
)
def test_the_rule_holds_without_slicer(
    elements: dict[str, str], column_mm: float, row_mm: float, tmp_path: Path
) -> None:
    radiograph = read_radiograph(make_radiograph(tmp_path, CR, elements))
    assert slicer_plane(radiograph) == ImagePlane.of_spacing(column_mm, row_mm)


def test_a_calibrated_size_is_the_librarys_alone(tmp_path: Path) -> None:
    elements = {**HEADERS["calibrated"], "PixelSpacing": r"0.15\0.15", "ImagerPixelSpacing": r"0.2\0.2"}
    radiograph = read_radiograph(make_radiograph(tmp_path, CR, elements))
    assert radiograph.spacing_mm == (0.15, 0.15)
    assert slicer_plane(radiograph) == ImagePlane.of_spacing(0.2, 0.2)


def make_image(path: Path, **options: Any) -> Path:
    from PIL import Image

    values = np.random.default_rng(0).integers(0, 255, (70, 66), dtype=np.uint8)
    Image.fromarray(values).save(path, **options)
    return path


IMAGES: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "png": ("a.png", {}),
    "png with a resolution, which ITK ignores": ("a.png", {"dpi": (254, 127)}),
    "jpeg": ("a.jpg", {}),
    "jpeg with a resolution": ("a.jpg", {"dpi": (254, 127)}),
    "tiff": ("a.tif", {}),
    "tiff with a resolution": ("a.tif", {"dpi": (254, 127)}),
    "tiff in centimeters": ("a.tif", {"resolution_unit": 3, "x_resolution": 100, "y_resolution": 50}),
    "tiff without a unit": ("a.tif", {"resolution_unit": 1, "x_resolution": 100, "y_resolution": 50}),
    "tiff, half a resolution": ("a.tif", {"resolution_unit": 2, "x_resolution": 100}),
}


@pytest.mark.parametrize("name", IMAGES)
def test_a_image_lies_where_itk_puts_it(name: str, tmp_path: Path) -> None:
    itk = pytest.importorskip("itk")
    file, options = IMAGES[name]
    path = make_image(tmp_path / file, **options)
    image = itk.imread(str(path))
    plane = slicer_plane(read_radiograph(path))
    assert tuple(image.GetOrigin()) == (0, 0)
    assert np.array_equal(itk.array_from_matrix(image.GetDirection()), np.eye(2))
    column_mm, row_mm = image.GetSpacing()
    pixels = np.array([[3000.0, 4000.0]])
    np.testing.assert_allclose(plane.to_space(pixels), [[3000 * column_mm, 4000 * row_mm, 0]], rtol=1e-9)


@pytest.mark.parametrize(("unit", "horizontal", "vertical"), [(0, 300, 300), (1, 0, 100), (2, 100, 50), (3, 9, 9)])
def test_a_jpegs_density_is_taken_as_itk_takes_it(unit: int, horizontal: int, vertical: int, tmp_path: Path) -> None:
    itk = pytest.importorskip("itk")
    path = make_image(tmp_path / "a.jpg")
    content = bytearray(path.read_bytes())
    place = content.index(b"JFIF\0") + 7
    content[place : place + 5] = bytes([unit]) + horizontal.to_bytes(2, "big") + vertical.to_bytes(2, "big")
    path.write_bytes(content)
    plane = slicer_plane(read_radiograph(path))
    np.testing.assert_allclose([plane.column_step[0], plane.row_step[1]], tuple(itk.imread(str(path)).GetSpacing()))


def test_a_image_that_is_gone_lies_at_the_origin(tmp_path: Path) -> None:
    path = make_image(tmp_path / "a.jpg", dpi=(254, 254))
    radiograph = read_radiograph(path)
    path.unlink()
    assert slicer_plane(radiograph) == ImagePlane()
