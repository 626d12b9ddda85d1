"""Which patient a radiograph is of, as public data sets tell it: so that none is learned from and measured on."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

__all__ = ["is_held_out", "patients_of"]

# What of a file's name is the patient: NIH ChestX-ray14 (number_follow-up), children of Guangzhou
# (Kermany et al.), JSRT.
_NAMES: Final = (
    re.compile(r"(?P<patient>\d{8})_\d{3}"),
    re.compile(r"(?P<patient>person\d+)_(?:bacteria|virus)_\d+"),
    re.compile(r"(?P<patient>(?:NORMAL2-)?IM-\d{4})-.*"),
    re.compile(r"(?P<patient>JPC(?:LN|NN)\d{3})"),
)


def patients_of(folder: Path, paths: Sequence[Path]) -> list[str]:
    """Return the patient of each radiograph, by a name that is the same in all sets.

    A table ``data.csv`` in the folder with the columns ``image_id`` and ``patient_id`` tells it first; then the file's
    name, where it is one of a public data set. Any other radiograph counts as one of a patient of its own.

    Args:
        folder: of the set.
        paths: of its radiographs.
    """
    table = _table(folder / "data.csv")
    return [table.get(path.stem) or _by_name(path) for path in paths]


def is_held_out(patient: str, share: float) -> bool:
    """Say whether a patient is one of those that nothing is learned from: the same ones in every run and set.

    Args:
        patient: from `patients_of`.
        share: of all patients that is held out, 0..1; those of a smaller share are among those of a larger one.
    """
    # A radiograph of a patient of its own counts by its name: where the set lies must not decide.
    digest = hashlib.sha256(Path(patient).name.encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def _table(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        if not {"image_id", "patient_id"} <= set(rows.fieldnames or ()):
            return {}
        return {row["image_id"]: row["patient_id"] for row in rows if row["patient_id"]}


def _by_name(path: Path) -> str:
    found = next(filter(None, (pattern.fullmatch(path.stem) for pattern in _NAMES)), None)
    return found["patient"] if found else str(path)
