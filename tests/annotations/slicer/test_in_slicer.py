"""Markups on the image, as 3D Slicer's own code loads both."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray
from support.samples.dicom import make_cr, make_dx, phantom_landmarks, save
from support.samples.segmentations import make_segmentation

from monai_chexmask_u.anatomy import HEART, NODE_IDS, ORGANS, RIGHT_LUNG
from monai_chexmask_u.annotations.slicer_markups import read_landmarks
from monai_chexmask_u.annotations.slicer_plane import slicer_plane
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation
from monai_chexmask_u.writers.markups import write_markups

pytest.importorskip("slicer")

RADIOGRAPHS: Final[dict[str, Any]] = {
    "spacing": lambda: make_dx(),
    "no spacing": lambda: make_cr(spacing=None, photometric="MONOCHROME2"),
    "non-square pixels": lambda: make_dx(rows=250, spacing=(0.2, 0.1)),
    "MONOCHROME1": lambda: make_cr(photometric="MONOCHROME1"),
    "magnified": lambda: _with(make_dx(), EstimatedRadiographicMagnificationFactor="1.25"),
    "mirrored": lambda: _with(make_dx(), PatientOrientation=["R", "F"]),
    "upside down": lambda: _with(make_dx(), PatientOrientation=["L", "H"]),
    "coronal": lambda: _with(
        make_dx(),
        ImageOrientationPatient=["1", "0", "0", "0", "0", "-1"],
        ImagePositionPatient=["-120", "30", "250"],
    ),
}


def _with(dataset: Any, **attributes: Any) -> Any:
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def segmented(radiograph: Radiograph) -> LandmarkSegmentation:
    """Return outlines that fit the image's size, with all that a calibration adds."""
    return make_segmentation(
        radiograph,
        landmarks=phantom_landmarks(*radiograph.shape) + 0.125,
        error_covariance=np.diag([4.0, 16.0]) * np.linspace(1, 2, 120)[:, None, None],
        radius90=np.linspace(2, 9, 120),
    )


def pixels_in_slicer(volume: Any, markups: Any) -> NDArray[np.float64]:
    """Return where Slicer has the control points in its volume: ``(n, 3)``, column, row and slice."""
    from support.samples.slicer_scene import ijk_to_ras, ras_positions

    positions = ras_positions(markups)
    homogeneous = np.concatenate([positions, np.ones((len(positions), 1))], axis=1)
    pixels: NDArray[np.float64] = (homogeneous @ np.linalg.inv(ijk_to_ras(volume)).T)[:, :3]
    return pixels


def assert_on_image(source: Path, markups: Path, landmarks: NDArray[np.float64]) -> None:
    from support.samples.slicer_scene import load_markups, load_volume, make_scene

    scene = make_scene()
    volume, nodes = load_volume(scene, source), load_markups(scene, markups)
    assert list(nodes) == [*(organ.title for organ in ORGANS), "Landmarks"]
    places = [(organ.title, organ.nodes) for organ in ORGANS] + [("Landmarks", slice(None))]
    for title, part in places:
        found = pixels_in_slicer(volume, nodes[title])
        np.testing.assert_allclose(found[:, :2], landmarks[part], atol=1e-3)
        np.testing.assert_allclose(found[:, 2], 0, atol=1e-3)


@pytest.mark.parametrize("name", RADIOGRAPHS)
def test_every_point_lies_on_its_pixel(name: str, tmp_path: Path) -> None:
    source, markups = save(RADIOGRAPHS[name](), tmp_path / "radiograph.dcm"), tmp_path / "radiograph.mrk.json"
    radiograph = read_radiograph(source)
    segmentation = segmented(radiograph)
    write_markups(segmentation, radiograph, markups)
    assert_on_image(source, markups, segmentation.landmarks)


