"""The scripts around the training: self-training, cross-validation, images. They run here on tiny images."""

from __future__ import annotations

import csv
import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("ignite", reason="the bundle's engines need pytorch-ignite")

from monai_chexmask_u.data import landmark_datalist
from monai_chexmask_u.model import load_model
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.segmenter import Segmenter


@pytest.fixture
def script(repository: Path) -> Callable[[str], Callable[..., None]]:
    """Return the command of a script, as a function."""

    def load(name: str) -> Callable[..., None]:
        command: Callable[..., None] = runpy.run_path(str(repository / name))["main"]
        return command

    return load


def test_pseudo_labels_are_those_of_the_model_for_images_it_is_sure_of(
    script: Any, landmark_data: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    images = landmark_data / "train" / "images"
    pseudo_label = script("scripts/pseudo_label.py")
    segmenter = Segmenter(load_model(tiny_bundle))
    found = {path.stem: segmenter.segment(read_radiograph(path)) for path in sorted(images.iterdir())}
    inside = {name for name, each in found.items() if each.landmarks.min() >= -1.28 and each.landmarks.max() <= 64.28}
    assert inside
    bound = float(np.median([found[name].score for name in inside]))
    pseudo_label([images], tmp_path / "out", bound, model=tiny_bundle)
    items = landmark_datalist(tmp_path / "out" / "train")
    expected = {name for name in inside if found[name].score <= bound}
    assert {item["name"] for item in items} == expected
    for item in items:
        np.testing.assert_allclose(item["label"], found[item["name"]].landmarks, atol=1e-3)
        assert Path(item["image"]).resolve() == (images / f"{item['name']}.png").resolve()


def test_drawn_pseudo_labels_differ_from_the_means_as_the_calibration_expects(
    script: Any, landmark_data: Path, calibrated_bundle: Path, tmp_path: Path
) -> None:
    images = landmark_data / "train" / "images"
    (landmark_data / "train" / "data.csv").write_text("patient_id,image_id\nanna,train0\nbert,train1\n")
    script("scripts/pseudo_label.py")([images.parent], tmp_path / "out", 1e6, True, 0.3, model=calibrated_bundle)
    labels = {item["name"]: item["label"] for item in landmark_datalist(tmp_path / "out" / "train")}
    assert "train0" in labels
    assert "train1" not in labels, "of a patient that is held out"
    segmenter = Segmenter(load_model(calibrated_bundle))
    for name, label in labels.items():
        found = segmenter.segment(read_radiograph(images / f"{name}.png"))
        assert found.samples is not None
        assert found.error_covariance is not None
        distance = np.abs(found.samples - np.asarray(label)).max(axis=(1, 2))
        assert distance.min() < 1e-3, "not one of the draws"
        assert not np.allclose(label, found.landmarks, atol=0.1)


def test_without_a_calibration_one_of_the_samples_is_drawn(
    script: Any, landmark_data: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    images = landmark_data / "train" / "images"
    script("scripts/pseudo_label.py")([images], tmp_path / "out", 1e6, True, leave_out=["train2"], model=tiny_bundle)
    segmenter = Segmenter(load_model(tiny_bundle))
    items = landmark_datalist(tmp_path / "out" / "train")
    assert items
    assert "train2" not in {item["name"] for item in items}
    for item in items:
        samples = segmenter.segment(read_radiograph(images / f"{item['name']}.png")).samples
        assert samples is not None
        assert np.abs(samples - np.asarray(item["label"])).max(axis=(1, 2)).min() < 1e-3


def test_nothing_to_be_sure_of_is_said(script: Any, landmark_data: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="none of 4 images"):
        script("scripts/pseudo_label.py")([landmark_data / "train"], tmp_path / "out", 0.0, model=tiny_bundle)
    assert not (tmp_path / "out").exists()


def test_cross_validation_holds_every_image_out_once(script: Any, landmark_data: Path, tmp_path: Path) -> None:
    script("benchmarks/cross_validation.py")(landmark_data, tmp_path / "out", 2, 1, 64, 0)
    held_out: list[str] = []
    for fold in range(2):
        folder = tmp_path / "out" / f"fold{fold}"
        train, val = ({item["name"] for item in landmark_datalist(folder / "data" / part)} for part in ("train", "val"))
        assert not train & val
        assert len(train | val) == 8
        held_out += val
        with (folder / "evaluation_1" / "per_image.csv").open() as stream:
            assert {Path(row["image"]).stem for row in csv.DictReader(stream)} == val
    assert len(held_out) == len(set(held_out)) == 8
    result = json.loads((tmp_path / "out" / "cross_validation.json").read_text())
    assert result["images"] == 8
    with pytest.raises(SystemExit, match="another setup"):
        script("benchmarks/cross_validation.py")(landmark_data, tmp_path / "out", 2, 1, 64, 1)
    assert result["metrics"]["mse"]["mean"] == pytest.approx(np.mean(result["metrics"]["mse"]["folds"]))


def test_contact_sheet_shows_a_tile_per_image(
    script: Any, landmark_data: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    script("benchmarks/contact_sheet.py")([landmark_data / "train"], tmp_path / "s.png", 40, 4, 0, tiny_bundle)
    sheet = np.asarray(Image.open(tmp_path / "s.png").convert("L"))
    tiles = [sheet[:, 380 * column : 380 * (column + 1)] for column in range(5)]
    assert [bool((tile > 40).mean() > 0.3) for tile in tiles] == [True, True, True, True, False]


def test_figure_of_an_evaluation_has_a_color_per_organ(script: Any, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    organs = ("right_lung", "left_lung", "heart")
    columns = [f"{metric}_{organ}" for metric in ("dice", "distance_px1024", "hd95_px1024") for organ in organs]
    with (tmp_path / "per_image.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["image", *columns])
        writer.writeheader()
        for number in range(5):
            writer.writerow({"image": number} | dict.fromkeys(columns, 0.9 + number / 100))
        writer.writerow({"image": 5} | dict.fromkeys(columns, ""))
    script("scripts/plot_evaluation.py")(tmp_path / "per_image.csv", tmp_path / "figure.png")
    figure = np.asarray(Image.open(tmp_path / "figure.png").convert("RGB")).reshape(-1, 3).astype(int)
    for color in ((86, 180, 233), (0, 158, 115), (230, 159, 0)):
        assert (np.abs(figure - color).sum(axis=1) < 60).any()


def test_ways_to_estimate_uncertainty_are_compared(
    script: Any, landmark_data: Path, calibrated_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("cv2")
    script("benchmarks/uncertainty_means.py")(landmark_data / "val", 1, 60, calibrated_bundle)
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    spread = {row[1].strip(): row[6].strip() for row in rows if len(row) == 8}
    distance = {row[1].strip(): row[3].strip() for row in rows if len(row) == 5}
    assert list(spread) == list(distance)
    assert len(spread) == 2 + 11  # the title, the line below it, and the ways
    assert float(spread["50 samples, 4 times as wide"]) > float(spread["published: 50 random samples"])
    assert distance["published: 50 random samples"].endswith("%")
    assert distance["error head on top of the 50 samples"] == ""
