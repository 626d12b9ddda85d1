from __future__ import annotations

import pandas as pd
import pytest

from monai_chexmask_u.experiments.findings import Measurements
from monai_chexmask_u.experiments.ood_experiment import analyze, detection_table, images_by_kind, verdict_table

COLUMNS = ["set", "label", "part", "kind", "predictive", "verdict"]
IMAGES = pd.DataFrame(
    [
        ("jsrt", "frontal_chest", "clean", "clean", 1.0, "accept"),
        ("scanner", "frontal_chest", "clean", "clean", 2.0, "review"),
        ("teaching", "frontal_chest", "clean", "clean", 3.0, "accept"),
        ("teaching", "hand", "clean", "clean", 9.0, "reject"),
        ("teaching", "hand", "clean", "clean", 2.0, "accept"),
        ("jsrt", "frontal_chest", "foreign", "blank", 0.5, "reject"),
        ("jsrt", "frontal_chest", "corrupted", "gaussian_noise", 99.0, "review"),
    ],
    columns=COLUMNS,
)


def test_chest_radiographs_are_own_of_whichever_scanner_and_corrupted_ones_are_left_out() -> None:
    images = images_by_kind(IMAGES)
    assert list(images["foreign"]) == ["", "", "", "hand", "hand", "blank"]


def test_radiographs_that_taught_the_examiner_do_not_count() -> None:
    images = pd.concat([IMAGES, IMAGES.assign(set="learned", predictive=50.0)], ignore_index=True)
    images["radiograph"] = images["set"] + images.index.astype(str)
    images["latent"] = images["score"] = 0.0
    images["learned"] = images["set"] == "learned"
    images["error"] = float("nan")
    found = analyze(Measurements(images, calibrated=False))
    alone = analyze(Measurements(images[~images["learned"]], calibrated=False))
    assert found.summary == pytest.approx(alone.summary, nan_ok=True)
    assert found.notes[0].startswith("7 radiographs taught")
    assert alone.notes == ()


def test_detection_is_per_kind_and_pooled() -> None:
    table = detection_table(images_by_kind(IMAGES), ("predictive",)).set_index("kind")
    assert list(table.index) == ["all_foreign", "hand", "blank"]
    assert list(table["foreign"]) == [3, 2, 1]
    assert (table["chest_radiographs"] == 3).all()
    assert table["auc"].tolist() == pytest.approx([(3 + 1.5 + 0) / 9, (3 + 1.5) / 6, 0])
    assert table["fpr95"].tolist() == pytest.approx([1, 2 / 3, 1])


def test_verdicts_are_shares_of_each_set_and_kind() -> None:
    table = verdict_table(images_by_kind(IMAGES)).set_index("group")
    assert table.loc["chest radiographs: teaching", ["accept", "review", "reject"]].tolist() == [1, 0, 0]
    assert table.loc["hand", ["images", "accept", "review", "reject"]].tolist() == [2, 0.5, 0, 0.5]
    assert table.loc["chest radiographs: scanner", "review"] == 1


def test_without_foreign_images_there_is_nothing_to_detect() -> None:
    assert detection_table(images_by_kind(IMAGES[:3]), ("predictive",)).empty
