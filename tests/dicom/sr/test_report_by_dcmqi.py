"""dcmqi reads from the report every number of the result, under the name of its landmark or organ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support import judges
from support.judges import Group, Measurement
from support.samples.written_objects import WrittenObjects

from monai_chexmask_u.anatomy import HEART, LEFT_LUNG, NODE_COUNT, NODE_IDS, ORGANS, RIGHT_LUNG, Organ, organ_of_node
from monai_chexmask_u.segmentation import LandmarkSegmentation

SITES = {RIGHT_LUNG.name: ("Lung", "Right"), LEFT_LUNG.name: ("Lung", "Left"), HEART.name: ("Heart", None)}


@pytest.fixture(scope="module", params=["non_square", "dx_monochrome1"])
def objects(request: pytest.FixtureRequest, objects_of: Callable[[str], WrittenObjects]) -> WrittenObjects:
    return objects_of(request.param)


@pytest.fixture(scope="module")
def groups(objects: WrittenObjects, available: Callable[[Any], Any]) -> dict[str, Group]:
    """The report's groups as dcmqi reads them, by tracking identifier, in the report's order."""
    return {group.identifier: group for group in available(judges.measurement_groups)(objects.paths["sr"])}


def test_groups_are_those_of_image_organs_and_landmarks(groups: dict[str, Group]) -> None:
    assert list(groups) == ["Image", "Right lung", "Left lung", "Heart", *NODE_IDS]
    assert (list(groups)[4], list(groups)[-1]) == ("RL00", "H25")
    assert len({group.uid for group in groups.values()}) == NODE_COUNT + 4


def test_every_landmark_has_its_numbers(objects: WrittenObjects, available: Callable[[Any], Any]) -> None:
    expected = {name: node_measurements(objects.result, node) for node, name in enumerate(NODE_IDS)}
    assert available(judges.measurement_differences)(objects.paths["sr"], expected) == []


def test_every_organ_has_its_numbers(objects: WrittenObjects, available: Callable[[Any], Any]) -> None:
    expected = {organ.title: organ_measurements(objects.result, organ) for organ in ORGANS}
    assert available(judges.measurement_differences)(objects.paths["sr"], expected) == []


def test_image_has_its_numbers(objects: WrittenObjects, available: Callable[[Any], Any]) -> None:
    result = objects.result
    expected = [
        Measurement("Cardiothoracic ratio", result.cardiothoracic_ratio.value, "{ratio}", "Mean"),
        Measurement("Predictive uncertainty in a 1024-pixel image", result.predictive_px1024, "{pixels}"),
        Measurement("Latent uncertainty", result.latent_uncertainty, "1"),
        Measurement("Total uncertainty in a 1024-pixel image", 8.5, "{pixels}"),
    ]
    assert available(judges.measurement_differences)(objects.paths["sr"], {"Image": expected}) == []


def test_every_landmark_is_a_finding_in_its_organ(groups: dict[str, Group]) -> None:
    for node, name in enumerate(NODE_IDS):
        structure, side = SITES[organ_of_node(node).name]
        assert (groups[name].finding, groups[name].site, groups[name].laterality) == (structure, structure, side)
        assert groups[name].evaluations == (("Geometric purpose of region", "Boundary point"),)


def test_organs_are_outlines_with_their_site(groups: dict[str, Group]) -> None:
    for organ in ORGANS:
        group, (structure, side) = groups[organ.title], SITES[organ.name]
        assert (group.finding, group.site, group.laterality) == (structure, structure, side)
        assert ("Finding category", "Anatomical Structure") in group.evaluations
        assert ("Geometric purpose of region", "Outline") in group.evaluations


def test_verdict_and_reasons_are_read(groups: dict[str, Group]) -> None:
    evaluations = groups["Image"].evaluations
    assert ("Reliability verdict", "Needs review by a person before use") in evaluations
    assert ("Reliability reason", "The model is not calibrated") in evaluations
    assert ("Reliability reason", "Latent uncertainty high") in evaluations


def test_itk_shows_the_verdict_in_words(objects: WrittenObjects, available: Callable[[Any], Any]) -> None:
    text = available(judges.report_text)(objects.paths["sr"])
    assert '"Reliability verdict")=(review,99CHEXMASKU,"Needs review by a person before use")' in text
    assert all(f'"Tracking Identifier")="{name}"' in text for name in NODE_IDS)


def node_measurements(result: LandmarkSegmentation, node: int) -> list[Measurement]:
    """Return what the report must say of a landmark, from the result's arrays alone."""
    assert result.spacing_mm is not None
    assert result.radius90 is not None
    row_mm, column_mm = result.spacing_mm
    variance_x, variance_y = np.diagonal(result.covariance[node])
    distance_mm = np.sqrt(variance_x * column_mm**2 + variance_y * row_mm**2)
    return [
        Measurement("Spatial Displacement X Component", np.sqrt(variance_x), "{pixels}", "Standard Deviation"),
        Measurement("Spatial Displacement Y Component", np.sqrt(variance_y), "{pixels}", "Standard Deviation"),
        Measurement("Distance", distance_mm, "mm", "Root Mean Square"),
        Measurement("Radius that holds the true landmark with 90 % probability", result.radius90[node], "{pixels}"),
    ]


def organ_measurements(result: LandmarkSegmentation, organ: Organ) -> list[Measurement]:
    """Return what the report must say of an organ."""
    area_mm2 = result.area_mm2(organ)
    assert area_mm2 is not None
    spread = np.sqrt(np.diagonal(result.covariance[organ.nodes], axis1=1, axis2=2)).mean(axis=1)
    name = "Predictive uncertainty of landmarks"
    return [
        Measurement("Area", area_mm2, "mm2"),
        Measurement(name, spread.mean(), "{pixels}", "Mean"),
        Measurement(name, spread.max(), "{pixels}", "Maximum"),
    ]
