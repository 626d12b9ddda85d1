from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from support.samples.segmentations import make_radiograph, make_segmentation

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.drawing import color_bar_end, draw_landmarks, uncertainty_color
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import Estimate, LandmarkSegmentation, Reliability
from monai_chexmask_u.writers.images import write_overlay

TOP = 10.0


@pytest.fixture(scope="module")
def radiograph() -> Radiograph:
    return make_radiograph()


@pytest.fixture(scope="module")
def result(radiograph: Radiograph) -> LandmarkSegmentation:
    """Uncertainties from 0 to 9.5 pixels, for which the color bar ends at 10."""
    variance = np.linspace(0, 9.5, 120) ** 2
    return make_segmentation(radiograph, covariance=variance[:, None, None] * np.eye(2))


@pytest.fixture(scope="module")
def image(result: LandmarkSegmentation, radiograph: Radiograph) -> NDArray[np.uint8]:
    """The part of the overlay that shows the radiograph."""
    return np.asarray(draw_overlay(result, radiograph))[:1200].astype(np.uint8)


def draw_overlay(result: LandmarkSegmentation, radiograph: Radiograph) -> Image.Image:
    """Return the overlay of a copy, for which nothing is drawn yet."""
    return replace(result, radiograph=radiograph).overlay


def alone(points: NDArray[np.float64], distance: float) -> NDArray[np.int64]:
    """Nodes with no other node within a distance."""
    gaps = np.linalg.norm(points[:, None] - points, axis=-1) + np.where(np.eye(len(points)), np.inf, 0)
    return np.flatnonzero(gaps.min(axis=1) > distance)


def test_nodes_have_the_color_of_their_uncertainty(image: NDArray[np.uint8], result: LandmarkSegmentation) -> None:
    assert_colored(image, result, result.node_uncertainty / TOP)


def test_nodes_have_the_color_of_their_total_uncertainty_with_a_calibration(
    result: LandmarkSegmentation, radiograph: Radiograph
) -> None:
    total = np.linspace(45, 1, 120)  # the bar ends at 50
    calibrated = replace(result, error_covariance=total[:, None, None] ** 2 * np.eye(2), total_px1024=23.0)
    image = np.asarray(draw_overlay(calibrated, radiograph))[:1200].astype(np.uint8)
    assert_colored(image, result, total / 50)


def assert_colored(image: NDArray[np.uint8], result: LandmarkSegmentation, fractions: NDArray[np.float64]) -> None:
    """Check the middle of each dot that stands alone."""
    scale = 1200 / 250
    points = (result.landmarks + 0.5) * scale
    nodes = alone(points, 15)
    assert len(nodes) > 90
    for node in nodes:
        x, y = np.floor(points[node]).astype(int)
        # The dot is drawn at double size and made smaller, which tints its middle a little.
        np.testing.assert_allclose(image[y, x].astype(int), uncertainty_color(fractions[node]), atol=12)


def test_color_runs_from_blue_to_red() -> None:
    assert uncertainty_color(0) == uncertainty_color(-1) == (69, 117, 180)
    assert uncertainty_color(1) == uncertainty_color(2) == (215, 48, 39)
    reds = [uncertainty_color(fraction)[0] - uncertainty_color(fraction)[2] for fraction in np.linspace(0, 1, 50)]
    assert reds == sorted(reds)


def test_contours_have_the_organs_colors_and_the_right_lung_is_on_the_left(image: NDArray[np.uint8]) -> None:
    means = {}
    for organ in ORGANS:
        # The lines are drawn at double size and made smaller, which tints them a little.
        columns = np.nonzero((np.abs(image.astype(int) - organ.color) < 16).all(axis=-1))[1]
        assert len(columns) > 200
        means[organ.name] = columns.mean() / image.shape[1]
    assert means["right_lung"] < 0.4
    assert means["left_lung"] > 0.6
    assert means["heart"] == pytest.approx(0.55, abs=0.05)


