from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.samples.builds import radiographs_of, write_radiographs

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.dataset.building.radiograph_files import RadiographFile
from monai_chexmask_u.dataset.building.work import Chunk, RadiographWork, Recipe, radiograph_seed
from monai_chexmask_u.dataset.schema import SCHEMA
from monai_chexmask_u.geometry import run_length_decode
from monai_chexmask_u.model import load_model
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.segmenter import Segmenter


@pytest.fixture
def radiographs(tmp_path: Path) -> tuple[RadiographFile, ...]:
    return radiographs_of(write_radiographs(tmp_path / "radiographs", 5))


@pytest.fixture
def recipe(calibrated_bundle: Path) -> Recipe:
    return Recipe(64, calibrated_bundle, samples=6, source="here")


def test_a_row_says_what_the_segmenter_says(
    radiographs: tuple[RadiographFile, ...], recipe: Recipe, calibrated_bundle: Path
) -> None:
    table = RadiographWork(recipe)(Chunk(0, 0, radiographs)).rows
    assert table.schema.equals(SCHEMA)
    assert table["image_id"].to_pylist() == [item.image_id for item in radiographs]
    row = table.to_pylist()[2]
    segmenter = Segmenter(load_model(calibrated_bundle), num_samples=6, seed=row["seed"], device="cpu")
    expected = segmenter.segment(read_radiograph(radiographs[2].file))
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
        assert tuple(row[f"{organ.name}_area_interval90_px"]) == expected.area_interval90(organ)
    assert tuple(row["cardiothoracic_ratio_interval90"]) == expected.cardiothoracic_ratio.interval90
    assert (row["score"], row["total_px1024"]) == (expected.score, expected.total_px1024)
    assert row["verdict"] == expected.reliability.verdict
    assert dict(row["scores"]).keys() == expected.scores.keys()
    assert (row["samples"], row["source"], row["frame"]) == (6, "here", "image")
    assert (row["height"], row["width"]) == expected.shape
    assert row["model_sha256"] == expected.model.sha256
    assert len(row["latent_mean"]) == len(row["latent_std"]) == 64
    assert np.mean(row["latent_std"]) == pytest.approx(row["latent_uncertainty"], rel=1e-6)


def test_rows_do_not_depend_on_the_company_of_a_radiograph(
    radiographs: tuple[RadiographFile, ...], recipe: Recipe
) -> None:
    together = RadiographWork(recipe)(Chunk(0, 0, radiographs)).rows
    for number, item in enumerate(radiographs):
        alone = RadiographWork(recipe)(Chunk(7, 3, (item,))).rows
        assert alone.equals(together.slice(number, 1))


def test_a_radiograph_without_masks_has_none(radiographs: tuple[RadiographFile, ...], recipe: Recipe) -> None:
    table = RadiographWork(replace(recipe, masks=False))(Chunk(0, 0, radiographs[:1])).rows
    assert table["heart_mask"].to_pylist() == [None]
    assert table["heart_area_px"].null_count == 0


def test_without_a_calibration_what_it_gives_is_empty(
    radiographs: tuple[RadiographFile, ...], tiny_bundle: Path
) -> None:
    row = RadiographWork(Recipe(64, tiny_bundle, samples=4))(Chunk(0, 0, radiographs[:1])).rows.to_pylist()[0]
    assert row["error_std"] is row["error_cov_xy"] is row["radius90"] is row["total_px1024"] is None
    assert row["cardiothoracic_ratio_interval90"] is row["heart_area_interval90_px"] is None
    assert row["score"] == row["predictive_px1024"]
    assert (row["verdict"], row["reasons"], row["scores"]) == ("review", ["not_calibrated"], [])


