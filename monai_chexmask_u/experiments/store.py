"""What was measured so far: a file per radiograph and part, so that a run that was stopped can continue."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import pandas as pd

from monai_chexmask_u import __version__
from monai_chexmask_u.data.radiograph_sets import RadiographItem
from monai_chexmask_u.experiments.conditions import Part, Plan
from monai_chexmask_u.files.atomic import atomic_path
from monai_chexmask_u.segmentation import ModelIdentity

__all__ = ["Store", "run_settings"]

SETTINGS_FILE: Final = "settings.json"


def run_settings(identity: ModelIdentity, samples: int, seed: int, plan: Plan) -> dict[str, Any]:
    """Return all that measurements depend on besides the radiographs, as it stands in JSON."""
    settings = {
        "version": __version__,
        "model": asdict(identity),
        "samples": samples,
        "seed": seed,
        "levels": {name: [float(level) for level in levels] for name, levels in plan.levels.items()},
        "foreign": list(plan.foreign),
    }
    copied: dict[str, Any] = json.loads(json.dumps(settings))
    return copied


class Store:
    """The measurements in an output folder, all of one set of settings.

    Args:
        folder: exists already; ``settings.json`` and ``parts/`` are made in it.
        settings: of this run.

    Raises:
        ValueError: if the folder holds measurements of other settings; it names the first that differs.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """Compare the settings with those of the folder, and write them where there are none."""
        self.folder = folder
        path = folder / SETTINGS_FILE
        if not path.is_file():
            with atomic_path(path) as temporary:
                temporary.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
            return
        there = _read_settings(path)
        for name, value in settings.items():
            if there.get(name) != value:
                raise ValueError(_difference(folder, name, there.get(name), value))

    def has(self, part: Part, item: RadiographItem) -> bool:
        """Tell whether a part is there and was measured on this very radiograph.

        Raises:
            OSError: if the radiograph cannot be read.
        """
        path = self._path(part, item)
        if not path.is_file():
            return False
        try:
            stored = pd.read_parquet(path, columns=["radiograph", "fingerprint"])["fingerprint"]
        except (OSError, ValueError, KeyError):  # broken, or of a version with other columns: it is measured again
            return False
        return bool((stored == item.fingerprint()).all())

    def write(self, part: Part, item: RadiographItem, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write a part, whole or not at all."""
        path = self._path(part, item)
        path.parent.mkdir(parents=True, exist_ok=True)
        table = pd.DataFrame([{**row, "fingerprint": item.fingerprint()} for row in rows])
        with atomic_path(path) as temporary:
            table.to_parquet(temporary, index=False)

    def read(self, part: Part, radiographs: Iterable[RadiographItem]) -> pd.DataFrame:
        """Return the rows of a part, of those radiographs that have it."""
        paths = [self._path(part, item) for item in radiographs]
        tables = [pd.read_parquet(path) for path in paths if path.is_file()]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()

    def _path(self, part: Part, item: RadiographItem) -> Path:
        return self.folder / "parts" / part / item.source / f"{item.name}.parquet"


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return dict(settings)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: not the settings of an earlier run; choose another folder with -o") from error


def _difference(folder: Path, name: str, there: Any, wanted: Any) -> str:
    short = all(isinstance(value, int | str) for value in (there, wanted))
    values = f" ({there} there, {wanted} now)" if short else ""
    return f"{folder}: holds measurements with another {name}{values}; choose another folder with -o, or remove it"
