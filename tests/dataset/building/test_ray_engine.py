"""The same table from Ray: real radiographs where they are at hand, among them one that is broken."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
from support.samples.builds import DeadlyPath, build_here, in_process, radiographs_of, shard_bytes, write_radiographs

from monai_chexmask_u.dataset.building import ray_engine
from monai_chexmask_u.dataset.building.ray_engine import run_ray
from monai_chexmask_u.dataset.building.work import Chunk, Recipe

ray = pytest.importorskip("ray", reason="the extra [ray] is not installed")


def test_a_cluster_that_is_not_there_is_said_in_one_line(tmp_path: Path, tiny_bundle: Path) -> None:
    radiographs = radiographs_of(write_radiographs(tmp_path / "radiographs", 1))
    with pytest.raises(RuntimeError, match=r"no Ray cluster answers at 127\.0\.0\.1:1; check --ray-address"):
        list(run_ray(Recipe(64, tiny_bundle, samples=4), [Chunk(0, 0, radiographs)], address="127.0.0.1:1"))


def test_who_starts_ray_ends_it(tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    row = {"object": pickle.dumps("chunk")}
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "shutdown", lambda: calls.append("end"))
    monkeypatch.setattr(ray_engine, "_init", lambda address: calls.append(("start", address)))
    monkeypatch.setattr(ray_engine, "_mapped", lambda *_: SimpleNamespace(iter_rows=lambda: [row]))
    chunk = Chunk(0, 0, radiographs_of(write_radiographs(tmp_path / "radiographs", 1)))
    done: list[object] = list(run_ray(Recipe(64, tiny_bundle, samples=4), [chunk]))
    assert done == ["chunk"]
    assert calls == [("start", None), "end"]
    calls.clear()
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    done = list(run_ray(Recipe(64, tiny_bundle, samples=4), [chunk]))
    assert done == ["chunk"]
    assert calls == []


@pytest.fixture(scope="module")
def ray_here() -> Iterator[None]:
    """Ray as the engine starts it, once for all tests that follow; starting it takes the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]), prepend=os.pathsep)  # for the deadly path
        ray_engine._init(None)
        yield
        ray.shutdown()


@pytest.mark.usefixtures("ray_here")
def test_ray_gives_the_table_of_the_local_engine_on_real_radiographs(tmp_path: Path, shared_data: Path) -> None:
    images = tmp_path / "radiographs"
    images.mkdir()
    radiographs = sorted((shared_data / "nih").rglob("*.*"))
    for item in [item for item in radiographs if item.suffix in (".png", ".jpg", ".jpeg")][:5]:
        shutil.copy(item, images)
    (images / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    shipped = {"samples": 50, "films_per_shard": 4}
    local, _ = build_here(images, tmp_path / "local", None, **shipped, workers=2)
    spread, _ = build_here(images, tmp_path / "ray", None, **shipped, engine="ray", batch_size=3, ray_cpus=0.5)
    assert (local.rows, local.failure_count) == (5, 1)
    assert spread == local
    assert shard_bytes(tmp_path / "ray") == shard_bytes(tmp_path / "local")


@pytest.mark.usefixtures("ray_here")
def test_a_radiograph_that_ends_its_process_does_not_end_the_actor(tmp_path: Path, tiny_bundle: Path) -> None:
    radiographs = list(radiographs_of(write_radiographs(tmp_path / "radiographs", 4)))
    radiographs[2] = replace(radiographs[2], file=DeadlyPath(radiographs[2].file))
    recipe = Recipe(64, tiny_bundle, samples=4)
    done = list(run_ray(recipe, [Chunk(0, 0, tuple(radiographs[:2])), Chunk(0, 1, tuple(radiographs[2:]))]))
    assert [row["code"] for each in done for row in each.failures.to_pylist()] == ["crashed"]
    rows = [each.rows for each in done]
    healthy = [item for place, item in enumerate(radiographs) if place != 2]
    expected = next(in_process(recipe)([Chunk(0, 0, tuple(healthy))])).rows
    assert pa.concat_tables(rows).combine_chunks().equals(expected.combine_chunks())
