from __future__ import annotations

import math
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import MetaTensor
from numpy.typing import NDArray
from support.samples.dicom import chest_phantom, phantom_landmarks
from torch import Tensor

from monai_chexmask_u.anatomy import HEART
from monai_chexmask_u.networks.network_image import fit_frame, to_network_image
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.transforms import LandmarksToTargetd, ToNetworkFramed

SIZE = 256
SPOT = np.array([118.3, 171.6])  # (x, y), near the middle, so that no augmentation moves it out
TOLERANCE = 0.3  # network pixels; what interpolation and the crop at the border do to the center of a spot


def radiograph(**options: Any) -> Radiograph:
    """A bright Gaussian spot on black."""
    rows, columns = np.mgrid[:320, :240]
    pixels = np.exp(-((columns - SPOT[0]) ** 2 + (rows - SPOT[1]) ** 2) / (2 * 4.0**2))
    return Radiograph(pixels.astype(np.float32), Path("spot.png"), **options)


def item(image: Radiograph, at: NDArray[np.float64] = SPOT) -> dict[Hashable, Any]:
    return {"image": image, "label": np.tile(at, (120, 1)).astype(np.float32)}


def center(image: Tensor) -> NDArray[np.float64]:
    """Center of mass of a network image (x, y)."""
    weights = torch.as_tensor(image).as_subclass(Tensor)[0].double().numpy()
    rows, columns = np.mgrid[: weights.shape[0], : weights.shape[1]]
    middle: NDArray[np.float64] = np.array([(weights * columns).sum(), (weights * rows).sum()]) / weights.sum()
    return middle


