from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from monai_chexmask_u.dicom.reading import header
from monai_chexmask_u.radiograph import RadiographError
from monai_chexmask_u.reading import read_image_file, read_radiograph

GRAY = np.random.default_rng(0).integers(0, 256, (72, 64), dtype=np.uint8)
SILENCE = ("orientation_assumed", "view_unknown", "spacing_unknown")
ORIENTATION = 274


def image(path: Path, pixels: NDArray[Any] = GRAY, **options: Any) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def stretch(values: NDArray[Any]) -> NDArray[Any]:
    """What a deep image must look like."""
    low, high = np.percentile(values, (0.5, 99.5))
    stretched: NDArray[Any] = np.clip((values - low) / (high - low), 0, 1)
    return stretched


def refusal(path: Path) -> str:
    with pytest.raises(RadiographError) as refused:
        read_radiograph(path)
    assert str(path) not in str(refused.value)
    return refused.value.code


def turned(path: Path, orientation: int) -> Path:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return image(path, exif=exif)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_gray_levels_are_divided_by_255(tmp_path: Path, suffix: str) -> None:
    radiograph = read_image_file(image(tmp_path / f"chest{suffix}"))
    np.testing.assert_allclose(radiograph.pixels, GRAY / 255, atol=1e-7)
    assert radiograph.notes == SILENCE
    assert (radiograph.view, radiograph.spacing_mm, radiograph.header) == (None, None, None)


