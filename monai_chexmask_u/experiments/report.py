"""The report: one page without links to anything outside, and the same numbers for programs."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Final

import pandas as pd

from monai_chexmask_u.data.radiograph_sets import FRONTAL, RadiographSet
from monai_chexmask_u.experiments.findings import Findings, Plot
from monai_chexmask_u.experiments.published_numbers import COMPARISONS
from monai_chexmask_u.files.atomic import atomic_path

__all__ = ["Report", "comparison_rows"]

SCHEMA: Final = "chexmask-u-experiments/1"
LONGEST_TABLE: Final = 60
STYLE: Final = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 76em; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: .6em 0 1.4em; font-size: 13px }
th, td { padding: .2em .7em; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top }
td.number { text-align: right; font-variant-numeric: tabular-nums }
img { max-width: 100% } figure { margin: 1em 0 2em } figcaption { color: #555 }
div.wide { overflow-x: auto } .note { color: #a33 }
"""
NOT_CALIBRATED: Final = (
    "The model has no calibration: there is no total uncertainty, and the score is the predictive uncertainty."
)


@dataclass(frozen=True, eq=False)
class Report:
    """Everything that a reader of the results must know.

    Attributes:
        date: of the run, ISO.
        settings: of the measurements.
        sets: the radiographs.
        findings: by experiment, in order.
        failures: a row per radiograph or condition that failed.
        calibrated: whether the model gives total uncertainty.
    """

    date: str
    settings: Mapping[str, Any]
    sets: Sequence[RadiographSet]
    findings: Mapping[str, Findings]
    failures: pd.DataFrame
    calibrated: bool

    @property
    def summary(self) -> dict[str, float]:
        """Headline numbers of all experiments, by key."""
        return {key: value for found in self.findings.values() for key, value in found.summary.items()}

    @property
    def notes(self) -> list[str]:
        """Sentences that a reader must know."""
        first = [] if self.calibrated else [NOT_CALIBRATED]
        return [*first, *(note for found in self.findings.values() for note in found.notes)]

    def write(self, folder: Path) -> None:
        """Write ``report.html`` and ``summary.json``."""
        for name, text in (("report.html", self._page()), ("summary.json", self._json())):
            with atomic_path(folder / name) as temporary:
                temporary.write_text(text, encoding="utf-8")

    def _json(self) -> str:
        content = {
            "schema": SCHEMA,
            "date": self.date,
            "settings": dict(self.settings),
            "calibrated": self.calibrated,
            "experiments": list(self.findings),
            "sets": set_rows(self.sets),
            "failed": len(self.failures),
            "notes": self.notes,
            "numbers": {key: float(value) if math.isfinite(value) else None for key, value in self.summary.items()},
        }
        return json.dumps(content, indent=2, allow_nan=False) + "\n"

    def _page(self) -> str:
        parts = [
            "<h1>Uncertainty experiments</h1>",
            f"<p>{escape(self.date)}. {escape(_sentence_on(self.settings))} For research use only.</p>",
            *(f'<p class="note">{escape(note)}</p>' for note in self.notes),
            "<h2>Published and ours</h2>",
            "<p>All lengths are in pixels of a 1024-pixel image. Published numbers come from other images and a model "
            "trained with other data.</p>",
            _table(comparison_rows(self.summary)),
            "<h2>Radiographs</h2>",
            _table(set_rows(self.sets)),
        ]
        for name, found in self.findings.items():
            parts.append(f"<h2>{escape(name.capitalize())}</h2>")
            parts += [_figure(plot) for plot in found.plots.values()]
            parts += [_details(title, table) for title, table in found.tables.items()]
        parts += [
            "<h2>Failures</h2>",
            _table(self.failures.to_dict("records")) if len(self.failures) else "<p>None.</p>",
        ]
        title = "Uncertainty experiments"
        head = f'<meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        body = "\n".join(parts)
        return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'


def comparison_rows(summary: Mapping[str, float]) -> list[dict[str, str]]:
    """Return quantity, published number, ours and source, for what this run has."""
    rows = []
    for line in COMPARISONS:
        value = summary.get(line.key, math.nan)
        if math.isfinite(value):
            ours = f"{value:.{line.digits}f}"
            rows.append({"quantity": line.quantity, "published": line.published, "ours": ours, "source": line.source})
    return rows


def set_rows(sets: Iterable[RadiographSet]) -> list[dict[str, Any]]:
    """Return what each set of radiographs is."""
    return [
        {
            "set": each.name,
            "kind": each.kind,
            "recognized by": each.rule,
            "found": each.found,
            "used": len(each.radiographs),
            "foreign": sum(item.label != FRONTAL for item in each.radiographs),
        }
        for each in sets
    ]


def _sentence_on(settings: Mapping[str, Any]) -> str:
    model = settings["model"]
    return (
        f"Model {model['name']} {model['version']}, SHA-256 {model['sha256']}; {settings['samples']} samples, "
        f"seed {settings['seed']}, monai-chexmask-u {settings['version']}."
    )


def _figure(plot: Plot) -> str:
    data = base64.b64encode(plot.png).decode("ascii")
    caption = escape(plot.caption)
    return (
        f'<figure><img alt="{caption}" src="data:image/png;base64,{data}"><figcaption>{caption}</figcaption></figure>'
    )


def _details(title: str, table: pd.DataFrame) -> str:
    rows = table.head(LONGEST_TABLE).to_dict("records")
    rest = f"<p>The first {LONGEST_TABLE} of {len(table)} rows.</p>" if len(table) > LONGEST_TABLE else ""
    summary = f"Table {escape(title)} ({len(table)} rows)"
    return f"<details><summary>{summary}</summary>{_table(rows)}{rest}</details>"


def _table(rows: Sequence[Mapping[Any, Any]]) -> str:
    if not rows:
        return "<p>Nothing.</p>"
    head = "".join(f"<th>{escape(str(name).replace('_', ' '))}</th>" for name in rows[0])
    body = "".join(f"<tr>{''.join(_cell(value) for value in row.values())}</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _cell(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"<td>{escape(str(value))}</td>"
    text = str(value) if isinstance(value, int) else f"{value:.4g}" if math.isfinite(value) else ""
    return f'<td class="number">{text}</td>'
