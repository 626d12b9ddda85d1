from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose
from support.samples.dicom import chest_phantom, phantom_landmarks

from monai_chexmask_u.transforms import CORRUPTIONS, Corrupt, Corruptd, corrupt

CHEST = chest_phantom(120, 96)
POINTS = phantom_landmarks(120, 96)
WRAPS: dict[str, Callable[[Any], Any]] = {
    "array": np.asarray,
    "tensor": torch.as_tensor,
    "half": lambda values: torch.as_tensor(values).half(),
    "gradient": lambda values: torch.tensor(values, requires_grad=True),
    "meta": MetaTensor,
}


def item(**changes: Any) -> dict[Hashable, Any]:
    entries: dict[Hashable, Any] = {"image": torch.from_numpy(CHEST[None]), "label": torch.from_numpy(POINTS)}
    entries.update(changes)
    return entries


@pytest.mark.parametrize("name", [name for name in CORRUPTIONS if name != "blending"])
def test_both_transforms_do_what_the_function_does(name: str) -> None:
    severity = CORRUPTIONS[name].levels[2]
    plain = corrupt(CHEST, name, severity, seed=3)
    np.testing.assert_array_equal(Corrupt(name, severity, seed=3)(CHEST[None]), plain.pixels[None])
    placed = corrupt(CHEST, name, severity, seed=3, landmarks=POINTS)
    result = Corruptd("image", name, severity, seed=3, landmarks_key="label")(item())
    np.testing.assert_array_equal(result["image"], placed.pixels[None])
    np.testing.assert_array_equal(result["label"], placed.landmarks)
    alone = Corruptd("image", name, severity, seed=3)(item())
    np.testing.assert_array_equal(alone["image"], plain.pixels[None])
    np.testing.assert_array_equal(alone["label"], POINTS)


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=list(WRAPS))
def test_what_goes_in_comes_out_as_the_same_type(wrap: Callable[[Any], Any]) -> None:
    data = item(image=wrap(CHEST[None]), label=wrap(POINTS))
    result = Corruptd("image", "crop", 0.3, landmarks_key="label")(data)
    for key, shape in (("image", (1, 84, 67)), ("label", (120, 2))):
        assert type(result[key]) is type(data[key])
        assert result[key].dtype == data[key].dtype
        assert tuple(result[key].shape) == shape
    assert type(Corrupt("crop", 0.3)(data["image"])) is type(data["image"])


def test_the_item_given_is_left_alone() -> None:
    data = item()
    Corruptd("image", "rotation", 30, landmarks_key="label")(data)
    np.testing.assert_array_equal(data["image"][0], CHEST)
    np.testing.assert_array_equal(data["label"], POINTS)


def test_a_partner_is_blended_in_and_kept() -> None:
    partner = torch.from_numpy(CHEST[None, ::-1].copy())
    result = Corruptd("image", "blending", 0.25, partner_key="other")(item(other=partner))
    expected = corrupt(CHEST, "blending", 0.25, partner=CHEST[::-1])
    np.testing.assert_array_equal(result["image"][0], expected.pixels)
    assert result["other"] is partner


def test_several_images_get_the_same_noise() -> None:
    result = Corruptd(["image", "other"], "gaussian_noise", 20)(item(other=torch.from_numpy(CHEST[None])))
    torch.testing.assert_close(result["image"], result["other"], rtol=0, atol=0)


@pytest.mark.parametrize("rank", [3, 4])
@pytest.mark.parametrize(("name", "severity"), [("rotation", 30), ("crop", 0.3), ("jpeg", 50)])
def test_the_affine_keeps_each_pixel_where_it_was_in_the_world(name: str, severity: float, rank: int) -> None:
    affine = torch.eye(rank, dtype=torch.float64)
    affine[:2, -1] = torch.tensor([5.0, -7.0])
    affine[0, 0], affine[1, 1] = 0.2, 0.3
    image = MetaTensor(torch.from_numpy(CHEST[None]), affine=affine, meta={"filename_or_obj": "chest.png"})
    result = Corruptd("image", name, severity, landmarks_key="label")(item(image=image))
    assert result["image"].meta["filename_or_obj"] == "chest.png"

    def world(points: Any, matrix: torch.Tensor) -> Any:
        index = np.zeros((120, rank))
        index[:, 0], index[:, 1], index[:, -1] = points[:, 1], points[:, 0], 1
        return index @ matrix.numpy().T

    moved = world(result["label"].numpy(), result["image"].affine)
    np.testing.assert_allclose(moved, world(POINTS, affine), atol=1e-9)
    torch.testing.assert_close(image.affine, affine, rtol=0, atol=0)


def test_transforms_are_composed_like_any_other() -> None:
    steps = Compose([Corruptd("image", "crop", 0.2, landmarks_key="label"), Corruptd("image", "jpeg", 90)])
    result = steps(item())
    assert result["image"].shape == (1, 96, 77)


def test_bad_settings_are_refused_at_construction() -> None:
    for transform in (Corrupt, lambda *settings: Corruptd("image", *settings)):
        with pytest.raises(ValueError, match="unknown corruption 'rain'"):
            transform("rain", 1)
        with pytest.raises(ValueError, match=r"must be in 0\.\.1, got 2"):
            transform("contrast_loss", 2)
    with pytest.raises(ValueError, match="blending needs a second image: use Corruptd with a partner_key"):
        Corrupt("blending", 0.5)
    with pytest.raises(ValueError, match="blending needs a partner_key"):
        Corruptd("image", "blending", 0.5)
    with pytest.raises(ValueError, match="jpeg needs no partner_key"):
        Corruptd("image", "jpeg", 50, partner_key="other")
    with pytest.raises(ValueError, match="landmarks belong to one image, got 2 keys"):
        Corruptd(["image", "other"], "jpeg", 50, landmarks_key="label")


def test_images_of_another_form_are_refused() -> None:
    noise = Corrupt("gaussian_noise", 10)
    for shape in ((120, 96), (3, 120, 96), (1, 1, 120, 96)):
        with pytest.raises(ValueError, match=r"the image must be \(1, row, column\), got shape"):
            noise(torch.zeros(shape))
    with pytest.raises(TypeError, match=r"must be floating point numbers, got torch\.uint8"):
        noise(torch.zeros(1, 8, 8, dtype=torch.uint8))
    with pytest.raises(TypeError, match=r"must be floating point numbers, got torch\.int64"):
        Corruptd("image", "rotation", 10, landmarks_key="label")(item(label=POINTS.astype(np.int64)))
    for absent in (Corruptd("other", "jpeg", 50), Corruptd("image", "jpeg", 50, landmarks_key="other")):
        with pytest.raises(KeyError, match="other"):
            absent(item())
