from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from monai_chexmask_u.experiments.calibration_experiment import calibration_curve, coverage_table, refit_table

# Ten radiographs; radiograph k has errors 10 k + 1 ... 10 k + 10 of the heart's landmarks, and a radius that holds nine
# of ten.
NODES = pd.DataFrame(
    {
        "radiograph": np.repeat([f"radiograph{number}" for number in range(10)], 10),
        "organ": "heart",
        "error": np.arange(1.0, 101.0),
        "radius90": np.repeat(10.0 * np.arange(10) + 9, 10),
    }
)


def test_coverage_is_over_all_and_per_organ_with_the_spread_over_radiographs() -> None:
    nodes = pd.concat([NODES, NODES.assign(organ="left_lung", radius90=1000.0)])
    table = coverage_table(nodes).set_index("organ")
    assert table.loc["heart", "coverage"] == pytest.approx(0.9)
    assert table.loc["heart", "radiograph_std"] == pytest.approx(0)
    assert table.loc["left_lung", "coverage"] == 1
    assert table.loc["all", "coverage"] == pytest.approx(0.95)
    assert (table.loc["all", "nodes"], table.loc["all", "radiographs"]) == (200, 10)
    assert np.isnan(table.loc["right_lung", "coverage"])


def test_radiographs_differ_where_one_radius_serves_all() -> None:
    row = coverage_table(NODES.assign(radius90=90.0)).set_index("organ").loc["heart"]
    assert (row["coverage"], row["radiograph_least"]) == (0.9, 0)
    assert row["radiograph_std"] == pytest.approx(0.3)


def test_calibration_curve_counts_the_truths_within_each_ellipse() -> None:
    nodes = pd.DataFrame({"predictive_level": [0.02, 0.3, 0.5, 0.99]})
    curve = calibration_curve(nodes, ("predictive",)).set_index("expected")["observed"]
    assert len(curve) == 19
    assert curve.iloc[0] == 0.25
    assert curve.iloc[9] == 0.75  # at 50 %
    assert curve.iloc[-1] == 0.75


def test_radiographs_are_judged_by_the_radii_of_the_others() -> None:
    # A radius in proportion to the error holds every radiograph at the same factor; a constant must serve the worst
    # radiographs.
    nodes = NODES.assign(radius90=NODES["error"] * 3)
    row = refit_table(nodes).set_index("organ").loc["heart"]
    assert row["coverage_radius"] == 1
    assert row["radius"] == pytest.approx(NODES["error"].mean())
    assert row["constant"] == pytest.approx((9 * 92 + 82) / 10)
    assert row["smaller_percent"] == pytest.approx(100 * (1 - 50.5 / 91))


def test_one_radiograph_cannot_be_judged_by_others() -> None:
    row = refit_table(NODES[NODES["radiograph"] == "radiograph0"]).set_index("organ").loc["heart"]
    assert np.isnan(row["coverage_radius"])
