from __future__ import annotations

import ast
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.samples.dicom import chest_phantom, phantom_landmarks

from monai_chexmask_u.anatomy import HEART, LEFT_LUNG
from monai_chexmask_u.data import landmark_datalist
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.transforms import CORRUPTIONS, corrupt, corrupted_image
from monai_chexmask_u.transforms.corruptions import Corrupted

CHEST = chest_phantom(120, 96)
POINTS = phantom_landmarks(120, 96)
PARTNER = chest_phantom(120, 96, seed=1)[::-1]
NAMES = list(CORRUPTIONS)
SEEDS = st.integers(0, 2**32 - 1)


def spoilt(name: str, severity: float, *, seed: int = 0) -> Corrupted:
    return corrupt(CHEST, name, severity, seed=seed, landmarks=POINTS, partner=PARTNER)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_but_eight_bit_rounding_happens_at_severity_0(name: str) -> None:
    result = spoilt(name, 0)
    np.testing.assert_array_equal(result.pixels, np.rint(CHEST * 255) / np.float32(255))
    np.testing.assert_array_equal(result.landmarks, POINTS)
    np.testing.assert_array_equal(result.matrix, np.eye(3))
    assert result.boxes == ()


@pytest.mark.parametrize("name", NAMES)
def test_every_level_gives_gray_levels_of_an_eight_bit_image(name: str) -> None:
    for severity in (*CORRUPTIONS[name].levels, CORRUPTIONS[name].largest):
        result = spoilt(name, severity)
        assert result.pixels.dtype == np.float32
        gray = result.pixels * 255
        assert gray.min() >= 0
        assert gray.max() <= 255
        np.testing.assert_allclose(gray, np.rint(gray), rtol=0, atol=1e-4)
        assert name == "crop" or result.pixels.shape == CHEST.shape


@pytest.mark.parametrize("name", NAMES)
def test_levels_start_with_nothing_rise_and_hold_the_published_one(name: str) -> None:
    corruption = CORRUPTIONS[name]
    assert corruption.levels[0] == 0
    assert all(low < high for low, high in pairwise(corruption.levels))
    assert corruption.levels[-1] <= corruption.largest
    assert corruption.published is None or corruption.published in corruption.levels


@pytest.mark.parametrize("name", [name for name in NAMES if CORRUPTIONS[name].kind != "geometry"])
def test_the_worse_level_is_further_from_the_clean_image(name: str) -> None:
    levels = CORRUPTIONS[name].levels
    first, middle, last = (
        np.abs(spoilt(name, severity).pixels - CHEST).mean() for severity in (levels[1], levels[4], levels[-1])
    )
    assert 0 < first < middle < last


@given(name=st.sampled_from(NAMES), seed=SEEDS, level=st.integers(1, 5))
def test_the_same_seed_gives_the_same_result(name: str, seed: int, level: int) -> None:
    one, other = (spoilt(name, CORRUPTIONS[name].levels[level], seed=seed) for _ in range(2))
    np.testing.assert_array_equal(one.pixels, other.pixels)
    np.testing.assert_array_equal(one.landmarks, other.landmarks)


@pytest.mark.parametrize(
    ("name", "severity"), [("gaussian_noise", 30), ("occlusion", 101), ("local_blur", 48), ("crop", 0.3)]
)
def test_another_seed_gives_other_noise_and_other_places(name: str, severity: float) -> None:
    one, other = spoilt(name, severity, seed=0), spoilt(name, severity, seed=1)
    assert not np.array_equal(one.pixels, other.pixels)


def test_the_input_is_left_alone() -> None:
    pixels, points = CHEST.copy(), POINTS.copy()
    for name, corruption in CORRUPTIONS.items():
        corrupt(pixels, name, corruption.levels[-1], landmarks=points, partner=PARTNER)
    np.testing.assert_array_equal(pixels, CHEST)
    np.testing.assert_array_equal(points, POINTS)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (7, 3)])
@pytest.mark.parametrize("name", NAMES)
def test_tiny_images_stand_the_worst(name: str, shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).uniform(size=shape)
    result = corrupt(pixels, name, CORRUPTIONS[name].largest, partner=pixels)
    assert np.isfinite(result.pixels).all()


