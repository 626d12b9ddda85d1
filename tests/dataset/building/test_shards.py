from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from filelock import FileLock
from support.samples.builds import build_here, build_in_process, radiographs_of, shard_bytes, write_radiographs

from monai_chexmask_u.dataset.building import shards
from monai_chexmask_u.dataset.building.radiograph_files import RadiographFile
from monai_chexmask_u.dataset.building.shards import build_settings, pending_radiographs
from monai_chexmask_u.dataset.building.work import Recipe
from monai_chexmask_u.dataset.folder import DatasetError, Manifest, read_manifest
from monai_chexmask_u.model import load_model


@pytest.fixture(scope="module")
def radiographs(tmp_path_factory: pytest.TempPathFactory) -> tuple[RadiographFile, ...]:
    return radiographs_of(write_radiographs(tmp_path_factory.mktemp("radiographs"), 11, broken=[2, 9]))


@pytest.fixture(scope="module")
def recipe(tiny_bundle: Path) -> Recipe:
    return Recipe(64, tiny_bundle, samples=4)


@pytest.fixture(scope="module")
def whole(
    radiographs: tuple[RadiographFile, ...], recipe: Recipe, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Manifest]:
    """A finished build, which tests copy before they change it."""
    folder = tmp_path_factory.mktemp("whole") / "out"
    return folder, build(folder, radiographs, recipe)


def build(folder: Path, radiographs: tuple[RadiographFile, ...], recipe: Recipe, batch_size: int = 2) -> Manifest:
    return build_in_process(folder, radiographs, recipe, radiographs_per_shard=4, batch_size=batch_size)


def test_every_radiograph_has_a_row_or_a_reason(
    whole: tuple[Path, Manifest], radiographs: tuple[RadiographFile, ...]
) -> None:
    folder, manifest = whole
    assert (manifest.finished, manifest.radiographs, manifest.rows, manifest.failure_count) == (True, 11, 9, 2)
    assert [shard.rows for shard in manifest.shards] == [3, 4, 2]
    rows = pq.read_table(folder / "data")["image_id"].to_pylist()
    failures = pq.read_table(folder / "failures.parquet").to_pylist()
    assert sorted(rows + [row["image_id"] for row in failures]) == [item.image_id for item in radiographs]
    assert {row["code"] for row in failures} == {"truncated"}


def test_no_byte_depends_on_the_batch_size(
    tmp_path: Path, whole: tuple[Path, Manifest], radiographs: tuple[RadiographFile, ...], recipe: Recipe
) -> None:
    for size in (1, 3, 100):
        build(tmp_path / str(size), radiographs, recipe, size)
        assert shard_bytes(tmp_path / str(size)) == shard_bytes(whole[0]), size


