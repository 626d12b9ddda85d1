from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monai_chexmask_u.dataset.folder import (
    DatasetError,
    Manifest,
    finish,
    read_manifest,
    remove_leftovers,
    write_manifest,
    write_shard,
)
from monai_chexmask_u.dataset.schema import FAILURE_SCHEMA, SCHEMA, rows_table


def rows(*names: str) -> pa.Table:
    points = [float(number) for number in range(240)]
    return rows_table([{"image_id": name, "frame": "image", "landmarks": points} for name in names])


def failures(*names: str) -> pa.Table:
    found = [{"image_id": name, "image_path": name, "code": "truncated", "message": "ends early"} for name in names]
    return pa.Table.from_pylist(found, schema=FAILURE_SCHEMA)


def test_a_shard_holds_its_rows_and_says_so(tmp_path: Path) -> None:
    shard = write_shard(tmp_path, 3, rows("a", "b"), failures())
    path = tmp_path / "data" / "part-00003.parquet"
    assert (shard.number, shard.file, shard.rows, shard.failures) == (3, "data/part-00003.parquet", 2, 0)
    assert shard.bytes == path.stat().st_size
    table = pq.ParquetFile(path, page_checksum_verification=True).read()
    assert table["image_id"].to_pylist() == ["a", "b"]
    assert table["landmarks"].to_pylist()[0] == [float(number) for number in range(240)]
    assert table["verdict"].to_pylist() == [None, None]


def test_the_same_rows_give_the_same_bytes_however_they_came(tmp_path: Path) -> None:
    whole = write_shard(tmp_path, 0, rows("a", "b", "c"), failures())
    pieces = pa.concat_tables([rows("a"), rows("b", "c")]).combine_chunks()
    assert write_shard(tmp_path, 0, pieces, failures()).sha256 == whole.sha256


def test_a_shard_without_a_row_has_no_file(tmp_path: Path) -> None:
    shard = write_shard(tmp_path, 1, rows(), failures("a"))
    assert (shard.file, shard.rows, shard.failures) == (None, 0, 1)
    assert not (tmp_path / "data").exists()


def test_the_first_shard_is_there_even_without_a_row(tmp_path: Path) -> None:
    shard = write_shard(tmp_path, 0, rows(), failures("a"))
    assert (shard.file, shard.rows) == ("data/part-00000.parquet", 0)
    assert pq.read_schema(tmp_path / "data" / "part-00000.parquet").names == SCHEMA.names


def test_a_row_with_a_column_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="no column 'age'"):
        rows_table([{"image_id": "a", "frame": "image", "age": 7}])


def test_a_manifest_comes_back_as_it_was(tmp_path: Path) -> None:
    manifest = Manifest("built", {"seed": 0, "model": {"name": "m"}}, 2, software={"torch": "2"})
    manifest = manifest.with_shard(write_shard(tmp_path, 1, rows("b"), failures()))
    manifest = manifest.with_shard(write_shard(tmp_path, 0, rows("a"), failures()))
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path) == manifest
    assert [shard.number for shard in manifest.shards] == [0, 1]


def test_a_folder_without_a_manifest_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no data set \(there is no manifest\.json\)"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"format": "chexmask-u-dataset/1"}', '{"format": "chexmask-u-dataset/9"}']
)
def test_a_broken_manifest_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(DatasetError, match="not the manifest of a data set, or damaged"):
        read_manifest(tmp_path)


def test_a_changed_manifest_is_refused(tmp_path: Path) -> None:
    write_manifest(tmp_path, Manifest("built", {"seed": 0}, 2))
    content = json.loads((tmp_path / "manifest.json").read_text())
    content["radiographs"] = 3
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(DatasetError, match="damaged"):
        read_manifest(tmp_path)


def test_failures_of_all_shards_are_joined_in_order_at_the_end(tmp_path: Path) -> None:
    manifest = Manifest("built", {}, 4)
    for number, bad in ((0, "b"), (1, "c")):
        manifest = manifest.with_shard(write_shard(tmp_path, number, rows(f"ok{number}"), failures(bad)))
    done = finish(tmp_path, manifest)
    assert pq.read_table(tmp_path / "failures.parquet")["image_id"].to_pylist() == ["b", "c"]
    assert done.finished
    assert read_manifest(tmp_path) == done
    assert not (tmp_path / "failures").exists()
    assert (done.rows, done.failure_count) == (2, 2)


def test_what_a_killed_build_left_behind_is_removed(tmp_path: Path) -> None:
    manifest = Manifest("built", {}, 4).with_shard(write_shard(tmp_path, 0, rows("a"), failures("b")))
    write_shard(tmp_path, 1, rows("c"), failures("d"))  # written, but not in the manifest
    for name in (".partial-x.json", "data/.partial-y.parquet", "failures/.partial-z.parquet"):
        (tmp_path / name).write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("mine")
    remove_leftovers(tmp_path, manifest)
    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert left == ["data/part-00000.parquet", "failures/part-00000.parquet", "notes.txt"]


def test_the_manifest_of_an_earlier_version_is_read_and_written_again(tmp_path: Path) -> None:
    text = """{
 "format": "chexmask-u-dataset/1",
 "kind": "built",
 "settings": {
  "films_per_shard": 4
 },
 "films": 7,
 "shards": [
  {
   "number": 0,
   "file": "data/part-00000.parquet",
   "rows": 3,
   "failures": 1,
   "bytes": 10,
   "sha256": "ab"
  }
 ],
 "finished": false,
 "failures": null,
 "software": {},
 "sha256": "9f829d5b1017f335f3aa2508567731dfb3b44604d793ab5d6f89d2edf405f280"
}
"""
    (tmp_path / "manifest.json").write_text(text)
    manifest = read_manifest(tmp_path)
    assert (manifest.radiographs, manifest.rows) == (7, 3)
    write_manifest(tmp_path, manifest)
    assert (tmp_path / "manifest.json").read_text() == text