@pytest.mark.parametrize("name", ["gaussian_blur", "rotation"])
def test_no_node_is_altered_where_no_square_is(name: str) -> None:
    assert not spoilt(name, 10).altered_nodes.any()
    with pytest.raises(ValueError, match="without landmarks"):
        _ = corrupt(CHEST, name, 10).altered_nodes


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("severity", [-1, float("nan"), float("inf"), "largest"])
def test_severities_that_make_no_sense_are_refused(name: str, severity: float | str) -> None:
    wrong = CORRUPTIONS[name].largest * 1.01 if isinstance(severity, str) else severity
    with pytest.raises(ValueError, match=f"the severity of {name} "):
        spoilt(name, wrong)


def test_arguments_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown corruption 'rain'; choose from gaussian_noise, "):
        corrupt(CHEST, "rain", 1)
    with pytest.raises(ValueError, match=r"must be \(row, column\), got shape \(1, 120, 96\)"):
        corrupt(CHEST[None], "jpeg", 50)
    with pytest.raises(ValueError, match=r"must be in 0\.\.1, got 0\.\.255"):
        corrupt(np.array([[0.0, 255.0]]), "jpeg", 50)
    with pytest.raises(ValueError, match=r"must be in 0\.\.1, got nan"):
        corrupt(np.array([[0.0, np.nan]]), "jpeg", 50)
    with pytest.raises(ValueError, match=r"\(120, 2\), got shape \(94, 2\)"):
        corrupt(CHEST, "jpeg", 50, landmarks=POINTS[:94])
    with pytest.raises(ValueError, match="got none"):
        corrupt(CHEST, "blending", 0.5)
    with pytest.raises(ValueError, match=r"shape \(120, 96\), got shape \(119, 96\)"):
        corrupt(CHEST, "blending", 0.5, partner=CHEST[1:])


def test_unknown_landmarks_stay_unknown_and_squares_need_the_lungs_alone() -> None:
    no_heart, no_lung = POINTS.copy(), POINTS.copy()
    no_heart[HEART.nodes] = np.nan
    no_lung[LEFT_LUNG.nodes] = np.nan
    for name in ("occlusion", "occlusion_4", "local_blur", "rotation", "crop"):
        severity = CORRUPTIONS[name].levels[1]
        moved = corrupt(CHEST, name, severity, landmarks=no_heart).landmarks
        assert moved is not None
        np.testing.assert_array_equal(np.isnan(moved), np.isnan(no_heart))
        if CORRUPTIONS[name].kind == "local":
            with pytest.raises(ValueError, match="both lungs must be known"):
                corrupt(CHEST, name, severity, landmarks=no_lung)
        else:
            corrupt(CHEST, name, severity, landmarks=no_lung)


def test_the_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ImportError, match=r"gaussian_blur needs .* cv2: pip install 'monai-chexmask-u\[experiments\]'"):
        spoilt("gaussian_blur", 4)
    spoilt("gaussian_noise", 4)
    spoilt("gaussian_blur", 0)


def test_no_transform_imports_opencv_before_it_is_needed() -> None:
    folder = Path(corrupted_image.__file__).parent
    for path in folder.glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            assert "cv2" not in ast.unparse(node) if isinstance(node, ast.Import | ast.ImportFrom) else True


def test_every_corruption_spoils_a_real_radiograph(shared_data: Path) -> None:
    first, second = landmark_datalist(shared_data / "jsrt" / "val")[:2]
    pixels, partner = (read_radiograph(Path(item["image"])).pixels for item in (first, second))
    landmarks = np.asarray(first["label"])
    for name, corruption in CORRUPTIONS.items():
        severity = corruption.published or corruption.levels[len(corruption.levels) // 2]
        result = corrupt(pixels, name, severity, landmarks=landmarks, partner=partner)
        assert result.landmarks is not None
        if corruption.kind == "geometry":
            assert not np.array_equal(result.landmarks, landmarks)
        else:
            np.testing.assert_array_equal(result.landmarks, landmarks)
            assert np.abs(result.pixels - pixels).mean() > 1e-4
        assert result.altered_nodes.any() == (corruption.kind == "local")
