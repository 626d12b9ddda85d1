from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

plots = pytest.importorskip("monai_chexmask_u.demo.severity_plot")

POINTS = {"Right lung": [(0.0, 2.0), (10.0, 3.0), (190.0, 8.0)], "Heart": [(0.0, 1.0), (10.0, 1.5)]}


def test_each_point_is_drawn_and_told() -> None:
    html = plots.draw_plot(POINTS, "noise", "predictive")
    root = ElementTree.fromstring(html)
    groups = [group for group in root.iter() if group.attrib.get("id", "").startswith("points-")]
    uses = {group.attrib["id"]: len([each for each in group.iter() if each.tag.endswith("use")]) for group in groups}
    assert uses == {"points-right-lung": 3, "points-heart": 2}
    assert "Right lung 2.00 at 0, 3.00 at 10, 8.00 at 190; Heart 1.00 at 0, 1.50 at 10" in root.attrib["aria-label"]
    assert "noise, gray levels" in html


def test_more_uncertain_is_higher_and_more_severe_is_further_right() -> None:
    html = plots.draw_plot({"Heart": [(0.0, 1.0), (100.0, 5.0)]}, "noise", "radius")
    group = html[html.index('id="points-heart"') :]
    (x1, y1), (x2, y2) = [
        (float(x), float(y)) for x, y in re.findall(r'<use [^>]*x="([\d.]+)" y="([\d.]+)"', group)[:2]
    ]
    assert x2 > x1
    assert y2 < y1


def test_without_points_the_plot_is_empty() -> None:
    assert "no points yet" in plots.draw_plot({}, "masked", "latent")
