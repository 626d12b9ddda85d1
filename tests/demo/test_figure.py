from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from support.samples.segmentations import make_radiograph, make_segmentation

from monai_chexmask_u.demo.alterations import Alteration
from monai_chexmask_u.demo.figure import Measure, color_bar, draw_figure, node_values, scale_end
from monai_chexmask_u.demo.page_texts import change_table, measures, message, verdict
from monai_chexmask_u.demo.sessions import Shown
from monai_chexmask_u.drawing import uncertainty_color
from monai_chexmask_u.segmentation import Estimate, Reliability


def shown(**changes: object) -> Shown:
    radiograph = make_radiograph(spacing_mm=(0.5, 0.5), notes=("color_ignored",))
    return Shown(radiograph, Alteration(), make_segmentation(radiograph, **changes), "radiograph.jpg")


def nodes(html: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(html).iter("circle"))


def test_nodes_lie_at_the_centers_of_their_pixels() -> None:
    one = shown()
    drawn = nodes(draw_figure(one, "Radiograph", "predictive", 10, images="images"))
    places = [(float(node.attrib["cx"]), float(node.attrib["cy"])) for node in drawn]
    # (0, 0) of SVG is the corner of the pixel whose center is the image's (0, 0).
    np.testing.assert_allclose(places, one.result.landmarks + 0.5, atol=0.005)


@pytest.mark.parametrize("measure", ["radius", "predictive"])
def test_the_color_of_a_node_is_that_of_its_value(measure: Measure) -> None:
    one = shown(radius90=np.linspace(1, 9, 120))
    values = node_values(one.result, measure)
    assert values is not None
    end = scale_end([one], measure)
    assert end >= values.max()
    drawn = nodes(draw_figure(one, "Radiograph", measure, end, images="images"))
    assert [node.attrib["fill"] for node in drawn] == [f"rgb{uncertainty_color(value / end)}" for value in values]


def test_a_node_tells_its_numbers() -> None:
    one = shown(radius90=np.linspace(1, 9, 120))
    tip = nodes(draw_figure(one, "Radiograph", "radius", 10, images="images"))[44].attrib["data-tip"]
    x, y = one.result.landmarks[44]
    assert tip.startswith(f"LL00, left lung: x {x:.1f}, y {y:.1f} px; spread ")
    assert re.search(r"; [\d.]+ mm; 90 % radius [\d.]+ px$", tip)


def test_an_ellipse_is_that_of_the_covariance() -> None:
    covariance = np.tile(np.diag([9.0, 1.0]), (120, 1, 1))
    html = draw_figure(shown(covariance=covariance), "Radiograph", "predictive", 10, images="p", ellipses=True)
    drawn = list(ElementTree.fromstring(html).iter("ellipse"))
    assert len(drawn) == 120
    factor = np.sqrt(-2 * np.log(0.1))
    assert float(drawn[0].attrib["rx"]) == pytest.approx(3 * factor, abs=0.01)
    assert float(drawn[0].attrib["ry"]) == pytest.approx(factor, abs=0.01)
    assert drawn[0].attrib["transform"].endswith("rotate(0.0)")
    falling = np.tile(np.array([[5.0, 4.0], [4.0, 5.0]]), (120, 1, 1))  # more x comes with more y, which is down
    html = draw_figure(shown(covariance=falling), "Radiograph", "predictive", 10, images="p", ellipses=True)
    assert next(ElementTree.fromstring(html).iter("ellipse")).attrib["transform"].endswith("rotate(45.0)")


def test_the_color_bar_says_pixels_and_millimeters() -> None:
    with_spacing = color_bar("predictive", 8, shown().result)
    assert "8 px<br>4 mm" in with_spacing
    radiograph = make_radiograph()
    without = color_bar("predictive", 8, make_segmentation(radiograph))
    assert "8 px" in without
    assert "mm" not in without


def test_what_has_no_value_per_node_is_said() -> None:
    assert "0.250" in color_bar("latent", 1, shown().result)
    assert "not calibrated" in color_bar("radius", 1, shown().result)
    assert {node.attrib["fill"] for node in nodes(draw_figure(shown(), "Radiograph", "latent", 1, images="p"))} == {
        "rgb(255, 255, 255)"
    }


def test_the_verdict_stands_in_words_with_its_reasons() -> None:
    html = verdict(shown(reliability=Reliability("reject", ("mirrored",))), altered=True)
    assert "Reject (altered radiograph)" in html
    assert "Seems to be mirrored" in html
    assert "Slight colors of the image were ignored." in html


def test_change_is_told_per_organ() -> None:
    before = shown(covariance=np.tile(np.eye(2), (120, 1, 1)), radius90=np.full(120, 2.0))
    covariance = np.tile(np.eye(2), (120, 1, 1))
    covariance[:44] *= 9
    after = shown(covariance=covariance, radius90=np.full(120, 3.0))
    html = change_table(before, after)
    assert "<td>1.0 → 3.0 px, +200 %</td><td>2.0 → 3.0 px, +50 %</td>" in html
    assert html.count("<td>1.0 → 1.0 px, +0 %</td>") == 2


def test_measures_hold_the_cardiothoracic_ratio_with_its_interval() -> None:
    ratio = Estimate(0.43, 0.002, (0.4, 0.46))
    assert "0.430 (90 % interval 0.400 to 0.460)" in measures(shown(cardiothoracic_ratio=ratio), altered=False)


def test_words_are_escaped() -> None:
    assert "<script>" not in message("<script>alert(1)</script>")