def test_gray_jpeg_is_read(tmp_path: Path) -> None:
    smooth = np.linspace(0, 255, 4096).reshape(64, 64).astype(np.uint8)
    radiograph = read_image_file(image(tmp_path / "chest.jpg", smooth, quality=95))
    np.testing.assert_allclose(radiograph.pixels, smooth / 255, atol=0.03)  # JPEG loses a few gray levels


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "LA"])
def test_equal_channels_are_gray(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "chest.png"
    Image.fromarray(GRAY).convert(mode).save(path)
    np.testing.assert_allclose(read_image_file(path).pixels, GRAY / 255, atol=1e-7)


@pytest.mark.parametrize("quality", [20, 75, 95])
def test_color_noise_of_jpeg_is_gray(tmp_path: Path, quality: int) -> None:
    tinted = np.stack([GRAY, GRAY, np.clip(GRAY.astype(int) + 6, 0, 255).astype(np.uint8)], axis=-1)
    assert "color_ignored" in read_image_file(image(tmp_path / "chest.jpg", tinted, quality=quality)).notes


def test_color_is_refused(tmp_path: Path) -> None:
    photograph = np.random.default_rng(0).integers(0, 256, (72, 64, 3), dtype=np.uint8)
    assert refusal(image(tmp_path / "photograph.png", photograph)) == "color"


@pytest.mark.parametrize(("suffix", "dtype"), [(".png", "u2"), (".tif", "u2"), (".tif", "i4"), (".tif", "f4")])
def test_deep_images_are_stretched(tmp_path: Path, suffix: str, dtype: str) -> None:
    values = (GRAY.astype(np.int32) * 7 + 500).astype(dtype)
    radiograph = read_image_file(image(tmp_path / f"deep{suffix}", values))
    np.testing.assert_allclose(radiograph.pixels, stretch(GRAY), atol=1e-6)
    assert radiograph.notes == ("intensity_stretched", *SILENCE)


def test_three_pixels_do_not_change_the_contrast_of_the_rest(tmp_path: Path) -> None:
    values = GRAY.astype(np.uint16) * 4
    marked = values.copy()
    marked[0, :3] = 65535
    plain, bright = (read_image_file(image(tmp_path / f"{i}.png", v)).pixels for i, v in enumerate((values, marked)))
    np.testing.assert_allclose(bright[1:], plain[1:], rtol=0, atol=0.01)  # without percentiles 0.98


def test_numbers_that_are_none_become_black(tmp_path: Path) -> None:
    values = GRAY.astype(np.float32)
    values[0, :2] = np.nan, np.inf
    pixels = read_image_file(image(tmp_path / "nan.tif", values)).pixels
    assert not pixels[0, :2].any()
    assert pixels.max() == 1


def test_deep_tiff_with_white_at_zero_is_inverted(tmp_path: Path) -> None:
    path = image(tmp_path / "negative.tif", GRAY.astype(np.uint16))
    entry = struct.pack("<HHLH", 262, 3, 1, 1)  # tag PhotometricInterpretation, one SHORT, black is zero
    raw = path.read_bytes()
    assert raw.count(entry) == 1
    path.write_bytes(raw.replace(entry, struct.pack("<HHLH", 262, 3, 1, 0)))
    radiograph = read_image_file(path)
    np.testing.assert_allclose(radiograph.pixels, 1 - stretch(GRAY), atol=1e-6)
    assert "photometric_inverted" in radiograph.notes


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_constant_image_is_refused(tmp_path: Path, dtype: Any) -> None:
    assert refusal(image(tmp_path / "flat.png", np.full((64, 64), 9, dtype))) == "constant_image"


@pytest.mark.parametrize("shape", [(63, 64), (64, 63), (257, 64), (64, 257)])
def test_sizes_that_no_chest_radiograph_has_are_refused(tmp_path: Path, shape: tuple[int, int]) -> None:
    assert refusal(image(tmp_path / "small.png", np.resize(GRAY, shape))) == "implausible_size"


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize(
    ("orientation", "mirrored", "upside_down"),
    [(1, False, False), (2, True, False), (3, True, True), (4, False, True), (0, False, False)],
)
def test_flips_of_exif_are_flags_and_pixels_stay_as_stored(
    tmp_path: Path, suffix: str, orientation: int, mirrored: bool, upside_down: bool
) -> None:
    radiograph = read_image_file(turned(tmp_path / f"chest{suffix}", orientation))
    assert (radiograph.mirrored, radiograph.upside_down) == (mirrored, upside_down)
    assert ("mirrored" in radiograph.notes, "upside_down" in radiograph.notes) == (mirrored, upside_down)
    np.testing.assert_allclose(radiograph.pixels, GRAY / 255, atol=1e-7)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_quarter_turns_of_exif_are_refused(tmp_path: Path, suffix: str, orientation: int) -> None:
    assert refusal(turned(tmp_path / f"chest{suffix}", orientation)) == "unsupported_orientation"


def test_several_pages_are_refused(tmp_path: Path) -> None:
    page = Image.fromarray(GRAY)
    page.save(tmp_path / "pages.tif", save_all=True, append_images=[page])
    assert refusal(tmp_path / "pages.tif") == "multi_frame"


@given(share=st.floats(0.15, 0.8), suffix=st.sampled_from([".png", ".jpg", ".tif"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_image_cut_anywhere_is_refused_in_words(tmp_path: Path, share: float, suffix: str) -> None:
    path = image(tmp_path / f"cut{suffix}", np.tile(GRAY, (4, 4)))
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * share)])
    assert refusal(path) == "truncated"


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("text.png", b"hello world" * 20, "not_an_image"),
        ("text", b"hello world" * 20, "not_an_image"),
        ("empty.png", b"", "truncated"),
        ("text.dcm", b"hello world" * 20, "not_dicom"),
    ],
)
def test_refuses_what_is_no_image(tmp_path: Path, name: str, content: bytes, code: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert refusal(tmp_path / name) == code


def test_refuses_missing_files_and_folders(tmp_path: Path) -> None:
    assert refusal(tmp_path / "absent.png") == "not_found"
    assert refusal(tmp_path) == "not_readable"


def test_size_is_checked_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header, "MAX_PIXELS", GRAY.size)
    assert read_image_file(image(tmp_path / "largest.png")).shape == GRAY.shape
    path = image(tmp_path / "larger.png", np.zeros((73, 64), np.uint8))
    path.write_bytes(path.read_bytes()[:60])  # decoding would say truncated
    assert refusal(path) == "too_large"


def test_real_images_are_read(shared_data: Path) -> None:
    for path in sorted((shared_data / "nih" / "images").iterdir())[:3]:
        radiograph = read_radiograph(path)
        assert radiograph.shape == (1024, 1024)
        assert radiograph.notes == SILENCE
