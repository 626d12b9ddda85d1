from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.samples.segmentations import make_radiograph, make_segmentation

from monai_chexmask_u.anatomy import HEART, LEFT_LUNG, ORGANS, RIGHT_LUNG
from monai_chexmask_u.annotations.slicer_markups import read_landmarks
from monai_chexmask_u.geometry import Frame, ImagePlane, fill_polygon
from monai_chexmask_u.writers.markups import markups_document

RADIOGRAPH: Final = make_radiograph(rows=500, columns=400)
PLANE: Final = ImagePlane.of_spacing(0.1, 0.2)
SEGMENTATION: Final = make_segmentation(RADIOGRAPH)
LANDMARKS: Final = SEGMENTATION.landmarks


def document() -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(markups_document(SEGMENTATION, RADIOGRAPH, PLANE)))
    return copy


def read(folder: Path, *documents: Any, plane: ImagePlane = PLANE, frame: Frame | None = None) -> Any:
    paths = []
    for number, item in enumerate(documents):
        paths.append(folder / f"F{number}.mrk.json")
        paths[-1].write_text(json.dumps(item), encoding="utf-8")
    return read_landmarks(paths, plane, RADIOGRAPH.shape, frame=frame)


def test_what_was_written_comes_back(tmp_path: Path) -> None:
    np.testing.assert_allclose(read(tmp_path, document()), LANDMARKS, atol=1e-9)


