"""The image that 3D Slicer draws of a radiograph and its markups."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray
from support.samples.dicom import make_dx, phantom_landmarks, save
from support.samples.segmentations import make_segmentation

from monai_chexmask_u.anatomy import HEART, ORGANS, Organ
from monai_chexmask_u.annotations.slicer_plane import slicer_plane
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.writers.markups import write_markups

REACH = 2  # pixels around a line's place in which its color is looked for: lines are about as wide


@pytest.fixture(scope="module")
def script() -> ModuleType:
    pytest.importorskip("trame_slicer")
    return importlib.import_module("slicer_view")


def shows(pixels: NDArray[np.uint8], place: NDArray[np.float64], color: tuple[int, int, int]) -> bool:
    """Say whether a color appears near a place (column, row) of an image; edges of lines are blended."""
    column, row = np.round(place).astype(int)
    around = pixels[max(row - REACH, 0) : row + REACH + 1, max(column - REACH, 0) : column + REACH + 1]
    return bool((np.abs(around.astype(int) - color).sum(axis=2) < 60).any())


@pytest.mark.parametrize("directions", [["L", "F"], ["R", "H"]], ids=["as usual", "half turn"])
def test_outlines_are_drawn_in_their_colors_where_the_organs_are(
    directions: list[str], script: ModuleType, tmp_path: Path
) -> None:
    dataset = make_dx(spacing=(0.2, 0.2))
    dataset.PatientOrientation = directions
    source, markups = save(dataset, tmp_path / "radiograph.dcm"), tmp_path / "radiograph.mrk.json"
    radiograph = read_radiograph(source)
    segmentation = make_segmentation(radiograph, landmarks=phantom_landmarks(*radiograph.shape))
    write_markups(segmentation, radiograph, markups)
    image = script.SlicerView(800)
    image.load_radiograph(source)
    bare = image.pixels()
    nodes = image.load_markups(markups)
    nodes["Landmarks"].GetDisplayNode().SetVisibility(False)
    drawn = image.pixels()

    def middles(organ: Organ) -> NDArray[np.float64]:
        """Return the places in the image of the middles between an organ's nodes."""
        contour = segmentation.contour(organ)
        positions = slicer_plane(radiograph).to_space((contour + np.roll(contour, -1, axis=0)) / 2) * [-1, -1, 1]
        places: NDArray[np.float64] = image.to_view(positions)
        return places

    for organ in ORGANS:
        places = middles(organ)
        if organ != HEART:  # whose line is drawn later and covers those of the lungs
            places = places[[not covered for covered in _near_any(places, middles(HEART))]]
        assert len(places) > 10
        assert all(shows(drawn, place, organ.color) for place in places), organ.title
        assert not any(shows(bare, place, organ.color) for place in places), organ.title
    # The organ named right lung lies on the left half of the image, since Slicer shows pixels as they are stored.
    assert middles(ORGANS[0])[:, 0].max() < 400 < middles(ORGANS[1])[:, 0].min()


def _near_any(places: NDArray[np.float64], others: NDArray[np.float64]) -> list[bool]:
    """Say which places lie close to one of others."""
    return [bool((np.linalg.norm(others - place, axis=1) < 15).any()) for place in places]


def test_the_radiograph_lies_under_the_markups(script: ModuleType, tmp_path: Path) -> None:
    source = save(make_dx(), tmp_path / "radiograph.dcm")
    image = script.SlicerView(500)
    image.load_radiograph(source)
    brightness = image.pixels().mean(axis=2)
    height, width = brightness.shape
    lung, spine = brightness[int(0.4 * height), int(0.34 * width)], brightness[int(0.2 * height), width // 2]
    assert lung + 40 < spine


def test_the_script_writes_a_image(script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, markups = save(make_dx(), tmp_path / "radiograph.dcm"), tmp_path / "radiograph.mrk.json"
    radiograph = read_radiograph(source)
    write_markups(make_segmentation(radiograph), radiograph, markups)
    script.main([str(source), str(markups), str(tmp_path / "radiograph.png"), "--side", "300"])
    assert (tmp_path / "radiograph.png").stat().st_size > 1000
    assert "radiograph.png" in capsys.readouterr().out
