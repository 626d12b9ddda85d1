"""Colors of nodes, on markups that the library wrote."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from segmentation_samples import make_radiograph, make_segmentation

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.segmentation import LandmarkSegmentation
from monai_chexmask_u.slicer_plane import slicer_plane
from monai_chexmask_u.writers.markups import markups_document
from monai_chexmask_u.writers.record import segmentation_record

if TYPE_CHECKING:
    from ChestLandmarksLib.uncertainty_colors import UncertaintyColors

pytest.importorskip("slicer")

NAME = "predictive uncertainty"


@pytest.fixture
def segmentation() -> LandmarkSegmentation:
    return make_segmentation(make_radiograph())


@pytest.fixture
def colors(scene: Any, segmentation: LandmarkSegmentation) -> UncertaintyColors:
    import slicer
    from ChestLandmarksLib.curves import add_curves
    from ChestLandmarksLib.uncertainty_colors import UncertaintyColors
    from ChestLandmarksLib.volumes import IMAGE
    from vtkmodules.vtkCommonDataModel import vtkImageData

    radiograph = make_radiograph()
    volume = scene.AddNode(slicer.vtkMRMLScalarVolumeNode())
    image = vtkImageData()
    image.SetDimensions(radiograph.shape[1], radiograph.shape[0], 1)
    volume.SetAndObserveImageData(image)
    volume.SetAttribute(IMAGE, "chest")
    document = json.dumps(markups_document(segmentation, radiograph, slicer_plane(radiograph))).encode()
    record = segmentation_record(segmentation, radiograph)
    return UncertaintyColors(scene, add_curves(scene, document, record, volume).values())


def drawn(curve: Any) -> Any:
    """Return the values that the points of the drawn line have, which their colors come from."""
    from vtkmodules.util.numpy_support import vtk_to_numpy

    return vtk_to_numpy(curve.GetCurveWorld().GetPointData().GetArray(NAME))


def drawn_at(curve: Any, number: int) -> float:
    """Return the value that is drawn where a control point is."""
    line = curve.GetCurveWorld()
    return float(drawn(curve)[line.FindPoint(curve.GetNthControlPointPosition(number))])


def test_each_node_has_its_own_uncertainty(colors: UncertaintyColors, segmentation: LandmarkSegmentation) -> None:
    from ChestLandmarksLib.uncertainty_colors import values_of

    assert colors.measurement == NAME
    assert colors.span == (0.0, pytest.approx(float(segmentation.node_uncertainty.max())))
    for curve, organ in zip(colors.curves, ORGANS, strict=True):
        expected = segmentation.node_uncertainty[organ.nodes]
        np.testing.assert_allclose(values_of(curve, NAME), expected)
        for number, value in enumerate(expected):
            assert drawn_at(curve, number) == pytest.approx(value, abs=1e-6)
        display = curve.GetDisplayNode()
        assert display.GetScalarVisibility()
        assert display.GetActiveScalarName() == NAME
        assert display.GetScalarRange() == colors.span
        assert display.GetColorNode().GetName() == "Landmark uncertainty"


def test_a_node_keeps_its_color_when_it_is_dragged(colors: UncertaintyColors) -> None:
    curve = colors.curves[0]
    before = drawn_at(curve, 7)
    x, y, z = curve.GetNthControlPointPosition(7)
    curve.SetNthControlPointPosition(7, x + 3, y - 2, z)
    assert drawn_at(curve, 7) == pytest.approx(before)


def test_nodes_keep_their_colors_when_others_come_and_go(
    colors: UncertaintyColors, segmentation: LandmarkSegmentation
) -> None:
    from ChestLandmarksLib.uncertainty_colors import values_of
    from vtkmodules.vtkCommonDataModel import vtkVector3d

    curve = colors.curves[2]
    expected = segmentation.node_uncertainty[ORGANS[2].nodes]
    middle = np.add(curve.GetNthControlPointPosition(3), curve.GetNthControlPointPosition(4)) / 2
    curve.InsertControlPoint(4, vtkVector3d(*middle), "new")
    with_new = np.insert(expected, 4, (expected[3] + expected[4]) / 2)
    np.testing.assert_allclose(values_of(curve, NAME), with_new)
    curve.RemoveNthControlPoint(0)
    np.testing.assert_allclose(values_of(curve, NAME), with_new[1:])
    assert drawn_at(curve, 10) == pytest.approx(with_new[11], abs=1e-6)


def test_the_organs_colors_come_back(colors: UncertaintyColors) -> None:
    colors.show(False)
    assert not any(curve.GetDisplayNode().GetScalarVisibility() for curve in colors.curves)
