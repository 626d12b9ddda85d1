from __future__ import annotations

import random
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.samples.builds import in_process, radiographs_of, write_radiographs

from monai_chexmask_u.dataset.building.work import Chunk, Recipe
from monai_chexmask_u.dataset.check import check_dataset
from monai_chexmask_u.dataset.folder import (
    DatasetError,
    Manifest,
    finish,
    read_manifest,
    write_manifest,
    write_shard,
)
from monai_chexmask_u.dataset.schema import FAILURE_SCHEMA


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> Path:
    """A data set of two shards and one failure."""
    place = tmp_path_factory.mktemp("made")
    radiographs = radiographs_of(write_radiographs(place / "radiographs", 6, broken=[5]))
    folder = place / "out"
    folder.mkdir()
    manifest = Manifest("built", {}, 6)
    work = in_process(Recipe(64, tiny_bundle, samples=4))
    for done in work([Chunk(0, 0, radiographs[:3]), Chunk(1, 0, radiographs[3:])]):
        manifest = manifest.with_shard(write_shard(folder, done.chunk.shard, done.rows, done.failures))
    write_manifest(folder, manifest)
    finish(folder, manifest)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    copied: Path = shutil.copytree(made, tmp_path / "copy")
    return copied


def problems(folder: Path, *, masks: bool = False) -> list[tuple[str, str]]:
    return [(problem.file, problem.message) for problem in check_dataset(folder, masks=masks)]


def rewrite(folder: Path, table: pa.Table) -> None:
    """Replace the first shard by another table, with a manifest that knows of it."""
    manifest = read_manifest(folder)
    shard = write_shard(folder, 0, table, FAILURE_SCHEMA.empty_table())
    write_manifest(folder, manifest.with_shard(shard))


def first_shard(folder: Path) -> pa.Table:
    return pq.read_table(folder / "data" / "part-00000.parquet")


def test_a_whole_data_set_has_no_problem(folder: Path) -> None:
    assert problems(folder, masks=True) == []


@pytest.mark.parametrize("name", ["data/part-00000.parquet", "data/part-00001.parquet", "failures.parquet"])
def test_one_flipped_bit_anywhere_is_found(folder: Path, name: str) -> None:
    path, chance = folder / name, random.Random(name)
    content = path.read_bytes()
    for _ in range(20):
        flipped = bytearray(content)
        flipped[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        assert [file for file, _ in problems(folder)] == [name]
    path.write_bytes(content)
    assert problems(folder) == []


def test_one_flipped_bit_in_the_manifest_is_found(folder: Path) -> None:
    path, chance = folder / "manifest.json", random.Random(1)
    content = path.read_bytes()
    for _ in range(50):
        flipped = bytearray(content)
        place = chance.choice([place for place, byte in enumerate(content) if byte not in b" \n"])
        flipped[place] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        with pytest.raises(DatasetError):
            problems(folder)


@pytest.mark.parametrize("name", ["data/part-00001.parquet", "failures.parquet"])
def test_a_missing_file_is_found(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert problems(folder) == [(name, "is missing; fetch it again, or build the data set again")]


def test_a_shard_that_nobody_wrote_is_found(folder: Path) -> None:
    shutil.copy(folder / "data" / "part-00000.parquet", folder / "data" / "part-00009.parquet")
    ((file, message),) = problems(folder)
    assert file == "data/part-00009.parquet"
    assert "does not belong to the data set" in message


def test_an_unfinished_data_set_is_no_whole_one(folder: Path) -> None:
    write_manifest(folder, replace(read_manifest(folder), finished=False, radiographs=9))
    assert (
        "manifest.json",
        "unfinished: 6 of 9 radiographs are done; give the command that builds it again",
    ) in problems(folder)


def test_a_radiograph_that_comes_twice_is_found(folder: Path) -> None:
    table = first_shard(folder)
    rewrite(folder, pa.concat_tables([table.slice(0, 2), table.slice(0, 1)]).combine_chunks())
    assert problems(folder) == [("data", "1 radiographs come more than once, such as radiograph000.png")]


def test_a_radiograph_too_few_is_found(folder: Path) -> None:
    rewrite(folder, first_shard(folder).slice(0, 2))
    assert problems(folder) == [("manifest.json", "its shards have other than its 6 radiographs")]


def test_landmarks_that_are_no_numbers_are_found(folder: Path) -> None:
    table = first_shard(folder)
    points = table["landmarks"].to_pylist()
    points[1][7] = float("nan")
    column = table.schema.get_field_index("landmarks")
    rewrite(folder, table.set_column(column, table.field(column), pa.array(points, table.field(column).type)))
    ((file, message),) = problems(folder)
    assert (file, message) == ("data/part-00000.parquet", "has rows whose landmarks are missing or not finite")


@pytest.mark.parametrize("code", ["1", "1 2 x 4", "0 5", "3 0", "4000 700", "-1 4"])
def test_masks_that_are_no_masks_are_found(folder: Path, code: str) -> None:
    table = first_shard(folder)
    codes = table["heart_mask"].to_pylist()
    codes[2] = code
    column = table.schema.get_field_index("heart_mask")
    rewrite(folder, table.set_column(column, table.field(column), pa.array(codes)))
    assert problems(folder) == []
    ((_, message),) = problems(folder, masks=True)
    assert message == "radiograph002.png: its heart_mask is no run-length code, or leaves the image"
