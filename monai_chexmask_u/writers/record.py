"""The JSON record and the CSV table of a segmentation."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from monai_chexmask_u.files.atomic import atomic_path
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation

__all__ = ["segmentation_record", "write_json", "write_table"]


def segmentation_record(segmentation: LandmarkSegmentation, radiograph: Radiograph) -> dict[str, Any]:
    """Return the result for a radiograph in JSON types, see `LandmarkSegmentation.to_dict`."""
    return segmentation.with_radiograph(radiograph).to_dict()


def write_json(segmentation: LandmarkSegmentation, radiograph: Radiograph, path: Path) -> None:
    """Write the record of one image."""
    record = segmentation_record(segmentation, radiograph)
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def write_table(segmentation: LandmarkSegmentation, radiograph: Radiograph, path: Path) -> None:
    """Write one CSV row per landmark; unknown values are empty."""
    rows = segmentation.landmark_rows()
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, fieldnames=list(rows[0]))
        table.writeheader()
        table.writerows(rows)
