"""What the shipped calibration is worth on real radiographs that the examiner has not learned from.

The validation radiographs of JSRT and some of the NIH radiographs have set radii and limits, though.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cv2", reason="corruptions need OpenCV")

from monai_chexmask_u.data import landmark_datalist
from monai_chexmask_u.data.radiograph_sets import RadiographItem
from monai_chexmask_u.experiments.foreign import FOREIGN, make_foreign
from monai_chexmask_u.experiments.statistics import area_under_roc, spearman
from monai_chexmask_u.model import default_bundle, load_model
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation
from monai_chexmask_u.segmenter import Segmenter
from monai_chexmask_u.transforms import corrupt

Segment = Callable[[Radiograph], LandmarkSegmentation]
Outlined = Sequence[tuple[Radiograph, "np.ndarray"]]


@pytest.fixture(scope="module")
def segment() -> Segment:
    return Segmenter(load_model(), num_samples=20, device="cpu").segment


@pytest.fixture(scope="module")
def outlined(shared_data: Path) -> Outlined:
    """Every third validation radiograph of JSRT, with its landmarks."""
    items = landmark_datalist(shared_data / "jsrt" / "val")[::3]
    return [(read_radiograph(Path(item["image"])), np.asarray(item["label"], float)) for item in items]


def test_the_record_in_the_documents_is_that_of_the_shipped_calibration() -> None:
    calibration = load_model().calibration
    assert calibration is not None
    record = json.loads((default_bundle() / "docs" / "calibration_record.json").read_text(encoding="utf-8"))
    assert record["calibration_sha256"] == calibration.sha256
    assert record["weights_sha256"] == load_model().identity.sha256
    assert record["limits"] == calibration.limits.as_dict()
    assert record["films"]["held_out"] == {"jsrt_val": 21}


def test_radii_hold_most_true_landmarks(segment: Segment, outlined: Outlined) -> None:
    held = [
        np.linalg.norm(result.landmarks - landmarks, axis=1) <= result.radius90
        for result, landmarks in ((segment(radiograph), landmarks) for radiograph, landmarks in outlined)
    ]
    assert 0.8 <= np.mean(held) <= 0.97


@pytest.mark.parametrize(
    ("kind", "levels"),
    [
        ("gaussian_noise", (0, 100, 300, 500, 800)),
        ("gaussian_blur", (0, 48, 90, 160)),
        ("occlusion_4", (0, 201, 351, 501)),
        ("contrast_loss", (0, 0.96, 0.98, 0.995)),
        ("overexposure", (0, 0.5, 1.0)),
        ("underexposure", (0, 5.0, 7.0)),
    ],
)
def test_the_score_rises_with_the_error(
    segment: Segment, outlined: Outlined, kind: str, levels: Sequence[float]
) -> None:
    errors, scores = [], []
    for level in levels:
        measured = []
        for seed, (radiograph, landmarks) in enumerate(outlined):
            changed = corrupt(radiograph.pixels, kind, level, seed=seed, landmarks=landmarks)
            result = segment(replace(radiograph, pixels=changed.pixels))
            measured.append((np.linalg.norm(result.landmarks - landmarks, axis=1).mean(), result.score))
        errors.append(np.mean([error for error, _ in measured]))
        scores.append(np.median([score for _, score in measured]))
    assert spearman(errors, scores) > 0.89  # two neighbors may change places, where the error has reached its end
    assert scores[-1] > 1.3 * scores[0]


def test_what_is_hidden_is_less_certain(segment: Segment, outlined: Outlined) -> None:
    inside: list[float] = []
    outside: list[float] = []
    for seed, (radiograph, landmarks) in enumerate(outlined):
        changed = corrupt(radiograph.pixels, "occlusion", 301, seed=seed, landmarks=landmarks)
        total = segment(replace(radiograph, pixels=changed.pixels)).total_uncertainty
        assert total is not None
        inside.extend(total[changed.altered_nodes])
        outside.extend(total[~changed.altered_nodes])
    assert np.median(inside) > 1.5 * np.median(outside)


def test_other_body_parts_are_never_accepted_and_chests_never_rejected(segment: Segment, shared_data: Path) -> None:
    folder = shared_data / "other_radiographs"
    with (folder / "labels.csv").open(newline="") as file:
        labels = {row["file"]: row["label"] for row in csv.DictReader(file)}
    place = folder / "images" if (folder / "images").is_dir() else folder
    verdicts = {name: segment(read_radiograph(place / name)).reliability.verdict for name in labels}
    assert {name for name, label in labels.items() if label != "frontal_chest" and verdicts[name] == "accept"} == set()
    assert {name for name, label in labels.items() if label == "frontal_chest" and verdicts[name] == "reject"} == set()


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_images_are_told_from_radiographs(segment: Segment, outlined: Outlined, kind: str) -> None:
    own = [segment(radiograph).scores["combined"] for radiograph, _ in outlined]
    made = [segment(make_foreign(radiograph, kind, seed)) for seed, (radiograph, _) in enumerate(outlined)]
    assert area_under_roc([result.scores["combined"] for result in made], own) >= 0.95
    assert np.mean([result.reliability.verdict == "accept" for result in made]) <= 0.15


def test_radiographs_of_another_scanner_are_not_rejected(segment: Segment, shared_data: Path) -> None:
    calibration = load_model().calibration
    assert calibration is not None
    learned = set(calibration.record["learned_from"])
    paths = sorted((shared_data / "nih" / "images").glob("*.jpg"))
    odd = ("00019534_000", "00020440_000", "00017999_000")  # a small child, a mirrored and an inverted radiograph
    radiographs = [
        path
        for path in paths
        if RadiographItem(path, path.stem, "nih").digest() not in learned and path.stem not in odd
    ][::4]
    assert len(radiographs) == 10
    assert [segment(read_radiograph(radiograph)).reliability.verdict for radiograph in radiographs].count("reject") == 0


def test_the_model_card_quotes_the_experiments() -> None:
    docs = default_bundle() / "docs"
    found = json.loads((docs / "experiments.json").read_text(encoding="utf-8"))
    model = load_model()
    numbers, card = found["numbers"], (docs / "README.md").read_text(encoding="utf-8")
    assert found["settings"]["model"]["sha256"] == model.identity.sha256
    if found["settings"]["model"]["calibration_sha256"] != model.identity.calibration_sha256:
        assert model.calibration is not None
        assert "of which all else is unchanged" in model.calibration.record["rule_of_correlation"]
        assert "The correlation of errors was added later and changes none of these numbers." in card
    quoted = [
        f"(clean radiographs of six data sets) | {numbers['error.node.all.pearson_total']:.2f}",
        f"on clean radiographs alone | | {numbers['error.node.clean.pearson_total']:.2f}",
        f"beyond all others | | {numbers['error.node.without_geometry.pearson_total']:.2f}",
        f"squares of any size, Pearson | 0.56 | {numbers['error.image.clean_and_occluded.pearson_score']:.2f}",
        f"| {numbers['ood.all_foreign.auc_score_combined']:.3f} |",
        f"| {numbers['ood.worst_kind.auc_score_combined']:.3f} |",
        f"| {numbers['calibration.miscalibration_area.predictive']:.3f}; "
        f"{numbers['calibration.miscalibration_area.total']:.3f} |",
        f"| {numbers['corruption.occlusion.inside_outside.total']:.1f} "
        f"({numbers['corruption.occlusion.inside_outside.total_normal']:.1f}) |",
        f"| none | {numbers['calibration.refit_coverage90.all']:.2f};",
        f"{numbers['corruption.occlusion_4.inside_outside.error']:.1f} to "
        f"{numbers['corruption.occlusion.inside_outside.error']:.1f} times that outside",
    ]
    assert [text for text in quoted if text not in card] == []
    for kind in ("gaussian_noise", "gaussian_blur", "median_blur", "occlusion", "occlusion_4", "contrast_loss"):
        assert f"{numbers[f'corruption.{kind}.spearman_score']:.2f}" == "1.00"
