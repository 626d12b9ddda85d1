from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.samples.datasets import films_of, write_films

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.dataset.building import work
from monai_chexmask_u.dataset.building.films import Film
from monai_chexmask_u.dataset.building.work import Chunk, FilmWork, Recipe, film_seed
from monai_chexmask_u.dataset.schema import SCHEMA
from monai_chexmask_u.geometry import run_length_decode
from monai_chexmask_u.model import load_model
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.segmenter import Segmenter


@pytest.fixture
def films(tmp_path: Path) -> tuple[Film, ...]:
    return films_of(write_films(tmp_path / "films", 5))


@pytest.fixture
def recipe(calibrated_bundle: Path) -> Recipe:
    return Recipe(64, calibrated_bundle, samples=6, source="here")


def test_a_row_says_what_the_segmenter_says(films: tuple[Film, ...], recipe: Recipe, calibrated_bundle: Path) -> None:
    table = FilmWork(recipe)(Chunk(0, 0, films)).rows
    assert table.schema.equals(SCHEMA)
    assert table["image_id"].to_pylist() == [film.image_id for film in films]
    row = table.to_pylist()[2]
    segmenter = Segmenter(load_model(calibrated_bundle), num_samples=6, seed=row["seed"], device="cpu")
    expected = segmenter.segment(read_radiograph(films[2].file))
    np.testing.assert_array_equal(np.reshape(row["landmarks"], (120, 2)), expected.landmarks.astype(np.float32))
    np.testing.assert_array_equal(np.reshape(row["landmarks_std"], (120, 2)), expected.std.astype(np.float32))
    covariance = expected.covariance[:, 0, 1].astype(np.float32)
    np.testing.assert_array_equal(row["landmarks_cov_xy"], covariance)
    assert expected.error_covariance is not None
    assert expected.radius90 is not None
    np.testing.assert_allclose(np.square(row["error_std"][:2]), np.diag(expected.error_covariance[0]), rtol=1e-5)
    np.testing.assert_array_equal(row["radius90"], expected.radius90.astype(np.float32))
    for organ in ORGANS:
        mask = run_length_decode(row[f"{organ.name}_mask"], (row["height"], row["width"]))
        np.testing.assert_array_equal(mask, expected.mask(organ))
        assert row[f"{organ.name}_area_px"] == expected.area_px(organ)
    assert (row["score"], row["total_px1024"]) == (expected.score, expected.total_px1024)
    assert row["verdict"] == expected.reliability.verdict
    assert dict(row["scores"]).keys() == expected.scores.keys()
    assert (row["samples"], row["source"], row["frame"]) == (6, "here", "image")
    assert (row["height"], row["width"]) == expected.shape
    assert row["model_sha256"] == expected.model.sha256
    assert len(row["latent_mean"]) == len(row["latent_std"]) == 64
    assert np.mean(row["latent_std"]) == pytest.approx(row["latent_uncertainty"], rel=1e-6)


def test_rows_do_not_depend_on_the_company_of_a_film(films: tuple[Film, ...], recipe: Recipe) -> None:
    together = FilmWork(recipe)(Chunk(0, 0, films)).rows
    for number, film in enumerate(films):
        alone = FilmWork(recipe)(Chunk(7, 3, (film,))).rows
        assert alone.equals(together.slice(number, 1))


def test_a_film_without_masks_has_none(films: tuple[Film, ...], recipe: Recipe) -> None:
    table = FilmWork(replace(recipe, masks=False))(Chunk(0, 0, films[:1])).rows
    assert table["heart_mask"].to_pylist() == [None]
    assert table["heart_area_px"].null_count == 0


def test_without_a_calibration_what_it_gives_is_empty(films: tuple[Film, ...], tiny_bundle: Path) -> None:
    row = FilmWork(Recipe(64, tiny_bundle, samples=4))(Chunk(0, 0, films[:1])).rows.to_pylist()[0]
    assert row["error_std"] is row["error_cov_xy"] is row["radius90"] is row["total_px1024"] is None
    assert row["score"] == row["predictive_px1024"]
    assert (row["verdict"], row["reasons"], row["scores"]) == ("review", ["not_calibrated"], [])


