from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.samples.builds import in_process, radiographs_of, write_radiographs

from monai_chexmask_u.dataset.building.work import Chunk, Recipe
from monai_chexmask_u.dataset.card.readme import write_card
from monai_chexmask_u.dataset.card.statistics import BINS_PX1024, gather
from monai_chexmask_u.dataset.folder import DatasetError, Manifest, finish, read_manifest, write_manifest, write_shard
from monai_chexmask_u.dataset.schema import COLUMNS, FAILURE_SCHEMA, rows_table


@pytest.fixture
def folder(tmp_path: Path, calibrated_bundle: Path) -> Path:
    radiographs = radiographs_of(write_radiographs(tmp_path / "radiographs", 6, broken=[3]))
    output = tmp_path / "my radiographs"
    output.mkdir()
    recipe = Recipe(64, calibrated_bundle, samples=4, source="CheXpert")
    done = next(in_process(recipe)([Chunk(0, 0, radiographs)]))
    manifest = Manifest("built", {"seed": 0, "model": {"name": "m|n"}}, 6).with_shard(
        write_shard(output, 0, done.rows, done.failures)
    )
    write_manifest(output, manifest)
    finish(output, manifest)
    return output


def test_a_card_says_what_is_in_the_data_set(folder: Path) -> None:
    text = write_card(folder).read_text(encoding="utf-8")
    assert text.startswith("# my radiographs\n")
    assert "research use only" in text
    assert "| radiographs with a row | 5 |" in text
    assert "| radiographs without one | 1 |" in text
    assert "`truncated`" in text
    assert "Stanford University Dataset Research Use Agreement" in text
    assert "m\\|n" in text
    for column in COLUMNS:
        assert f"`{column.name}`" in text
    for name in ("nodes", "scores"):
        assert f"figures/{name}.png" in text
        image = np.asarray(Image.open(folder / "figures" / f"{name}.png").convert("RGB"))
        assert image.std() > 10, "an empty figure"


def test_every_table_of_a_card_is_a_table(folder: Path) -> None:
    lines = write_card(folder).read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if line.startswith("| ---"):
            width = line.count("|")
            rows = [lines[number - 1]]
            for row in lines[number + 1 :]:
                if not row.startswith("|"):
                    break
                rows.append(row)
            assert {row.replace("\\|", "").count("|") for row in rows} == {width}, rows[:2]


def test_an_unfinished_data_set_says_so(folder: Path) -> None:
    write_manifest(folder, replace(read_manifest(folder), finished=False))
    assert "Unfinished" in write_card(folder).read_text(encoding="utf-8")


def test_a_folder_that_is_no_data_set_gets_no_card(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no data set"):
        write_card(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_statistics_are_those_of_the_rows(tmp_path: Path) -> None:
    base = np.stack([np.linspace(100, 219, 120), np.linspace(300, 419, 120)], axis=1)
    rows = []
    for number, (scale, top, left) in enumerate([(1, 0, 0), (2, 50, 30)]):
        # The same shape in a radiograph of twice the size, with a border that was cut off.
        points = base * scale + (left, top)
        spread = np.full((120, 2), 10.0 * scale)
        rows.append(
            {
                "image_id": str(number),
                "frame": "image",
                "landmarks": points.ravel(),
                "landmarks_std": spread.ravel(),
                "height": 1024 * scale + 100,
                "width": 1024 * scale + 100,
                "crop_top": top,
                "crop_left": left,
                "crop_height": 1024 * scale,
                "crop_width": 1024 * scale,
                "verdict": "accept",
                "notes": ["mirrored"],
                "score": float(number),
            }
        )
    manifest = Manifest("built", {}, 2).with_shard(
        write_shard(tmp_path, 0, rows_table(rows), FAILURE_SCHEMA.empty_table())
    )
    write_manifest(tmp_path, manifest)
    found = gather(tmp_path, manifest)
    np.testing.assert_allclose(found.shape, base, atol=1e-3)
    assert found.uncertainty == "landmarks_std"
    bin_of_ten = np.searchsorted(BINS_PX1024, 10.0, side="right") - 1
    expected = np.zeros_like(found.node_counts)
    expected[:, bin_of_ten] = 2
    np.testing.assert_array_equal(found.node_counts, expected)
    assert found.categories["notes"]["mirrored"] == 2
    np.testing.assert_array_equal(found.scalars["score"], [0.0, 1.0])


@pytest.mark.parametrize("name", ["failures.parquet", "data/part-00000.parquet"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(DatasetError, match=f"{Path(name).name}.* missing"):
        write_card(folder)
