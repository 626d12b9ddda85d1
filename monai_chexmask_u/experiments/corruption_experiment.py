"""Experiment: uncertainty against the severity of corruptions, and inside against outside altered squares."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from monai_chexmask_u.experiments.conditions import published_severity
from monai_chexmask_u.experiments.figures import inside_outside_figure, severity_figure
from monai_chexmask_u.experiments.findings import Findings, Measurements, Plot, node_rows
from monai_chexmask_u.experiments.statistics import spearman
from monai_chexmask_u.transforms.corruptions import CORRUPTIONS

__all__ = ["analyze", "inside_outside", "level_table", "monotonicity"]

CAPTION: Final = (
    "Median (line) and quartiles (band) of the {} uncertainty of the images, and the mean error of their nodes "
    "(dashed, right axis), against the severity of each corruption. Dots mark the levels that count for monotonicity."
)
LEAST_CHANGE: Final = 1.05
DOUBLED: Final = 2.0


def analyze(measurements: Measurements) -> Findings:
    """Return the tables of levels, monotonicity and altered squares."""
    levels = level_table(measurements)
    monotone = monotonicity(levels, measurements.measures)
    sides, nodes = inside_outside(measurements)
    plots = {
        f"severity_{name}": Plot(severity_figure(levels, name), CAPTION.format(name)) for name in measurements.measures
    }
    if len(nodes):
        caption = "Uncertainty of the nodes inside and outside the altered squares, at the severity below each pair."
        plots["inside_outside"] = Plot(inside_outside_figure(nodes, measurements.node_measures), caption)
    tables = {"corruption_levels": levels, "corruption_monotonicity": monotone, "corruption_inside_outside": sides}
    return Findings(tables, plots, _summary(measurements, levels, monotone, sides))


def level_table(measurements: Measurements) -> pd.DataFrame:
    """Return a row per corruption and level, clean radiographs being level 0 of each.

    Columns are the number of radiographs, their mean error, the coverage of the 90 % radius, median and quartiles of
    each measure, and ``counts``: whether the level counts for monotonicity. It does not where the radiographs' mean
    error is within 5 % of the clean one, but for the clean level, nor beyond the first level that doubles the error,
    but for levels up to the worst published one, nor where another radiograph's outlines fit the image better.
    """
    images = measurements.outlined
    clean = images[images["part"] == "clean"]
    corrupted = images[images["part"] == "corrupted"]
    tables = []
    for kind in [name for name in CORRUPTIONS if name in set(corrupted["kind"])]:
        rows = corrupted[corrupted["kind"] == kind]
        both = pd.concat([clean[clean["radiograph"].isin(rows["radiograph"])], rows])
        table = _spread(both, (*measurements.measures, "score"))
        table.insert(0, "kind", kind)
        table["counts"] = _levels_that_count(table, CORRUPTIONS[kind].published)
        table["counts"] &= table["severity"] <= CORRUPTIONS[kind].outlined_up_to
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _spread(rows: pd.DataFrame, measures: tuple[str, ...]) -> pd.DataFrame:
    groups = rows.groupby("severity")
    columns: dict[str, Any] = {"radiographs": groups["radiograph"].count(), "mean_error": groups["error"].mean()}
    columns["coverage90"] = groups["coverage90"].mean()
    for name in measures:
        for title, quantile in (("q1", 0.25), ("median", 0.5), ("q3", 0.75)):
            columns[f"{name}_{title}"] = groups[name].quantile(quantile)
    return pd.DataFrame(columns).reset_index()


def _levels_that_count(table: pd.DataFrame, published: float | None) -> Any:
    """Return a boolean per level; the rule is that of `level_table`."""
    severity, change = table["severity"].to_numpy(), (table["mean_error"] / table["mean_error"].iloc[0]).to_numpy()
    doubled = np.flatnonzero(change >= DOUBLED)
    last = severity[doubled[0]] if doubled.size else severity[-1]
    reached = severity <= max(last, published or 0)
    return reached & ((severity == 0) | (np.abs(change - 1) > LEAST_CHANGE - 1))


def monotonicity(levels: pd.DataFrame, measures: tuple[str, ...]) -> pd.DataFrame:
    """Return per corruption Spearman's correlation of mean error and median uncertainty over the levels that count.

    Further columns are the number of these levels, the largest rise of the error, and by how much the median falls from
    its peak to the last of these levels, in percent.
    """
    rows = []
    for kind, table in levels.groupby("kind", sort=False):
        used = table[table["counts"]]
        row: dict[str, Any] = {"kind": kind, "unit": CORRUPTIONS[kind].unit, "levels": len(used)}
        row["error_rise"] = used["mean_error"].max() / table["mean_error"].iloc[0]
        for name in ("score", *measures):
            median = used[f"{name}_median"]
            row[f"spearman_{name}"] = spearman(used["mean_error"], median)
            row[f"fall_percent_{name}"] = 100 * (1 - median.iloc[-1] / median.max())
        rows.append(row)
    return pd.DataFrame(rows)


def inside_outside(measurements: Measurements) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare nodes inside and outside altered squares.

    Returns:
        A table with a row per local corruption, level and measure, the error being one of them: medians, the upper
        quartile outside, and the ratio of the medians; and the nodes at the published sizes.
    """
    images = measurements.outlined
    local = [name for name, corruption in CORRUPTIONS.items() if corruption.kind == "local"]
    images = images[(images["part"] == "corrupted") & images["kind"].isin(local)]
    nodes = node_rows(images)
    nodes = nodes[nodes["error"].notna()]
    rows = []
    for (kind, severity), group in nodes.groupby(["kind", "severity"]):
        inside = group["altered"] > 0
        measures = [f"{each}{suffix}" for each in measurements.node_measures for suffix in ("", "_normal")]
        for name in ("error", *measures):
            rows.append({"kind": kind, "severity": severity, "measure": name, **_sides(group[name], inside)})
    sizes = nodes["kind"].map(published_severity) if len(nodes) else nodes["severity"]
    return pd.DataFrame(rows), nodes[nodes["severity"] == sizes]


