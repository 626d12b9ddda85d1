"""One run: radiographs in; tables, figures, report out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pandas as pd

from monai_chexmask_u.data.radiograph_sets import RadiographItem, RadiographSet
from monai_chexmask_u.experiments import (
    calibration_experiment,
    corruption_experiment,
    error_experiment,
    ood_experiment,
)
from monai_chexmask_u.experiments.conditions import Part, Plan
from monai_chexmask_u.experiments.findings import Findings, Measurements, write_table
from monai_chexmask_u.experiments.jobs import Failure, list_jobs, run_jobs
from monai_chexmask_u.experiments.report import Report
from monai_chexmask_u.experiments.store import Store, run_settings
from monai_chexmask_u.segmenter import Segmenter

__all__ = ["EXPERIMENTS", "Experiment", "Progress", "run_experiments"]

Progress = Callable[[int, int], None]
"""Called with how many of how many images are done."""


@dataclass(frozen=True)
class Experiment:
    """One experiment: which parts it needs, of which radiographs, and what it makes of them."""

    parts: tuple[Part, ...]
    outlined_only: bool
    analyze: Callable[[Measurements], Findings]


EXPERIMENTS: Final[dict[str, Experiment]] = {
    "corruption": Experiment(("clean", "corrupted"), True, corruption_experiment.analyze),
    "error": Experiment(("clean", "corrupted"), True, error_experiment.analyze),
    "ood": Experiment(("clean", "foreign"), False, ood_experiment.analyze),
    "calibration": Experiment(("clean",), True, calibration_experiment.analyze),
}


def run_experiments(
    names: Sequence[str],
    sets: Sequence[RadiographSet],
    segmenter: Segmenter,
    folder: Path,
    *,
    plan: Plan | None = None,
    progress: Progress = lambda done, total: None,
) -> Report:
    """Measure what is not there yet, analyze, and write everything.

    Args:
        names: of `EXPERIMENTS`.
        sets: as of `read_sets`.
        segmenter: the model with its number of samples; its seed is that of noise and places as well.
        folder: exists already; what an earlier run of the same settings measured there is used.
        plan: which levels and which foreign images; all of them by default.
        progress: is called after each image.

    Raises:
        ValueError: if the folder holds measurements of other settings, or no radiograph could be measured.
        OSError: if results cannot be written.
    """
    plan = plan or Plan()
    settings = run_settings(segmenter.identity, segmenter.sampler.num_samples, segmenter.sampler.seed, plan)
    store = Store(folder, settings)
    needed = _needed(names, sets)
    jobs = [job for item, parts in needed for job in list_jobs([item], parts, plan, store)]
    total, done = sum(len(job.conditions) for job in jobs), 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    unreadable = run_jobs(jobs, segmenter, store, advance)
    rows = _stored(store, needed, {failure.radiograph for failure in unreadable})
    failures = _failures(unreadable, rows)
    outlined = {item.key for item, _ in needed if item.landmarks is not None}
    if (
        not len(rows)
        or not (rows["radiograph"].isin(outlined) & (rows["part"] == "clean") & (rows["failure"] == "")).any()
    ):
        first = failures.iloc[0]
        raise ValueError(
            f"none of the outlined radiographs could be measured; {first['radiograph']}: {first['message']}"
        )
    rows["learned"] = rows["radiograph"].isin(_learned([item for item, _ in needed], segmenter))
    measurements = Measurements.of(rows)
    findings = {name: EXPERIMENTS[name].analyze(measurements) for name in names}
    report = Report(_now(), settings, sets, findings, failures, measurements.calibrated)
    _write(report, folder)
    return report


def _needed(names: Sequence[str], sets: Sequence[RadiographSet]) -> list[tuple[RadiographItem, tuple[Part, ...]]]:
    """Return the radiographs with the parts that are needed of each."""
    needed = []
    for each in sets:
        chosen = [EXPERIMENTS[name] for name in names if each.kind == "outlined" or not EXPERIMENTS[name].outlined_only]
        parts = tuple(dict.fromkeys(part for experiment in chosen for part in experiment.parts))
        needed += [(item, parts) for item in each.radiographs] if parts else []
    return needed


def _learned(radiographs: Sequence[RadiographItem], segmenter: Segmenter) -> set[str]:
    """Return the radiographs that the calibration's examiner has learned from, by what its record says."""
    digests = set(segmenter.calibration.record.get("learned_from", ())) if segmenter.calibration else set()
    return {item.key for item in radiographs if digests and item.path.is_file() and item.digest() in digests}


def _stored(
    store: Store, needed: Sequence[tuple[RadiographItem, tuple[Part, ...]]], unreadable: set[str]
) -> pd.DataFrame:
    """Return all rows that are needed, whatever else the store holds."""
    tables = [store.read(part, [item]) for item, parts in needed if item.key not in unreadable for part in parts]
    known = [table for table in tables if len(table)]
    return pd.concat(known, ignore_index=True) if known else pd.DataFrame(columns=["radiograph", "part", "failure"])


def _failures(unreadable: Sequence[Failure], rows: pd.DataFrame) -> pd.DataFrame:
    columns = ["radiograph", "kind", "severity", "code", "message"]
    radiographs = pd.DataFrame([asdict(failure) for failure in unreadable], columns=columns)
    failed = rows[rows["failure"] != ""].rename(columns={"failure": "code"})
    return pd.concat([radiographs, failed.reindex(columns=columns)], ignore_index=True) if len(failed) else radiographs


def _write(report: Report, folder: Path) -> None:
    for found in report.findings.values():
        found.write(folder)
    write_table(report.failures, folder / "tables", "failures")
    report.write(folder)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
