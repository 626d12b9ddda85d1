from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest
from support.samples.published_tables import (
    ID_FORMS,
    PublishedRow,
    as_json,
    chexmask_header,
    chexmask_u_header,
    make_rows,
    printed,
    write_table,
)

from monai_chexmask_u.dataset.access import read_arrow
from monai_chexmask_u.dataset.check import check_dataset
from monai_chexmask_u.dataset.folder import DatasetError, read_manifest
from monai_chexmask_u.dataset.published_tables.convert import SETTINGS_KEY, convert_table
from monai_chexmask_u.dataset.published_tables.writing import write_published
from monai_chexmask_u.dataset.selection import Selection
from monai_chexmask_u.files.checksum import sha256_of

SHAPE = (160, 120)


def there_and_back(path: Path, rows: Sequence[PublishedRow], header: Sequence[str]) -> tuple[bytes, bytes]:
    table = write_table(path / "table.csv", rows, header)
    convert_table(table, path / "data")
    write_published(path / "data", path / "back.csv")
    return table.read_bytes(), (path / "back.csv").read_bytes()


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 305 rows as CheXmask-U has them."""
    header = chexmask_u_header("ImageID", latents=True)
    return write_table(
        tmp_path_factory.mktemp("published") / "Padchest.csv", make_rows(305, id_column="ImageID"), header
    )


@pytest.fixture(scope="module")
def converted(published: Path) -> Path:
    folder = published.parent / "converted"
    convert_table(published, folder, rows_per_shard=100, block_bytes=1 << 20)
    return folder


def test_a_table_comes_back_byte_for_byte(published: Path, converted: Path, tmp_path: Path) -> None:
    assert write_published(converted, tmp_path / "back.csv") == 305
    assert (tmp_path / "back.csv").read_bytes() == published.read_bytes()


def test_the_folder_says_what_it_is(published: Path, converted: Path) -> None:
    manifest = read_manifest(converted)
    assert (manifest.kind, manifest.finished, manifest.radiographs, manifest.rows) == ("converted", True, 305, 305)
    assert [shard.rows for shard in manifest.shards] == [100, 100, 100, 5]
    for shard in manifest.shards:
        assert shard.file is not None
        assert sha256_of(converted / shard.file) == shard.sha256
        settings = json.loads(pq.read_schema(converted / shard.file).metadata[SETTINGS_KEY.encode()])
        assert settings == manifest.settings
    assert manifest.settings["table"] == "Padchest.csv"
    assert manifest.settings["frame"] == "preprocessed"
    assert manifest.settings["source"] == "padchest"
    assert str(published.parent) not in json.dumps(dict(manifest.settings))
    assert sorted(path.name for path in converted.iterdir()) == ["data", "failures.parquet", "manifest.json"]


def test_duckdb_and_polars_read_it_without_this_project(published: Path, converted: Path) -> None:
    files = str(converted / "data" / "*.parquet")
    query = "select image_id, landmarks[1], dice_rca_mean from read_parquet(?) where score < 4.1 order by image_id"
    by_duckdb = duckdb.execute(query, [files]).fetchall()
    by_polars = (
        pl.scan_parquet(files)
        .filter(pl.col("score") < 4.1)
        .select("image_id", pl.col("landmarks").arr.get(0), "dice_rca_mean")
        .sort("image_id")
        .collect()
    )
    rows = {row.image_id: row for row in make_rows(305, id_column="ImageID")}
    expected = sorted(
        (name, float(row.landmarks[0, 0]), row.rca_mean) for name, row in rows.items() if row.std.mean() < 4.1
    )
    assert 20 < len(expected) < 285
    assert by_duckdb == expected
    assert by_polars.rows() == expected


def test_the_same_table_gives_the_same_bytes(published: Path, converted: Path, tmp_path: Path) -> None:
    convert_table(published, tmp_path / "again", rows_per_shard=100, block_bytes=300 << 10)
    again, once = read_manifest(tmp_path / "again"), read_manifest(converted)
    assert again.shards == once.shards


@pytest.mark.parametrize("id_column", [name for name in ID_FORMS if name != "Image ID"])
@pytest.mark.parametrize("release", ["chexmask", "chexmask-u"])
def test_tables_of_all_sources_come_back_byte_for_byte(tmp_path: Path, id_column: str, release: str) -> None:
    rows = make_rows(3, id_column=id_column, shape=SHAPE)
    header = chexmask_header(id_column) if release == "chexmask" else chexmask_u_header(id_column)
    there, back = there_and_back(tmp_path, rows, header)
    assert back == there


@pytest.mark.parametrize(
    "variant", ["index", "order", "with suffix", "no heart", "sizes with a point", "short decimals"]
)
def test_variants_come_back_byte_for_byte(tmp_path: Path, variant: str) -> None:
    rows, header = make_rows(4, id_column="Path", shape=SHAPE), chexmask_u_header("Path", latents=True)
    if variant == "index":
        header = ["", *header]
    if variant == "order":
        header = header[::-1]
    if variant == "with suffix":
        rows = [replace(row, image_id=row.image_id + ".jpg") for row in rows]
    if variant == "no heart":
        header.remove("Heart")
    if variant == "sizes with a point":
        rows = [row.with_cells(Height="160.0", Width="120.0") for row in rows]
        rows[2] = rows[2].with_cells(Height="")
    if variant == "short decimals":
        std, latents = (
            ({"Landmarks_(Std)": ",".join(map(repr, row.std.ravel().tolist()))} for row in rows),
            [",".join(map(repr, row.latents.tolist())) for row in rows],
        )
        rows = [row.with_cells(**cells, latents=text) for row, cells, text in zip(rows, std, latents, strict=True)]
    there, back = there_and_back(tmp_path, rows, header)
    assert back == there


def test_a_compressed_table_comes_back(tmp_path: Path) -> None:
    rows, header = make_rows(3, shape=SHAPE), chexmask_u_header()
    there, _ = there_and_back(tmp_path, rows, header)
    write_published(tmp_path / "data", tmp_path / "back.csv.gz")
    compressed = (tmp_path / "back.csv.gz").read_bytes()
    assert gzip.decompress(compressed) == there
    assert compressed[3:8] == b"\0" * 5  # neither name nor time
    convert_table(tmp_path / "back.csv.gz", tmp_path / "again")
    write_published(tmp_path / "again", tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == there


def test_broken_rows_come_back_with_equal_values(tmp_path: Path) -> None:
    clean = make_rows(4, id_column="Image ID", shape=SHAPE)
    rows = [
        clean[0].with_cells(Landmarks=printed(clean[0].landmarks)),
        clean[1].with_cells(Landmarks=as_json(clean[1].landmarks)),
        clean[2].with_cells(Height="120", Width="160"),
        clean[3],
    ]
    _, back = there_and_back(tmp_path, rows, chexmask_header())
    expected = write_table(tmp_path / "clean.csv", clean, chexmask_header())
    assert back == expected.read_bytes()


def test_fractions_of_landmarks_come_back(tmp_path: Path) -> None:
    row = make_rows(1, id_column="Image ID", shape=SHAPE)[0]
    text = ",".join(str(value + 0.25) for value in row.landmarks.ravel())
    there, back = there_and_back(tmp_path, [row.with_cells(Landmarks=text)], chexmask_header())
    assert back == there


def test_what_cannot_be_converted_is_listed_with_its_reason(tmp_path: Path) -> None:
    rows = make_rows(12, shape=SHAPE)
    rows[4] = rows[4].with_cells(**{"Landmarks_(Mean)": "1,2"})
    rows[11] = rows[11].with_cells(Heart="1 2 3")
    table = write_table(tmp_path / "table.csv", rows, chexmask_u_header())
    manifest = convert_table(table, tmp_path / "data", rows_per_shard=5)
    assert (manifest.rows, manifest.failure_count, manifest.radiographs) == (10, 2, 12)
    failures = pq.read_table(tmp_path / "data" / "failures.parquet").to_pylist()
    assert [failure["image_id"] for failure in failures] == [rows[4].image_id, rows[11].image_id]
    assert [failure["code"] for failure in failures] == ["landmarks_broken", "mask_broken"]


def test_a_table_of_bad_rows_alone_is_converted(tmp_path: Path) -> None:
    rows = [row.with_cells(**{"Landmarks_(Mean)": "1"}) for row in make_rows(2, shape=SHAPE)]
    manifest = convert_table(write_table(tmp_path / "table.csv", rows, chexmask_u_header()), tmp_path / "data")
    assert (manifest.rows, manifest.failure_count) == (0, 2)
    assert read_arrow(tmp_path / "data").num_rows == 0
    assert write_published(tmp_path / "data", tmp_path / "back.csv") == 0


def test_rows_are_chosen_on_the_way(tmp_path: Path) -> None:
    rows = make_rows(30, shape=SHAPE)
    table = write_table(tmp_path / "table.csv", rows, chexmask_u_header())
    convert_table(table, tmp_path / "data", where=Selection(min_rca=0.7))
    expected = [row.image_id for row in rows if row.rca_mean >= 0.7]
    assert 0 < len(expected) < 30
    assert read_arrow(tmp_path / "data")["image_id"].to_pylist() == expected
    assert read_manifest(tmp_path / "data").settings["selection"] == {"min_rca": 0.7, "rca": "mean"}
    chosen = Selection(max_score=25)
    assert 0 < write_published(tmp_path / "data", tmp_path / "few.csv", where=chosen) < len(expected)


@pytest.mark.parametrize(
    "where", [Selection(verdicts=("accept",)), Selection(max_score=3), Selection(sources=("padchest",))]
)
def test_a_filter_that_the_table_has_no_column_for_is_refused_at_once(tmp_path: Path, where: Selection) -> None:
    table = write_table(tmp_path / "table.csv", make_rows(1, id_column="Image ID", shape=SHAPE), chexmask_header())
    with pytest.raises(DatasetError, match="leave this filter out"):
        convert_table(table, tmp_path / "data", where=where)
    assert not (tmp_path / "data").exists()


def test_nothing_is_left_of_a_conversion_that_broke_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = write_table(tmp_path / "table.csv", make_rows(20, shape=SHAPE), chexmask_u_header())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("monai_chexmask_u.dataset.published_tables.convert.finish", full)
    with pytest.raises(OSError, match="No space left"):
        convert_table(table, tmp_path / "data", rows_per_shard=5)
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_a_folder_that_is_not_empty_is_never_replaced(tmp_path: Path) -> None:
    table = write_table(tmp_path / "table.csv", make_rows(1, shape=SHAPE), chexmask_u_header())
    (tmp_path / "data").mkdir()
    convert_table(table, tmp_path / "data")
    before = (tmp_path / "data" / "manifest.json").read_bytes()
    with pytest.raises(DatasetError, match="not empty"):
        convert_table(table, tmp_path / "data")
    with pytest.raises(DatasetError, match="not empty"):
        convert_table(table, table)
    assert (tmp_path / "data" / "manifest.json").read_bytes() == before


def test_the_folder_has_the_usual_rights(converted: Path, tmp_path: Path) -> None:
    (tmp_path / "usual").mkdir()
    assert converted.stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_what_was_converted_passes_the_check(tmp_path: Path) -> None:
    rows = make_rows(4, shape=SHAPE)
    table = write_table(tmp_path / "table.csv", [*rows, rows[1], replace(rows[2], image_id="")], chexmask_u_header())
    assert convert_table(table, tmp_path / "data").failure_count == 2
    assert list(check_dataset(tmp_path / "data", masks=True)) == []


def test_progress_is_reported(published: Path, tmp_path: Path) -> None:
    steps: list[int] = []
    convert_table(published, tmp_path / "data", block_bytes=1 << 20, progress=steps.append)
    assert sum(steps) == 305
    assert len(steps) > 3


def test_a_single_shard_comes_back_in_the_style_of_its_table(published: Path, converted: Path, tmp_path: Path) -> None:
    shutil.copy(converted / "data" / "part-00003.parquet", tmp_path / "some.parquet")
    assert write_published(tmp_path / "some.parquet", tmp_path / "back.csv") == 5
    lines = published.read_bytes().splitlines(keepends=True)
    assert (tmp_path / "back.csv").read_bytes() == b"".join([lines[0], *lines[-5:]])


def test_preprocessed_rows_cannot_become_original_ones_without_radiographs(converted: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="--images"):
        write_published(converted, tmp_path / "back.csv", frame="image")
    assert list(tmp_path.iterdir()) == []


def test_a_link_to_an_empty_folder_is_a_target_like_that_folder(tmp_path: Path) -> None:
    table = write_table(tmp_path / "table.csv", make_rows(2), chexmask_u_header("Path"))
    (tmp_path / "place").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "place")
    convert_table(table, tmp_path / "link", frame="image")
    assert (tmp_path / "place" / "manifest.json").is_file()
    assert (tmp_path / "link").is_symlink()


def test_a_filter_on_a_column_without_a_value_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    rows = [row.with_cells(**{"Dice_RCA_(Mean)": ""}) for row in make_rows(3)]
    table = write_table(tmp_path / "table.csv", rows, chexmask_u_header("Path"))
    with pytest.raises(DatasetError, match="has no value of dice_rca_mean to choose rows by"):
        convert_table(table, tmp_path / "out", frame="image", where=Selection(min_rca=0.7))
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]
