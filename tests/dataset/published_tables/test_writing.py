from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.samples.published_tables import (
    ID_FORMS,
    chexmask_header,
    chexmask_u_header,
    make_rows,
)

from monai_chexmask_u.dataset.folder import DatasetError, Manifest, write_manifest
from monai_chexmask_u.dataset.published_tables.convert import convert_table
from monai_chexmask_u.dataset.published_tables.frame import PublishedFrame
from monai_chexmask_u.dataset.published_tables.writing import write_published
from monai_chexmask_u.dataset.schema import SCHEMA
from monai_chexmask_u.dataset.sources import SOURCES
from monai_chexmask_u.geometry import Box

RADIOGRAPH, CROP = (150, 190), Box(20, 30, 120, 100)


def built(path: Path, sources: Sequence[str]) -> Path:
    """Return a file of rows as a build makes them, one per source."""
    rows = []
    for number, title in enumerate(sources):
        source = next(source for source in SOURCES if source.title == title)
        made = make_rows(1, id_column=source.id_column, shape=RADIOGRAPH, seed=number)[0]
        suffix = (
            "" if made.image_id.endswith(source.suffix) or title in ("MIMIC-CXR-JPG", "VinDr-CXR") else source.suffix
        )
        points = made.landmarks + 0.25
        row = {
            "image_id": made.image_id + suffix,
            "source": title,
            "frame": "image",
            "height": RADIOGRAPH[0],
            "width": RADIOGRAPH[1],
            "crop_top": CROP.top,
            "crop_left": CROP.left,
            "crop_height": CROP.height,
            "crop_width": CROP.width,
            "landmarks": points.ravel().tolist(),
            "landmarks_std": made.std.ravel().tolist(),
            "latent_std": made.latents.tolist(),
            "dice_rca_mean": 0.8,
        }
        rows.append(row)
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path)
    return path


@pytest.mark.parametrize(
    ("title", "original", "preprocessed"),
    [
        ("CheXpert", "train/patient00001/study1/view1_frontal.jpg", "train/patient00001/study1/view1_frontal"),
        ("MIMIC-CXR-JPG", ID_FORMS["dicom_id"](1), ID_FORMS["dicom_id"](1)),
        ("PadChest", "1_2009.png", "1_2009.png"),
    ],
)
def test_built_data_sets_are_written_as_the_published_ones(
    tmp_path: Path, title: str, original: str, preprocessed: str
) -> None:
    data = built(tmp_path / "part.parquet", [title])
    source = next(source for source in SOURCES if source.title == title)
    for frame, name in ((None, original), ("preprocessed", preprocessed)):
        write_published(data, tmp_path / "table.csv", frame=frame)
        found = pl.read_csv(tmp_path / "table.csv", infer_schema=False)
        own = ["Border"] if frame is None and source.crop_border else []
        assert found.columns == [*chexmask_u_header(source.id_column, latents=True), *own]
        assert found[source.id_column].to_list() == [name]
        size = RADIOGRAPH if frame is None else (1024, 1024)
        assert (found["Height"][0], found["Width"][0]) == (str(size[0]), str(size[1]))
        made = make_rows(1, id_column=source.id_column, shape=RADIOGRAPH)[0]
        points, std = made.landmarks + 0.25, made.std
        if frame is not None:
            square = PublishedFrame(RADIOGRAPH, CROP)
            points, std = square.to_preprocessed(points), std * square.scale
        found_std = np.array(found["Landmarks (Std)"][0].split(","), dtype=np.float64)
        np.testing.assert_allclose(found_std, std.ravel(), atol=0.0051)
        expected = np.rint(points).astype(int).ravel().tolist()
        assert found["Landmarks (Mean)"][0] == ",".join(map(str, expected))
    write_published(data, tmp_path / "old.csv", layout="chexmask")
    assert pl.read_csv(tmp_path / "old.csv").columns == chexmask_header(source.id_column)


def test_radiographs_of_several_sources_need_a_choice(tmp_path: Path) -> None:
    data = built(tmp_path / "part.parquet", ["CheXpert", "PadChest"])
    with pytest.raises(DatasetError, match="--source"):
        write_published(data, tmp_path / "table.csv")
    assert not (tmp_path / "table.csv").exists()
    assert write_published(data, tmp_path / "table.csv", source="padchest") == 1
    assert pl.read_csv(tmp_path / "table.csv").columns[0] == "ImageID"


def test_an_unfinished_data_set_is_not_written_as_if_it_were_whole(tmp_path: Path) -> None:
    write_manifest(tmp_path, Manifest("built", {}, 9))
    with pytest.raises(
        DatasetError, match="unfinished, 0 of 9 radiographs are done; give the command that builds it again"
    ):
        write_published(tmp_path, tmp_path / "table.csv")
    assert not (tmp_path / "table.csv").exists()


@pytest.mark.parametrize("title", ["MIMIC-CXR-JPG", "PadChest"])
def test_a_border_that_was_restored_is_not_taken_for_forgotten(tmp_path: Path, title: str) -> None:
    write_published(built(tmp_path / "built.parquet", [title]), tmp_path / "table.csv")
    assert pl.read_csv(tmp_path / "table.csv")["Border"].to_list() == ["restored"]
    convert_table(tmp_path / "table.csv", tmp_path / "again", frame="image")
    (row,) = pq.read_table(tmp_path / "again" / "data").to_pylist()
    assert "border_not_restored" not in row["notes"]
    without = pl.read_csv(tmp_path / "table.csv").drop("Border")
    without.write_csv(tmp_path / "published.csv")
    convert_table(tmp_path / "published.csv", tmp_path / "doubtful", frame="image")
    (row,) = pq.read_table(tmp_path / "doubtful" / "data").to_pylist()
    assert "border_not_restored" in row["notes"]


def test_rows_without_masks_come_back_without_masks(tmp_path: Path) -> None:
    write_published(built(tmp_path / "built.parquet", ["CheXpert"]), tmp_path / "table.csv")
    convert_table(tmp_path / "table.csv", tmp_path / "again", frame="image")
    (row,) = pq.read_table(tmp_path / "again" / "data").to_pylist()
    assert row["heart_mask"] is row["right_lung_mask"] is None
    assert "mask_differs" not in row["notes"]
