"""What a calibration adds to a segmentation, in pixels of the image as stored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.samples.calibrations import make_limits
from support.samples.dicom import chest_phantom

from monai_chexmask_u.anatomy import HEART, LEFT_LUNG, ORGANS, RIGHT_LUNG
from monai_chexmask_u.geometry import cardiothoracic_ratio, polygon_area
from monai_chexmask_u.model import Model
from monai_chexmask_u.networks.examiner import SCORES
from monai_chexmask_u.networks.network_image import fit_frame
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation
from monai_chexmask_u.segmenter import Segmenter, segmentation_from_posterior
from monai_chexmask_u.uncertainty import NOT_CALIBRATED, Limit

PIXELS = chest_phantom(100, 80)
FLAGS = [{}, {"mirrored": True}, {"upside_down": True}, {"mirrored": True, "upside_down": True}]


def radiograph(pixels: Any = PIXELS, **options: Any) -> Radiograph:
    return Radiograph(np.ascontiguousarray(pixels, np.float32), Path("chest.png"), **options)


def segment(model: Model, image: Radiograph, **options: Any) -> LandmarkSegmentation:
    return Segmenter(model, device="cpu", **{"num_samples": 5, **options}).segment(image)


def error_covariance(result: LandmarkSegmentation) -> Any:
    assert result.error_covariance is not None
    return result.error_covariance


def with_limits(model: Model, **changes: Any) -> Model:
    assert model.calibration is not None
    return replace(model, calibration=replace(model.calibration, limits=make_limits(**changes)))


def test_a_calibration_adds_its_numbers_and_a_verdict_and_changes_nothing(calibrated_model: Model) -> None:
    plain = segment(replace(calibrated_model, calibration=None), radiograph())
    result = segment(calibrated_model, radiograph())
    for name in ("landmarks", "covariance", "std"):
        np.testing.assert_array_equal(getattr(result, name), getattr(plain, name))
    assert (plain.error_covariance, plain.total_uncertainty, plain.radius90, plain.scores) == (None, None, None, {})
    assert (plain.reliability, plain.score) == (NOT_CALIBRATED, plain.predictive_px1024)
    assert list(result.scores) == list(SCORES)
    assert all(np.isfinite(list(result.scores.values())))
    assert (result.reliability.verdict, result.reliability.reasons) == ("accept", ())
    assert result.score == result.total_px1024
    assert result.model.calibration_sha256 is not None


@pytest.mark.parametrize("note", ["child", "view_contradicted"])
def test_what_the_header_makes_doubtful_is_never_accepted(calibrated_model: Model, note: str) -> None:
    doubtful = radiograph(notes=("photometric_inverted", note))
    result = segment(calibrated_model, doubtful)
    assert (result.reliability.verdict, result.reliability.reasons) == ("review", (note,))
    assert len(result.reliability.in_words(note)) <= 64
    rejecting = with_limits(calibrated_model, combined=Limit(-2, -1))
    found = segment(rejecting, doubtful).reliability
    assert found.verdict == "reject"
    assert found.reasons[-1] == note
    plain = segment(replace(calibrated_model, calibration=None), doubtful).reliability
    assert (plain.verdict, plain.reasons) == ("review", ("not_calibrated", note))


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize(("shape", "spacing_mm"), [((100, 80), None), ((60, 90), (0.3, 0.2)), ((300, 90), (0.1, 0.2))])
def test_expected_errors_map_with_the_frame(
    calibrated_model: Model, shape: tuple[int, int], spacing_mm: Any, flags: dict[str, bool]
) -> None:
    image = radiograph(chest_phantom(*shape), spacing_mm=spacing_mm, **flags)
    result = segment(calibrated_model, image)
    frame = fit_frame(image, 64)
    posterior, _ = Segmenter(calibrated_model, num_samples=5, device="cpu").infer(image)
    assert calibrated_model.calibration is not None
    network = calibrated_model.calibration.expected(posterior.error_covariance[0].double().numpy())
    # by way of points: a sample of such errors, taken to the image one by one
    factor = np.linalg.cholesky((network + network.swapaxes(-1, -2)) / 2)
    tips = [posterior.mean[0].double().numpy() + sign * factor[:, :, axis] for axis in (0, 1) for sign in (1, -1)]
    points = frame.to_image(np.stack(tips))
    offset = (points - points.mean(axis=0)) / np.sqrt(2)
    expected = np.einsum("sni,snj->nij", offset, offset)
    np.testing.assert_allclose(error_covariance(result), expected, rtol=1e-4, atol=1e-4 * expected.max())
    std = 1024 * np.sqrt(np.diagonal(network, axis1=1, axis2=2)).mean(axis=1)
    assert result.total_px1024 == pytest.approx(std.mean(), rel=1e-6)


@pytest.mark.parametrize("flags", FLAGS[1:])
def test_a_turned_image_gives_the_errors_turned(calibrated_model: Model, flags: dict[str, bool]) -> None:
    plain = segment(calibrated_model, radiograph())
    sign = np.array([-1 if flags.get(name) else 1 for name in ("mirrored", "upside_down")])
    turned = segment(calibrated_model, radiograph(PIXELS[:: sign[1], :: sign[0]], **flags))
    expected = error_covariance(plain) * np.outer(sign, sign)
    np.testing.assert_allclose(error_covariance(turned), expected, rtol=0, atol=1e-3 * expected.max())
    assert turned.radius90 is not None
    assert plain.radius90 is not None
    np.testing.assert_allclose(turned.radius90, plain.radius90, rtol=1e-3)
    assert turned.scores == pytest.approx(dict(plain.scores), rel=1e-3, abs=1e-3)


def test_a_larger_image_has_errors_of_more_pixels(calibrated_model: Model) -> None:
    small, large = (
        segment(calibrated_model, radiograph()),
        segment(calibrated_model, radiograph(PIXELS.repeat(2, 0).repeat(2, 1))),
    )
    assert small.radius90 is not None
    assert large.radius90 is not None
    # the larger one is resampled in another way, which the random network makes much of
    np.testing.assert_allclose(large.radius90, 2 * small.radius90, rtol=0.2)
    assert large.total_px1024 == pytest.approx(small.total_px1024, rel=0.1)
    assert small.total_uncertainty is not None
    assert small.total_px1024 is not None
    # the network's square has 100 pixels of the image
    assert small.total_uncertainty.mean() == pytest.approx(small.total_px1024 * 100 / 1024, rel=0.02)


def test_radius_is_the_expected_error_times_the_organs_factor(calibrated_model: Model) -> None:
    result = segment(calibrated_model, radiograph())
    assert result.radius90 is not None
    length = np.sqrt(error_covariance(result).trace(axis1=1, axis2=2))
    for organ, factor in ((RIGHT_LUNG, 1.25), (LEFT_LUNG, 1.5), (HEART, 2.0)):
        np.testing.assert_allclose(result.radius90[organ.nodes], factor * length[organ.nodes], rtol=1e-9)


@pytest.mark.parametrize("organ", ORGANS, ids=lambda organ: organ.name)
def test_limits_are_of_each_organs_uncertainty_at_1024_pixels(calibrated_model: Model, organ: Any) -> None:
    image = radiograph()
    total = segment(calibrated_model, image).total_uncertainty
    assert total is not None
    value = float(total[organ.nodes].mean()) * 1024 / 100
    for limit, verdict in ((0.98 * value, "review"), (1.02 * value, "accept")):
        model = with_limits(calibrated_model, **{f"uncertainty:{organ.name}": Limit(limit)})
        result = segment(model, image).reliability
        assert result.verdict == verdict
        assert result.reasons == ((f"high_uncertainty:{organ.name}",) if verdict == "review" else ())


def test_scores_decide(calibrated_model: Model) -> None:
    flat = segment(with_limits(calibrated_model, flatness=Limit(0.2, 0.9)), radiograph(PIXELS / 100)).reliability
    assert (flat.verdict, flat.reasons) == ("reject", ("image_quality",))


def test_a_score_that_is_no_number_is_a_rejection_and_no_failure(calibrated_model: Model) -> None:
    image = radiograph()
    posterior, frame = Segmenter(calibrated_model, num_samples=5, device="cpu").infer(image)
    broken = replace(posterior, scores=torch.full_like(posterior.scores, torch.nan))
    result = segmentation_from_posterior(broken, image, frame, calibrated_model.identity, calibrated_model.calibration)
    assert result.reliability.verdict == "reject"


def test_an_error_that_is_no_number_is_a_failure(calibrated_model: Model) -> None:
    image = radiograph()
    posterior, frame = Segmenter(calibrated_model, num_samples=5, device="cpu").infer(image)
    broken = replace(posterior, error_covariance=torch.full_like(posterior.error_covariance, torch.nan))
    with pytest.raises(ValueError, match="error_covariance must be finite"):
        segmentation_from_posterior(broken, image, frame, calibrated_model.identity, calibrated_model.calibration)


def test_same_radiograph_gives_the_same_result(calibrated_model: Model) -> None:
    first, again = (segment(calibrated_model, radiograph()) for _ in range(2))
    np.testing.assert_array_equal(again.error_covariance, first.error_covariance)
    assert (again.scores, again.total_px1024) == (first.scores, first.total_px1024)


def test_draws_and_intervals_follow_from_the_expected_errors(calibrated_model: Model) -> None:
    result = segment(calibrated_model, radiograph(spacing_mm=(2.0, 2.0)))
    assert result.samples is not None
    assert result.samples.shape == (100, 120, 2)
    low, high = result.cardiothoracic_ratio.interval90 or (0, 0)
    np.testing.assert_allclose([low, high], np.quantile(cardiothoracic_ratio(result.samples), [0.05, 0.95]), rtol=1e-4)
    for organ in ORGANS:
        areas = polygon_area(result.samples[:, organ.nodes])
        expected = np.quantile(areas, [0.05, 0.95])
        assert result.area_interval90(organ) == pytest.approx(tuple(expected), rel=1e-4)
        assert result.area_interval90(organ, square_mm=True) == pytest.approx(tuple(4.0 * expected), rel=1e-4)
    other = segment(calibrated_model, radiograph(spacing_mm=(2.0, 2.0)), num_samples=9, seed=5)
    assert other.samples is not None
    assert len(other.samples) == 100, "draws do not depend on the number of latent samples"


def test_without_a_calibration_there_is_no_interval(tiny_model: Model) -> None:
    result = segment(tiny_model, radiograph())
    assert result.cardiothoracic_ratio.interval90 is None
    assert [result.area_interval90(organ) for organ in ORGANS] == [None] * 3
