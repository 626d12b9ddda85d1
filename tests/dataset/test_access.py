from __future__ import annotations

import random
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from support.samples.published_tables import PublishedRow, chexmask_u_header, drawn_mask, make_rows, write_table

from monai_chexmask_u.anatomy import HEART, ORGANS
from monai_chexmask_u.dataset.access import (
    covariance_of,
    iter_batches,
    iter_rows,
    label_mask_of,
    landmarks_of,
    mask_of,
    open_dataset,
    read_arrow,
    read_pandas,
    scan_polars,
    vectors,
)
from monai_chexmask_u.dataset.check import check_dataset
from monai_chexmask_u.dataset.folder import DatasetError, Manifest, read_manifest, write_manifest, write_shard
from monai_chexmask_u.dataset.published_tables.convert import convert_table
from monai_chexmask_u.dataset.schema import FAILURE_SCHEMA, SCHEMA, rows_table
from monai_chexmask_u.dataset.selection import Selection
from monai_chexmask_u.dataset.torch_dataset import RadiographDataset
from monai_chexmask_u.files.checksum import sha256_of

RATIO = "cardiothoracic_ratio_interval90"
SHAPE = (160, 120)
MADE = make_rows(25, shape=SHAPE)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("access")
    table = write_table(folder / "table.csv", MADE, chexmask_u_header())
    convert_table(table, folder / "data", rows_per_shard=10)
    return folder / "data"


def good(rows: list[PublishedRow]) -> list[str]:
    return [row.image_id for row in rows if row.rca_mean >= 0.7]


def test_a_data_set_is_opened_with_the_shards_that_its_manifest_names(data: Path) -> None:
    (data / "data" / "part-00009.parquet").write_bytes(b"left behind by a build that was killed")
    opened = open_dataset(data)
    (data / "data" / "part-00009.parquet").unlink()
    assert isinstance(opened, ds.Dataset)
    assert opened.schema.names == SCHEMA.names
    assert opened.count_rows() == 25
    assert len(opened.files) == 3


def test_a_single_file_is_opened(data: Path) -> None:
    assert read_arrow(data / "data" / "part-00002.parquet").num_rows == 5


def test_all_doors_give_the_same_rows(data: Path) -> None:
    where, columns = Selection(min_rca=0.7), ["image_id", "dice_rca_mean", "landmarks"]
    expected = good(MADE)
    assert 0 < len(expected) < 25
    table = read_arrow(data, columns=columns, where=where)
    assert table.column_names == columns
    assert table["image_id"].to_pylist() == expected
    assert read_arrow(data, where=pc.field("dice_rca_mean") >= 0.7)["image_id"].to_pylist() == expected
    frame = read_pandas(data, columns=columns, where=where)
    assert frame["image_id"].tolist() == expected
    assert frame["landmarks"].iloc[0].shape == (240,)
    lazy = scan_polars(data)
    assert isinstance(lazy, pl.LazyFrame)
    assert lazy.filter(pl.col("dice_rca_mean") >= 0.7).collect()["image_id"].to_list() == expected
    rows = list(iter_rows(data, columns=columns, where=where))
    assert [row["image_id"] for row in rows] == expected
    assert [list(row) for row in rows] == [columns] * len(expected)


def test_polars_reads_no_more_columns_than_it_needs(data: Path) -> None:
    plan = scan_polars(data).filter(pl.col("score") < 5).select("image_id").explain()
    assert f"2/{len(SCHEMA.names)} COLUMNS" in plan


def test_batches_are_bounded(data: Path) -> None:
    sizes = [batch.num_rows for batch in iter_batches(data, columns=["image_id"], batch_rows=4)]
    assert sum(sizes) == 25
    assert max(sizes) <= 4


def test_a_row_becomes_arrays(data: Path) -> None:
    for row, made in zip(iter_rows(data), MADE, strict=True):
        np.testing.assert_array_equal(landmarks_of(row), made.landmarks)
        covariance = covariance_of(row)
        assert covariance.shape == (120, 2, 2)
        np.testing.assert_allclose(covariance[:, 0, 0], made.std[:, 0] ** 2, rtol=1e-5)
        np.testing.assert_allclose(covariance[:, 1, 1], made.std[:, 1] ** 2, rtol=1e-5)
        # The published tables do not tell how x and y go together.
        assert np.isnan(covariance[:, 0, 1]).all()
        labels = label_mask_of(row)
        for organ in ORGANS:
            mask = drawn_mask(made.landmarks[organ.nodes], SHAPE)
            np.testing.assert_array_equal(mask_of(row, organ), mask)
        np.testing.assert_array_equal(labels == HEART.label, drawn_mask(made.landmarks[HEART.nodes], SHAPE))


def test_covariances_have_their_terms_where_they_are_known() -> None:
    std, cross = np.arange(240.0), np.arange(120.0)
    row = {"landmarks_std": std, "landmarks_cov_xy": cross, "error_std": 2 * std, "error_cov_xy": -cross}
    covariance = covariance_of(row)
    np.testing.assert_array_equal(covariance[3], [[36, 3], [3, 49]])
    np.testing.assert_array_equal(covariance_of(row, error=True)[3], [[144, -3], [-3, 196]])


def test_what_a_row_lacks_is_reported(data: Path) -> None:
    row = next(iter_rows(data))
    with pytest.raises(ValueError, match="no error_std"):
        covariance_of(row, error=True)
    with pytest.raises(ValueError, match="no mask of the heart"):
        mask_of({**row, "heart_mask": None}, HEART)
    with pytest.raises(ValueError, match="height or width of the row is not known"):
        mask_of({**row, "height": None}, HEART)


