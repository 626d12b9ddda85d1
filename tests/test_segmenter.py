from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support.samples.dicom import chest_phantom
from torch import Tensor, nn

from monai_chexmask_u import segmenter
from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.geometry import cardiothoracic_ratio
from monai_chexmask_u.inferers import LandmarkUncertaintyInferer
from monai_chexmask_u.model import Model
from monai_chexmask_u.networks.network_image import fit_frame, to_network_image
from monai_chexmask_u.radiograph import Radiograph, RadiographError
from monai_chexmask_u.segmentation import LandmarkSegmentation, ModelIdentity, Reliability
from monai_chexmask_u.segmenter import Segmenter, radiograph_of_array, segmentation_from_posterior
from monai_chexmask_u.uncertainty import predictive_uncertainty

PIXELS = chest_phantom(100, 80)


def radiograph(pixels: Any = PIXELS, path: Path = Path("chest.png"), **options: Any) -> Radiograph:
    return Radiograph(np.ascontiguousarray(pixels, np.float32), path, **options)


def segment(model: Model, image: Radiograph, **options: Any) -> LandmarkSegmentation:
    return Segmenter(model, device="cpu", **{"num_samples": 5, **options}).segment(image)


class Pointer(nn.Module):
    """A network that puts every landmark on the image's center of mass, with a spread of 0.01 and 0.02."""

    def __init__(self, image_size: int = 256) -> None:
        super().__init__()
        self.image_size = image_size

    def encode(self, image: Tensor) -> tuple[Tensor, Tensor, None]:
        axis = torch.arange(self.image_size) / self.image_size
        weights = image[:, 0] / image.sum(dim=(1, 2, 3))[:, None, None]
        center = torch.stack([(weights.sum(dim=1) * axis).sum(dim=1), (weights.sum(dim=2) * axis).sum(dim=1)], dim=1)
        return center, 2 * torch.log(torch.tensor([[0.01, 0.02]])).expand_as(center), None

    def decode(self, z: Tensor, features: None) -> Tensor:
        return z.unsqueeze(2).expand(-1, -1, 120, -1)


@pytest.fixture(scope="module")
def pointer() -> Model:
    network: Any = Pointer()
    return Model(network, ModelIdentity("pointer", "1", "0" * 64))


@given(
    rows=st.integers(100, 400),
    columns=st.integers(100, 400),
    aspect=st.sampled_from([0.5, 1.0, 2.0]),
    mirrored=st.booleans(),
    upside_down=st.booleans(),
)
def test_landmarks_land_on_the_image_content_at_any_size_aspect_and_orientation(
    pointer: Model, rows: int, columns: int, aspect: float, mirrored: bool, upside_down: bool
) -> None:
    x, y = 0.4 * columns, 0.6 * rows
    row, column = np.mgrid[:rows, :columns]
    spot = np.exp(-((column - x) ** 2 + (row - y) ** 2) / (2 * (0.03 * min(rows, columns)) ** 2))
    result = segment(
        pointer, radiograph(spot, spacing_mm=(aspect, 1.0), mirrored=mirrored, upside_down=upside_down), num_samples=9
    )
    side = np.array([1, 1 / aspect]) * max(rows * aspect, columns)  # of the network's square, in image pixels
    step = np.array([0.01, 0.02]) * side * np.where([mirrored, upside_down], -1, 1)
    noise = torch.randn(9, 2, generator=torch.Generator().manual_seed(0)).numpy()
    error = np.abs(result.landmarks - (x, y) - noise.mean(axis=0) * step)
    assert (error < 0.05 * side / 256).all()  # a twentieth of a network pixel, for interpolation
    # the image's side in the square is a whole number of pixels, of 32 or more
    np.testing.assert_allclose(result.std, np.tile(noise.std(axis=0) * np.abs(step), (120, 1)), rtol=0.02)


