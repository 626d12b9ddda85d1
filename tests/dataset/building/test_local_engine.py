from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.samples.builds import DeadlyPath, end_process, in_process, radiographs_of, write_radiographs

from monai_chexmask_u.dataset.building.local_engine import WorkerPool, complete_step, decode_step, run_local
from monai_chexmask_u.dataset.building.radiograph_files import RadiographFile
from monai_chexmask_u.dataset.building.work import Chunk, RadiographWork, Recipe


@pytest.fixture
def recipe(tiny_bundle: Path) -> Recipe:
    return Recipe(64, tiny_bundle, samples=4)


def chunks_of(radiographs: tuple[RadiographFile, ...], size: int) -> list[Chunk]:
    return [Chunk(0, first, radiographs[first : first + size]) for first in range(0, len(radiographs), size)]


def test_processes_give_what_one_process_gives_in_order(tmp_path: Path, recipe: Recipe) -> None:
    chunks = chunks_of(radiographs_of(write_radiographs(tmp_path, 9, broken=[4])), 2)
    here = list(in_process(recipe)(chunks))
    there = list(run_local(recipe, chunks, workers=2))
    assert [done.chunk for done in there] == chunks
    for one, other in zip(here, there, strict=True):
        assert one.rows.equals(other.rows)
        assert one.failures.equals(other.failures)


def test_a_radiograph_that_ends_the_process_costs_no_other_radiograph(tmp_path: Path, recipe: Recipe) -> None:
    radiographs = list(radiographs_of(write_radiographs(tmp_path, 8)))
    for place in (1, 6):
        radiographs[place] = replace(radiographs[place], file=DeadlyPath(radiographs[place].file))
    done = list(run_local(recipe, chunks_of(tuple(radiographs), 3), workers=2))
    rows = [name for each in done for name in each.rows["image_id"].to_pylist()]
    failures = [row for each in done for row in each.failures.to_pylist()]
    assert rows == [item.image_id for place, item in enumerate(radiographs) if place not in (1, 6)]
    assert [(row["image_id"], row["code"]) for row in failures] == [
        ("radiograph001.png", "crashed"),
        ("radiograph006.png", "crashed"),
    ]


def test_processes_that_end_without_a_radiograph_to_blame_are_no_endless_loop(tmp_path: Path, recipe: Recipe) -> None:
    chunks = chunks_of(radiographs_of(write_radiographs(tmp_path, 2)), 1)
    with WorkerPool(recipe, None, 1) as pool, pytest.raises(RuntimeError, match="end again and again"):
        list(pool.map(end_process, chunks))


def test_the_network_can_run_in_this_process_with_workers_around_it(tmp_path: Path, recipe: Recipe) -> None:
    # As with a GPU, whose name is all that is wanting here.
    chunks = chunks_of(radiographs_of(write_radiographs(tmp_path, 3)), 2)
    with WorkerPool(recipe, None, 1) as first, WorkerPool(recipe, None, 1) as second:
        inferred = map(RadiographWork(recipe).infer, first.map(decode_step, chunks))
        staged = list(second.map(complete_step, inferred))
    for one, other in zip(in_process(recipe)(chunks), staged, strict=True):
        assert one.rows.equals(other.rows)