def test_vectors_are_nan_where_a_row_has_none() -> None:
    column = pa.array([[1, 2], None, [3, 4]], pa.list_(pa.float32(), 2))
    np.testing.assert_array_equal(vectors(column), [[1, 2], [np.nan, np.nan], [3, 4]])
    np.testing.assert_array_equal(vectors(column.slice(1)), [[np.nan, np.nan], [3, 4]])
    np.testing.assert_array_equal(vectors(pa.chunked_array([column[:1], column[2:]])), [[1, 2], [3, 4]])


def test_a_filter_on_an_empty_column_is_reported(data: Path) -> None:
    with pytest.raises(DatasetError, match="'verdict' is empty in all rows"):
        read_arrow(data, where=Selection(verdicts=("accept",)))


def test_an_unknown_column_is_reported(data: Path) -> None:
    with pytest.raises(ValueError, match="no column 'age'"):
        read_arrow(data, columns=["age"])


def test_what_is_no_data_set_is_reported(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no data set"):
        open_dataset(tmp_path)
    (tmp_path / "broken.parquet").write_bytes(b"nothing")
    with pytest.raises(DatasetError, match="cannot be read"):
        open_dataset(tmp_path / "broken.parquet")
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "other.parquet")
    with pytest.raises(DatasetError, match="not a data set of this project"):
        open_dataset(tmp_path / "other.parquet")
    (tmp_path / "manifest.json").write_bytes((data / "manifest.json").read_bytes())
    with pytest.raises(DatasetError, match=r"part-00000\.parquet: this shard is missing"):
        open_dataset(tmp_path)


def test_a_data_set_without_rows_is_read(tmp_path: Path) -> None:
    convert_table(write_table(tmp_path / "table.csv", [], chexmask_u_header()), tmp_path / "data", frame="image")
    assert read_arrow(tmp_path / "data").num_rows == 0
    assert scan_polars(tmp_path / "data").collect().height == 0
    assert list(iter_rows(tmp_path / "data")) == []


def test_a_flipped_bit_never_gives_other_values(tmp_path: Path) -> None:
    points = [float(number) for number in range(240)]
    rows = rows_table([{"image_id": str(n), "frame": "image", "landmarks": points, "score": n / 7} for n in range(50)])
    shard = write_shard(tmp_path, 0, rows, FAILURE_SCHEMA.empty_table())
    path = tmp_path / str(shard.file)
    write_manifest(tmp_path, Manifest("built", {}, 50).with_shard(shard))
    whole, content, chance = read_arrow(tmp_path), path.read_bytes(), random.Random(0)
    raised = 0
    for _ in range(100):
        flipped = bytearray(content)
        # In the pages: what lies behind them says where they are, and has no checksum of its own.
        flipped[chance.randrange(4, len(content) // 8)] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        try:
            assert read_arrow(tmp_path).equals(whole)
        except DatasetError:
            raised += 1
    assert raised > 50


@pytest.fixture
def mixed(data: Path, tmp_path: Path) -> Path:
    """A data set of which all files but the first are of version 1, which had no intervals."""
    folder = tmp_path / "mixed"
    shutil.copytree(data, folder)
    manifest = read_manifest(folder)
    for shard in manifest.shards:
        path = folder / str(shard.file)
        table = pq.read_table(path)
        if shard.number:
            table = table.drop_columns([name for name in table.column_names if "interval90" in name])
        else:
            filled = pa.array([[0.4, 0.5]] * len(table), SCHEMA.field(RATIO).type)
            table = table.set_column(table.column_names.index(RATIO), SCHEMA.field(RATIO), filled)
        pq.write_table(table, path)
        manifest = manifest.with_shard(replace(shard, bytes=path.stat().st_size, sha256=sha256_of(path)))
    write_manifest(folder, manifest)
    return folder


def test_tables_of_version_1_are_still_read(mixed: Path) -> None:
    expected = [[0.4, 0.5]] * 10 + [None] * 15
    assert read_arrow(mixed, columns=[RATIO])[RATIO].to_pylist() == expected
    assert read_arrow(mixed).schema.names == SCHEMA.names
    assert [_list(row[RATIO]) for row in iter_rows(mixed, columns=[RATIO])] == expected
    frame = scan_polars(mixed).select(RATIO, "image_id").collect()
    assert [_list(row) for row in frame[RATIO]] == expected
    assert not list(check_dataset(mixed, masks=True))
    items = RadiographDataset(mixed, columns=[RATIO])
    assert [_list(items[index][RATIO]) for index in range(len(items))] == expected
    old = mixed / "data" / "part-00001.parquet"
    assert read_pandas(old, columns=[RATIO, "score"])[RATIO].isna().all()


def _list(interval: Iterable[float] | None) -> list[float] | None:
    return None if interval is None else list(interval)


def test_a_table_with_other_columns_is_not_taken_for_an_earlier_version(mixed: Path) -> None:
    path = mixed / "data" / "part-00001.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["seed"]), path)
    manifest = read_manifest(mixed)
    write_manifest(mixed, manifest.with_shard(replace(manifest.shards[1], sha256=sha256_of(path))))
    assert [problem.message for problem in check_dataset(mixed)] == ["has other columns than those of this version"]