def _sides(values: pd.Series, inside: pd.Series) -> dict[str, float]:
    within, beyond = values[inside], values[~inside]
    return {
        "nodes_inside": len(within),
        "nodes_outside": len(beyond),
        "median_inside": within.median(),
        "median_outside": beyond.median(),
        "q3_outside": beyond.quantile(0.75),
        "ratio": within.median() / beyond.median(),
    }


def _summary(
    measurements: Measurements, levels: pd.DataFrame, monotone: pd.DataFrame, sides: pd.DataFrame
) -> dict[str, float]:
    clean = measurements.clean()
    found = {"clean.error": clean["error"].mean()}
    found |= {f"clean.{name}_median": clean[name].median() for name in ("score", *measurements.measures)}
    for row in monotone.to_dict("records"):
        kind = row.pop("kind")
        found |= {f"corruption.{kind}.{name}": value for name, value in row.items() if name != "unit"}
    for name in ("score", *measurements.measures):
        found[f"corruption.least_spearman_{name}"] = monotone[f"spearman_{name}"].min()
    noise = levels[levels["kind"] == "gaussian_noise"].set_index("severity")
    for severity in (60.0, 190.0):
        for name in ("predictive", "latent"):
            present = severity in noise.index
            value = noise.loc[severity, f"{name}_median"] if present else np.nan
            found[f"corruption.gaussian_noise.{name}_median_at_{severity:g}"] = value
    for row in sides.to_dict("records"):
        if row["severity"] == published_severity(row["kind"]):
            start = f"corruption.{row['kind']}.inside_outside.{row['measure']}"
            found[start] = row["ratio"]
            found[f"{start}.median_inside_over_q3_outside"] = row["median_inside"] / row["q3_outside"]
    return found
