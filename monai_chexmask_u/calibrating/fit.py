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
from monai_chexmask_u.data.film_sets import Film
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
from monai_chexmask_u.uncertainty.reliability import criteria

__all__ = ["CalibrationFilms", "Settings", "calibrate"]

LEVEL: Final = 0.9


@dataclass(frozen=True)
class CalibrationFilms:
    """The films that a calibration learns from, and those that it is set by.

    Attributes:
        outlined: with landmarks; those that the landmark network was trained on may be among them.
        frontal: further frontal films of other scanners.
        held_out: with landmarks, which no network here has learned from: they set the radii and the limits.
        held_out_frontal: further frontal films, which the examiner has not learned from: they set the limits.
    """

    outlined: Sequence[Film]
    frontal: Sequence[Film]
    held_out: Sequence[Film]
    held_out_frontal: Sequence[Film]


@dataclass(frozen=True)
class Settings:
    """How a calibration is made: corrupted views per outlined film, steps of the two trainings, seed, processes."""

    rounds: int = 36
    error_steps: int = 1500
    detector_steps: int = 1000
    seed: int = 0
    workers: int = 0


def calibrate(
    model: Model, films: CalibrationFilms, settings: Settings, *, work: Path, progress: Mapping[str, Progress]
) -> Calibration:
    """Calibrate a model.

    Args:
        model: any calibration it has is left aside.
        films: to learn from and to be set by.
        settings: counts and seed.
        work: folder in which collected examples are kept, so that a calibration that was stopped goes on from them.
        progress: a function per stage: ``errors``, ``images``, ``error head``, ``detector``, ``held-out films``.

    Returns:
        The calibration, with its record.

    Raises:
        ValueError: if the network has no refinements, or there are no held-out films with landmarks.
    """
    if not model.network.refinements:
        raise ValueError("only a network with refinements can be calibrated: the error head reads its fine feature map")
    _check(films)
    code = commit()
    network = model.network.eval()
    examiner = _examiner(network.latent_size, *_examples(model, films, settings, work, progress), settings, progress)
    unity = {organ.name: 1.0 for organ in ORGANS}
    draft = Calibration(examiner, unity, unity, Limits({}), model.identity.sha256, {})
    segmenter = Segmenter(replace(model, calibration=draft), device="cpu")
    results = _results(segmenter, [*films.held_out, *films.held_out_frontal], progress["held-out films"])
    outlined = results[: len(films.held_out)]
    draft = replace(draft, error_factors=_error_factors(outlined))
    factors = _radius_factors(outlined, draft)
    judged = [criteria(result.scores, organ_uncertainty(draft.expected(result.covariance))) for result in results]
    limits = choose_limits(judged[: len(outlined)], judged[len(outlined) :])
    record = {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "software": software(code),
        "settings": asdict(settings),
        "films": {name: _by_source(getattr(films, name)) for name in CalibrationFilms.__dataclass_fields__},
        "learned_from": sorted(film.digest() for film in (*films.outlined, *films.frontal)),
        "rule_of_limits": RULE,
        "rule_of_errors": "per organ, half of the held-out landmarks lie within the confidence ellipse of one half",
        "rule_of_radii": f"split conformal over the nodes of the held-out outlined films, per organ, at {LEVEL:.0%}",
    }
    return replace(draft, radius_factors=factors, limits=limits, record=record)


def _check(films: CalibrationFilms) -> None:
    """See before hours of work that every film can be read, and that every organ has held-out outlines.

    Raises:
        ValueError: if not; it names the film.
    """
    for film in (*films.outlined, *films.frontal, *films.held_out, *films.held_out_frontal):
        try:
            read_radiograph(film.path)
        except RadiographError as error:
            raise ValueError(f"{film.path}: {error}; take it away, or leave it out with --leave-out") from error
    for group, name in ((films.outlined, "learn from"), (films.held_out, "set the radii by")):
        outlines = [film.landmarks for film in group if film.landmarks is not None]
        known = np.logical_or.reduce(np.isfinite(np.reshape(outlines, (-1, NODE_COUNT, 2))).all(axis=-1))
        for organ in ORGANS:
            if not known[organ.nodes].all():
                raise ValueError(f"there is no film with landmarks of the {organ.name.replace('_', ' ')} to {name}")


def _examples(
    model: Model, films: CalibrationFilms, settings: Settings, work: Path, progress: Mapping[str, Progress]
) -> tuple[ErrorExamples, ImageExamples]:
    """Collect the examples, or take those that an earlier run has kept."""
    every = [*films.outlined, *films.frontal]
    sources: dict[str, list[Film | int]] = {"errors": [*films.outlined, settings.rounds], "images": [*every]}
    paths = {kind: work / f"{kind}-{_key(model, source, settings.seed)}.pt" for kind, source in sources.items()}
    if not paths["errors"].is_file():
        errors = collect_error_examples(
            films.outlined,
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


def _key(model: Model, source: Sequence[Film | int], seed: int) -> str:
    """Return what tells examples of the same making from others."""
    contents = [part.fingerprint() if isinstance(part, Film) else part for part in source]
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
    """Teach the networks, and fit the distances to the views of frontal films."""
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
    """What a held-out film tells: scores, the examiner's covariance ``(120, 2, 2)`` and the errors ``(120, 2)``.

    All are in the network frame; errors are NaN without landmarks.
    """

    scores: dict[str, float]
    covariance: NDArray[np.float64]
    error: NDArray[np.float64]


def _results(segmenter: Segmenter, films: Sequence[Film], progress: Progress) -> list[_Result]:
    results = []
    for index, film in enumerate(films):
        posterior, frame = segmenter.infer(read_radiograph(film.path))
        scores = dict(zip(SCORES, posterior.scores[0].tolist(), strict=True))
        truth = np.full((NODE_COUNT, 2), np.nan) if film.landmarks is None else frame.to_network(film.landmarks)
        error = posterior.mean[0].double().cpu().numpy() - truth
        results.append(_Result(scores, posterior.error_covariance[0].double().cpu().numpy(), error))
        progress(index + 1, len(films))
    return results


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


def _by_source(films: Sequence[Film]) -> dict[str, int]:
    sources = [film.source for film in films]
    return {source: sources.count(source) for source in dict.fromkeys(sources)}
