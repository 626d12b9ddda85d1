"""Experiment: does uncertainty predict the error, of nodes and of images?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from monai_chexmask_u.experiments.conditions import published_severity
from monai_chexmask_u.experiments.figures import error_figure, risk_coverage_figure
from monai_chexmask_u.experiments.findings import Findings, Measurements, Plot, node_rows
from monai_chexmask_u.experiments.statistics import area_under_risk_coverage, pearson, spearman
from monai_chexmask_u.transforms.corruptions import CORRUPTIONS

__all__ = ["analyze", "pools_of", "relations"]

OCCLUSIONS: Final = ("occlusion", "occlusion_4")
GEOMETRY: Final = tuple(name for name, corruption in CORRUPTIONS.items() if corruption.kind == "geometry")
COLUMNS: Final = ("node_error", "node_normal_error", "node_predictive", "node_total")


def analyze(measurements: Measurements) -> Findings:
    """Return the tables of correlations and of areas under risk-coverage curves."""
    pools = pools_of(measurements.outlined)
    nodes = {name: node_rows(images, COLUMNS) for name, images in pools.items()}
    image_rows = relations(pools, (*measurements.measures, "score"), ("error", "normal_error"))
    node_table = relations(nodes, measurements.node_measures, ("error", "normal_error"))
    image_rows.insert(0, "of", "image")
    node_table.insert(0, "of", "node")
    table = pd.concat([image_rows, node_table], ignore_index=True)
    plots = {
        "error_uncertainty": Plot(
            error_figure(nodes["all"], measurements.node_measures),
            "Error against uncertainty of the nodes, all corruptions and levels and the clean images together; both "
            "axes and the number of nodes are logarithmic, the line is where both are equal.",
        ),
        "risk_coverage": Plot(
            risk_coverage_figure(pools["all"], nodes["all"], measurements.measures, measurements.node_measures),
            "Mean error of the most certain share of images (left) and of nodes (right), all corruptions and levels "
            "and the clean radiographs together; the oracle orders by the error itself.",
        ),
    }
    return Findings({"error_relations": table}, plots, _summary(table))


def pools_of(images: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the rows of outlined radiographs in groups, without images that another radiograph's outlines fit better.

    They are: ``all`` of them; ``without_geometry``, since rotation and crop make errors beyond all others; the
    ``clean`` ones; ``occluded``, at every size of the black squares;
    ``clean_and_occluded``; and ``clean_and_published_occlusions``, at the two published sizes.
    """
    images = images[images["severity"] <= images["kind"].map(_outlined_up_to)]
    clean, occluded = images["part"] == "clean", images["kind"].isin(OCCLUSIONS)
    sizes = images["kind"].map({kind: published_severity(kind) for kind in OCCLUSIONS})
    return {
        "all": images,
        "without_geometry": images[~images["kind"].isin(GEOMETRY)],
        "clean": images[clean],
        "occluded": images[occluded],
        "clean_and_occluded": images[clean | occluded],
        "clean_and_published_occlusions": images[clean | (occluded & (images["severity"] == sizes))],
    }


def _outlined_up_to(kind: str) -> float:
    return CORRUPTIONS[kind].outlined_up_to if kind in CORRUPTIONS else math.inf


def relations(pools: Mapping[str, pd.DataFrame], measures: tuple[str, ...], errors: tuple[str, ...]) -> pd.DataFrame:
    """Return a row per pool, measure and kind of error.

    ``aurc`` is the area under the risk-coverage curve, ``aurc_random`` that of any order on average, ``aurc_oracle``
    that of the error's own order, and ``aurc_gain`` how much of the way from random to oracle the measure goes.
    """
    rows = []
    for pool, table in pools.items():
        for error in errors:
            known = table[table[error].notna()]
            costs = known[error]
            random, oracle = costs.mean(), area_under_risk_coverage(costs, costs)
            for name in measures:
                area = area_under_risk_coverage(known[name], costs)
                row: dict[str, Any] = {"pool": pool, "error": error, "measure": name, "items": len(known)}
                row |= {"pearson": pearson(known[name], costs), "spearman": spearman(known[name], costs)}
                row |= {"aurc": area, "aurc_random": random, "aurc_oracle": oracle}
                row["aurc_gain"] = (random - area) / (random - oracle) if random > oracle else np.nan
                rows.append(row)
    return pd.DataFrame(rows)


def _summary(table: pd.DataFrame) -> dict[str, float]:
    found = {}
    for row in table[table["error"] == "error"].to_dict("records"):
        start = f"error.{row['of']}.{row['pool']}"
        for name in ("pearson", "spearman", "aurc", "aurc_gain"):
            found[f"{start}.{name}_{row['measure']}"] = row[name]
        for name in ("aurc_random", "aurc_oracle"):
            found[f"{start}.{name}"] = row[name]
    return found
