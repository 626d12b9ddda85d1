"""The tables of public data sets that tell the view of each radiograph: find them, and read them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from monai_chexmask_u.dataset.building.radiograph_tables import table_columns, table_rows
from monai_chexmask_u.dataset.sources import Source

__all__ = ["read_views", "tables_above"]

FOLDERS_ABOVE: Final = 5
"""Folders in which a table is looked for: that of a MIMIC study is four below that of the table."""


def tables_above(place: Path, source: Source) -> list[Path]:
    """Return the view tables in the nearest folder that has any, from a folder upwards.

    Args:
        place: the folder to begin with.
        source: whose tables are looked for.
    """
    for folder in [place, *place.parents][:FOLDERS_ABOVE]:
        found = [folder / name for name in source.view_tables if (folder / name).is_file()]
        if found:
            return found
    return []


def read_views(tables: Iterable[Path], source: Source) -> dict[str, str] | None:
    """Return the views that tables tell, as they call them, by bare ids; None if none of the tables has its columns.

    Raises:
        ValueError: if a table is broken.
    """
    views: dict[str, str] = {}
    usable = [table for table in sorted(tables) if set(source.view_columns) <= set(table_columns(table))]
    names: dict[str, str] = {}  # each of the few names is kept once
    for table in usable:
        for item, view in table_rows(table, source.view_columns):
            views[source.bare(source.id_of(item) or item)] = names.setdefault(view, view)
    return views if usable else None
