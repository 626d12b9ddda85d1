"""What the experiments start from, the measurements, and what they come to: tables, figures and numbers."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from monai_chexmask_u.anatomy import NODE_COUNT, NODE_IDS, organ_of_node
from monai_chexmask_u.experiments.measure import NODE_COLUMNS
from monai_chexmask_u.files.atomic import atomic_path

__all__ = ["Findings", "Measurements", "Plot", "node_rows", "write_table"]

_ORGAN_OF_NODE: Final = tuple(organ_of_node(node).name for node in range(NODE_COUNT))
_IDENTITY: Final = ("radiograph", "set", "part", "kind", "severity")


@dataclass(frozen=True, eq=False)
class Measurements:
    """All rows of a run.

    Attributes:
        images: a row per radiograph and condition, with columns as of `measure`; failed ones are left out.
        calibrated: the model gives total uncertainty; otherwise the score is the predictive one.
    """

    images: pd.DataFrame
    calibrated: bool

    @classmethod
    def of(cls, rows: pd.DataFrame) -> Measurements:
        """Take stored rows."""
        images = rows[rows["failure"] == ""].reset_index(drop=True)
        return cls(images, calibrated=bool(images["total"].notna().any()))

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of the measures of uncertainty of an image, each once."""
        return ("predictive", "latent", "total") if self.calibrated else ("predictive", "latent")

    @property
    def node_measures(self) -> tuple[str, ...]:
        """Names of the measures of uncertainty of a node, each once."""
        return ("predictive", "total") if self.calibrated else ("predictive",)

    @property
    def scores(self) -> tuple[str, ...]:
        """Columns that may tell foreign images from own ones."""
        return (*self.measures, *sorted(name for name in self.images.columns if name.startswith("score_")))

    @property
    def outlined(self) -> pd.DataFrame:
        """The rows of images whose true landmarks are known."""
        return self.images[self.images["error"].notna()]

    def clean(self) -> pd.DataFrame:
        """Return the rows of outlined radiographs as they come."""
        return self.outlined[self.outlined["part"] == "clean"]


def node_rows(images: pd.DataFrame, columns: Sequence[str] = NODE_COLUMNS) -> pd.DataFrame:
    """Return a row per node: the image's names, the node's id and organ, and columns without ``node_``.

    Args:
        images: rows with true landmarks.
        columns: those of `NODE_COLUMNS` that are wanted; one that the model does not give is NaN.
    """
    count = len(images)
    data: dict[str, Any] = {name: np.repeat(images[name].to_numpy(), NODE_COUNT) for name in _IDENTITY}
    data["node"] = np.tile(NODE_IDS, count)
    data["organ"] = np.tile(_ORGAN_OF_NODE, count)
    for name in columns:
        known = name in images and count and images[name].notna().all()
        lists = np.concatenate(images[name].to_list()) if known else np.full(count * NODE_COUNT, np.nan)
        data[name.removeprefix("node_")] = lists.astype(float)
    return pd.DataFrame(data)


@dataclass(frozen=True, eq=False)
class Plot:
    """A figure, and what it shows in one sentence."""

    figure: Figure
    caption: str

    @cached_property
    def png(self) -> bytes:
        """The figure as a PNG file."""
        return self.drawn("png")

    def drawn(self, kind: Literal["png", "svg"]) -> bytes:
        """Draw the figure; the same figure gives the same file."""
        buffer = io.BytesIO()
        with rc_context({"svg.hashsalt": "chexmask-u"}):
            self.figure.savefig(buffer, format=kind, dpi=110, metadata={"Date": None} if kind == "svg" else None)
        return buffer.getvalue()


@dataclass(frozen=True, eq=False)
class Findings:
    """What one experiment came to.

    Attributes:
        tables: by file name.
        plots: by file name.
        summary: headline numbers by their stable key; NaN where a number cannot be had.
        notes: sentences that a reader of the numbers must know.
    """

    tables: Mapping[str, pd.DataFrame]
    plots: Mapping[str, Plot]
    summary: Mapping[str, float]
    notes: Sequence[str] = field(default=())

    def write(self, folder: Path) -> None:
        """Write tables as Parquet and CSV to ``tables/``, figures as PNG and SVG to ``figures/``."""
        for name, table in self.tables.items():
            write_table(table, folder / "tables", name)
        (folder / "figures").mkdir(exist_ok=True)
        for name, plot in self.plots.items():
            for suffix, content in ((".png", plot.png), (".svg", plot.drawn("svg"))):
                with atomic_path(folder / "figures" / f"{name}{suffix}") as temporary:
                    temporary.write_bytes(content)


def write_table(table: pd.DataFrame, folder: Path, name: str) -> None:
    """Write a table as Parquet and as CSV with six digits."""
    folder.mkdir(exist_ok=True)
    with atomic_path(folder / f"{name}.parquet") as temporary:
        table.to_parquet(temporary, index=False)
    with atomic_path(folder / f"{name}.csv") as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
