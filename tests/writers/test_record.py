from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from segmentation_samples import make_radiograph, make_segmentation

from monai_chexmask_u.anatomy import NODE_IDS, ORGANS
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import Estimate, LandmarkSegmentation
from monai_chexmask_u.writers.record import segmentation_record, write_json, write_table

ORGAN_OF_PREFIX = {"RL": "right_lung", "LL": "left_lung", "H": "heart"}
LANDMARK_KEYS = ["id", "organ", "x", "y", "std_x", "std_y", "cov_xy", "radius90"]


@pytest.fixture(scope="module")
def radiograph() -> Radiograph:
    return make_radiograph(spacing_mm=(0.4, 0.3), view="PA", notes=("photometric_inverted",))


@pytest.fixture(scope="module")
def result(radiograph: Radiograph) -> LandmarkSegmentation:
    return make_segmentation(radiograph)


def written(result: LandmarkSegmentation, radiograph: Radiograph, folder: Path) -> dict[str, Any]:
    path = folder / "chest.json"
    write_json(result, radiograph, path)
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    return record


def test_record_has_exactly_the_agreed_keys(
    result: LandmarkSegmentation, radiograph: Radiograph, tmp_path: Path
) -> None:
    record = written(result, radiograph, tmp_path)
    landmarks, organs = record.pop("landmarks"), record.pop("organs")
    assert record == {
        "schema": "chexmask-u/1",
        "image": {
            "path": str(radiograph.path),
            "height": 250,
            "width": 200,
            "spacing_mm": [0.4, 0.3],
            "view": "PA",
            "notes": ["photometric_inverted"],
        },
        "model": {"name": "tiny", "version": "1.2.3", "sha256": "ab" * 32},
        "samples": 50,
        "cardiothoracic_ratio": {"value": 0.43, "std": 0.02},
        "uncertainty": {"latent": 0.25, "predictive_px1024": 8.5, "score": 8.5},
        "reliability": {"verdict": "review", "reasons": ["not_calibrated"]},
    }
    assert [list(landmark) for landmark in landmarks] == [LANDMARK_KEYS] * 120
    assert list(organs) == ["right_lung", "left_lung", "heart"]
    assert all(list(organ) == ["area_px", "area_mm2", "uncertainty_px"] for organ in organs.values())


def test_landmarks_and_organs_say_what_the_result_says(
    result: LandmarkSegmentation, radiograph: Radiograph, tmp_path: Path
) -> None:
    record = written(result, radiograph, tmp_path)
    landmarks = record["landmarks"]
    assert [landmark["id"] for landmark in landmarks] == list(NODE_IDS)
    assert all(landmark["organ"] == ORGAN_OF_PREFIX[landmark["id"].rstrip("0123456789")] for landmark in landmarks)
    columns = {key: [landmark[key] for landmark in landmarks] for key in LANDMARK_KEYS}
    np.testing.assert_array_equal(np.transpose([columns["x"], columns["y"]]), result.landmarks)
    np.testing.assert_array_equal(np.transpose([columns["std_x"], columns["std_y"]]), result.std)
    np.testing.assert_array_equal(columns["cov_xy"], result.covariance[:, 0, 1])
    assert set(columns["radius90"]) == {None}
    for organ in ORGANS:
        assert record["organs"][organ.name] == {
            "area_px": result.area_px(organ),
            "area_mm2": result.area_mm2(organ),
            "uncertainty_px": result.organ_uncertainty_px(organ),
        }


def test_what_is_not_known_is_null(tmp_path: Path) -> None:
    radiograph = make_radiograph()
    unknown = make_segmentation(radiograph, cardiothoracic_ratio=Estimate(np.nan, np.nan))
    record = written(unknown, radiograph, tmp_path)
    assert record["cardiothoracic_ratio"] == {"value": None, "std": None}
    assert record["image"]["spacing_mm"] is None
    assert record["image"]["view"] is None
    assert {organ["area_mm2"] for organ in record["organs"].values()} == {None}


def test_radius_is_written_where_it_is_known(
    result: LandmarkSegmentation, radiograph: Radiograph, tmp_path: Path
) -> None:
    radius = np.linspace(0.5, 119.5, 120)
    radius[5] = np.inf  # a calibration on few images can say no more
    calibrated = replace(result, radius90=radius)
    rows = written(calibrated, radiograph, tmp_path)["landmarks"]
    assert [row["radius90"] for row in rows[4:7]] == [4.5, None, 6.5]


def test_record_is_json_types_only(result: LandmarkSegmentation, radiograph: Radiograph) -> None:
    record = segmentation_record(result, radiograph)
    assert json.loads(json.dumps(record)) == record


@pytest.mark.parametrize("calibrated", [False, True])
def test_table_round_trips(
    result: LandmarkSegmentation, radiograph: Radiograph, tmp_path: Path, calibrated: bool
) -> None:
    if calibrated:
        result = replace(result, radius90=np.linspace(0, 17, 120))
    write_table(result, radiograph, tmp_path / "chest.csv")
    assert b"\r\r" not in (tmp_path / "chest.csv").read_bytes()
    with (tmp_path / "chest.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    expected = segmentation_record(result, radiograph)["landmarks"]
    assert [list(row) for row in rows] == [LANDMARK_KEYS] * 120
    for row, landmark in zip(rows, expected, strict=True):
        assert (row.pop("id"), row.pop("organ")) == (landmark.pop("id"), landmark.pop("organ"))
        assert {key: float(value) if value else None for key, value in row.items()} == landmark
