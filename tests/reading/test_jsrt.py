from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from support.samples.dicom import chest_phantom

from monai_chexmask_u.radiograph import RadiographError
from monai_chexmask_u.reading import is_candidate, list_inputs, read_radiograph

SIDE = 2048


def radiograph(brightness: NDArray[np.float32]) -> NDArray[np.int64]:
    """Stored values of 12 bits: what is dense in the patient is bright on the radiograph, and has low values."""
    return np.round(4095 * (1 - brightness)).astype(np.int64)


def write(path: Path, values: NDArray[np.int64]) -> Path:
    path.write_bytes(values.astype(">u2").tobytes())
    return path


@pytest.fixture(scope="module")
def phantom() -> NDArray[np.float32]:
    """A chest that fills a quarter of the image, so that no axis can be taken for the other."""
    brightness = np.zeros((SIDE, SIDE), np.float32)
    brightness[: SIDE // 2, :512] = chest_phantom(SIDE // 2, 512)
    return brightness


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, phantom: NDArray[np.float32]) -> Path:
    return write(tmp_path_factory.mktemp("jsrt") / "JPCLN001.IMG", radiograph(phantom))


def test_low_values_are_bright_and_rows_come_first(image: Path, phantom: NDArray[np.float32]) -> None:
    radiograph = read_radiograph(image)
    assert radiograph.shape == (SIDE, SIDE)
    assert radiograph.pixels.dtype == np.float32
    low, high = np.percentile(phantom, (0.5, 99.5))
    # Stretching is linear between two percentiles near the ends, whichever they are.
    inside = (phantom > low) & (phantom < high) & (radiograph.pixels > 0) & (radiograph.pixels < 1)
    assert inside.sum() > 100_000
    slope, offset = np.polyfit(phantom[inside], radiograph.pixels[inside], 1)
    assert slope > 1
    np.testing.assert_allclose(radiograph.pixels[inside], slope * phantom[inside] + offset, rtol=0, atol=1e-3)


def test_numbers_are_big_endian(tmp_path: Path) -> None:
    values = np.full((SIDE, SIDE), 0x0102)
    values[:, SIDE // 2 :] = 0x0201  # the higher value; read the other way around it would be the lower one
    path = write(tmp_path / "a.img", values)
    assert path.read_bytes()[:2] == b"\x01\x02"
    pixels = read_radiograph(path).pixels
    assert (float(pixels[0, 0]), float(pixels[0, -1])) == (1.0, 0.0)


def test_facts_of_the_data_set_are_stated_and_each_decision_is_noted(image: Path) -> None:
    radiograph = read_radiograph(image)
    assert radiograph.spacing_mm == (0.175, 0.175)
    assert radiograph.view == "PA"
    assert not radiograph.mirrored
    assert not radiograph.upside_down
    assert radiograph.path == image
    notes = {"photometric_inverted", "intensity_stretched", "orientation_assumed", "spacing_from_imager"}
    assert set(radiograph.notes) == notes


def refused(path: Path, code: str, message: str) -> None:
    with pytest.raises(RadiographError, match=message) as error:
        read_radiograph(path)
    assert error.value.code == code


@pytest.mark.parametrize(
    ("change", "size"),
    [(lambda data: data[:-2], 8388606), (lambda data: data + b"\0", 8388609), (lambda data: data[:10], 10)],
)
def test_a_file_of_another_size_is_refused(
    tmp_path: Path, image: Path, change: Callable[[bytes], bytes], size: int
) -> None:
    path = tmp_path / "a.IMG"
    path.write_bytes(change(image.read_bytes()))
    refused(path, "truncated", f"has 8388608 bytes, and this file has {size}; fetch it again")


def test_an_empty_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.IMG").touch()
    refused(tmp_path / "a.IMG", "truncated", "empty")
    refused(tmp_path / "b.IMG", "not_found", "no such file")


def test_values_beyond_12_bits_are_refused(tmp_path: Path) -> None:
    values = np.zeros((SIDE, SIDE), np.int64)
    values[0, 0] = 4095
    read_radiograph(write(tmp_path / "a.IMG", values))
    values[-1, -1] = 4096
    refused(write(tmp_path / "a.IMG", values), "not_an_image", "exceed 12 bits")


@pytest.mark.parametrize("value", [0, 1000, 4095])
def test_a_blank_image_is_refused(tmp_path: Path, value: int) -> None:
    refused(write(tmp_path / "a.IMG", np.full((SIDE, SIDE), value)), "constant_image", "all pixels .* one value")


def test_a_bright_mark_does_not_decide_on_the_contrast(tmp_path: Path) -> None:
    values = np.full((SIDE, SIDE), 2000)
    values[:, SIDE // 2 :] = 3000
    values[0, :10], values[1, :10] = 0, 4095
    pixels = read_radiograph(write(tmp_path / "a.IMG", values)).pixels
    assert (float(pixels[5, 0]), float(pixels[5, -1])) == (1.0, 0.0)


def test_folders_are_searched_for_them(tmp_path: Path) -> None:
    for name in ("JPCLN002.IMG", "JPCLN001.IMG", "b/JPCNN001.img", ".hidden.IMG", "notes.txt", "a.IMGX"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"anything")
    found = [str(path.relative_to(tmp_path)) for path in list_inputs([tmp_path])]
    assert found == ["JPCLN001.IMG", "JPCLN002.IMG", "b/JPCNN001.img"]
    (tmp_path / "c.IMG").mkdir()
    assert not is_candidate(tmp_path / "c.IMG")


def test_a_image_or_dicom_file_of_this_suffix_is_read_as_what_it_is(tmp_path: Path) -> None:
    Image.fromarray(np.round(255 * chest_phantom(300, 200)).astype(np.uint8)).save(tmp_path / "a.img", format="PNG")
    radiograph = read_radiograph(tmp_path / "a.img")
    assert radiograph.shape == (300, 200)
    assert radiograph.spacing_mm is None


def test_a_real_radiograph_looks_the_same_in_both_formats(tmp_path: Path, shared_data: Path) -> None:
    image = sorted((shared_data / "jsrt" / "val" / "images").glob("*.jpg"))[0]
    gray = np.asarray(Image.open(image).convert("L").resize((SIDE, SIDE), Image.Resampling.NEAREST)).astype(np.int64)
    raw = read_radiograph(write(tmp_path / "a.IMG", 4095 - 16 * gray))
    expected = np.repeat(np.repeat(read_radiograph(image).pixels, 2, axis=0), 2, axis=1)
    assert np.corrcoef(raw.pixels.ravel(), expected.ravel())[0, 1] > 0.999
