"""From the server to the scene and back, on real radiographs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.samples.slicer_scene import ijk_to_ras
from support.servers.label_server import LabelServer

from monai_chexmask_u.anatomy import NODE_IDS, ORGANS
from monai_chexmask_u.reading import read_radiograph

if TYPE_CHECKING:
    from ChestLandmarksLib.logic import ChestLandmarksLogic
    from ChestLandmarksLib.server import InferResult
    from ChestLandmarksLib.server import LabelServer as Client

pytest.importorskip("slicer")

FILES = {"cr": "cr.dcm", "nih": "nih.png"}


def fetched(client: Client, logic: ChestLandmarksLogic, image: str, folder: Path) -> tuple[Any, InferResult]:
    """Fetch a radiograph, run the model, and show both."""
    volume = logic.add_radiograph(client.fetch_image(image, folder), image)
    result = client.infer("chest_landmarks", image)
    logic.add_result(result, volume)
    return volume, result


def pixels(volume: Any, curve: Any) -> NDArray[np.float64]:
    """Return a curve's points (column, row), by the volume's own matrix."""
    ras = np.array([curve.GetNthControlPointPosition(n) for n in range(curve.GetNumberOfControlPoints())])
    points = np.column_stack([ras, np.ones(len(ras))]) @ np.linalg.inv(ijk_to_ras(volume)).T
    assert np.abs(points[:, 2]).max() < 1e-6
    return np.asarray(points[:, :2])


def record_pixels(result: InferResult) -> NDArray[np.float64]:
    rows = result.record["landmarks"]
    assert [row["id"] for row in rows] == list(NODE_IDS)
    return np.array([(row["x"], row["y"]) for row in rows])


def place_oddly(volume: Any) -> None:
    """Put a radiograph where no reader would: turned in space, mirrored, far away, with oblong pixels."""
    volume.SetSpacing(0.31, 0.17, 2.0)
    turn, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    volume.SetIJKToRASDirections(turn.tolist())
    volume.SetOrigin(120.0, -310.0, 77.0)


@pytest.mark.parametrize("image", ["cr", "nih"])
@pytest.mark.parametrize("odd", [False, True], ids=["as_read", "odd_geometry"])
def test_every_control_point_lies_on_the_pixel_that_the_server_named(
    client: Client, logic: ChestLandmarksLogic, image: str, odd: bool, tmp_path: Path
) -> None:
    path = client.fetch_image(image, tmp_path)
    assert path.name == FILES[image]
    volume = logic.add_radiograph(path, image)
    if odd:
        place_oddly(volume)
    result = client.infer("chest_landmarks", image)
    logic.add_result(result, volume)
    curves = logic.curves(volume)
    assert list(curves) == [organ.title for organ in ORGANS]
    for organ in ORGANS:
        curve = curves[organ.title]
        found = pixels(volume, curve)
        np.testing.assert_allclose(found, record_pixels(result)[organ.nodes], atol=1e-3)
        labels = [curve.GetNthControlPointLabel(n) for n in range(len(found))]
        assert labels == list(NODE_IDS[organ.nodes])


@pytest.mark.parametrize("image", ["cr", "nih"])
@pytest.mark.parametrize("odd", [False, True], ids=["as_read", "odd_geometry"])
def test_moved_points_are_what_training_reads(
    client: Client,
    running: LabelServer,
    logic: ChestLandmarksLogic,
    studies: Path,
    image: str,
    odd: bool,
    tmp_path: Path,
) -> None:
    from label.images.submissions import read_submitted

    volume = logic.add_radiograph(client.fetch_image(image, tmp_path), image)
    if odd:
        place_oddly(volume)
    result = client.infer("chest_landmarks", image)
    logic.add_result(result, volume)
    expected = record_pixels(result)
    moves = {5: (6.0, -4.0), 60: (-3.5, 8.25), 100: (11.0, 2.0)}
    for node, move in moves.items():
        expected[node] += move
        organ = next(organ for organ in ORGANS if organ.nodes.start <= node < organ.nodes.stop)
        drag(volume, logic.curves(volume)[organ.title], node - organ.nodes.start, expected[node])
    answer = client.submit(image, logic.submission(volume))
    assert answer["image"] == image

    label = tmp_path / "label.mrk.json"
    label.write_bytes(
        client._send("GET", "/datastore/label", {"label": answer["label"], "tag": "final"})[0]  # as the server has it
    )
    found = read_submitted(label, read_radiograph(studies / FILES[image]), {})
    np.testing.assert_allclose(found, expected, atol=1e-3)


def drag(volume: Any, curve: Any, number: int, pixel: NDArray[np.float64]) -> None:
    """Move a point as an annotator does with the mouse."""
    ras = ijk_to_ras(volume) @ [*pixel, 0, 1]
    curve.SetNthControlPointPosition(number, *ras[:3])


def test_an_absent_organ_is_hidden_and_not_sent(client: Client, logic: ChestLandmarksLogic, tmp_path: Path) -> None:
    volume, _ = fetched(client, logic, "cr", tmp_path)
    logic.set_absent(volume, "Heart", True)
    assert not logic.curves(volume)["Heart"].GetDisplayVisibility()
    sent = json.loads(logic.submission(volume))
    assert [item["name"] for item in sent["markups"]] == ["Right lung", "Left lung"]
    logic.set_absent(volume, "Heart", False)
    assert len(json.loads(logic.submission(volume))["markups"]) == 3
    for organ in ORGANS:
        logic.set_absent(volume, organ.title, True)
    with pytest.raises(ValueError, match="no outline to send"):
        logic.submission(volume)


def test_a_transform_above_the_radiograph_moves_the_curves_with_it(
    client: Client, logic: ChestLandmarksLogic, scene: Any, tmp_path: Path
) -> None:
    import slicer
    from vtkmodules.vtkCommonMath import vtkMatrix4x4

    volume = logic.add_radiograph(client.fetch_image("cr", tmp_path), "cr")
    move = scene.AddNode(slicer.vtkMRMLLinearTransformNode())
    matrix = vtkMatrix4x4()
    matrix.SetElement(0, 3, 50.0)
    move.SetMatrixTransformToParent(matrix)
    volume.SetAndObserveTransformNodeID(move.GetID())
    result = client.infer("chest_landmarks", "cr")
    logic.add_result(result, volume)
    curve = logic.curves(volume)["Heart"]
    world = np.zeros(3)
    curve.GetNthControlPointPositionWorld(0, world)
    shifted = ijk_to_ras(volume) @ [*record_pixels(result)[ORGANS[2].nodes.start], 0, 1]
    np.testing.assert_allclose(world, np.add(shifted[:3], (50, 0, 0)), atol=1e-3)


def test_a_second_result_takes_the_place_of_the_first(
    client: Client, logic: ChestLandmarksLogic, scene: Any, tmp_path: Path
) -> None:
    volume, result = fetched(client, logic, "cr", tmp_path)
    logic.add_result(result, volume)
    assert scene.GetNumberOfNodesByClass("vtkMRMLMarkupsClosedCurveNode") == 3


def test_a_result_on_another_radiograph_is_refused(client: Client, logic: ChestLandmarksLogic, tmp_path: Path) -> None:
    volume, _ = fetched(client, logic, "cr", tmp_path)
    with pytest.raises(ValueError, match="1024 x 1024 x 1; load the image from the server"):
        logic.add_result(client.infer("chest_landmarks", "nih"), volume)


def test_the_mask_lies_on_the_radiograph_in_the_organs_colors(
    client: Client, logic: ChestLandmarksLogic, scene: Any, tmp_path: Path
) -> None:
    from vtkmodules.util.numpy_support import vtk_to_numpy

    volume = logic.add_radiograph(client.fetch_image("nih", tmp_path), "nih")
    place_oddly(volume)
    result = client.infer("chest_segmentation", "nih")
    logic.add_result(result, volume)
    mask = scene.GetFirstNodeByClass("vtkMRMLLabelMapVolumeNode")
    np.testing.assert_allclose(ijk_to_ras(mask), ijk_to_ras(volume))
    values = vtk_to_numpy(mask.GetImageData().GetPointData().GetScalars())
    counts = np.bincount(values.ravel(), minlength=4)[1:]
    np.testing.assert_allclose(counts, [result.record["organs"][o.name]["area_px"] for o in ORGANS], rtol=0.02)
    colors = mask.GetDisplayNode().GetColorNode()
    for organ in ORGANS:
        assert colors.GetColorName(organ.label) == organ.title
        color = [0.0] * 4
        colors.GetColor(organ.label, color)
        np.testing.assert_allclose(color[:3], np.array(organ.color) / 255, atol=1 / 255)


def test_the_panel_tells_verdict_score_and_reasons(client: Client) -> None:
    from ChestLandmarksLib.logic import result_text

    record = client.infer("chest_landmarks", "cr").record
    text = result_text(record)
    assert record["reliability"]["verdict"] in text
    assert f"{record['uncertainty']['score']:.2f}" in text