@pytest.mark.parametrize("flags", [{"mirrored": True}, {"upside_down": True}, {"mirrored": True, "upside_down": True}])
def test_a_turned_image_gives_the_landmarks_turned(tiny_model: Model, flags: dict[str, Any]) -> None:
    plain = segment(tiny_model, radiograph())
    sign = np.array([-1 if flags.get(name) else 1 for name in ("mirrored", "upside_down")])
    turned = segment(tiny_model, radiograph(PIXELS[:: sign[1], :: sign[0]], **flags))
    size = np.array([80, 100])
    expected = np.where(sign < 0, size - 1 - plain.landmarks, plain.landmarks)
    np.testing.assert_allclose(turned.landmarks, expected, rtol=0, atol=1e-3)
    np.testing.assert_allclose(turned.std, plain.std, rtol=1e-3)
    np.testing.assert_allclose(turned.covariance[:, 0, 1], sign.prod() * plain.covariance[:, 0, 1], atol=1e-3)
    assert turned.cardiothoracic_ratio.value == pytest.approx(plain.cardiothoracic_ratio.value, rel=1e-3)


def test_result_summarizes_the_samples_in_image_pixels(tiny_model: Model) -> None:
    image = radiograph(spacing_mm=(0.3, 0.2))
    result = segment(tiny_model, image, num_samples=6, seed=4)
    frame = fit_frame(image, 64)
    network_image = to_network_image(torch.from_numpy(image.pixels), frame).unsqueeze(0)
    posterior = LandmarkUncertaintyInferer(6, seed=4)(network_image, tiny_model.network)
    samples = frame.to_image(posterior.samples[0].numpy())
    np.testing.assert_allclose(result.landmarks, samples.mean(axis=0), rtol=0, atol=1e-3)
    np.testing.assert_allclose(result.std, samples.std(axis=0), rtol=1e-4)
    for node in (0, 119):
        np.testing.assert_allclose(result.covariance[node], np.cov(samples[:, node].T, ddof=0), rtol=1e-3, atol=1e-3)
    ratios = cardiothoracic_ratio(samples)
    ratio = result.cardiothoracic_ratio
    assert (ratio.value, ratio.std) == pytest.approx((ratios.mean(), ratios.std()), rel=1e-6)
    assert result.predictive_px1024 == pytest.approx(float(predictive_uncertainty(posterior.samples)[0]), rel=1e-6)
    assert result.latent_uncertainty == pytest.approx(float(posterior.latent_std.mean()), rel=1e-6)


def test_result_says_what_it_is_of(tiny_model: Model) -> None:
    result = segment(tiny_model, radiograph(spacing_mm=(3.0, 2.0)), num_samples=6)
    assert (result.shape, result.spacing_mm, result.sample_count) == ((100, 80), (3.0, 2.0), 6)
    assert result.model == tiny_model.identity
    assert result.reliability == Reliability("review", ("not_calibrated",))
    assert result.radius90 is None
    for organ in ORGANS:
        assert result.area_mm2(organ) == pytest.approx(result.area_px(organ) * 3.0 * 2.0)
        assert segment(tiny_model, radiograph()).area_mm2(organ) is None


def test_a_spacing_that_no_chest_fits_is_left_out(tiny_model: Model) -> None:
    small = radiograph(spacing_mm=(0.3, 0.15), notes=("spacing_from_imager", "no_window"))  # 3 cm high
    result = segment(tiny_model, small)
    assert result.spacing_mm is None
    assert result.radiograph is not None
    assert result.radiograph.spacing_mm is None
    assert result.radiograph.height_over_width == 2
    assert result.radiograph.notes == ("no_window", "spacing_invalid")
    np.testing.assert_array_equal(result.landmarks, segment(tiny_model, result.radiograph).landmarks)


def test_same_radiograph_gives_the_same_result_whatever_ran_before(tiny_model: Model) -> None:
    segmenter = Segmenter(tiny_model, num_samples=5, device="cpu")
    first = segmenter.segment(radiograph())
    segmenter.segment(radiograph(PIXELS[::-1]))
    again = segmenter.segment(radiograph())
    np.testing.assert_array_equal(again.landmarks, first.landmarks)
    np.testing.assert_array_equal(again.covariance, first.covariance)
    assert again.cardiothoracic_ratio == first.cardiothoracic_ratio
    assert not np.array_equal(segment(tiny_model, radiograph(), seed=1).landmarks, first.landmarks)


