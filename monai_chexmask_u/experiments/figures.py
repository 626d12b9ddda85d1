"""The figures of the experiments, drawn from their tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from monai_chexmask_u.experiments.statistics import area_under_roc, risk_coverage, roc_curve
from monai_chexmask_u.transforms.corruptions import CORRUPTIONS

__all__ = [
    "calibration_figure",
    "error_figure",
    "inside_outside_figure",
    "risk_coverage_figure",
    "roc_figure",
    "scatter_figure",
    "severity_figure",
]

# Okabe and Ito's colors, which color-blind people can tell apart.
BLUE, ORANGE, GREEN, RED, GRAY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#777777"
COLORS: Final = {"predictive": BLUE, "latent": ORANGE, "total": GREEN}
UNITS: Final = {"predictive": "px of 1024", "total": "px of 1024", "latent": "mean latent std"}
# Lines and markers for more kinds than there are colors.
CYCLE: Final = (BLUE, ORANGE, GREEN, RED, "#CC79A7", "#56B4E9", "#B8A900", "black")
MARKERS: Final = "osv^D*PX<>"


def severity_figure(levels: pd.DataFrame, measure: str) -> Figure:
    """Draw median and quartiles of a measure against the severity, a panel per corruption, with the mean error."""
    kinds = list(dict.fromkeys(levels["kind"]))
    columns = min(4, len(kinds))
    figure, panels = _panels(kinds, columns, width=3.3, height=2.6)
    for panel, kind in zip(panels, kinds, strict=False):
        table = levels[levels["kind"] == kind]
        color = COLORS[measure]
        panel.fill_between(table["severity"], table[f"{measure}_q1"], table[f"{measure}_q3"], color=color, alpha=0.25)
        panel.plot(table["severity"], table[f"{measure}_median"], color=color)
        used = table[table["counts"]]
        panel.plot(used["severity"], used[f"{measure}_median"], ".", color=color)
        right = panel.twinx()
        right.plot(table["severity"], table["mean_error"], "--", color=GRAY, linewidth=1)
        right.tick_params(labelsize=7, colors=GRAY)
        right.set_ylim(bottom=0)
        panel.set_title(kind.replace("_", " "), fontsize=9)
        panel.set_xlabel(CORRUPTIONS[kind].unit, fontsize=7)
        panel.tick_params(labelsize=7)
    figure.supylabel(f"{measure} uncertainty, {UNITS[measure]}", fontsize=9, color=COLORS[measure])
    figure.text(0.995, 0.5, "mean error, px of 1024", rotation=90, va="center", ha="right", fontsize=9, color=GRAY)
    figure.set_layout_engine("constrained", rect=(0, 0, 0.975, 1))  # room for that text
    return figure


def inside_outside_figure(nodes: pd.DataFrame, measures: Sequence[str]) -> Figure:
    """Draw box plots of the nodes' uncertainty inside and outside altered squares, on a logarithmic axis."""
    kinds = list(dict.fromkeys(nodes["kind"]))
    figure, panels = _panels(measures, len(measures), width=1.6 + 1.5 * len(kinds), height=3.6)
    for panel, measure in zip(panels, measures, strict=True):
        for place, kind in enumerate(kinds):
            group = nodes[nodes["kind"] == kind]
            inside = group["altered"] > 0
            for side, chosen, color in ((-0.18, inside, RED), (0.18, ~inside, BLUE)):
                _box(panel, group[measure][chosen], place + side, color)
        severities = [
            f"{kind.replace('_', ' ')}\n{nodes[nodes['kind'] == kind]['severity'].iloc[0]:g}" for kind in kinds
        ]
        panel.set_xticks(range(len(kinds)), severities, fontsize=8)
        _log_axis(panel)
        panel.set_ylabel(f"{measure} uncertainty of the node, px of 1024", fontsize=8)
        for label, color in (("inside", RED), ("outside", BLUE)):
            panel.plot([], [], color=color, linewidth=6, alpha=0.5, label=label)
        panel.legend(fontsize=8)
    return figure


def _box(panel: Axes, values: pd.Series, place: float, color: str) -> None:
    if len(values):
        face = {"facecolor": color, "alpha": 0.5}
        panel.boxplot(
            values.to_numpy(),
            positions=[place],
            widths=0.3,
            showfliers=False,
            patch_artist=True,
            boxprops=face,
            medianprops={"color": "black"},
        )


def error_figure(nodes: pd.DataFrame, measures: Sequence[str]) -> Figure:
    """Draw the density of the nodes over uncertainty and error."""
    figure, panels = _panels(measures, len(measures), width=4.6, height=3.8)
    for panel, measure in zip(panels, measures, strict=True):
        known = nodes[(nodes["error"] > 0) & (nodes[measure] > 0)]
        extent: Any = (-1.0, 3.2, -1.0, 3.2)
        hexagons = panel.hexbin(
            known[measure],
            known["error"],
            gridsize=60,
            xscale="log",
            yscale="log",
            bins="log",
            mincnt=1,
            cmap="viridis",
            extent=extent,
        )
        ends = [0.1, 1000]
        panel.plot(ends, ends, color=GRAY, linewidth=1)
        panel.set_xlim(0.1, 1600)
        panel.set_ylim(0.1, 1600)
        panel.set_xlabel(f"{measure} uncertainty of the node, px of 1024", fontsize=8)
        panel.set_ylabel("error of the node, px of 1024", fontsize=8)
        figure.colorbar(hexagons, ax=panel, label="nodes")
    return figure


