"""Experiment: are images that are foreign to the network distinguished from chest radiographs?"""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from monai_chexmask_u.data.radiograph_sets import FRONTAL
from monai_chexmask_u.experiments.figures import roc_figure, scatter_figure
from monai_chexmask_u.experiments.findings import Findings, Measurements, Plot
from monai_chexmask_u.experiments.statistics import area_under_roc, false_positive_rate

__all__ = ["POOLED", "analyze", "detection_table", "images_by_kind", "verdict_table"]

POOLED: Final = "all_foreign"
VERDICTS: Final = ("accept", "review", "reject")


def analyze(measurements: Measurements) -> Findings:
    """Return the tables of detection and of verdicts, without radiographs that the examiner has learned from."""
    learned = measurements.images["learned"]
    images = images_by_kind(measurements.images[~learned])
    left_out = measurements.images.loc[learned, "radiograph"].nunique()
    note = f"{left_out} radiographs taught the model's examiner; they and what is made of them count as neither."
    detection = detection_table(images, measurements.scores)
    verdicts = verdict_table(images)
    plots = {
        "latent_predictive": Plot(
            scatter_figure(images),
            "Latent against predictive uncertainty of the chest radiographs and of the foreign images.",
        )
    }
    if len(detection):
        plots["roc"] = Plot(
            roc_figure(images, measurements.scores),
            "Receiver operating characteristic of each score, every kind of foreign image against chest radiographs.",
        )
    tables = {"ood_detection": detection, "ood_verdicts": verdicts}
    return Findings(tables, plots, _summary(detection, verdicts), (note,) if left_out else ())


def images_by_kind(images: pd.DataFrame) -> pd.DataFrame:
    """Return the images of this experiment with a column ``foreign``: the kind, or empty for a chest radiograph.

    Chest radiographs are those with outlines, those of other scanners, and those labeled so. Foreign are the
    radiographs with another label, by that label, and those made foreign.
    """
    images = images[images["part"].isin(("clean", "foreign"))].copy()
    made, labeled = images["part"] == "foreign", images["label"] != FRONTAL
    images["foreign"] = images["kind"].where(made, images["label"].where(labeled, ""))
    return images


def detection_table(images: pd.DataFrame, scores: tuple[str, ...]) -> pd.DataFrame:
    """Return a row per kind of foreign image (and for all of them) and score, each against all chest radiographs.

    ``auc`` is the area under the ROC curve, ``fpr95`` the share of chest radiographs above the threshold that finds 95
    % of the foreign images.
    """
    own, foreign = images[images["foreign"] == ""], images[images["foreign"] != ""]
    groups = {POOLED: foreign, **dict(iter(foreign.groupby("foreign", sort=False)))} if len(foreign) else {}
    rows = []
    for kind, group in groups.items():
        for name in scores:
            row: dict[str, Any] = {"kind": kind, "score": name, "foreign": len(group), "chest_radiographs": len(own)}
            row["auc"] = area_under_roc(group[name], own[name])
            row["fpr95"] = false_positive_rate(group[name], own[name])
            rows.append(row)
    return pd.DataFrame(rows, columns=["kind", "score", "foreign", "chest_radiographs", "auc", "fpr95"])


def verdict_table(images: pd.DataFrame) -> pd.DataFrame:
    """Return the shares of each verdict, a row per set of chest radiographs and per kind of foreign image."""
    groups = images["foreign"].where(images["foreign"] != "", "chest radiographs: " + images["set"])
    rows = []
    for name, group in images.groupby(groups, sort=False):
        shares = {verdict: float((group["verdict"] == verdict).mean()) for verdict in VERDICTS}
        rows.append({"group": name, "images": len(group), **shares})
    return pd.DataFrame(rows)


def _summary(detection: pd.DataFrame, verdicts: pd.DataFrame) -> dict[str, float]:
    found = {}
    for row in detection.to_dict("records"):
        for name in ("auc", "fpr95"):
            found[f"ood.{row['kind']}.{name}_{row['score']}"] = row[name]
    kinds = detection[detection["kind"] != POOLED]
    for name, group in kinds.groupby("score"):
        found[f"ood.worst_kind.auc_{name}"] = group["auc"].min()
    for row in verdicts.to_dict("records"):
        group = row["group"].replace("chest radiographs: ", "chest_films.")  # the key is published
        found |= {f"ood.verdict.{group}.{verdict}": row[verdict] for verdict in VERDICTS}
    return found
