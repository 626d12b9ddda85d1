"""Calibrating a model: teach the examiner, set the radii, choose the limits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from monai_chexmask_u.anatomy import NODE_COUNT, ORGANS
from monai_chexmask_u.calibrating.examples import (
    ErrorExamples,
    ImageExamples,
    Progress,
    collect_error_examples,
    collect_image_examples,
)
from monai_chexmask_u.calibrating.limits import RULE, choose_limits
from monai_chexmask_u.calibrating.training import train_detector, train_error_head
from monai_chexmask_u.data.radiograph_sets import RadiographItem
from monai_chexmask_u.files.atomic import atomic_path
from monai_chexmask_u.model import Model
from monai_chexmask_u.networks import Examiner
from monai_chexmask_u.networks.examiner import SCORES
from monai_chexmask_u.provenance import commit, software
from monai_chexmask_u.radiograph import RadiographError
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.segmenter import Segmenter
from monai_chexmask_u.uncertainty import Limits, conformal_quantile, error_scale, organ_uncertainty
from monai_chexmask_u.uncertainty.calibration import Calibration
from monai_chexmask_u.uncertainty.joint_errors import ErrorCorrelation, fit_correlation, standardized_errors
from monai_chexmask_u.uncertainty.reliability import criteria

__all__ = ["NO_CORRELATION", "CalibrationRadiographs", "Settings", "calibrate", "correlation_on"]

LEVEL: Final = 0.9
NO_CORRELATION: Final = ErrorCorrelation(np.zeros((2 * NODE_COUNT, 1)))


@dataclass(frozen=True)
class CalibrationRadiographs:
    """The radiographs that a calibration learns from, and those that it is set by.

    Attributes:
        outlined: with landmarks; those that the landmark network was trained on may be among them.
        frontal: further frontal radiographs of other scanners.
        held_out: with landmarks, which no network here has learned from: they set the radii and the limits.
        held_out_frontal: further frontal radiographs, which the examiner has not learned from: they set the limits.
    """

    outlined: Sequence[RadiographItem]
    frontal: Sequence[RadiographItem]
    held_out: Sequence[RadiographItem]
    held_out_frontal: Sequence[RadiographItem]


@dataclass(frozen=True)
class Settings:
    """How a calibration is made: corrupted views per outlined image, steps of the two trainings, seed, processes."""

    rounds: int = 36
    error_steps: int = 1500
    detector_steps: int = 1000
    seed: int = 0
    workers: int = 0


def calibrate(
    model: Model,
    radiographs: CalibrationRadiographs,
    settings: Settings,
    *,
    work: Path,
    progress: Mapping[str, Progress],
) -> Calibration:
    """Calibrate a model.

    Args:
        model: any calibration it has is left aside.
        radiographs: to learn from and to be set by.
        settings: counts and seed.
        work: folder in which collected examples are kept, so that a calibration that was stopped continues from them.
        progress: a function per stage: ``errors``, ``images``, ``error head``, ``detector``, ``correlation``,
            ``held-out radiographs``.

    Returns:
        The calibration, with its record.

    Raises:
        ValueError: if the network has no refinements, or there are no held-out radiographs with landmarks.
    """
    if not model.network.refinements:
        raise ValueError("only a network with refinements can be calibrated: the error head reads its fine feature map")
    _check(radiographs)
    code = commit()
    network = model.network.eval()
    examiner = _examiner(
        network.latent_size, *_examples(model, radiographs, settings, work, progress), settings, progress
    )
    unity = {organ.name: 1.0 for organ in ORGANS}
    draft = Calibration(examiner, unity, NO_CORRELATION, unity, Limits({}), model.identity.sha256, {})
    segmenter = Segmenter(replace(model, calibration=draft), device="cpu")
    correlation = correlation_on(segmenter, radiographs.outlined, progress["correlation"])
    results = _results(
        segmenter, [*radiographs.held_out, *radiographs.held_out_frontal], progress["held-out radiographs"]
    )
    outlined = results[: len(radiographs.held_out)]
    draft = replace(draft, error_factors=_error_factors(outlined), error_correlation=correlation)
    factors = _radius_factors(outlined, draft)
    judged = [criteria(result.scores, organ_uncertainty(draft.expected(result.covariance))) for result in results]
    limits = choose_limits(judged[: len(outlined)], judged[len(outlined) :])
    record = {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "software": software(code),
        "settings": asdict(settings),
        "films": {name: _by_source(getattr(radiographs, name)) for name in CalibrationRadiographs.__dataclass_fields__},
        "learned_from": sorted(item.digest() for item in (*radiographs.outlined, *radiographs.frontal)),
        "rule_of_limits": RULE,
        "rule_of_errors": "per organ, half of the held-out landmarks lie within the confidence ellipse of one half",
        "rule_of_correlation": "common factors of the errors on the outlined radiographs that were learned from, each "
        "error measured by what was expected of it",
        "rule_of_radii": f"split conformal over the nodes of the held-out outlined images, per organ, at {LEVEL:.0%}",
    }
    return replace(draft, radius_factors=factors, limits=limits, record=record)


def _check(radiographs: CalibrationRadiographs) -> None:
    """See before hours of work that every radiograph can be read, and that every organ has held-out outlines.

    Raises:
        ValueError: if not; it names the radiograph.
    """
    for item in (*radiographs.outlined, *radiographs.frontal, *radiographs.held_out, *radiographs.held_out_frontal):
        try:
            read_radiograph(item.path)
        except RadiographError as error:
            raise ValueError(f"{item.path}: {error}; take it away, or leave it out with --leave-out") from error
    for group, name in ((radiographs.outlined, "learn from"), (radiographs.held_out, "set the radii by")):
        outlines = [item.landmarks for item in group if item.landmarks is not None]
        known = np.logical_or.reduce(np.isfinite(np.reshape(outlines, (-1, NODE_COUNT, 2))).all(axis=-1))
        for organ in ORGANS:
            if not known[organ.nodes].all():
                raise ValueError(
                    f"there is no radiograph with landmarks of the {organ.name.replace('_', ' ')} to {name}"
                )


def _examples(
    model: Model, radiographs: CalibrationRadiographs, settings: Settings, work: Path, progress: Mapping[str, Progress]
) -> tuple[ErrorExamples, ImageExamples]:
    """Collect the examples, or take those that an earlier run has kept."""
    every = [*radiographs.outlined, *radiographs.frontal]
    sources: dict[str, list[RadiographItem | int]] = {
        "errors": [*radiographs.outlined, settings.rounds],
        "images": [*every],
    }
    paths = {kind: work / f"{kind}-{_key(model, source, settings.seed)}.pt" for kind, source in sources.items()}
    if not paths["errors"].is_file():
        errors = collect_error_examples(
            radiographs.outlined,
            model.network,
            rounds=settings.rounds,
            seed=settings.seed,
            progress=progress["errors"],
            workers=settings.workers,
        )
        _keep(errors, paths["errors"])
    if not paths["images"].is_file():
        images = collect_image_examples(
            every, model.network, seed=settings.seed, progress=progress["images"], workers=settings.workers
        )
        _keep(images, paths["images"])
    kept = [torch.load(paths[kind], weights_only=True) for kind in ("errors", "images")]
    return ErrorExamples(**kept[0]), ImageExamples(**kept[1])


def _key(model: Model, source: Sequence[RadiographItem | int], seed: int) -> str:
    """Return what tells examples of the same making from others."""
    contents = [part.fingerprint() if isinstance(part, RadiographItem) else part for part in source]
    return hashlib.sha256(json.dumps([model.identity.sha256, seed, *contents]).encode()).hexdigest()[:16]


def _keep(examples: ErrorExamples | ImageExamples, path: Path) -> None:
    with atomic_path(path) as temporary:
        torch.save(vars(examples), temporary)


def _examiner(
    latent_size: int,
    errors: ErrorExamples,
    images: ImageExamples,
    settings: Settings,
    progress: Mapping[str, Progress],
) -> Examiner:
    """Teach the networks, and fit the distances to the views of frontal radiographs."""
    examiner = Examiner(latent_size)
    examiner.error_head = train_error_head(
        errors, steps=settings.error_steps, seed=settings.seed, progress=progress["error head"]
    )
    examiner.detector = train_detector(
        images, steps=settings.detector_steps, seed=settings.seed, progress=progress["detector"]
    )
    frontal = images.kind == 0
    examiner.features.fit(images.grid[frontal].float().mean(dim=(2, 3)))
    examiner.latent.fit(images.latent[frontal, :latent_size].float())
    examiner.shape.fit(images.mean[frontal])
    return examiner.eval()


@dataclass(frozen=True, eq=False)
class _Result:
    """What a radiograph tells: scores, landmarks and errors ``(120, 2)``, the examiner's covariance ``(120, 2, 2)``.

    All are in the network frame; errors, landmarks minus truth, are NaN without landmarks.
    """

    scores: dict[str, float]
    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    error: NDArray[np.float64]


def _results(segmenter: Segmenter, radiographs: Sequence[RadiographItem], progress: Progress) -> list[_Result]:
    results = []
    for index, item in enumerate(radiographs):
        posterior, frame = segmenter.infer(read_radiograph(item.path))
        scores = dict(zip(SCORES, posterior.scores[0].tolist(), strict=True))
        truth = np.full((NODE_COUNT, 2), np.nan) if item.landmarks is None else frame.to_network(item.landmarks)
        mean, covariance = (part[0].double().cpu().numpy() for part in (posterior.mean, posterior.error_covariance))
        results.append(_Result(scores, mean, covariance, mean - truth))
        progress(index + 1, len(radiographs))
    return results


def correlation_on(segmenter: Segmenter, radiographs: Sequence[RadiographItem], progress: Progress) -> ErrorCorrelation:
    """Return how the errors of one radiograph hang together.

    Args:
        segmenter: with an examiner and factors of 1.
        radiographs: with landmarks.
        progress: called with the number of radiographs done, and of all.
    """
    results = _results(segmenter, radiographs, progress)
    standardized = [standardized_errors(-result.error, result.covariance, result.mean) for result in results]
    return fit_correlation(np.array(standardized))


def _error_factors(results: Sequence[_Result]) -> dict[str, float]:
    """Return per organ the factor at which half of the true landmarks lie within the ellipse of one half."""
    errors, covariances = (np.array([getattr(result, name) for result in results]) for name in ("error", "covariance"))
    squared = np.einsum("fni,fni->fn", errors, np.linalg.solve(covariances, errors[..., None])[..., 0])
    middle = {organ.name: np.nanmedian(squared[:, organ.nodes]) for organ in ORGANS}
    return {name: float(np.sqrt(value / (2 * np.log(2)))) for name, value in middle.items()}


def _radius_factors(results: Sequence[_Result], calibration: Calibration) -> dict[str, float]:
    """Return per organ the conformal quantile of the error over the expected error."""
    ratios = np.array(
        [
            np.linalg.norm(result.error, axis=-1) / error_scale(calibration.expected(result.covariance))
            for result in results
        ]
    )
    known = {organ.name: ratios[:, organ.nodes] for organ in ORGANS}
    return {name: conformal_quantile(values[~np.isnan(values)], LEVEL) for name, values in known.items()}


def _by_source(radiographs: Sequence[RadiographItem]) -> dict[str, int]:
    sources = [item.source for item in radiographs]
    return {source: sources.count(source) for source in dict.fromkeys(sources)}
