"""The JSON record and the CSV table of a segmentation."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

from monai_chexmask_u.anatomy import NODE_IDS, ORGANS, organ_of_node
from monai_chexmask_u.files.atomic import atomic_path
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation
from monai_chexmask_u.uncertainty.ellipses import normal_std

__all__ = ["SCHEMA", "segmentation_record", "write_json", "write_table"]

SCHEMA = "chexmask-u/1"


def segmentation_record(segmentation: LandmarkSegmentation, radiograph: Radiograph) -> dict[str, Any]:
    """Return everything a segmentation says, as JSON types; coordinates are pixels of the original image.

    A number that is not known (no spacing, no calibration, a ratio that cannot be measured) is None. The image is named
    by its SOP Instance UID, None for a image, and by the SHA-256 of its file, since a path may lead elsewhere by now.
    """
    height, width = segmentation.shape
    ratio = segmentation.cardiothoracic_ratio
    return {
        "schema": SCHEMA,
        "image": {
            "path": str(radiograph.path),
            "sop_instance_uid": None if radiograph.header is None else str(radiograph.header.SOPInstanceUID),
            "sha256": radiograph.sha256,
            "height": height,
            "width": width,
            "spacing_mm": list(segmentation.spacing_mm) if segmentation.spacing_mm else None,
            "view": radiograph.view,
            "notes": list(radiograph.notes),
        },
        "model": {
            "name": segmentation.model.name,
            "version": segmentation.model.version,
            "sha256": segmentation.model.sha256,
            "calibration_sha256": segmentation.model.calibration_sha256,
        },
        "samples": segmentation.sample_count,
        "landmarks": landmark_rows(segmentation),
        "organs": {
            organ.name: {
                "area_px": segmentation.area_px(organ),
                "area_std_px": _finite(area_std),
                "area_mm2": segmentation.area_mm2(organ),
                "uncertainty_px": segmentation.organ_uncertainty_px(organ),
                "total_uncertainty_px": segmentation.organ_total_px(organ),
            }
            for organ, area_std in zip(ORGANS, segmentation.area_std_px, strict=True)
        },
        "cardiothoracic_ratio": {"value": _finite(ratio.value), "std": _finite(ratio.std)},
        "uncertainty": {
            "latent": segmentation.latent_uncertainty,
            "predictive_px1024": segmentation.predictive_px1024,
            "total_px1024": segmentation.total_px1024,
            "score": segmentation.score,
        },
        "reliability": {
            "verdict": segmentation.reliability.verdict,
            "reasons": list(segmentation.reliability.reasons),
            "scores": {name: _finite(float(score)) for name, score in segmentation.scores.items()},
        },
    }


def landmark_rows(segmentation: LandmarkSegmentation) -> list[dict[str, Any]]:
    """Return one dictionary per landmark, in node order."""
    total, radius = segmentation.total_uncertainty, segmentation.radius90
    across = normal_std(segmentation.covariance, segmentation.landmarks)
    return [
        {
            "id": identifier,
            "organ": organ_of_node(node).name,
            "x": float(segmentation.landmarks[node, 0]),
            "y": float(segmentation.landmarks[node, 1]),
            "std_x": float(segmentation.std[node, 0]),
            "std_y": float(segmentation.std[node, 1]),
            "cov_xy": float(segmentation.covariance[node, 0, 1]),
            "std_normal": float(across[node]),
            "uncertainty_px": None if total is None else float(total[node]),
            "radius90": None if radius is None else _finite(float(radius[node])),
        }
        for node, identifier in enumerate(NODE_IDS)
    ]


def write_json(segmentation: LandmarkSegmentation, radiograph: Radiograph, path: Path) -> None:
    """Write the record of one image."""
    record = segmentation_record(segmentation, radiograph)
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def write_table(segmentation: LandmarkSegmentation, radiograph: Radiograph, path: Path) -> None:
    """Write one CSV row per landmark; unknown values are empty."""
    rows = landmark_rows(segmentation)
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, fieldnames=list(rows[0]))
        table.writeheader()
        table.writerows(rows)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
