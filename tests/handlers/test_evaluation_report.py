from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine, Events
from monai.data import MetaTensor
from monai.handlers import IgniteMetricHandler, from_engine

from monai_chexmask_u.handlers import EvaluationReport
from monai_chexmask_u.metrics import LandmarkErrorMetric

NAN = math.nan
ORGANS = ("", "right_lung", "heart")
# Three images in two batches; the second knows no heart, the third no spacing.
SIDES = {"one.png": 512.0, "two.dcm": 2048.0, "three.png": NAN}
DETAILS = {
    "dice": torch.tensor([[0.9, 0.8], [0.7, NAN], [0.5, 0.6]]),
    "rmse_px1024": torch.tensor([[3.0, 1.0, 2.0], [4.0, 1.0, NAN], [0.0, 4.0, 6.0]]).double(),
    "mse": torch.tensor([[9.0], [16.0], [0.0]]),
}
CHANNELS = {"dice": ("right_lung", "heart"), "rmse_px1024": ORGANS, "mse": ("",)}


def item(name: str) -> dict[str, Any]:
    """What the evaluator hands on of an image."""
    meta = {"filename_or_obj": f"/patients/secret/{name}", "side_mm": SIDES[name]}
    return {"image": MetaTensor(torch.zeros(1, 2, 2), meta=meta)}


def evaluator(details: dict[str, Any] = DETAILS) -> Engine:
    """An engine that iterates over the images, with metrics that are known beforehand."""
    engine = Engine(lambda engine, batch: None)

    def set_details(engine: Engine) -> None:
        engine.state.metric_details = details

    engine.add_event_handler(Events.STARTED, set_details)
    return engine


def run(engine: Engine, folder: Path, epochs: int = 1, **options: Any) -> None:
    EvaluationReport(str(folder), **({"channels": CHANNELS} | options)).attach(engine)
    one, two, three = map(item, SIDES)
    engine.run([[one, two], [three]], max_epochs=epochs)


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "per_image.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def column(folder: Path, name: str) -> list[str]:
    return [row[name] for row in table(folder)]


def summary(folder: Path) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads((folder / "summary.json").read_text(encoding="utf-8"), parse_constant=refuse)


def test_table_has_a_row_per_image_and_a_column_per_channel(tmp_path: Path) -> None:
    run(evaluator(), tmp_path / "new" / "folder")
    assert column(tmp_path / "new" / "folder", "image") == list(SIDES)
    assert list(table(tmp_path / "new" / "folder")[0]) == [
        "image",
        "dice_right_lung",
        "dice_heart",
        "rmse_px1024",
        "rmse_mm",
        "rmse_px1024_right_lung",
        "rmse_mm_right_lung",
        "rmse_px1024_heart",
        "rmse_mm_heart",
        "mse",
    ]
    assert column(tmp_path / "new" / "folder", "dice_right_lung") == ["0.9", "0.7", "0.5"]
    assert column(tmp_path / "new" / "folder", "mse") == ["9", "16", "0"]


def test_names_tell_no_folders(tmp_path: Path) -> None:
    run(evaluator(), tmp_path)
    for path in tmp_path.iterdir():
        assert "secret" not in path.read_text(encoding="utf-8")


def test_what_is_not_known_is_empty_and_a_distance_to_nothing_is_a_failure(tmp_path: Path) -> None:
    run(evaluator(DETAILS | {"mse": torch.tensor([[NAN], [math.inf], [1.0]])}), tmp_path)
    assert column(tmp_path, "dice_heart") == ["0.8", "", "0.6"]
    assert column(tmp_path, "rmse_px1024_heart") == ["2", "", "6"]
    assert column(tmp_path, "mse") == ["", "inf", "1"]
    mse = summary(tmp_path)["metrics"]["mse"]
    assert (mse["count"], mse["failed"], mse["mean"]) == (1, 1, 1.0)


def test_lengths_are_given_in_millimeters_of_the_images_own_spacing(tmp_path: Path) -> None:
    run(evaluator(), tmp_path)
    assert column(tmp_path, "rmse_px1024") == ["3", "4", "0"]
    # Half a millimeter and two for a pixel of 1024; the third image has no spacing.
    assert column(tmp_path, "rmse_mm") == ["1.5", "8", ""]
    assert column(tmp_path, "rmse_mm_heart") == ["1", "", ""]
    assert summary(tmp_path)["metrics"]["rmse_mm_right_lung"]["count"] == 2


def test_a_given_spacing_serves_images_without_one(tmp_path: Path) -> None:
    run(evaluator(), tmp_path, spacing_mm=0.25)
    assert column(tmp_path, "rmse_mm_right_lung") == ["0.5", "2", "1"]
    assert column(tmp_path, "rmse_mm_heart") == ["1", "", "1.5"]


