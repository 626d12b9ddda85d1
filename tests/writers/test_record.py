from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.samples.dicom import make_dx, save
from support.samples.segmentations import make_radiograph, make_segmentation

from monai_chexmask_u.anatomy import NODE_IDS, ORGANS
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.segmentation import Estimate, LandmarkSegmentation
from monai_chexmask_u.uncertainty import normal_std
from monai_chexmask_u.writers.record import segmentation_record, write_json, write_table

ORGAN_OF_PREFIX = {"RL": "right_lung", "LL": "left_lung", "H": "heart"}
LANDMARK_KEYS = [
    "id",
    "organ",
    "x",
    "y",
    "std_x",
    "std_y",
    "cov_xy",
    "std_normal",
    "uncertainty_px",
    "radius90",
]
ORGAN_KEYS = [
    *("area_px", "area_std_px", "area_interval90_px", "area_mm2", "area_interval90_mm2"),
    *("uncertainty_px", "total_uncertainty_px"),
]


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
            "sop_instance_uid": None,
            "sha256": None,
            "height": 250,
            "width": 200,
            "spacing_mm": [0.4, 0.3],
            "view": "PA",
            "notes": ["photometric_inverted"],
        },
        "model": {"name": "tiny", "version": "1.2.3", "sha256": "ab" * 32, "calibration_sha256": None},
        "samples": 50,
        "cardiothoracic_ratio": {"value": 0.43, "std": 0.02, "interval90": None},
        "uncertainty": {"latent": 0.25, "predictive_px1024": 8.5, "total_px1024": None, "score": 8.5},
        "reliability": {"verdict": "review", "reasons": ["not_calibrated"], "scores": {}},
    }
    assert [list(landmark) for landmark in landmarks] == [LANDMARK_KEYS] * 120
    assert list(organs) == ["right_lung", "left_lung", "heart"]
    assert all(list(organ) == ORGAN_KEYS for organ in organs.values())


@pytest.mark.parametrize("kind", ["DICOM", "image"])
def test_the_image_is_named_by_its_identifier_and_by_the_bytes_that_were_read(kind: str, tmp_path: Path) -> None:
    dataset = make_dx(rows=80, columns=64)
    path = tmp_path / "chest"
    if kind == "DICOM":
        save(dataset, path)
    else:
        Image.fromarray(np.arange(80 * 64).astype(np.uint8).reshape(80, 64)).save(path, format="PNG")
    content = path.read_bytes()
    radiograph = read_radiograph(path)
    path.write_bytes(b"another image by now")
    image = written(make_segmentation(radiograph), radiograph, tmp_path)["image"]
    assert image["sop_instance_uid"] == (str(dataset.SOPInstanceUID) if kind == "DICOM" else None)
    assert image["sha256"] == hashlib.sha256(content).hexdigest()


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
    np.testing.assert_array_equal(columns["std_normal"], normal_std(result.covariance, result.landmarks))
    assert set(columns["uncertainty_px"]) == set(columns["radius90"]) == {None}
    for organ in ORGANS:
        assert record["organs"][organ.name] == {
            "area_px": result.area_px(organ),
            "area_std_px": None,
            "area_interval90_px": None,
            "area_interval90_mm2": None,
            "area_mm2": result.area_mm2(organ),
            "uncertainty_px": result.organ_uncertainty_px(organ),
            "total_uncertainty_px": None,
        }


def test_what_is_not_known_is_null(tmp_path: Path) -> None:
    radiograph = make_radiograph()
    unknown = make_segmentation(radiograph, cardiothoracic_ratio=Estimate(np.nan, np.nan))
    record = written(unknown, radiograph, tmp_path)
    assert record["cardiothoracic_ratio"] == {"value": None, "std": None, "interval90": None}
    assert record["image"]["spacing_mm"] is None
    assert record["image"]["view"] is None
    assert {organ["area_mm2"] for organ in record["organs"].values()} == {None}


def test_a_calibrated_result_says_its_total_uncertainty_and_how_foreign_the_image_is(
    result: LandmarkSegmentation, radiograph: Radiograph, tmp_path: Path
) -> None:
    total = np.arange(1.0, 121)
    calibrated = replace(
        result,
        model=replace(result.model, calibration_sha256="cd" * 32),
        error_covariance=total[:, None, None] ** 2 * np.eye(2),
        total_px1024=12.5,
        area_std_px=(10.0, np.nan, 30.0),
        area_interval90_px=((100.0, 200.0), (300.0, 400.0), (500.0, np.inf)),
        cardiothoracic_ratio=Estimate(0.43, 0.002, (0.4, 0.46)),
        scores={"latent": 1.5, "features": 2.5, "depth": np.inf},
    )
    record = written(calibrated, radiograph, tmp_path)
    assert [row["uncertainty_px"] for row in record["landmarks"]] == pytest.approx(total.tolist())
    assert record["organs"]["heart"]["total_uncertainty_px"] == pytest.approx(total[94:].mean())
    assert record["uncertainty"]["total_px1024"] == record["uncertainty"]["score"] == 12.5
    assert record["cardiothoracic_ratio"] == {"value": 0.43, "std": 0.002, "interval90": [0.4, 0.46]}
    organs = record["organs"].values()
    assert [organ["area_std_px"] for organ in organs] == [10, None, 30]
    assert [organ["area_interval90_px"] for organ in organs] == [[100, 200], [300, 400], None]
    assert [organ["area_interval90_mm2"] for organ in organs] == [
        pytest.approx([12, 24]),
        pytest.approx([36, 48]),
        None,
    ]
    assert record["model"] == {"name": "tiny", "version": "1.2.3", "sha256": "ab" * 32, "calibration_sha256": "cd" * 32}
    assert record["reliability"]["scores"] == {"latent": 1.5, "features": 2.5, "depth": None}
    # What the samples say stays beside it.
    assert record["uncertainty"]["predictive_px1024"] == 8.5
    np.testing.assert_array_equal([row["std_x"] for row in record["landmarks"]], result.std[:, 0])


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
        result = replace(result, radius90=np.linspace(0, 17, 120), error_covariance=4 * result.covariance)
    write_table(result, radiograph, tmp_path / "chest.csv")
    assert b"\r\r" not in (tmp_path / "chest.csv").read_bytes()
    with (tmp_path / "chest.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    expected = segmentation_record(result, radiograph)["landmarks"]
    assert [list(row) for row in rows] == [LANDMARK_KEYS] * 120
    for row, landmark in zip(rows, expected, strict=True):
        assert (row.pop("id"), row.pop("organ")) == (landmark.pop("id"), landmark.pop("organ"))
        assert {key: float(value) if value else None for key, value in row.items()} == landmark
