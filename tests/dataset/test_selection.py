from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from monai_chexmask_u.dataset.folder import DatasetError
from monai_chexmask_u.dataset.schema import SCHEMA
from monai_chexmask_u.dataset.selection import Selection, check_columns, parse_limits

ROWS: list[dict[str, Any]] = [
    {"image_id": "a", "frame": "image", "dice_rca_mean": 0.9, "dice_rca_max": 0.95, "verdict": "accept", "score": 3.0},
    {"image_id": "b", "frame": "image", "dice_rca_mean": 0.7, "dice_rca_max": 0.7, "verdict": "review", "score": 9.0},
    {"image_id": "c", "frame": "image", "dice_rca_mean": 0.6, "dice_rca_max": 0.8, "verdict": "reject", "score": None},
    {"image_id": "d", "frame": "image", "dice_rca_mean": None, "dice_rca_max": None, "verdict": None, "score": 5.0},
]
HEART = [1.0, 2.0, None, 4.0]
SOURCES = ["PadChest", "CheXpert", None, "PadChest"]


@pytest.fixture
def table() -> pa.Table:
    rows = [
        {**row, "heart_uncertainty_px": heart, "source": source}
        for row, heart, source in zip(ROWS, HEART, SOURCES, strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


@pytest.mark.parametrize(
    ("where", "ids", "columns"),
    [
        (Selection(min_rca=0.7), "ab", ["dice_rca_mean"]),
        (Selection(min_rca=0.75, rca="max"), "ac", ["dice_rca_max"]),
        (Selection(max_score=5), "ad", ["score"]),
        (Selection(max_uncertainty={"heart": 2.0}), "ab", ["heart_uncertainty_px"]),
        (Selection(verdicts=("accept", "review")), "ab", ["verdict"]),
        (Selection(sources=("padchest",)), "ad", ["source"]),
        (Selection(min_rca=0.7, sources=("PadChest",)), "a", ["dice_rca_mean", "source"]),
    ],
)
def test_rows_that_keep_all_limits_are_left(table: pa.Table, where: Selection, ids: str, columns: list[str]) -> None:
    assert "".join(table.filter(where.expression)["image_id"].to_pylist()) == ids
    assert where.columns == columns
    assert where
    check_columns(ds.dataset(table), where.columns)


def test_no_limit_is_no_filter() -> None:
    assert Selection().expression is None
    assert not Selection()
    assert Selection().settings == {}


def test_settings_have_what_was_set() -> None:
    where = Selection(min_rca=0.7, verdicts=("accept",), max_uncertainty={"heart": 3.0})
    assert where.settings == {
        "min_rca": 0.7,
        "rca": "mean",
        "max_uncertainty": {"heart": 3.0},
        "verdicts": ["accept"],
    }


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"rca": "median"}, "there is no RCA 'median'"),
        ({"verdicts": ("good",)}, "there is no verdict 'good'"),
        ({"max_uncertainty": {"liver": 3}}, "there is no organ 'liver'"),
        ({"sources": ("elsewhere",)}, "there is no source 'elsewhere'"),
    ],
)
def test_unknown_names_are_refused(options: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Selection(**options)  # type: ignore[arg-type]


def test_limits_are_read_from_the_command_line() -> None:
    assert parse_limits(["heart=12", "left_lung = 3.5"]) == {"heart": 12.0, "left_lung": 3.5}
    with pytest.raises(ValueError, match=r"'heart' must be an organ and its limit"):
        parse_limits(["heart"])


def test_a_column_that_is_missing_or_empty_is_reported(table: pa.Table) -> None:
    with pytest.raises(DatasetError, match="no column 'verdict'"):
        check_columns(table.drop_columns("verdict").schema, ["verdict"])
    with pytest.raises(DatasetError, match="'total_px1024' is empty in all rows"):
        check_columns(ds.dataset(table), ["total_px1024"])
    check_columns(ds.dataset(table.slice(0, 0)), ["total_px1024"])


def test_row_groups_that_statistics_rule_out_are_not_read(table: pa.Table, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=1)
    fragment = next(ds.dataset(tmp_path / "rows.parquet").get_fragments())
    kept = [part.row_groups[0].id for part in fragment.split_by_row_group(filter=Selection(max_score=4).expression)]
    assert 0 in kept
    assert 1 not in kept
    assert 3 not in kept


@pytest.mark.parametrize("limits", [{"min_rca": float("nan")}, {"max_score": float("inf")}])
def test_a_limit_that_is_no_number_is_refused(limits: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="a limit must be a number"):
        Selection(**limits)  # type: ignore[arg-type]
