"""Measuring many radiographs: what is there already is left alone, and a bad radiograph does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monai_chexmask_u.data.radiograph_sets import RadiographItem
from monai_chexmask_u.experiments.conditions import Condition, Part, Plan, condition_seed, conditions_of
from monai_chexmask_u.experiments.measure import measure, names_of
from monai_chexmask_u.experiments.store import Store
from monai_chexmask_u.files.faults import fault_of
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.segmenter import Segmenter
from monai_chexmask_u.transforms.corruptions import CORRUPTIONS

__all__ = ["Failure", "Job", "list_jobs", "run_jobs"]


@dataclass(frozen=True)
class Job:
    """One part of one radiograph, still to be measured."""

    part: Part
    item: RadiographItem
    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class Failure:
    """A radiograph, or a radiograph under one condition, that could not be measured.

    Attributes:
        radiograph: its key.
        kind: of the condition, empty where the radiograph itself cannot be read.
        severity: of the condition.
        code: machine-readable reason.
        message: one sentence.
    """

    radiograph: str
    kind: str
    severity: float
    code: str
    message: str


def list_jobs(radiographs: Iterable[RadiographItem], parts: Sequence[Part], plan: Plan, store: Store) -> list[Job]:
    """List what is not in the store yet, radiograph by radiograph."""
    jobs = []
    for item in radiographs:
        for part in parts:
            conditions = tuple(conditions_of(item, part, plan))
            if conditions and not _is_there(store, part, item):
                jobs.append(Job(part, item, conditions))
    return jobs


def _is_there(store: Store, part: Part, item: RadiographItem) -> bool:
    try:
        return store.has(part, item)
    except OSError:  # the radiograph cannot be read, which is said when its turn comes
        return False


def run_jobs(jobs: Iterable[Job], segmenter: Segmenter, store: Store, advance: Callable[[int], None]) -> list[Failure]:
    """Measure and store.

    Args:
        jobs: what to do.
        segmenter: does the work; its seed is that of noise and places as well.
        store: takes the rows.
        advance: called with the number of conditions that are done, after each.

    Returns:
        Radiographs that could not be read; conditions that failed are in the store, with the reason.

    Raises:
        OSError: if a part cannot be written.
    """
    failures: dict[str, Failure] = {}
    for job in jobs:
        try:
            radiograph = read_radiograph(job.item.path)
            partner = _partner(job, radiograph.shape)
        except Exception as error:  # whatever is wrong with one radiograph, the others are still measured
            failures[job.item.key] = Failure(job.item.key, "", 0.0, *fault_of(error))
            advance(len(job.conditions))
            continue
        rows = []
        for condition in job.conditions:
            rows.append(_row(segmenter, job.item, radiograph, condition, partner))
            advance(1)
        store.write(job.part, job.item, rows)
    return list(failures.values())


def _row(
    segmenter: Segmenter, item: RadiographItem, radiograph: Radiograph, condition: Condition, partner: Any
) -> dict[str, Any]:
    seed = condition_seed(segmenter.sampler.seed, item, condition)
    try:
        return measure(segmenter, item, radiograph, condition, seed, partner)
    except Exception as error:  # one condition may be too much for the network, and the others not
        code, message = fault_of(error)
        return {**names_of(item, condition), "failure": code, "message": message}


def _partner(job: Job, shape: tuple[int, int]) -> NDArray[np.float32] | None:
    """Return the pixels of the radiograph to blend in, resized to this one's shape; None where it cannot be used."""
    needed = any(
        condition.part == "corrupted" and CORRUPTIONS[condition.kind].needs_partner for condition in job.conditions
    )
    if not needed or job.item.partner is None:
        return None
    import cv2  # of an extra

    try:
        pixels = read_radiograph(job.item.partner).pixels
    except ValueError:
        return None
    resized = cv2.resize(pixels, shape[::-1], interpolation=cv2.INTER_AREA) if pixels.shape != shape else pixels
    return np.clip(resized, 0, 1).astype(np.float32)