def test_black_border_can_be_left_out(tiny_model: Model) -> None:
    bordered = np.pad(np.clip(PIXELS, 0.1, 1), ((30, 10), (50, 20)))
    inner = segment(tiny_model, radiograph(np.clip(PIXELS, 0.1, 1)))
    cropped = segment(tiny_model, radiograph(bordered), crop_border=True)
    np.testing.assert_allclose(cropped.landmarks, inner.landmarks + np.array([50, 30]), rtol=0, atol=1e-3)
    assert np.abs(segment(tiny_model, radiograph(bordered)).landmarks - cropped.landmarks).max() > 1


@pytest.mark.parametrize("device", ["nonsense", "cuda:99", "meta"])
def test_unusable_device_is_refused_in_one_line(tiny_model: Model, device: str) -> None:
    with pytest.raises(ValueError, match=f"device '{device}' cannot be used here") as refused:
        Segmenter(tiny_model, device=device)
    assert "\n" not in str(refused.value)


def test_automatic_device_is_a_gpu_where_there_is_one(tiny_model: Model) -> None:
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    segmenter = Segmenter(tiny_model)
    assert segmenter.device.type == expected
    segmenter.network.cpu()  # the network is shared with other tests


def test_posterior_of_several_images_is_refused(tiny_model: Model) -> None:
    image = radiograph()
    posterior = LandmarkUncertaintyInferer(2)(torch.rand(2, 1, 64, 64), tiny_model.network)
    with pytest.raises(ValueError, match="posterior of one image, got 2"):
        segmentation_from_posterior(posterior, image, fit_frame(image, 64), tiny_model.identity)


def test_the_identity_of_a_result_is_that_of_what_it_was_computed_from(tiny_model: Model) -> None:
    first = segment(tiny_model, radiograph())
    assert first.origin is not None
    again = segment(tiny_model, radiograph(path=Path("other.png"), notes=("photometric_inverted",)))
    assert first.identity == again.identity == first.origin.sha256
    rounded = replace(first, landmarks=first.landmarks + 6e-5)  # as another number of threads computes them
    other_machine = replace(rounded, origin=replace(first.origin, landmarks=rounded.landmarks))
    assert other_machine.identity == first.identity


@pytest.mark.parametrize(
    ("image", "options"),
    [
        ({}, {"seed": 1}),
        ({}, {"num_samples": 6}),
        ({}, {"crop_border": True}),
        ({"pixels": PIXELS * np.float32(0.999999)}, {}),
        ({"pixels": PIXELS.reshape(80, 100)}, {}),
        ({"spacing_mm": (0.2, 0.2)}, {}),
        ({"pixel_aspect": 1.5}, {}),
        ({"mirrored": True}, {}),
        ({"upside_down": True}, {}),
        ({"notes": ("child",)}, {}),
    ],
)
def test_whatever_determines_a_result_gives_it_another_identity(
    tiny_model: Model, image: dict[str, Any], options: dict[str, Any]
) -> None:
    assert segment(tiny_model, radiograph(**image), **options).identity != segment(tiny_model, radiograph()).identity


@pytest.mark.parametrize("name", ["sha256", "calibration_sha256"])
def test_other_weights_and_calibrations_give_another_identity(tiny_model: Model, name: str) -> None:
    other = replace(tiny_model, identity=replace(tiny_model.identity, **{name: "12" * 32}))
    assert segment(other, radiograph()).identity != segment(tiny_model, radiograph()).identity


def test_landmarks_that_were_not_computed_stand_for_themselves(tiny_model: Model) -> None:
    first = segment(tiny_model, radiograph())
    identities = {
        result.identity
        for result in (
            first,
            replace(first, origin=None),
            replace(first, landmarks=first.landmarks + 1e-9),
            replace(first, landmarks=first.landmarks + 1e-9, origin=None),
            replace(first, landmarks=first.landmarks + 2e-9),
        )
    }
    assert len(identities) == 4
    landmarks = first.landmarks
    landmarks += 1  # in place
    assert first.identity not in identities