@given(
    origin=st.tuples(*[st.floats(-500, 500)] * 3),
    sizes=st.tuples(st.floats(0.05, 2), st.floats(0.05, 2)),
    turn=st.floats(0, 6.28),
    system=st.sampled_from(["LPS", "RAS"]),
    seed=st.integers(0, 9999),
)
def test_landmarks_come_back_from_any_plane_and_system(
    origin: tuple[float, float, float],
    sizes: tuple[float, float],
    turn: float,
    system: str,
    seed: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    cosine, sine = np.cos(turn), np.sin(turn)
    plane = ImagePlane(origin, (sizes[0] * cosine, sizes[0] * sine, 0), (0, 0, -sizes[1]))
    landmarks = np.random.default_rng(seed).uniform(0, 400, (120, 2))
    segmentation = make_segmentation(RADIOGRAPH, landmarks=landmarks)
    written = json.loads(json.dumps(markups_document(segmentation, RADIOGRAPH, plane)))
    if system == "RAS":
        for markup in written["markups"]:
            markup["coordinateSystem"] = "RAS"
            for point in markup["controlPoints"]:
                x, y, z = point["position"]
                point["position"] = [-x, -y, z]
    found = read(tmp_path_factory.mktemp("markups"), written, plane=plane)
    np.testing.assert_allclose(found, landmarks, atol=1e-6)


def test_curves_win_over_the_list(tmp_path: Path) -> None:
    edited = document()
    edited["markups"][3]["controlPoints"][0]["position"] = [3.0, 3.0, 0.0]
    edited["markups"][0]["controlPoints"][7]["position"] = [10.0, 20.0, 0.0]
    found = read(tmp_path, edited)
    expected = LANDMARKS.copy()
    expected[7] = 100, 100
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_the_list_counts_where_there_is_no_curve(tmp_path: Path) -> None:
    edited = document()
    del edited["markups"][:3]
    np.testing.assert_allclose(read(tmp_path, edited), LANDMARKS, atol=1e-9)
    edited["markups"][0]["type"] = "PointList"
    np.testing.assert_allclose(read(tmp_path, edited), LANDMARKS, atol=1e-9)


def without_heart(markups: list[dict[str, Any]]) -> None:
    del markups[2]


def without_points_of_the_heart(markups: list[dict[str, Any]]) -> None:
    markups[2]["controlPoints"] = []


def with_an_unplaced_heart(markups: list[dict[str, Any]]) -> None:
    for point in markups[2]["controlPoints"]:
        point.update(positionStatus="undefined", position="")


@pytest.mark.parametrize("edit", [without_heart, without_points_of_the_heart, with_an_unplaced_heart])
def test_an_organ_without_outline_is_unknown(edit: Callable[[list[dict[str, Any]]], None], tmp_path: Path) -> None:
    edited = document()
    edit(edited["markups"])
    found = read(tmp_path, edited)
    assert np.isnan(found[HEART.nodes]).all()
    np.testing.assert_allclose(found[: HEART.first_node], LANDMARKS[: HEART.first_node], atol=1e-9)


@pytest.mark.parametrize("name", ["right lung", "RIGHT_LUNG", "Right lung_1", "Right-Lung", "RL"])
def test_names_are_taken_as_people_write_them(name: str, tmp_path: Path) -> None:
    curve = document()["markups"][0]
    curve["name"], curve["measurements"] = name, []
    for point in curve["controlPoints"]:
        point["label"] = ""
    found = read(tmp_path, {"markups": [curve]})
    np.testing.assert_allclose(found[RIGHT_LUNG.nodes], LANDMARKS[RIGHT_LUNG.nodes], atol=1e-9)


@pytest.mark.parametrize("kept", ["measurements", "labels"])
def test_an_organ_is_known_by_what_slicer_keeps(kept: str, tmp_path: Path) -> None:
    """Slicer writes no name, and people rename nodes."""
    curve = document()["markups"][1]
    curve["name"] = "F"
    if kept == "labels":
        curve["measurements"] = []
    else:
        for point in curve["controlPoints"]:
            point["label"] = "F-1"
    found = read(tmp_path, {"markups": [curve]})
    np.testing.assert_allclose(found[LEFT_LUNG.nodes], LANDMARKS[LEFT_LUNG.nodes], atol=1e-9)


def area_overlap(first: Any, second: Any) -> float:
    one, two = fill_polygon(first, RADIOGRAPH.shape), fill_polygon(second, RADIOGRAPH.shape)
    return float(2 * (one & two).sum() / (one.sum() + two.sum()))


@pytest.mark.parametrize("organ", ORGANS, ids=lambda organ: organ.name)
def test_nodes_are_placed_anew_on_an_outline_with_other_points(organ: Any, tmp_path: Path) -> None:
    edited = document()
    points = edited["markups"][ORGANS.index(organ)]["controlPoints"]
    del points[5]
    points.insert(9, {"label": f"{organ.prefix}+1", "position": [*points[9]["position"][:2], 0.0]})
    points.insert(15, {"label": f"{organ.prefix}+2", "position": [*points[15]["position"][:2], 0.0]})
    points[15]["position"][0] += 0.05
    found = read(tmp_path, edited)
    assert np.isfinite(found).all()
    assert area_overlap(found[organ.nodes], LANDMARKS[organ.nodes]) > 0.97
    others = np.ones(120, dtype=bool)
    others[organ.nodes] = False
    np.testing.assert_allclose(found[others], LANDMARKS[others], atol=1e-9)


def test_as_many_points_in_another_order_are_placed_anew(tmp_path: Path) -> None:
    """One point was deleted and another added: the count says nothing, the labels do."""
    edited = document()
    points = edited["markups"][0]["controlPoints"]
    points.append({"label": "RL+1", "position": points.pop(0)["position"]})
    found = read(tmp_path, edited)
    assert not np.allclose(found[RIGHT_LUNG.nodes], np.roll(LANDMARKS[RIGHT_LUNG.nodes], -1, axis=0), atol=1e-3)


def test_points_on_a_mirrored_radiograph_are_placed_upright(tmp_path: Path) -> None:
    """The same outline, mirrored with the radiograph, gets the mirrored nodes."""
    edited = document()
    del edited["markups"][0]["controlPoints"][5]
    plain = read(tmp_path, edited, frame=Frame.fit(RADIOGRAPH.shape, 1024))
    width = RADIOGRAPH.shape[1] - 1
    for markup in edited["markups"]:
        for point in markup["controlPoints"]:
            point["position"][0] = 0.1 * width - point["position"][0]
    mirrored = read(tmp_path, edited, frame=Frame.fit(RADIOGRAPH.shape, 1024, mirrored=True))
    np.testing.assert_allclose([width, 0] + mirrored * [-1, 1], plain, atol=0.5)


def first_curve(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], Any]:
    def edit(item: dict[str, Any]) -> Any:
        change(item["markups"][0])
        return item

    return edit


