"""How a published table writes its values, so that it can be written the same way again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from monai_chexmask_u.anatomy import NODE_COUNT
from monai_chexmask_u.dataset.published_tables.cell_text import decimals_are_fixed, parse_numbers
from monai_chexmask_u.dataset.published_tables.layout import Layout
from monai_chexmask_u.dataset.sources import Source

__all__ = ["PLAIN_ID", "Style", "published_id", "radiograph_id", "style_of"]

PLAIN_ID: Final = "film"
"""The form of the ids of all data sets here, by the name that it has in manifests."""


@dataclass(frozen=True)
class Style:
    """How a table writes its values, recognized by its first row that has them.

    Attributes:
        ids: `PLAIN_ID`, as in all data sets here; ``bare``, without the suffix of image files; ``file``, with it.
        sizes_are_decimal: heights and widths have a decimal point.
        landmarks_are_whole: landmarks are rounded to whole pixels.
        std_is_fixed: standard deviations keep zeros at their end.
        latents_are_fixed: so do the latent ones.
    """

    ids: str = PLAIN_ID
    sizes_are_decimal: bool = False
    landmarks_are_whole: bool = True
    std_is_fixed: bool = True
    latents_are_fixed: bool = True


def radiograph_id(published: str, source: Source | None) -> str:
    """Return the id of a radiograph as all data sets have it, whether or not the published one has the file's suffix.

    Example:
        >>> from monai_chexmask_u.dataset.sources import source_called
        >>> radiograph_id("train/patient1/study1/view1_frontal", source_called("chexpert"))
        'train/patient1/study1/view1_frontal.jpg'
        >>> radiograph_id("an id of another kind", source_called("chexpert"))
        'an id of another kind'
    """
    if source is None:
        return published
    return source.id_of(source.bare(published) + source.suffix) or published


def published_id(image_id: str, source: Source | None, form: str) -> str:
    """Return the id of a radiograph as a table writes it.

    Args:
        image_id: as all data sets here have it.
        source: data set that the radiograph is from.
        form: `PLAIN_ID`, ``bare`` or ``file``, see `Style`.
    """
    if source is None or form == PLAIN_ID or radiograph_id(image_id, source) != image_id:
        return image_id
    return source.bare(image_id) + (source.suffix if form == "file" else "")


def style_of(cells: Mapping[str, pa.Array], layout: Layout) -> Style:
    """Tell the style of a table from some of its cells.

    Args:
        cells: columns of text, by what they hold.
        layout: of the table.
    """

    def first(role: str) -> str:
        texts = (text.strip() for text in cells[role].to_pylist()) if role in cells else ()
        return next((text for text in texts if text and text.lower() != "nan"), "")

    name = first("image_id")
    item = radiograph_id(name, layout.source)
    landmarks = pc.fill_null(cells["landmarks"], "")
    values = parse_numbers(landmarks, 2 * NODE_COUNT).values
    return Style(
        ids=next(
            (form for form in (PLAIN_ID, "bare", "file") if published_id(item, layout.source, form) == name),
            PLAIN_ID,
        ),
        sizes_are_decimal="." in first("height") + first("width"),
        landmarks_are_whole=not (np.abs(values - np.rint(values)) > 0).any(),
        std_is_fixed=decimals_are_fixed(first("landmarks_std") or "0.00", 2),
        latents_are_fixed=decimals_are_fixed(first("latent_std") or "0.0000", 4),
    )