def test_every_point_lies_on_its_pixel_of_a_real_radiograph(chest_cr: Path, tmp_path: Path) -> None:
    radiograph, markups = read_radiograph(chest_cr), tmp_path / "radiograph.mrk.json"
    segmentation = segmented(radiograph)
    write_markups(segmentation, radiograph, markups)
    assert_on_image(chest_cr, markups, segmentation.landmarks)


@pytest.mark.parametrize("name", ["CR-MONO1-10-chest.dcm", "nih-dx-chest.dcm"])
def test_every_point_lies_on_its_pixel_of_shared_radiographs(name: str, shared_data: Path, tmp_path: Path) -> None:
    source, markups = shared_data / "dicom" / name, tmp_path / "radiograph.mrk.json"
    radiograph = read_radiograph(source)
    segmentation = segmented(radiograph)
    write_markups(segmentation, radiograph, markups)
    assert_on_image(source, markups, segmentation.landmarks)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return save(make_dx(spacing=(0.2, 0.1)), tmp_path / "radiograph.dcm")


@pytest.fixture
def radiograph(source: Path) -> Radiograph:
    return read_radiograph(source)


@pytest.fixture
def markups(radiograph: Radiograph, tmp_path: Path) -> Path:
    path = tmp_path / "radiograph.mrk.json"
    write_markups(segmented(radiograph), radiograph, path)
    return path


def test_slicer_shows_the_kinds_names_and_colors(markups: Path) -> None:
    from support.samples.slicer_scene import load_markups, make_scene

    scene = make_scene()  # takes the display nodes with it when it goes
    nodes = load_markups(scene, markups)
    for organ in ORGANS:
        node = nodes[organ.title]
        assert node.GetClassName() == "vtkMRMLMarkupsClosedCurveNode"
        assert node.GetCurveClosed()
        assert not node.GetLocked()
        assert [node.GetNthControlPointLabel(n) for n in range(organ.node_count)] == list(NODE_IDS[organ.nodes])
        color = node.GetDisplayNode().GetSelectedColor()
        assert [round(255 * part) for part in color] == list(organ.color)
        assert not node.GetDisplayNode().GetPointLabelsVisibility()
    points = nodes["Landmarks"]
    assert points.GetClassName() == "vtkMRMLMarkupsFiducialNode"
    assert points.GetLocked()


def test_slicers_own_reader_loads_all_markups_of_a_file(markups: Path) -> None:
    """This is what dropping the file on Slicer's window and `slicer.util.loadMarkups` call."""
    import slicer

    scene, logic = slicer.vtkMRMLScene(), slicer.vtkSlicerMarkupsLogic()
    logic.SetMRMLScene(scene)
    assert logic.LoadMarkups(str(markups))
    nodes = [scene.GetNthNodeByClass(n, "vtkMRMLMarkupsNode") for n in range(4)]
    assert {node.GetName(): node.GetNumberOfControlPoints() for node in nodes} == {
        **{organ.title: organ.node_count for organ in ORGANS},
        "Landmarks": len(NODE_IDS),
    }


def test_slicer_measures_what_the_result_says(markups: Path, radiograph: Radiograph) -> None:
    from support.samples.slicer_scene import load_markups, make_scene

    scene, segmentation = make_scene(), segmented(radiograph)
    assert segmentation.total_uncertainty is not None
    assert segmentation.radius90 is not None
    expected = {
        "total uncertainty": segmentation.total_uncertainty,
        "predictive uncertainty": segmentation.node_uncertainty,
        "std x": segmentation.std[:, 0],
        "std y": segmentation.std[:, 1],
        "radius90": segmentation.radius90,
    }
    nodes = load_markups(scene, markups)
    for title, part in [*((organ.title, organ.nodes) for organ in ORGANS), ("Landmarks", slice(None))]:
        for name, values in expected.items():
            found = nodes[title].GetMeasurement(name)
            array = found.GetControlPointValues()
            slicers = [array.GetValue(index) for index in range(array.GetNumberOfTuples())]
            np.testing.assert_allclose(slicers, values[part], rtol=1e-12)
            assert found.GetUnits() == "px"
        assert "verdict review" in nodes[title].GetMeasurement("reliability").GetDescription()
    curve = nodes[HEART.title].GetCurveWorld().GetPointData()
    assert curve.HasArray("total uncertainty") == 1  # what Slicer's 3-D views color the curve by