def test_bad_films_become_failures_and_the_others_rows(tmp_path: Path, recipe: Recipe) -> None:
    films = films_of(write_films(tmp_path / "mixed", 4, broken=[1]))
    missing = Film("gone", "gone.png", tmp_path / "gone.png")
    done = FilmWork(recipe)(Chunk(0, 0, (missing, *films), damaged=frozenset({"film003.png"})))
    assert done.rows["image_id"].to_pylist() == ["film000.png", "film002.png"]
    assert done.failures["image_id"].to_pylist() == ["gone", "film001.png", "film003.png"]
    assert done.failures["code"].to_pylist() == ["not_found", "truncated", "crashed"]
    assert str(tmp_path) not in str(done.failures["message"].to_pylist())


def test_a_film_that_the_network_cannot_take_becomes_a_failure(
    films: tuple[Film, ...], recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = FilmWork(recipe)
    inferred = steps.infer(steps.decode(Chunk(0, 0, films[:2])))
    inferred.films[0][1]["mean"][:] = np.nan
    done = steps.complete(inferred)
    assert done.failures["image_id"].to_pylist() == [films[0].image_id]
    assert done.rows["image_id"].to_pylist() == [films[1].image_id]


def test_crop_and_geometry_are_recorded(tmp_path: Path, recipe: Recipe) -> None:
    film = films_of(write_films(tmp_path / "one", 1))[0]
    content = np.asarray(Image.open(film.file)).clip(10)
    framed = np.zeros((content.shape[0] + 30, content.shape[1] + 9), dtype=np.uint8)
    framed[20:-10, 4:-5] = content
    Image.fromarray(framed).save(film.file)
    plain, cropped = (
        FilmWork(replace(recipe, crop_border=crop))(Chunk(0, 0, (film,))).rows.to_pylist()[0] for crop in (False, True)
    )
    assert [plain[f"crop_{name}"] for name in ("top", "left", "height", "width")] == [0, 0, *framed.shape]
    assert [cropped[f"crop_{name}"] for name in ("top", "left", "height", "width")] == [20, 4, *content.shape]
    Image.fromarray(content).save(film.file)
    without = FilmWork(recipe)(Chunk(0, 0, (film,))).rows.to_pylist()[0]
    shift = np.reshape(cropped["landmarks"], (120, 2)) - np.reshape(without["landmarks"], (120, 2))
    np.testing.assert_allclose(shift, np.broadcast_to((4, 20), (120, 2)), atol=1e-3)


def test_seeds_differ_by_film_and_by_data_set_and_stay() -> None:
    assert film_seed(0, "a") != film_seed(0, "b")
    assert film_seed(0, "a") != film_seed(1, "a")
    assert 0 <= film_seed(2**63 - 1, "x") < 2**63
    assert film_seed(0, "chest.png") == film_seed(0, "chest.png") == 924781968375104297


@pytest.mark.parametrize(
    ("error", "number"),
    [(OSError(errno.ENOSPC, "full"), errno.ENOSPC), (OSError(errno.EMFILE, "many"), errno.EMFILE), (MemoryError(), 12)],
)
def test_trouble_of_the_machine_is_no_failure_of_a_film(
    films: tuple[Film, ...], recipe: Recipe, monkeypatch: pytest.MonkeyPatch, error: Exception, number: int
) -> None:
    def trouble(film: Film) -> None:
        raise error

    monkeypatch.setattr(work, "read_film", trouble)
    with pytest.raises(OSError) as caught:  # noqa: PT011 (the number tells)
        FilmWork(recipe)(Chunk(0, 0, films))
    assert caught.value.errno == number


def test_a_pipe_is_no_film_and_nobody_waits_for_it(tmp_path: Path, recipe: Recipe) -> None:
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    done = FilmWork(recipe)(Chunk(0, 0, (Film("pipe", "pipe.png", pipe),)))
    assert done.failures["code"].to_pylist() == ["not_readable"]