GRAY = np.round(PIXELS * 255).astype(np.uint8)


def test_a_file_an_array_and_a_radiograph_give_one_result(tiny_model: Model, tmp_path: Path) -> None:
    path = tmp_path / "chest.png"
    Image.fromarray(GRAY).save(path)
    results = [
        segmenter.segment(image, model=tiny_model, num_samples=2, device="cpu")
        for image in (path, str(path), GRAY, GRAY / 255, radiograph(GRAY / np.float32(255)))
    ]
    for result in results[1:]:
        np.testing.assert_allclose(result.landmarks, results[0].landmarks, atol=1e-4)


@pytest.mark.parametrize("dtype", ["uint16", "int16", "int32", "uint64", "float16", "float32", "float64"])
def test_arrays_of_other_types_are_stretched_like_image_files(dtype: str) -> None:
    values = (GRAY.astype(np.float64) * 10).astype(dtype)
    shown = radiograph_of_array(values)
    assert "intensity_stretched" in shown.notes
    assert float(shown.pixels.min()) == 0
    assert float(shown.pixels.max()) == 1
    assert np.corrcoef(shown.pixels.ravel(), GRAY.ravel())[0, 1] > 0.98


def test_8_bits_and_numbers_in_0_to_1_are_taken_as_they_are() -> None:
    np.testing.assert_array_equal(radiograph_of_array(GRAY).pixels, GRAY / np.float32(255))
    np.testing.assert_array_equal(radiograph_of_array(PIXELS).pixels, PIXELS)


def test_what_an_array_does_not_say_is_an_argument() -> None:
    shown = radiograph_of_array(255 - GRAY, bright_is_dense=False, spacing_mm=(0.2, 0.1))
    np.testing.assert_allclose(shown.pixels, GRAY / np.float32(255), atol=1e-6)
    assert shown.spacing_mm == (0.2, 0.1)
    assert shown.notes == ("photometric_inverted", "orientation_assumed", "view_unknown")
    assert "spacing_unknown" in radiograph_of_array(GRAY).notes


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (GRAY[..., None], r"one gray image \(H, W\).*shape \(100, 80, 1\) and type uint8"),
        (GRAY > 9, r"integers or floating-point numbers, got an array of shape \(100, 80\) and type bool"),
        (GRAY.astype(complex), "type complex128"),
        (GRAY.astype(object), "type object"),
        (np.where(GRAY > 9, np.nan, 1.0), r"expected finite values.*shape \(100, 80\) and type float64 with \d+"),
        (np.full((100, 80), 7), r"one value in an array of shape \(100, 80\) and type int64"),
        (GRAY[:3], "too small or too narrow"),
        (np.zeros((0, 80)), "too small or too narrow"),
    ],
)
def test_unusable_arrays_are_refused_with_shape_and_type(array: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        segmenter.segment(array)


def test_errors_name_the_file_and_what_was_given(tmp_path: Path) -> None:
    with pytest.raises(RadiographError, match=r"nowhere\.png: there is no such file") as caught:
        segmenter.segment(tmp_path / "nowhere.png")
    assert caught.value.code == "not_found"
    with pytest.raises(TypeError, match=r"expected a path, .*, got list"):
        segmenter.segment([[1, 2]])  # type: ignore[arg-type]
    for option in ({"spacing_mm": (1.0, 1.0)}, {"bright_is_dense": False}):
        with pytest.raises(ValueError, match="are for arrays alone"):
            segmenter.segment(tmp_path / "x.png", **option)


def test_a_result_holds_its_radiograph_and_what_it_was_computed_from(pointer: Model) -> None:
    image = radiograph()
    found = Segmenter(pointer, device="cpu", num_samples=2)
    result = found.segment(image)
    assert result.radiograph is image
    assert result.origin is not None
    assert found.finish(*found.infer(image), image).identity == result.identity