def test_a_linear_curve_has_the_polygons_area(markups: Path, radiograph: Radiograph) -> None:
    """Slicer loads curves as splines; set to linear, they are the polygons whose areas the results give."""
    from support.samples.slicer_scene import load_markups, make_scene
    from vtkmodules.util.numpy_support import vtk_to_numpy

    from monai_chexmask_u.geometry import polygon_area

    scene = make_scene()
    nodes = load_markups(scene, markups)
    for organ in ORGANS:
        node = nodes[organ.title]
        node.SetCurveTypeToLinear()
        outline = vtk_to_numpy(node.GetCurvePointsWorld().GetData())[:, :2]
        area_mm2 = segmented(radiograph).area_mm2(organ)
        assert polygon_area(outline) == pytest.approx(area_mm2, rel=1e-4)


def test_edits_in_slicer_come_back(source: Path, markups: Path, radiograph: Radiograph, tmp_path: Path) -> None:
    """Each markup is saved to a file of its own, one point was moved, one organ's points were deleted."""
    from support.samples.slicer_scene import ijk_to_ras, load_markups, load_volume, make_scene, save_node

    scene = make_scene()
    matrix = ijk_to_ras(load_volume(scene, source))
    nodes = load_markups(scene, markups)
    moved = matrix @ [40.5, 60.25, 0, 1]
    nodes[RIGHT_LUNG.title].SetNthControlPointPosition(3, *moved[:3])
    nodes[HEART.title].RemoveAllControlPoints()
    files = [save_node(scene, node, tmp_path / f"F_{n}.mrk.json") for n, node in enumerate(nodes.values())]
    expected = segmented(radiograph).landmarks.copy()
    expected[3] = 40.5, 60.25
    expected[HEART.nodes] = np.nan
    np.testing.assert_allclose(read_landmarks(files, slicer_plane(radiograph), radiograph.shape), expected, atol=1e-6)


def test_points_that_slicer_unset_are_left_out(markups: Path, radiograph: Radiograph, tmp_path: Path) -> None:
    from support.samples.slicer_scene import load_markups, make_scene, save_node

    scene = make_scene()
    heart = load_markups(scene, markups)[HEART.title]
    heart.UnsetNthControlPointPosition(5)
    path = save_node(scene, heart, tmp_path / "heart.mrk.json")
    found = read_landmarks([path], slicer_plane(radiograph), radiograph.shape)
    assert np.isfinite(found[HEART.nodes]).all()
    # Placed anew on the outline without that point.
    distance = np.linalg.norm(found[HEART.nodes][5] - segmented(radiograph).landmarks[HEART.nodes][5])
    assert distance > 1e-3


@pytest.mark.parametrize("system", ["LPS", "RAS"])
def test_either_coordinate_system_comes_back(
    system: str, markups: Path, radiograph: Radiograph, tmp_path: Path
) -> None:
    import slicer
    from support.samples.slicer_scene import load_markups, make_scene

    scene = make_scene()
    files = []
    for number, node in enumerate(load_markups(scene, markups).values()):
        storage = slicer.vtkMRMLMarkupsJsonStorageNode()
        scene.AddNode(storage)
        storage.SetCoordinateSystem(getattr(storage, f"CoordinateSystem{system}"))
        storage.SetFileName(str(tmp_path / f"{number}.mrk.json"))
        assert storage.WriteData(node) == 1
        files.append(tmp_path / f"{number}.mrk.json")
        assert f'"{system}"' in files[-1].read_text()
    found = read_landmarks(files, slicer_plane(radiograph), radiograph.shape)
    np.testing.assert_allclose(found, segmented(radiograph).landmarks, atol=1e-6)
