"""Write the card of a data set: a README that says what is in it, how far it can be trusted, and how it is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from monai_chexmask_u.dataset.card.figures import draw_nodes, draw_scores
from monai_chexmask_u.dataset.card.statistics import CardStatistics, gather
from monai_chexmask_u.dataset.folder import Manifest, read_manifest
from monai_chexmask_u.dataset.schema import COLUMNS
from monai_chexmask_u.dataset.sources import source_called
from monai_chexmask_u.files.atomic import atomic_path
from monai_chexmask_u.radiograph import note_in_words
from monai_chexmask_u.segmentation import Reliability

__all__ = ["write_card"]

_QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)


def write_card(folder: Path) -> Path:
    """Write ``README.md`` and its figures into the folder of a data set.

    Args:
        folder: of the data set, finished or not.

    Returns:
        Path of the card.

    Raises:
        DatasetError: if the folder is no data set.
        OSError: if a file cannot be read or written.
    """
    manifest = read_manifest(folder)
    statistics = gather(folder, manifest)
    (folder / "figures").mkdir(exist_ok=True)
    draw_nodes(statistics, folder / "figures" / "nodes.png")
    draw_scores(statistics, folder / "figures" / "scores.png")
    sections = (
        _head(folder, manifest, statistics),
        _made_by(manifest),
        _trust(statistics),
        _failures(manifest, statistics),
        _license(statistics),
        _reading(),
        _columns(),
    )
    path = folder / "README.md"
    with atomic_path(path) as temporary:
        temporary.write_text("\n\n".join(sections) + "\n", encoding="utf-8")
    return path


def _head(folder: Path, manifest: Manifest, statistics: CardStatistics) -> str:
    size = sum(shard.bytes for shard in manifest.shards)
    counts = {
        "radiographs with a row": f"{statistics.rows:,}",
        "radiographs without one": f"{manifest.failure_count:,}",
        "shards": f"{len(manifest.shards):,}",
        "size of the shards": f"{size / 1e6:,.1f} MB, {size / max(statistics.rows, 1):,.0f} bytes a radiograph",
        "frame of the coordinates": _counts(statistics.categories["frame"]),
        "source": _counts(statistics.categories["source"]),
        "view": _counts(statistics.categories["view"]),
    }
    return "\n\n".join(
        (
            f"# {folder.resolve().name}",
            "Outlines of lungs and heart on chest radiographs: 120 landmarks a radiograph, with their uncertainty.\n"
            "**For research use only. Not a medical device, not for diagnosis.**",
            *([] if manifest.finished else ["**Unfinished: the build has not come to its end.**"]),
            _table(("", ""), counts),
        )
    )


def _made_by(manifest: Manifest) -> str:
    rows = {name: _plain(value) for name, value in (*manifest.settings.items(), *manifest.software.items())}
    return f"## How it was {manifest.kind}\n\n" + _table(("setting", "value"), rows)


def _trust(statistics: CardStatistics) -> str:
    quantiles = {}
    for name, values in statistics.scalars.items():
        known = values[np.isfinite(values)]
        if known.size:
            cells = " | ".join(f"{value:.3g}" for value in np.quantile(known, _QUANTILES))
            quantiles[f"`{name}`"] = f"{known.size:,} | {cells}"
    parts = ["## How far it can be trusted"]
    if quantiles:
        header = ("column", "radiographs | " + " | ".join(f"{quantile:.0%}" for quantile in _QUANTILES))
        parts.append(_table(header, quantiles))
    for title, name in (("verdict", "verdict"), ("reason", "reasons"), ("note", "notes")):
        counted = {_words(name, value): f"{count:,}" for value, count in statistics.categories[name].most_common()}
        if counted:
            parts.append(_table((title, "radiographs"), counted))
    parts.append("![Histogram of each node's uncertainty on the mean shape](figures/nodes.png)")
    parts.append("![Histogram of the radiographs' uncertainty by verdict](figures/scores.png)")
    return "\n\n".join(parts)


def _failures(manifest: Manifest, statistics: CardStatistics) -> str:
    if not statistics.failures:
        reason = "Every radiograph has a row." if manifest.finished else "Known once the build has come to its end."
        return f"## Radiographs without a row\n\n{reason}"
    rows = {f"`{code}`" + f" ({message})": f"{count:,}" for code, (count, message) in statistics.failures.items()}
    return (
        "## Radiographs without a row\n\n"
        + _table(("reason", "radiographs"), rows)
        + "\n\n`failures.parquet` names them."
    )


def _license(statistics: CardStatistics) -> str:
    lines = []
    for title in statistics.categories["source"]:
        try:
            lines.append(f"- {title}: {source_called(title).license}")
        except ValueError:
            lines.append(f"- {title}: the terms of those who gave the radiographs")
    text = "Outlines follow the terms of the images that they were made of; images are not part of this data set."
    return f"## Licenses\n\n{text}\n\n" + "\n".join(lines)


def _reading() -> str:
    return """## How to read it

```python
import duckdb, polars

duckdb.sql("SELECT image_id, score FROM 'data/*.parquet' WHERE verdict = 'accept' ORDER BY score")
polars.scan_parquet("data/*.parquet").filter(polars.col("score") < 20).select("image_id", "landmarks").collect()
```

`chexmask-u dataset check` sees that every file is as it was written."""


def _columns() -> str:
    rows = {f"`{column.name}`": f"{column.type} | {column.meaning}" for column in COLUMNS}
    return "## Columns\n\n" + _table(("column", "type | meaning"), rows)


def _table(header: tuple[str, str], rows: Mapping[str, str]) -> str:
    """Return a Markdown table; cells of the second part may hold further ones."""
    count = header[1].count(" | ") + 1
    lines = [f"| {header[0]} | {header[1]} |", "| --- |" + " --- |" * count]
    return "\n".join([*lines, *(f"| {name} | {value} |" for name, value in rows.items())])


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{value}: {count:,}" for value, count in counter.most_common()) or "none"


def _words(column: str, value: str) -> str:
    if column == "notes":
        return note_in_words(value)
    return Reliability.in_words(value) if column == "reasons" else value


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(each)}" for name, each in value.items())
    return "none" if value is None else str(value).replace("|", "\\|").replace("\n", " ")