def risk_coverage_figure(
    images: pd.DataFrame, nodes: pd.DataFrame, image_measures: Sequence[str], node_measures: Sequence[str]
) -> Figure:
    """Draw the mean error against the share that is kept, for images and for nodes."""
    figure, panels = _panels(("images", "nodes"), 2, width=4.2, height=3.4)
    for panel, title, table, measures in zip(
        panels, ("images", "nodes"), (images, nodes), (image_measures, node_measures), strict=True
    ):
        table = table[table["error"].notna()]
        for measure in measures:
            panel.plot(*_thinned(*risk_coverage(table[measure], table["error"])), color=COLORS[measure], label=measure)
        panel.plot(*_thinned(*risk_coverage(table["error"], table["error"])), ":", color="black", label="oracle")
        panel.axhline(table["error"].mean(), color=GRAY, linestyle="--", label="random")
        panel.set_title(title, fontsize=9)
        panel.set_xlabel("share kept", fontsize=8)
        panel.set_ylabel("mean error, px of 1024", fontsize=8)
        panel.set_ylim(bottom=0)
        panel.legend(fontsize=8)
    return figure


def roc_figure(images: pd.DataFrame, scores: Sequence[str]) -> Figure:
    """Draw a panel per score with a curve per kind of foreign image."""
    own = images[images["foreign"] == ""]
    kinds = [kind for kind in dict.fromkeys(images["foreign"]) if kind]
    figure, panels = _panels(scores, min(2, len(scores)), width=5.6, height=3.8)
    for panel, score in zip(panels, scores, strict=False):
        for number, kind in enumerate(kinds):
            found = images[images["foreign"] == kind][score]
            label = f"{kind.replace('_', ' ')} {area_under_roc(found, own[score]):.2f}"
            style = ("-", "--")[number // len(CYCLE) % 2]
            panel.plot(
                *roc_curve(found, own[score]), style, color=CYCLE[number % len(CYCLE)], label=label, linewidth=1.2
            )
        panel.plot([0, 1], [0, 1], ":", color=GRAY, linewidth=1)
        panel.set_title(score.removeprefix("score_"), fontsize=9)
        panel.set_xlabel("chest radiographs called foreign", fontsize=8)
        panel.set_ylabel("foreign images found", fontsize=8)
        panel.legend(fontsize=7, title="kind, area", title_fontsize=7, bbox_to_anchor=(1.01, 1), loc="upper left")
    return figure


def scatter_figure(images: pd.DataFrame) -> Figure:
    """Draw latent against predictive uncertainty, chest radiographs in gray."""
    figure, panels = _panels(("all",), 1, width=7, height=4.6)
    panel = panels[0]
    groups = ["", *[kind for kind in dict.fromkeys(images["foreign"]) if kind]]
    for number, kind in enumerate(groups):
        group = images[images["foreign"] == kind]
        panel.scatter(
            group["latent"],
            group["predictive"],
            s=16,
            alpha=0.7,
            color=CYCLE[(number - 1) % len(CYCLE)] if kind else GRAY,
            marker=MARKERS[number % len(MARKERS)],
            label=kind.replace("_", " ") or "chest radiographs",
            linewidths=0,
        )
    _log_axis(panel)
    panel.set_xlabel("latent uncertainty, mean latent std", fontsize=8)
    panel.set_ylabel("predictive uncertainty, px of 1024", fontsize=8)
    panel.legend(fontsize=8, bbox_to_anchor=(1.01, 1), loc="upper left")
    return figure


def calibration_figure(curve: pd.DataFrame) -> Figure:
    """Draw observed against expected coverage."""
    figure, panels = _panels(("all",), 1, width=4.2, height=4)
    panel = panels[0]
    panel.plot([0, 1], [0, 1], ":", color=GRAY)
    for measure in dict.fromkeys(curve["measure"]):
        group = curve[curve["measure"] == measure]
        panel.plot(group["expected"], group["observed"], "o-", markersize=3, color=COLORS[measure], label=measure)
    panel.set_xlabel("expected share within the ellipse", fontsize=8)
    panel.set_ylabel("observed share", fontsize=8)
    panel.set_aspect("equal")
    panel.legend(fontsize=8)
    return figure


def _panels(items: Sequence[str], columns: int, *, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """Return a figure with a panel per item, in inches each."""
    rows = -(-len(items) // columns)
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    panels = [figure.add_subplot(rows, columns, number + 1) for number in range(len(items))]
    for panel in panels:
        panel.tick_params(labelsize=8)
    return figure, panels


def _log_axis(panel: Axes) -> None:
    panel.set_yscale("log")
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    panel.yaxis.set_minor_formatter(NullFormatter())


def _thinned(coverage: Any, risk: Any, count: int = 500) -> tuple[Any, Any]:
    """Keep so many points of a curve, its ends among them."""
    chosen = np.unique(np.linspace(0, len(risk) - 1, count).astype(int)) if len(risk) else np.arange(0)
    return coverage[chosen], risk[chosen]