def point_of_first_curve(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return first_curve(lambda curve: curve["controlPoints"][2].update(changes))


UNUSABLE: Final[list[tuple[Callable[[dict[str, Any]], Any], str]]] = [
    (lambda _: ["markups"], "no Slicer markups"),
    (lambda _: {"markups": "none"}, "no Slicer markups"),
    (lambda _: {"markups": [1]}, "no Slicer markups"),
    (lambda _: {"markups": []}, "no markups in this file"),
    (lambda item: {"markups": [{**item["markups"][0], "controlPoints": []}]}, "no outline"),
    (lambda _: {"markups": [{"type": "Line", "controlPoints": []}]}, "no outline"),
    (first_curve(lambda curve: curve.update(type="Curve")), "open curve"),
    (first_curve(lambda curve: curve.update(controlPoints=curve["controlPoints"][:2])), "at least 3"),
    (first_curve(lambda curve: curve.update(controlPoints="many")), "no list of points"),
    (first_curve(lambda curve: curve.update(coordinateSystem="IJK")), "coordinate system"),
    (first_curve(lambda curve: curve.update(coordinateUnits="parsec")), "unit"),
    (first_curve(lambda curve: curve.update(name="Left lung")), "both outline the left lung; keep one"),
    (
        first_curve(
            lambda c: c.update(name="F", measurements=[], controlPoints=[{"position": [1, k, 0]} for k in (1, 2, 4)])
        ),
        "name it one of Right lung, Left lung, Heart",
    ),
    (point_of_first_curve(position=[float("nan"), 0, 0]), "not three finite numbers"),
    (point_of_first_curve(position=[1, 2]), "not three finite numbers"),
    (point_of_first_curve(position="here"), "not three finite numbers"),
    (point_of_first_curve(position=[1000.0, 2, 0]), "far outside the image"),
    (point_of_first_curve(position=[1, 2, 60.0]), "far outside the image"),
    (
        lambda item: {"markups": [{**item["markups"][3], "controlPoints": item["markups"][3]["controlPoints"][1:]}]},
        "43 landmarks",
    ),
    (lambda item: {"markups": [item["markups"][3]] * 2}, "comes twice"),
]


@pytest.mark.parametrize(("edit", "said"), UNUSABLE, ids=[said for _, said in UNUSABLE])
def test_what_cannot_be_used_is_refused_in_one_sentence(
    edit: Callable[[dict[str, Any]], Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        read(tmp_path, edit(document()))
    assert "F0.mrk.json" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no json", b"\xff\xfe", b"[" * 100_000, b" " * 2**25 + b"{}"])
def test_files_that_are_no_json_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "F.mrk.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"F\.mrk\.json: cannot be read as Slicer markups"):
        read_landmarks([path], PLANE, RADIOGRAPH.shape)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="No such file"):
        read_landmarks([tmp_path / "F.mrk.json"], PLANE, RADIOGRAPH.shape)


def test_micrometers_and_coded_units_are_understood(tmp_path: Path) -> None:
    edited = document()
    edited["markups"][0]["coordinateUnits"] = ["mm", "UCUM", "millimeter"]
    edited["markups"][1]["coordinateUnits"] = "um"
    for point in edited["markups"][1]["controlPoints"]:
        point["position"] = [1000 * value for value in point["position"]]
    np.testing.assert_allclose(read(tmp_path, edited), LANDMARKS, atol=1e-9)