@pytest.mark.parametrize("function", ["write_shard", "write_manifest", "finish"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_build_that_stops_at_a_write_continues_to_the_same_bytes(
    tmp_path: Path,
    whole: tuple[Path, Manifest],
    radiographs: tuple[RadiographFile, ...],
    recipe: Recipe,
    monkeypatch: pytest.MonkeyPatch,
    function: str,
    after: bool,
) -> None:
    original, calls = getattr(shards, function), 0

    def stop(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        result = original(*arguments) if after or calls % 3 else None
        if calls % 3 == 0 or function == "finish":
            raise SystemExit
        return result

    monkeypatch.setattr(shards, function, stop)
    with pytest.raises(SystemExit):
        build(tmp_path / "out", radiographs, recipe)
    monkeypatch.undo()
    build(tmp_path / "out", radiographs, recipe)
    assert shard_bytes(tmp_path / "out") == shard_bytes(whole[0])
    assert read_manifest(tmp_path / "out") == read_manifest(whole[0])


def test_what_is_finished_is_not_done_again(
    whole: tuple[Path, Manifest], radiographs: tuple[RadiographFile, ...]
) -> None:
    done = whole[1]
    assert pending_radiographs(radiographs, done) == []
    part = replace(done, shards=(done.shards[0], done.shards[2]))
    assert [(number, len(those)) for number, those in pending_radiographs(radiographs, part)] == [(1, 4)]


@pytest.mark.parametrize("damage", ["data/part-00001.parquet", "data/part-00002.parquet", "failures.parquet"])
@pytest.mark.parametrize("lost", [False, True], ids=["flipped", "lost"])
def test_what_is_damaged_is_built_again(
    tmp_path: Path,
    whole: tuple[Path, Manifest],
    radiographs: tuple[RadiographFile, ...],
    recipe: Recipe,
    damage: str,
    lost: bool,
) -> None:
    folder, done = whole
    shutil.copytree(folder, tmp_path / "out")
    before, path = shard_bytes(tmp_path / "out"), tmp_path / "out" / damage
    path.unlink() if lost else path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    assert build(tmp_path / "out", radiographs, recipe) == done
    assert shard_bytes(tmp_path / "out") == before


def test_a_build_that_lost_what_failed_can_come_to_its_end(
    tmp_path: Path,
    whole: tuple[Path, Manifest],
    radiographs: tuple[RadiographFile, ...],
    recipe: Recipe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:

    def stop(*_: object) -> None:
        raise SystemExit

    monkeypatch.setattr(shards, "finish", stop)
    with pytest.raises(SystemExit):
        build(tmp_path / "out", radiographs, recipe)
    monkeypatch.undo()
    next((tmp_path / "out" / "failures").glob("part-*.parquet")).unlink()
    assert build(tmp_path / "out", radiographs, recipe) == whole[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"samples": 5}, r"other samples \(4 there, 5 now\)"),
        ({"seed": 1}, r"other seed \(0 there, 1 now\)"),
        ({"crop_border": True}, "other crop_border"),
        ({"source": "CheXpert"}, "other source"),
    ],
)
def test_a_folder_of_other_settings_is_refused(
    whole: tuple[Path, Manifest],
    radiographs: tuple[RadiographFile, ...],
    recipe: Recipe,
    change: dict[str, object],
    message: str,
) -> None:
    before = shard_bytes(whole[0])
    with pytest.raises(DatasetError, match=message):
        build(whole[0], radiographs, replace(recipe, **change))  # type: ignore[arg-type]
    assert shard_bytes(whole[0]) == before


def test_a_folder_of_other_radiographs_is_refused(
    whole: tuple[Path, Manifest], radiographs: tuple[RadiographFile, ...], recipe: Recipe
) -> None:
    with pytest.raises(DatasetError, match="holds a data set with other radiographs; choose another folder"):
        build(whole[0], radiographs[:3], recipe)


def test_a_folder_with_shards_of_nobody_is_refused(
    tmp_path: Path, radiographs: tuple[RadiographFile, ...], recipe: Recipe
) -> None:
    (tmp_path / "out" / "data").mkdir(parents=True)
    (tmp_path / "out" / "data" / "mine.parquet").write_bytes(b"x")
    with pytest.raises(DatasetError, match=r"has shards, but no manifest\.json"):
        build(tmp_path / "out", radiographs, recipe)


def test_two_builds_in_one_folder_are_refused(
    tmp_path: Path, radiographs: tuple[RadiographFile, ...], recipe: Recipe
) -> None:
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / ".build.lock"), pytest.raises(DatasetError, match="another build is at work"):
        build(tmp_path / "out", radiographs, recipe)


def test_settings_name_all_that_rows_depend_on(radiographs: tuple[RadiographFile, ...], recipe: Recipe) -> None:
    identity = load_model(recipe.model).identity
    settings = build_settings(recipe, radiographs, identity, films_per_shard=4, rca={"neighbors": 5})
    assert settings["model"] == asdict(identity)
    assert settings["rca"] == {"neighbors": 5}
    names = {*asdict(recipe), "films", "films_per_shard", "rca", "version", "torch", "cpu_capability"}
    assert set(settings) == names, "a new field of the recipe has to be a setting"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 300 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a small file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_ends_a_build_and_costs_nothing_that_counts(
    tmp_path: Path, small_disk: Path, tiny_bundle: Path
) -> None:
    images = write_radiographs(tmp_path / "radiographs", 24)
    radiographs, recipe = radiographs_of(images), Recipe(64, tiny_bundle, samples=4)
    output = small_disk / "out"
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * 120_000)
    with pytest.raises(OSError, match="No space left on device"):
        build(output, radiographs, recipe)
    kept = read_manifest(output)
    assert not kept.finished
    assert 0 < len(kept.shards) < 6
    assert not list(output.rglob(".partial-*"))
    filler.unlink()
    finished = build(output, radiographs, recipe)
    assert [shard for shard in finished.shards if shard in kept.shards] == list(kept.shards)
    build(tmp_path / "whole", radiographs, recipe)
    assert shard_bytes(output) == shard_bytes(tmp_path / "whole")


def test_a_target_that_may_only_be_read_is_said_before_any_work(
    tmp_path: Path, small_disk: Path, tiny_bundle: Path
) -> None:
    images = write_radiographs(tmp_path / "radiographs", 2)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(
        OSError, match=r"results cannot be written here \(Read-only file system\); choose another folder"
    ):
        build_here(images, small_disk / "out", tiny_bundle)
    assert list(small_disk.iterdir()) == []