@pytest.mark.parametrize(("rows", "columns"), [(250, 200), (200, 250), (3000, 2000), (1200, 1200), (30, 500)])
def test_longer_side_is_1200_and_the_shape_is_kept(rows: int, columns: int) -> None:
    radiograph = make_radiograph(rows, columns)
    page = draw_overlay(make_segmentation(radiograph), radiograph)
    scale = 1200 / max(rows, columns)
    assert page.mode == "RGB"
    assert page.width == round(columns * scale)
    assert page.height > round(rows * scale)  # a caption is below


def test_radiograph_is_shown_as_stored(result: LandmarkSegmentation) -> None:
    # Marked in the top-left corner; flags say how the patient lies, and change nothing in the image.
    radiograph = make_radiograph(mirrored=True, upside_down=True)
    radiograph.pixels[:] = 0
    radiograph.pixels[:20, :20] = 1
    image = np.asarray(draw_overlay(result, radiograph))
    assert (image[10, 10] > 250).all()
    assert (image[10, -10] < 5).all()


def test_certain_and_unmeasurable_results_can_be_drawn(radiograph: Radiograph) -> None:
    certain = make_segmentation(
        radiograph, covariance=np.zeros((120, 2, 2)), cardiothoracic_ratio=Estimate(np.nan, np.nan)
    )
    assert draw_overlay(certain, radiograph).width == 960


def test_file_is_the_image(result: LandmarkSegmentation, radiograph: Radiograph, tmp_path: Path) -> None:
    write_overlay(result, radiograph, tmp_path / "chest.overlay.png")
    with Image.open(tmp_path / "chest.overlay.png") as page:
        assert page.format == "PNG"
        np.testing.assert_array_equal(np.asarray(page), np.asarray(draw_overlay(result, radiograph)))


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All text that is drawn while the test runs."""
    drawn: list[str] = []
    draw_text = ImageDraw.ImageDraw.text

    def note(self: ImageDraw.ImageDraw, xy: Any, text: str, *args: Any, **kwargs: Any) -> None:
        drawn.append(text)
        draw_text(self, xy, text, *args, **kwargs)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", note)
    return drawn


def test_caption_says_whose_uncertainty_is_shown(
    result: LandmarkSegmentation, radiograph: Radiograph, words: list[str]
) -> None:
    draw_overlay(result, radiograph)
    assert words[0] == "node uncertainty 0 to 10 px of this image"
    assert "Total" not in " ".join(words)
    words.clear()
    draw_overlay(replace(result, error_covariance=4 * result.covariance, total_px1024=23.04), radiograph)
    assert words[0] == "total node uncertainty 0 to 20 px of this image"
    assert "Total uncertainty 23.0 px at 1024. Predictive uncertainty 8.5 px at 1024" in " ".join(words)


def test_caption_ends_by_saying_what_the_image_is_not_for(
    result: LandmarkSegmentation, radiograph: Radiograph, words: list[str]
) -> None:
    draw_overlay(result, radiograph)
    assert " ".join(words).endswith("For research use only, not for diagnosis.")


def test_radiograph_is_the_overlay_without_its_caption(
    result: LandmarkSegmentation, radiograph: Radiograph, image: NDArray[np.uint8], words: list[str]
) -> None:
    drawn = draw_landmarks(radiograph.pixels, result.landmarks, result.shown_uncertainty)
    assert words == []
    np.testing.assert_array_equal(np.asarray(drawn), image)
    assert color_bar_end(result.shown_uncertainty) == TOP


@pytest.mark.parametrize(
    ("reliability", "said"),
    [
        (Reliability("accept", ()), "Verdict: accept. Card"),
        (Reliability("review", ("not_calibrated",)), "Verdict: review (The model is not calibrated). Card"),
        (
            Reliability("reject", ("upside_down", "high_uncertainty:heart")),
            "Verdict: reject (Seems to be upside down; High uncertainty of the heart). Card",
        ),
    ],
)
def test_caption_tells_verdict_and_reasons_in_words(
    result: LandmarkSegmentation, radiograph: Radiograph, words: list[str], reliability: Reliability, said: str
) -> None:
    draw_overlay(replace(result, reliability=reliability), radiograph)
    assert said in " ".join(words)
