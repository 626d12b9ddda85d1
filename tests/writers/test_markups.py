from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.samples.segmentations import make_radiograph, make_segmentation

from monai_chexmask_u.anatomy import NODE_IDS, ORGANS
from monai_chexmask_u.geometry import ImagePlane
from monai_chexmask_u.segmentation import LandmarkSegmentation
from monai_chexmask_u.writers.markups import MARKUPS_SCHEMA, markups_document, write_markups

PLANE = ImagePlane.of_spacing(0.5, 0.25)


def calibrated() -> LandmarkSegmentation:
    return make_segmentation(
        make_radiograph(spacing_mm=(0.25, 0.5)),
        error_covariance=np.diag([4.0, 16.0]) * np.linspace(1, 2, 120)[:, None, None],
        radius90=np.linspace(2, 9, 120),
        total_px1024=12.5,
    )


def document(segmentation: LandmarkSegmentation) -> dict[str, Any]:
    return markups_document(segmentation, make_radiograph(spacing_mm=segmentation.spacing_mm), PLANE)


def markup(segmentation: LandmarkSegmentation, name: str) -> dict[str, Any]:
    found = [item for item in document(segmentation)["markups"] if item["name"] == name]
    assert len(found) == 1
    return dict(found[0])


def measurement(item: dict[str, Any], name: str) -> dict[str, Any]:
    return next(dict(entry) for entry in item["measurements"] if entry["name"] == name)


def test_there_is_a_closed_curve_per_organ_and_a_list_of_all_points() -> None:
    types = [(item["name"], item["type"]) for item in document(calibrated())["markups"]]
    assert types == [(organ.title, "ClosedCurve") for organ in ORGANS] + [("Landmarks", "Fiducial")]


def test_points_lie_where_the_plane_puts_the_landmarks() -> None:
    segmentation = calibrated()
    for organ in ORGANS:
        points = markup(segmentation, organ.title)["controlPoints"]
        assert [point["label"] for point in points] == list(NODE_IDS[organ.nodes])
        expected = segmentation.contour(organ) * [0.5, 0.25]
        np.testing.assert_allclose([point["position"][:2] for point in points], expected)
    points = markup(segmentation, "Landmarks")["controlPoints"]
    assert [point["id"] for point in points] == list(NODE_IDS)


def test_curves_can_be_edited_and_the_list_cannot() -> None:
    segmentation = calibrated()
    assert [(item["locked"], item["fixedNumberOfControlPoints"]) for item in document(segmentation)["markups"]] == [
        (False, False),
        (False, False),
        (False, False),
        (True, True),
    ]


def test_curves_have_the_organs_colors() -> None:
    for organ in ORGANS:
        display = markup(calibrated(), organ.title)["display"]
        assert [round(255 * part) for part in display["selectedColor"]] == list(organ.color)
        assert display["color"] == display["selectedColor"]


def test_measurements_hold_one_value_per_point() -> None:
    segmentation = calibrated()
    assert segmentation.total_uncertainty is not None
    assert segmentation.radius90 is not None
    expected = {
        "total uncertainty": segmentation.total_uncertainty,
        "predictive uncertainty": segmentation.node_uncertainty,
        "std x": segmentation.std[:, 0],
        "std y": segmentation.std[:, 1],
        "radius90": segmentation.radius90,
    }
    for title, nodes in [*((organ.title, organ.nodes) for organ in ORGANS), ("Landmarks", slice(None))]:
        for name, values in expected.items():
            found = measurement(markup(segmentation, title), name)
            np.testing.assert_allclose(found["controlPointValues"], values[nodes])
            assert found["value"] == pytest.approx(values[nodes].mean())
            assert found["enabled"]


def test_what_is_not_known_is_not_measured() -> None:
    names = [entry["name"] for entry in markup(make_segmentation(make_radiograph()), "Heart")["measurements"]]
    assert names == ["predictive uncertainty", "std x", "std y", "heart area", "reliability"]
    radius = np.full(120, np.inf)
    names = [
        entry["name"]
        for entry in markup(make_segmentation(make_radiograph(), radius90=radius), "Heart")["measurements"]
    ]
    assert "radius90" not in names


def test_points_say_how_sure_they_are() -> None:
    segmentation = calibrated()
    text = markup(segmentation, "Landmarks")["controlPoints"][119]["description"]
    std_x, std_y = segmentation.std[119]
    assert text == f"std x {std_x:.2f} px, std y {std_y:.2f} px, radius90 9.00 px"
    text = markup(make_segmentation(make_radiograph()), "Heart")["controlPoints"][0]["description"]
    assert text.endswith("radius90 unknown")


def test_every_markup_tells_the_verdict_the_model_and_the_librarys_spacing() -> None:
    for item in document(calibrated())["markups"]:
        found = measurement(item, "reliability")
        assert found["value"] == 12.5
        for words in ("verdict review (not_calibrated)", "model tiny 1.2.3", "ab" * 32, "0.25 x 0.5 mm", "mean total"):
            assert words in found["description"]


def test_the_area_is_the_librarys() -> None:
    segmentation = calibrated()
    for organ in ORGANS:
        found = measurement(markup(segmentation, organ.title), f"{organ.name} area")
        assert found["value"] == segmentation.area_px(organ)
        assert f"{segmentation.area_mm2(organ):.0f} mm2" in found["description"]


def test_the_file_says_nothing_of_patient_or_path(tmp_path: Path) -> None:
    radiograph = make_radiograph()
    path = tmp_path / "chest.mrk.json"
    write_markups(make_segmentation(radiograph), radiograph, path)
    text = path.read_text(encoding="utf-8")
    assert "images/chest.png" not in text
    loaded = json.loads(text)
    assert loaded["@schema"] == MARKUPS_SCHEMA
    assert loaded["chexmask_u"]["reliability"]["verdict"] == "review"
    assert "path" not in loaded["chexmask_u"]["image"]
    assert list(tmp_path.iterdir()) == [path]
