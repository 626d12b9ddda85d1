"""By what a folder is known as an outbox; light to import, for those who search folders."""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["REFUSED", "TARGET", "is_outbox"]

TARGET: Final = "target.json"
REFUSED: Final = "refused"


def is_outbox(folder: Path) -> bool:
    """Tell whether objects wait, or waited, in a folder: it holds the file ``target.json`` and the folder ``refused``.

    An outbox gets both before its first object.
    """
    try:
        return (folder / TARGET).is_file() and (folder / REFUSED).is_dir()
    except PermissionError:  # whoever searches the folder will say so
        return False