@pytest.fixture(scope="module")
def augmentation(repository: Path) -> list[Any]:
    """The geometric augmentation of the bundle's training, as its configuration builds it."""
    parser = ConfigParser()
    parser.read_config(str(repository / "bundle" / "configs" / "train.json"))
    parser["image_size"] = SIZE
    names = [transform["_target_"] for transform in parser["train#random_transforms"]]
    wanted = [names.index("RandAffined"), names.index("ApplyTransformToPointsd")]
    return [parser.get_parsed_content(f"train#random_transforms#{index}") for index in wanted]


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 5, 6, 7])  # 4 is one of the few that leave an image as it is
@pytest.mark.parametrize("flags", [{}, {"mirrored": True, "upside_down": True}])
def test_augmented_landmarks_stay_on_the_image_content(
    augmentation: list[Any], seed: int, flags: dict[str, bool]
) -> None:
    affine, to_points = augmentation
    data = ToNetworkFramed("image", SIZE, landmarks_key="label")(item(radiograph(**flags)))
    before = center(data["image"])
    affine.set_random_state(seed)
    data = to_points(affine(data))
    after = center(data["image"])
    assert np.linalg.norm(after - before) > 1  # the augmentation did something
    target = LandmarksToTargetd("label", SIZE)(data)["label"]
    assert target.shape == (120, 2)
    np.testing.assert_allclose(target.numpy() * SIZE, np.tile(after, (120, 1)), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("spacing", [None, (0.2, 0.2), (0.3, 0.2)])
@pytest.mark.parametrize(
    "flags", [{}, {"mirrored": True}, {"upside_down": True}, {"mirrored": True, "upside_down": True}]
)
def test_landmarks_follow_the_image_into_the_network_frame(
    flags: dict[str, bool], spacing: tuple[float, float] | None
) -> None:
    data = ToNetworkFramed("image", SIZE, landmarks_key="label")(item(radiograph(spacing_mm=spacing, **flags)))
    assert data["label"].shape == (1, 120, 2)
    np.testing.assert_allclose(data["label"][0, 0].flip(-1).numpy(), center(data["image"]), rtol=0, atol=0.05)
    target = LandmarksToTargetd("label", SIZE)(data)["label"]
    np.testing.assert_allclose(target[7].numpy() * SIZE, center(data["image"]), rtol=0, atol=0.05)


def test_flags_turn_the_image_over() -> None:
    plain, turned = (
        center(ToNetworkFramed("image", SIZE)({"image": radiograph(**flags)})["image"])
        for flags in ({}, {"mirrored": True, "upside_down": True})
    )
    np.testing.assert_allclose(plain + turned, (SIZE - 1, SIZE - 1), rtol=0, atol=0.05)


def test_network_image_names_its_file_and_stays_in_range() -> None:
    image = ToNetworkFramed("image", SIZE)({"image": radiograph()})["image"]
    assert isinstance(image, MetaTensor)
    assert image.meta["filename_or_obj"] == "spot.png"
    assert image.shape == (1, SIZE, SIZE)
    assert image.dtype == torch.float32
    assert float(image.min()) >= 0
    assert float(image.max()) <= 1


def test_black_border_is_cropped_on_demand_and_landmarks_with_it() -> None:
    bordered = np.zeros((400, 500), np.float32)
    bordered[30:330, 150:375] = 0.2
    bordered[198:203, 258:263] = 1.0
    at = np.array([260.0, 200.0])
    image = Radiograph(bordered, Path("border.png"))
    data = ToNetworkFramed("image", SIZE, landmarks_key="label", crop_border=True)(item(image, at))
    # 300 rows fill the height; 225 columns are centered.
    expected = (at + 0.5 - (150 + 225 / 2, 30 + 300 / 2)) * SIZE / 300 + SIZE / 2 - 0.5
    np.testing.assert_allclose(data["label"][0, 0].flip(-1).numpy(), expected, rtol=0, atol=1e-4)
    spot = torch.where(data["image"] > 0.3, data["image"] - 0.2, 0)
    np.testing.assert_allclose(data["label"][0, 0].flip(-1).numpy(), center(spot), rtol=0, atol=TOLERANCE)
    assert float(data["image"][0, 0].max()) > 0.19  # no border is left above
    uncropped = ToNetworkFramed("image", SIZE)({"image": image})["image"]
    assert float(uncropped[0, :40].max()) == 0


def test_image_without_landmarks_leaves_the_rest_of_the_item_alone() -> None:
    data = item(radiograph())
    result = ToNetworkFramed("image", SIZE)(data)
    assert result["label"] is data["label"]
    assert isinstance(data["image"], Radiograph)  # the item given is not changed


def test_target_is_x_and_y_over_the_side() -> None:
    points = MetaTensor(torch.tensor([[[64.0, 128.0], [0.0, 255.0]]]))
    target = LandmarksToTargetd("label", SIZE)({"label": points})["label"]
    assert type(target) is Tensor
    torch.testing.assert_close(target, torch.tensor([[0.5, 0.25], [255 / 256, 0.0]]))


@pytest.mark.parametrize(
    ("shape", "spacing", "expected"),
    [
        ((320, 240), (0.2, 0.2), 320 * 0.2),  # the longer side fills the square
        ((240, 320), (0.2, 0.2), 320 * 0.2),
        ((320, 240), (0.2, 0.4), 240 * 0.4),  # pixels twice as wide as high: the width fills it
        ((320, 240), (0.6, 0.2), 320 * 0.6),
    ],
)
@pytest.mark.parametrize("mirrored", [False, True])
def test_side_of_the_square_at_the_patient_is_noted(
    shape: tuple[int, int], spacing: tuple[float, float], expected: float, mirrored: bool
) -> None:
    image = Radiograph(np.zeros(shape, np.float32), Path("side.png"), spacing_mm=spacing, mirrored=mirrored)
    side_mm = ToNetworkFramed("image", SIZE)({"image": image})["image"].meta["side_mm"]
    assert side_mm == pytest.approx(expected, rel=1 / SIZE)  # the content's sides are whole network pixels


def test_a_cropped_image_has_a_smaller_side() -> None:
    bordered = np.zeros((400, 500), np.float32)
    bordered[30:330, 150:375] = 0.2
    image = Radiograph(bordered, Path("border.png"), spacing_mm=(0.5, 0.5))
    sides = [
        ToNetworkFramed("image", SIZE, crop_border=crop)({"image": image})["image"].meta["side_mm"]
        for crop in (True, False)
    ]
    assert sides == pytest.approx([150.0, 250.0], rel=1 / SIZE)


def test_side_is_unknown_without_a_spacing() -> None:
    assert math.isnan(ToNetworkFramed("image", SIZE)({"image": radiograph()})["image"].meta["side_mm"])


@pytest.mark.parametrize(
    ("at", "beyond"), [((-20, 100), 20), ((100, -33), 33), ((260, 100), 21), ((100, 350), 31), ((1e5, 1e5), 99761)]
)
def test_landmarks_clearly_outside_their_image_are_refused_with_the_file(at: tuple[float, float], beyond: int) -> None:
    data = item(radiograph())
    data["label"][5] = at
    message = rf"spot\.png: landmarks lie up to {beyond} pixels outside the image of 240 x 320; .*\(x, y\) in pixels"
    with pytest.raises(ValueError, match=message):
        ToNetworkFramed("image", SIZE, landmarks_key="label")(data)


@pytest.mark.parametrize("at", [(-6.3, 100), (100, -6.3), (239 + 6.3, 100), (100, 319 + 6.3), (239, 319), (0, 0)])
def test_landmarks_a_little_outside_are_kept(at: tuple[float, float]) -> None:
    """Less than 2 % of the longer side of 320 pixels, in every direction."""
    data = item(radiograph())
    data["label"][5] = at
    image, points = data["image"], data["label"]
    result = ToNetworkFramed("image", SIZE, landmarks_key="label")(data)["label"]
    expected = fit_frame(image, SIZE).to_network(points) * SIZE
    np.testing.assert_allclose(result[0].flip(-1).numpy(), expected, rtol=0, atol=1e-4)


def test_landmarks_outside_do_not_matter_where_they_are_not_asked_for() -> None:
    ToNetworkFramed("image", SIZE)(item(radiograph(), np.array([-500.0, 0.0])))


def test_unknown_landmarks_stay_unknown_up_to_the_target() -> None:
    data, whole = item(radiograph()), item(radiograph())
    data["label"][HEART.nodes] = np.nan
    to_frame, to_target = ToNetworkFramed("image", SIZE, landmarks_key="label"), LandmarksToTargetd("label", SIZE)
    target, expected = (to_target(to_frame(each))["label"] for each in (data, whole))
    assert target[HEART.nodes].isnan().all()
    torch.testing.assert_close(target[: HEART.first_node], expected[: HEART.first_node], rtol=0, atol=0)


def test_unknown_landmarks_do_not_hide_others_outside() -> None:
    data = item(radiograph(), np.array([-500.0, 0.0]))
    data["label"][HEART.nodes] = np.nan
    with pytest.raises(ValueError, match="up to 500 pixels outside"):
        ToNetworkFramed("image", SIZE, landmarks_key="label")(data)


def test_wide_image_is_centered_on_black() -> None:
    wide = Radiograph(np.ones((100, 200), np.float32), Path("wide.png"))
    image = to_network_image(torch.from_numpy(wide.pixels), fit_frame(wide, 64))
    assert image.shape == (1, 64, 64)
    assert not image[0, :16].any()
    assert not image[0, 48:].any()
    torch.testing.assert_close(image[0, 16:48], torch.ones(32, 64))


def test_a_radiograph_of_high_pixels_lies_where_the_one_of_square_pixels_does() -> None:
    image = chest_phantom(500, 400)
    square = Radiograph(image, Path("square.dcm"))
    high = Radiograph(image.reshape(250, 2, 400).mean(axis=1), Path("high.dcm"), pixel_aspect=2.0)
    frames = [fit_frame(image, SIZE) for image in (square, high)]
    points = phantom_landmarks(500, 400)
    in_high = np.stack([points[:, 0], (points[:, 1] + 0.5) / 2 - 0.5], axis=1)
    np.testing.assert_allclose(frames[1].to_network(in_high), frames[0].to_network(points), rtol=0, atol=1e-12)
    shown = [to_network_image(torch.from_numpy(i.pixels), f) for i, f in zip((square, high), frames, strict=True)]
    torch.testing.assert_close(shown[1], shown[0], rtol=0, atol=0.05)  # half of the radiograph's resolution is lost


def test_spacing_counts_before_the_pixel_aspect() -> None:
    image = radiograph(spacing_mm=(0.2, 0.1), pixel_aspect=0.5)
    np.testing.assert_array_equal(fit_frame(image, SIZE).matrix, fit_frame(radiograph(pixel_aspect=2.0), SIZE).matrix)


def test_a_pixel_aspect_must_be_positive() -> None:
    with pytest.raises(ValueError, match="pixel_aspect must be positive"):
        radiograph(pixel_aspect=0.0)