def test_images_without_meta_of_their_side_have_no_spacing(tmp_path: Path) -> None:
    engine = evaluator({"hd_px1024": torch.tensor([[3.0]])})
    EvaluationReport(str(tmp_path), {"hd_px1024": ["heart"]}).attach(engine)
    engine.run([[{"image": MetaTensor(torch.zeros(1, 2, 2), meta={"filename_or_obj": "a.png"})}]])
    assert table(tmp_path) == [{"image": "a.png", "hd_px1024_heart": "3", "hd_mm_heart": ""}]


def test_summary_is_of_the_images_in_which_a_value_is_known(tmp_path: Path) -> None:
    run(evaluator(), tmp_path, context={"weights_sha256": "ab"})
    result = summary(tmp_path)
    assert (result["weights_sha256"], result["images"]) == ("ab", 3)
    assert list(result["metrics"]) == list(table(tmp_path)[0])[1:]
    expected = {"count": 2, "failed": 0, "mean": 0.7, "std": 0.1, "median": 0.7, "min": 0.6, "max": 0.8}
    assert result["metrics"]["dice_heart"] == pytest.approx(expected)
    expected = {"count": 3, "failed": 0, "mean": 25 / 3, "std": math.sqrt(128.67 / 3), "median": 9, "min": 0, "max": 16}
    assert result["metrics"]["mse"] == pytest.approx(expected, rel=1e-4)


def test_mean_of_a_root_is_the_root_of_the_mean_square(tmp_path: Path) -> None:
    run(evaluator(), tmp_path, root_mean=["rmse"])
    metrics = summary(tmp_path)["metrics"]
    means = {name: metrics[name]["mean"] for name in ("rmse_px1024", "rmse_px1024_heart", "rmse_mm", "mse")}
    expected = {
        "rmse_px1024": math.sqrt((9 + 16 + 0) / 3),
        "rmse_px1024_heart": math.sqrt((4 + 36) / 2),
        "rmse_mm": math.sqrt((1.5**2 + 8**2) / 2),
        "mse": 25 / 3,
    }
    assert means == pytest.approx(expected)
    assert metrics["rmse_px1024"]["median"] == 3


def test_a_value_that_no_image_knows_is_null(tmp_path: Path) -> None:
    run(evaluator(DETAILS | {"mse": torch.full((3, 1), NAN)}), tmp_path)
    nothing = {"count": 0, "failed": 0, "mean": None, "std": None, "median": None, "min": None, "max": None}
    assert summary(tmp_path)["metrics"]["mse"] == nothing


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("dice", torch.zeros(3, 3)),  # more channels than names
        ("dice", torch.zeros(3)),
        ("mse", torch.zeros(2, 1)),  # fewer images
    ],
)
def test_nothing_is_written_where_channels_or_images_do_not_fit(tmp_path: Path, name: str, values: Any) -> None:
    engine = evaluator(DETAILS | {name: values})
    count = len(CHANNELS[name])
    with pytest.raises(ValueError, match=f"metric {name}: expected {count} channels, got values"):
        run(engine, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_metric_without_values_is_an_error_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="assd"):
        run(evaluator(), tmp_path, channels=CHANNELS | {"assd": ["heart"]})
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_report_stays_until_a_new_one_is_whole(tmp_path: Path) -> None:
    run(evaluator(), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(before) == {"per_image.csv", "summary.json"}
    with pytest.raises(ValueError, match="metric mse"):
        run(evaluator(DETAILS | {"mse": torch.zeros(3, 2)}), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_second_epoch_starts_anew(tmp_path: Path) -> None:
    run(evaluator(), tmp_path, epochs=2)
    assert column(tmp_path, "image") == list(SIDES)


def test_details_of_monais_metric_handler_fit(tmp_path: Path) -> None:
    true = torch.rand(3, 120, 2)
    predicted = true + torch.tensor([0.0, 3.0, 4.0]).reshape(3, 1, 1)
    items = [item(name) | {"pred": predicted[index], "label": true[index]} for index, name in enumerate(SIDES)]

    def step(engine: Engine, batch: Any) -> Any:
        engine.state.batch = batch
        return batch

    engine = Engine(step)
    metric = LandmarkErrorMetric("rmse", per_organ=True)
    IgniteMetricHandler(metric, output_transform=from_engine(["pred", "label"])).attach(engine, "rmse_px1024")
    channels = {"rmse_px1024": ["", "right_lung", "left_lung", "heart"]}
    EvaluationReport(str(tmp_path), channels, root_mean=["rmse"]).attach(engine)
    engine.run([items[:2], items[2:]])
    assert [float(value) for value in column(tmp_path, "rmse_px1024_heart")] == pytest.approx([0, 3, 4], abs=1e-5)
    mean = summary(tmp_path)["metrics"]["rmse_px1024"]["mean"]
    assert mean == pytest.approx(5 / math.sqrt(3), rel=1e-5)
    assert engine.state.metrics["rmse_px1024"].tolist() == pytest.approx([mean] * 4)