def test_bad_radiographs_become_failures_and_the_others_rows(tmp_path: Path, recipe: Recipe) -> None:
    radiographs = radiographs_of(write_radiographs(tmp_path / "mixed", 4, broken=[1]))
    missing = RadiographFile("gone", "gone.png", tmp_path / "gone.png")
    done = RadiographWork(recipe)(Chunk(0, 0, (missing, *radiographs), damaged=frozenset({"radiograph003.png"})))
    assert done.rows["image_id"].to_pylist() == ["radiograph000.png", "radiograph002.png"]
    assert done.failures["image_id"].to_pylist() == ["gone", "radiograph001.png", "radiograph003.png"]
    assert done.failures["code"].to_pylist() == ["not_found", "truncated", "crashed"]
    assert str(tmp_path) not in str(done.failures["message"].to_pylist())


def test_a_radiograph_that_the_network_cannot_take_becomes_a_failure(
    radiographs: tuple[RadiographFile, ...], recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = RadiographWork(recipe)
    inferred = steps.infer(steps.decode(Chunk(0, 0, radiographs[:2])))
    inferred.radiographs[0][1]["mean"][:] = np.nan
    done = steps.complete(inferred)
    assert done.failures["image_id"].to_pylist() == [radiographs[0].image_id]
    assert done.rows["image_id"].to_pylist() == [radiographs[1].image_id]


def test_crop_and_geometry_are_recorded(tmp_path: Path, recipe: Recipe) -> None:
    item = radiographs_of(write_radiographs(tmp_path / "one", 1))[0]
    content = np.asarray(Image.open(item.file)).clip(10)
    framed = np.zeros((content.shape[0] + 30, content.shape[1] + 9), dtype=np.uint8)
    framed[20:-10, 4:-5] = content
    Image.fromarray(framed).save(item.file)
    plain, cropped = (
        RadiographWork(replace(recipe, crop_border=crop))(Chunk(0, 0, (item,))).rows.to_pylist()[0]
        for crop in (False, True)
    )
    assert [plain[f"crop_{name}"] for name in ("top", "left", "height", "width")] == [0, 0, *framed.shape]
    assert [cropped[f"crop_{name}"] for name in ("top", "left", "height", "width")] == [20, 4, *content.shape]
    Image.fromarray(content).save(item.file)
    without = RadiographWork(recipe)(Chunk(0, 0, (item,))).rows.to_pylist()[0]
    shift = np.reshape(cropped["landmarks"], (120, 2)) - np.reshape(without["landmarks"], (120, 2))
    np.testing.assert_allclose(shift, np.broadcast_to((4, 20), (120, 2)), atol=1e-3)


def test_seeds_differ_by_radiograph_and_by_data_set_and_stay() -> None:
    assert radiograph_seed(0, "a") != radiograph_seed(0, "b")
    assert radiograph_seed(0, "a") != radiograph_seed(1, "a")
    assert 0 <= radiograph_seed(2**63 - 1, "x") < 2**63
    assert radiograph_seed(0, "chest.png") == radiograph_seed(0, "chest.png") == 924781968375104297


@pytest.mark.parametrize(
    ("error", "number"),
    [(OSError(errno.ENOSPC, "full"), errno.ENOSPC), (OSError(errno.EMFILE, "many"), errno.EMFILE), (MemoryError(), 12)],
)
def test_trouble_of_the_machine_is_no_failure_of_a_radiograph(
    radiographs: tuple[RadiographFile, ...],
    recipe: Recipe,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    number: int,
) -> None:
    def trouble(item: RadiographFile) -> None:
        raise error

    monkeypatch.setattr(RadiographFile, "read", trouble)
    with pytest.raises(OSError) as caught:  # noqa: PT011 (the number tells)
        RadiographWork(recipe)(Chunk(0, 0, radiographs))
    assert caught.value.errno == number


def test_a_pipe_is_no_radiograph_and_nobody_waits_for_it(tmp_path: Path, recipe: Recipe) -> None:
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    done = RadiographWork(recipe)(Chunk(0, 0, (RadiographFile("pipe", "pipe.png", pipe),)))
    assert done.failures["code"].to_pylist() == ["not_readable"]
