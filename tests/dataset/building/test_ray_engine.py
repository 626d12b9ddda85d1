"""The same table from Ray: real films where they are at hand, among them one that is broken."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from support.samples.datasets import DeadlyPath, build_here, films_of, in_process, shard_bytes, write_films

from monai_chexmask_u.dataset.building.ray_engine import run_ray
from monai_chexmask_u.dataset.building.work import Chunk, Recipe

pytest.importorskip("ray", reason="the extra [ray] is not installed")


def test_ray_gives_the_table_of_the_local_engine_on_real_films(tmp_path: Path, shared_data: Path) -> None:
    images = tmp_path / "films"
    images.mkdir()
    films = sorted((shared_data / "nih").rglob("*.*"))
    for film in [film for film in films if film.suffix in (".png", ".jpg", ".jpeg")][:5]:
        shutil.copy(film, images)
    (images / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    shipped = {"samples": 50, "films_per_shard": 4}
    local, _ = build_here(images, tmp_path / "local", None, **shipped, workers=2)
    spread, _ = build_here(images, tmp_path / "ray", None, **shipped, engine="ray", batch_size=3, ray_cpus=0.5)
    assert (local.rows, local.failure_count) == (5, 1)
    assert spread == local
    assert shard_bytes(tmp_path / "ray") == shard_bytes(tmp_path / "local")


def test_a_film_that_ends_its_process_does_not_end_the_actor(
    tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))  # where Ray's processes find the deadly path
    films = list(films_of(write_films(tmp_path / "films", 4)))
    films[2] = replace(films[2], file=DeadlyPath(films[2].file))
    recipe = Recipe(64, tiny_bundle, samples=4)
    done = list(run_ray(recipe, [Chunk(0, 0, tuple(films[:2])), Chunk(0, 1, tuple(films[2:]))]))
    assert [row["code"] for each in done for row in each.failures.to_pylist()] == ["crashed"]
    rows = [each.rows for each in done]
    healthy = [film for place, film in enumerate(films) if place != 2]
    expected = next(in_process(recipe)([Chunk(0, 0, tuple(healthy))])).rows
    assert pa.concat_tables(rows).combine_chunks().equals(expected.combine_chunks())


def test_a_cluster_that_is_not_there_is_said_in_one_line(tmp_path: Path, tiny_bundle: Path) -> None:
    films = films_of(write_films(tmp_path / "films", 1))
    with pytest.raises(RuntimeError, match=r"no Ray cluster answers at 127\.0\.0\.1:1; check --ray-address"):
        list(run_ray(Recipe(64, tiny_bundle, samples=4), [Chunk(0, 0, films)], address="127.0.0.1:1"))
