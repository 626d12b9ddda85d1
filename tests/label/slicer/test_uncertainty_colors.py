"""Colors of nodes, on markups that the library wrote."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.samples.segmentations import make_radiograph, make_segmentation

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.annotations.slicer_plane import slicer_plane
from monai_chexmask_u.segmentation import LandmarkSegmentation
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


def discs(colors: UncertaintyColors) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the centers ``(n, 3)`` of the discs that are drawn and the values ``(n,)`` that their colors come from."""
    from vtkmodules.util.numpy_support import vtk_to_numpy

    model = colors.model.GetPolyData()
    corners = vtk_to_numpy(model.GetPoints().GetData()).reshape(model.GetNumberOfPolys(), -1, 3)
    values = vtk_to_numpy(model.GetPointData().GetScalars()).reshape(len(corners), -1)
    assert np.ptp(values, axis=1).max() == 0
    return corners.mean(axis=1), values[:, 0]


def positions(colors: UncertaintyColors) -> NDArray[np.float64]:
    return np.array(
        [
            curve.GetNthControlPointPosition(number)
            for curve in colors.curves
            for number in range(curve.GetNumberOfControlPoints())
        ]
    )


def test_each_node_has_a_disc_of_its_uncertainty(colors: UncertaintyColors, segmentation: LandmarkSegmentation) -> None:
    expected = segmentation.node_uncertainty
    assert colors.measurement == NAME
    assert colors.span == pytest.approx((expected.min(), expected.max()))
    centers, values = discs(colors)
    np.testing.assert_allclose(centers, positions(colors), atol=1e-3)
    np.testing.assert_allclose(values, expected)
    display = colors.model.GetDisplayNode()
    assert display.GetScalarVisibility()
    assert display.GetVisibility2D()
    assert display.GetScalarRange() == colors.span
    assert display.GetColorNode().GetNumberOfColors() == 256


def test_a_disc_follows_a_node_that_is_dragged(colors: UncertaintyColors) -> None:
    curve = colors.curves[0]
    x, y, z = curve.GetNthControlPointPosition(7)
    _, before = discs(colors)
    curve.SetNthControlPointPosition(7, x + 3, y - 2, z)
    centers, values = discs(colors)
    np.testing.assert_allclose(centers[7], (x + 3, y - 2, z), atol=1e-3)
    np.testing.assert_allclose(values, before)


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
    centers, values = discs(colors)
    np.testing.assert_allclose(centers, positions(colors), atol=1e-3)
    np.testing.assert_allclose(values[ORGANS[2].nodes.start :], with_new[1:])


def test_all_points_of_a_curve_may_go(colors: UncertaintyColors) -> None:
    colors.curves[1].RemoveAllControlPoints()
    assert len(discs(colors)[0]) == 120 - ORGANS[1].node_count


def test_hidden_curves_have_no_discs(colors: UncertaintyColors) -> None:
    colors.curves[0].SetDisplayVisibility(False)
    colors.draw()
    assert len(discs(colors)[0]) == 120 - ORGANS[0].node_count
    colors.show(False)
    assert not colors.model.GetDisplayNode().GetVisibility()


def test_nothing_is_left_behind(colors: UncertaintyColors, scene: Any) -> None:
    colors.close()
    assert scene.GetFirstNodeByClass("vtkMRMLModelNode") is None
    colors.curves[0].RemoveNthControlPoint(0)  # nobody looks any more
