"""Experiment: does the stated uncertainty hold on clean radiographs, and what does it cost to have it node by node?"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.experiments.figures import calibration_figure
from monai_chexmask_u.experiments.findings import Findings, Measurements, Plot, node_rows
from monai_chexmask_u.experiments.statistics import miscalibration_area, observed_coverage
from monai_chexmask_u.uncertainty import conformal_quantile

__all__ = ["analyze", "calibration_curve", "coverage_table", "refit_table"]

EXPECTED: Final = np.arange(1, 20) / 20
COLUMNS: Final = (
    "node_error",
    "node_radius90",
    "node_predictive",
    "node_predictive_level",
    "node_total",
    "node_total_level",
)
NO_RADIUS: Final = "The model gives no error radii, so that their coverage is not known."


def analyze(measurements: Measurements) -> Findings:
    """Return the tables of coverage, radii and calibration curves, on outlined radiographs as they come."""
    nodes = node_rows(measurements.clean(), COLUMNS)
    nodes = nodes[nodes["error"].notna()]
    has_radius = bool(nodes["radius90"].notna().any())
    curve = calibration_curve(nodes, measurements.node_measures)
    tables = {"calibration_curve": curve, "calibration_measures": _measure_table(nodes, curve)}
    if has_radius:
        tables |= {"calibration_coverage": coverage_table(nodes), "calibration_refit": refit_table(nodes)}
    caption = (
        "Share of nodes within the confidence ellipse of each probability, on clean radiographs; the diagonal is ideal."
    )
    plots = {"calibration_curve": Plot(calibration_figure(curve), caption)}
    return Findings(tables, plots, _summary(tables), () if has_radius else (NO_RADIUS,))


def coverage_table(nodes: pd.DataFrame) -> pd.DataFrame:
    """Return how many true landmarks lie within the radius: of all nodes, per organ, and the spread over images."""
    groups = {"all": nodes} | {organ.name: nodes[nodes["organ"] == organ.name] for organ in ORGANS}
    rows = []
    for name, group in groups.items():
        covered = (group["error"] <= group["radius90"]).astype(float)
        radiographs = covered.groupby(group["radiograph"]).mean()
        row: dict[str, Any] = {
            "organ": name,
            "nodes": len(group),
            "radiographs": len(radiographs),
            "coverage": covered.mean(),
        }
        row |= {
            "radiograph_std": radiographs.std(ddof=0),
            "radiograph_least": radiographs.min(),
            "radiograph_q1": radiographs.quantile(0.25),
        }
        rows.append(row)
    return pd.DataFrame(rows)


def refit_table(nodes: pd.DataFrame, level: float = 0.9) -> pd.DataFrame:
    """Set radius and constant anew for each radiograph, from the other radiographs alone, and see what they hold of it.

    That is what the coverage is worth on radiographs that the calibration has seen: each radiograph is judged by the
    others. A row per organ has coverage and mean length of the radii, and of one constant per organ, both set for the
    level.
    """
    kept = []
    for organ, group in nodes.groupby("organ", sort=False):
        for item in sorted(set(group["radiograph"])) if group["radiograph"].nunique() > 1 else ():
            own, others = group[group["radiograph"] == item], group[group["radiograph"] != item]
            factor = conformal_quantile(others["error"] / others["radius90"], level)
            constant = conformal_quantile(others["error"], level)
            row = {"organ": organ, "error": own["error"], "radius": factor * own["radius90"], "constant": constant}
            kept.append(pd.DataFrame(row))
    table = (
        pd.concat(kept, ignore_index=True) if kept else pd.DataFrame(columns=["organ", "error", "radius", "constant"])
    )
    groups = {"all": table} | {organ.name: table[table["organ"] == organ.name] for organ in ORGANS}
    rows = []
    for name, group in groups.items():
        row = {
            "organ": name,
            "nodes": len(group),
            "radius": group["radius"].mean(),
            "constant": group["constant"].mean(),
        }
        row |= {f"coverage_{each}": (group["error"] <= group[each]).mean() for each in ("radius", "constant")}
        rows.append({**row, "smaller_percent": 100 * (1 - row["radius"] / row["constant"])})
    return pd.DataFrame(rows)


def calibration_curve(nodes: pd.DataFrame, measures: tuple[str, ...]) -> pd.DataFrame:
    """Return which share of true landmarks lies within the confidence ellipses of 5, 10, ..., 95 %."""
    tables = [
        pd.DataFrame(
            {"measure": name, "expected": EXPECTED, "observed": observed_coverage(nodes[f"{name}_level"], EXPECTED)}
        )
        for name in measures
    ]
    return pd.concat(tables, ignore_index=True)


def _measure_table(nodes: pd.DataFrame, curve: pd.DataFrame) -> pd.DataFrame:
    """Return miscalibration area and sharpness (the mean uncertainty) of each measure, beside the mean error."""
    rows = []
    for name, group in curve.groupby("measure", sort=False):
        area = miscalibration_area(group["expected"], group["observed"])
        row = {"measure": name, "miscalibration_area": area, "sharpness": nodes[str(name)].mean()}
        rows.append({**row, "mean_error": nodes["error"].mean()})
    return pd.DataFrame(rows)


def _summary(tables: dict[str, pd.DataFrame]) -> dict[str, float]:
    found = {}
    for row in tables["calibration_measures"].to_dict("records"):
        for name in ("miscalibration_area", "sharpness"):
            found[f"calibration.{name}.{row['measure']}"] = row[name]
    if "calibration_coverage" in tables:
        for row in tables["calibration_coverage"].to_dict("records"):
            found[f"calibration.coverage90.{row['organ']}"] = row["coverage"]
            found[f"calibration.coverage90.{row['organ']}.film_std"] = row["radiograph_std"]  # the key is published
        for row in tables["calibration_refit"].to_dict("records"):
            found[f"calibration.refit_coverage90.{row['organ']}"] = row["coverage_radius"]
            for name in ("radius", "constant", "smaller_percent"):
                found[f"calibration.refit_{name}.{row['organ']}"] = row[name]
    return found
