from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from monai_chexmask_u.experiments.error_experiment import pools_of, relations

ERROR = np.array([1.0, 2.0, 3.0, 4.0])


def test_relations_are_perfect_for_the_error_itself_and_nothing_for_a_constant() -> None:
    table = pd.DataFrame({"error": ERROR, "same": ERROR, "reversed": -ERROR, "constant": 1.0})
    rows = relations({"all": table}, ("same", "reversed", "constant"), ("error",)).set_index("measure")
    assert list(rows["items"]) == [4, 4, 4]
    assert rows.loc["same", ["pearson", "spearman", "aurc_gain"]].tolist() == pytest.approx([1, 1, 1])
    assert rows.loc["reversed", ["pearson", "spearman", "aurc_gain"]].tolist() == pytest.approx([-1, -1, -1])
    assert rows.loc["constant", "aurc"] == rows.loc["constant", "aurc_random"] == ERROR.mean()
    assert rows.loc["constant", "aurc_gain"] == 0
    assert np.isnan(rows.loc["constant", "pearson"])
    assert rows.loc["same", "aurc"] == rows.loc["same", "aurc_oracle"] == pytest.approx((1 + 1.5 + 2 + 2.5) / 4)


def test_items_without_truth_do_not_count() -> None:
    table = pd.DataFrame({"error": [1.0, np.nan, 2.0], "u": [3.0, 0.0, 4.0]})
    assert relations({"all": table}, ("u",), ("error",))["items"].item() == 2


def test_pools_keep_clean_and_occluded_radiographs_apart() -> None:
    kinds: list[tuple[str, str, float]] = [("clean", "clean", 0), ("corrupted", "occlusion", 100)]
    kinds += [("corrupted", "occlusion", 301)]
    kinds += [("corrupted", "occlusion_4", 201), ("corrupted", "gaussian_noise", 301), ("corrupted", "rotation", 30)]
    kinds += [("corrupted", "blending", 0.5), ("corrupted", "blending", 0.6)]  # the latter shows another radiograph
    images = pd.DataFrame(kinds, columns=["part", "kind", "severity"])
    pools = {name: list(table.index) for name, table in pools_of(images).items()}
    assert pools == {
        "all": [0, 1, 2, 3, 4, 5, 6],
        "without_geometry": [0, 1, 2, 3, 4, 6],
        "clean": [0],
        "occluded": [1, 2, 3],
        "clean_and_occluded": [0, 1, 2, 3],
        "clean_and_published_occlusions": [0, 2, 3],
    }
