from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from monai_chexmask_u.experiments.corruption_experiment import analyze, inside_outside, level_table, monotonicity
from monai_chexmask_u.experiments.findings import Measurements


def image(item: str, kind: str, severity: float, error: float, uncertainty: float, **columns: Any) -> dict[str, Any]:
    part = "clean" if kind == "clean" else "corrupted"
    names = {
        "radiograph": item,
        "set": "set",
        "label": "frontal_chest",
        "part": part,
        "kind": kind,
        "severity": severity,
    }
    values = {
        "error": error,
        "predictive": uncertainty,
        "latent": -uncertainty,
        "total": np.nan,
        "coverage90": np.nan,
        "score": uncertainty,
    }
    return {**names, "failure": "", **values, **columns}


def measurements(errors: list[float], uncertainties: list[float], kind: str, step: float) -> Measurements:
    """Two radiographs that differ by 2 in both; the first value is the clean one."""
    rows = [
        image(item, kind if number else "clean", number * step, error + shift, uncertainty + shift)
        for number, (error, uncertainty) in enumerate(zip(errors, uncertainties, strict=True))
        for item, shift in (("a", -1.0), ("b", 1.0))
    ]
    return Measurements(pd.DataFrame(rows), calibrated=False)


def test_levels_have_means_medians_and_quartiles_and_start_clean() -> None:
    table = level_table(measurements([10, 12, 30], [5, 6, 9], "contrast_loss", 0.1))
    assert list(table["severity"]) == [0, 0.1, 0.2]
    assert list(table["radiographs"]) == [2, 2, 2]
    assert list(table["mean_error"]) == [10, 12, 30]
    assert list(table["predictive_median"]) == [5, 6, 9]
    assert list(table["predictive_q1"]) == [4.5, 5.5, 8.5]
    assert list(table["latent_q3"]) == [-4.5, -5.5, -8.5]


def test_levels_count_from_a_change_of_5_percent_to_the_doubled_error() -> None:
    table = level_table(measurements([10, 10.5, 10.6, 19.9, 20, 21], [1, 2, 3, 4, 5, 6], "contrast_loss", 0.1))
    assert list(table["counts"]) == [True, False, True, True, True, False]


def test_levels_count_up_to_the_published_worst_one_in_any_case() -> None:
    # Gaussian noise is published up to 190 gray levels; these are 0, 70, 140, 210, 280.
    table = level_table(measurements([10, 20, 9, 20, 20], [1, 2, 3, 4, 5], "gaussian_noise", 70))
    assert list(table["counts"]) == [True, True, True, False, False]
    assert level_table(measurements([10, 11, 12], [1, 2, 3], "gaussian_noise", 300))["counts"].all()


def test_monotone_uncertainty_has_a_correlation_of_one_and_does_not_fall() -> None:
    data = measurements([10, 11, 12, 13], [1, 2, 3, 4], "contrast_loss", 0.1)
    row = monotonicity(level_table(data), data.measures).iloc[0]
    assert (row["kind"], row["levels"], row["spearman_score"], row["spearman_latent"]) == ("contrast_loss", 4, 1, -1)
    assert row["fall_percent_score"] == 0
    assert row["error_rise"] == pytest.approx(1.3)


def test_uncertainty_that_peaks_and_falls_is_found() -> None:
    data = measurements([10, 11, 12, 13], [1, 4, 3, 2], "contrast_loss", 0.1)
    row = monotonicity(level_table(data), data.measures).iloc[0]
    assert row["spearman_predictive"] == pytest.approx(1 - 6 * (0 + 4 + 0 + 4) / (4 * 15))
    assert row["fall_percent_predictive"] == pytest.approx(50)


def occluded(size: float, kind: str = "occlusion") -> dict[str, Any]:
    altered = np.arange(120) < 30
    values = np.where(altered, 8.0, 2.0)
    lists = {"node_error": np.ones(120), "node_altered": altered.astype(float), "node_predictive": values}
    return image("a", kind, size, 1.0, 3.0, **lists, node_predictive_normal=values**2)


def test_inside_and_outside_are_compared_by_their_medians() -> None:
    rows = [occluded(100), occluded(301), occluded(201, "occlusion_4"), image("a", "clean", 0, 1, 1)]
    sides, nodes = inside_outside(Measurements(pd.DataFrame(rows), calibrated=False))
    table = sides.set_index(["kind", "severity", "measure"])
    row = table.loc[("occlusion", 301, "predictive")]
    assert (row["nodes_inside"], row["nodes_outside"]) == (30, 90)
    assert (row["median_inside"], row["median_outside"], row["q3_outside"], row["ratio"]) == (8, 2, 2, 4)
    assert table.loc[("occlusion_4", 201, "predictive_normal"), "ratio"] == 16
    assert set(nodes["severity"]) == {301, 201}  # the published sizes, for the figure
    assert len(nodes) == 240


def test_summary_has_the_published_levels_and_sizes() -> None:
    rows = [image("a", "clean", 0, 10, 7, node_error=np.ones(120)), occluded(301)]
    rows += [image("a", "gaussian_noise", severity, 20, 5) for severity in (60, 190)]
    found = analyze(Measurements(pd.DataFrame(rows), calibrated=False))
    assert found.summary["clean.predictive_median"] == 7
    assert found.summary["corruption.gaussian_noise.predictive_median_at_60"] == 5
    assert found.summary["corruption.gaussian_noise.latent_median_at_190"] == -5
    assert found.summary["corruption.occlusion.inside_outside.predictive"] == 4
    assert found.summary["corruption.least_spearman_score"] == pytest.approx(-1)
    assert set(found.plots) == {"severity_predictive", "severity_latent", "inside_outside"}
