"""Radiographs as archives have them: grids, frames, rulers, collages, turned, subtracted, large and stitched ones.

What the network cannot outline is never accepted; what it can is outlined as without the oddity.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from support.samples.dicom import make_dx, save

from monai_chexmask_u.model import load_model
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation
from monai_chexmask_u.segmenter import Segmenter

Pixels = NDArray[np.float32]
Segment = Callable[[Radiograph], LandmarkSegmentation]
FRAME: Final = 0.08  # of the width
NEAR_PX1024: Final = 12.0  # the mean error on clean radiographs is 13


@pytest.fixture(scope="module")
def segment() -> Segment:
    return Segmenter(load_model(), num_samples=20, device="cpu").segment


@pytest.fixture(scope="module")
def radiographs(shared_data: Path) -> list[Radiograph]:
    """Real ones of two sets, which are accepted as they are."""
    return [
        read_radiograph(path)
        for folder, chosen in (("jsrt/val", slice(0, 11, 10)), ("nih", slice(30, 41, 10)))
        for path in sorted((shared_data / folder / "images").iterdir())[chosen]
    ]


def grid(pixels: Pixels) -> Pixels:
    """Lines of an antiscatter grid that did not move."""
    lines = 0.06 * np.sin(2 * np.pi * np.arange(pixels.shape[1]) / 5.3)
    shown: Pixels = np.clip(pixels + lines, 0, 1).astype(np.float32)
    return shown


def framed(pixels: Pixels, gray: float) -> Pixels:
    return np.pad(pixels, round(FRAME * pixels.shape[1]), constant_values=gray)


def white_border(pixels: Pixels) -> Pixels:
    """A film that was digitized beyond its edges."""
    return framed(pixels, 1)


def ruler(pixels: Pixels) -> Pixels:
    """The same, with a ruler beside it."""
    shown = framed(pixels, 1)
    for row in range(0, len(shown), len(shown) // 40):
        shown[row : row + 3, : round(FRAME / 2 * pixels.shape[1])] = 0
    return shown


def collage(pixels: Pixels) -> Pixels:
    """Four small radiographs in one image."""
    return np.tile(pixels[::2, ::2], (2, 2))


def beside_itself(pixels: Pixels) -> Pixels:
    """Two radiographs in one image, as some export a dual-energy pair."""
    return np.hstack([pixels, pixels])


def turned(pixels: Pixels) -> Pixels:
    """A portable radiograph that was stored lying on its side."""
    return np.ascontiguousarray(np.rot90(pixels))


def subtracted(pixels: Pixels) -> Pixels:
    """Bones alone, roughly as a dual-energy subtraction leaves them."""
    shown: Pixels = np.clip(0.5 + 2 * (pixels - gaussian_filter(pixels, 20)), 0, 1).astype(np.float32)
    return shown


def shown_as(radiograph: Radiograph, oddity: Callable[[Pixels], Pixels]) -> Radiograph:
    return replace(radiograph, pixels=np.ascontiguousarray(oddity(radiograph.pixels)), spacing_mm=None)


@pytest.mark.parametrize("oddity", [white_border, ruler, collage, beside_itself, turned, subtracted])
def test_what_cannot_be_outlined_is_never_accepted(
    oddity: Callable[[Pixels], Pixels], segment: Segment, radiographs: list[Radiograph]
) -> None:
    for radiograph in radiographs:
        result = segment(shown_as(radiograph, oddity))
        assert result.reliability.verdict != "accept"
        assert result.reliability.reasons


def test_a_turned_radiograph_is_told_as_such(segment: Segment, radiographs: list[Radiograph]) -> None:
    for radiograph in radiographs:
        assert "turned_sideways" in segment(shown_as(radiograph, turned)).reliability.reasons


def black_frame(pixels: Pixels) -> Pixels:
    return framed(pixels, 0)


@pytest.mark.parametrize(("oddity", "shift"), [(grid, 0.0), (black_frame, FRAME)])
def test_what_hides_nothing_moves_no_outline(
    oddity: Callable[[Pixels], Pixels], shift: float, segment: Segment, radiographs: list[Radiograph]
) -> None:
    for radiograph in radiographs:
        plain, odd = segment(radiograph), segment(shown_as(radiograph, oddity))
        moved = odd.landmarks - round(shift * radiograph.shape[1]) - plain.landmarks
        assert np.linalg.norm(moved, axis=1).mean() * 1024 / max(radiograph.shape) < NEAR_PX1024
        assert odd.reliability.verdict == plain.reliability.verdict == "accept"


def test_the_largest_detector_is_read_in_full_and_in_millimeters(segment: Segment, tmp_path: Path) -> None:
    result = segment(read_radiograph(save(make_dx(rows=4300, columns=3500, spacing=0.1), tmp_path / "large.dcm")))
    assert (result.shape, result.spacing_mm) == ((4300, 3500), (0.1, 0.1))


def test_a_stitched_image_gives_no_millimeters(segment: Segment, tmp_path: Path) -> None:
    # The whole spine, 43 by 86 cm, is no chest.
    result = segment(read_radiograph(save(make_dx(rows=1000, columns=500, spacing=0.86), tmp_path / "spine.dcm")))
    assert result.spacing_mm is None
    assert result.reliability.verdict != "accept"
