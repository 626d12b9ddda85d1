from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from PIL import Image
from support.samples.published_tables import (
    PublishedRow,
    chexmask_u_header,
    chexmask_u_way_back,
    make_rows,
    write_table,
)

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.dataset.access import landmarks_of, mask_of, read_arrow
from monai_chexmask_u.dataset.building.radiograph_files import RadiographFile
from monai_chexmask_u.dataset.folder import DatasetError
from monai_chexmask_u.dataset.published_tables.convert import convert_table
from monai_chexmask_u.dataset.published_tables.frame import PublishedFrame
from monai_chexmask_u.dataset.published_tables.placement import measuring
from monai_chexmask_u.dataset.published_tables.writing import write_published
from monai_chexmask_u.geometry import Box, fill_polygon

RADIOGRAPH, CROP = (150, 190), Box(20, 30, 120, 100)


def radiographs(folder: Path, rows: Sequence[PublishedRow], suffix: str = ".jpg") -> Path:
    """Write a radiograph for each row: noise inside `CROP` of `RADIOGRAPH`, black around it."""
    random = np.random.default_rng(0)
    for row in rows:
        image = np.zeros(RADIOGRAPH, dtype=np.uint8)
        image[CROP.slices] = random.integers(60, 255, (CROP.height, CROP.width))
        path = folder / "files" / (row.image_id.removesuffix(suffix) + suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        # PNG in a file called .jpg: readers go by the content, and nothing is lost.
        Image.fromarray(image).save(path, format="PNG")
    return folder


def assert_placed(row: dict[str, object], made: NDArray[np.int64], frame: PublishedFrame) -> None:
    assert (row["frame"], row["height"], row["width"]) == ("image", *RADIOGRAPH)
    points = frame.to_image(made)
    np.testing.assert_allclose(landmarks_of(row), points, atol=1e-4)
    for organ in ORGANS:
        np.testing.assert_array_equal(mask_of(row, organ), fill_polygon(points[organ.nodes], RADIOGRAPH))


@pytest.mark.parametrize(
    ("id_column", "crop"), [("dicom_id", CROP), ("ImageID", CROP), ("Path", Box(0, 0, *RADIOGRAPH))]
)
def test_preprocessed_tables_are_placed_on_their_radiographs(tmp_path: Path, id_column: str, crop: Box) -> None:
    rows = make_rows(3, id_column=id_column)
    suffix = ".png" if id_column == "ImageID" else ".jpg"
    images = radiographs(tmp_path / "images", rows, suffix)
    table = write_table(tmp_path / "table.csv", rows, chexmask_u_header(id_column))
    manifest = convert_table(table, tmp_path / "data", images=images)
    assert (manifest.rows, manifest.failure_count) == (3, 0)
    frame = PublishedFrame(RADIOGRAPH, crop)
    for row, made in zip(read_arrow(tmp_path / "data").to_pylist(), rows, strict=True):
        assert_placed(row, made.landmarks, frame)
        assert "placed_on_image" in row["notes"]
        assert (row["crop_top"], row["crop_height"]) == (crop.top, crop.height)
        assert (images / row["image_path"]).is_file()
        assert len(row["image_sha256"]) == 64
        np.testing.assert_allclose(np.reshape(row["landmarks_std"], (120, 2)), made.std / frame.scale, rtol=1e-5)
        nodes = made.std.mean(axis=1)
        assert row["heart_uncertainty_px"] == pytest.approx(nodes[ORGANS[2].nodes].mean() / frame.scale)
        assert row["score"] == pytest.approx(nodes.mean())
    # And back into the square, where they came from.
    write_published(tmp_path / "data", tmp_path / "square.csv", frame="preprocessed")
    convert_table(tmp_path / "square.csv", tmp_path / "again", frame="preprocessed")
    for row, made in zip(read_arrow(tmp_path / "again").to_pylist(), rows, strict=True):
        np.testing.assert_array_equal(landmarks_of(row), made.landmarks)
        assert row["notes"] == []


def test_rows_without_a_radiograph_cannot_be_placed(tmp_path: Path) -> None:
    rows = make_rows(3)
    images = radiographs(tmp_path / "images", rows[:2])
    broken = images / "files" / f"{rows[1].image_id}.jpg"
    broken.write_bytes(b"no image")
    table = write_table(tmp_path / "table.csv", rows, chexmask_u_header())
    convert_table(table, tmp_path / "data", images=images)
    assert read_arrow(tmp_path / "data")["image_id"].to_pylist() == [rows[0].image_id]
    failures = pq.read_table(tmp_path / "data" / "failures.parquet").to_pylist()
    assert [failure["image_id"] for failure in failures] == [rows[1].image_id, rows[2].image_id]
    assert failures[1]["code"] == "image_not_found"
    assert failures[0]["image_path"] == f"files/{rows[1].image_id}.jpg"


def test_radiographs_are_read_by_several_processes_alike(tmp_path: Path) -> None:
    rows = make_rows(3)
    images = radiographs(tmp_path / "images", rows)
    (images / "files" / f"{rows[1].image_id}.jpg").write_bytes(b"no image")
    table = write_table(tmp_path / "table.csv", rows, chexmask_u_header())
    one = convert_table(table, tmp_path / "one", images=images)
    two = convert_table(table, tmp_path / "two", images=images, workers=2)
    assert one.failure_count == 1
    assert two.shards == one.shards


def test_a_process_that_was_ended_is_reported() -> None:
    with (
        pytest.raises(DatasetError, match="use fewer --workers"),
        measuring(crop_border=False, workers=2) as measure,
    ):
        measure([Ending("a", "a", Path("a"))])


class Ending(RadiographFile):
    """A radiograph that ends the process which it is sent to."""

    def __reduce__(self) -> tuple[object, ...]:
        return os._exit, (1,)


def misplaced(row: PublishedRow) -> PublishedRow:
    """Return a preprocessed row as CheXmask-U's table in original resolution has it."""
    points = np.rint(chexmask_u_way_back(row.landmarks, RADIOGRAPH))
    points = np.clip(points, 0, [RADIOGRAPH[1], RADIOGRAPH[0]]).astype(np.int64)
    std = np.round(row.std * max(RADIOGRAPH) / 1024, 2)
    return replace(row, landmarks=points, std=std, height=RADIOGRAPH[0], width=RADIOGRAPH[1])


def test_landmarks_that_were_placed_without_the_border_are_placed_again(tmp_path: Path) -> None:
    rows = make_rows(2)
    images = radiographs(tmp_path / "images", rows)
    table = write_table(tmp_path / "table.csv", [misplaced(row) for row in rows], chexmask_u_header())
    convert_table(table, tmp_path / "alone")
    assert read_arrow(tmp_path / "alone")["notes"].to_pylist() == [["border_not_restored"]] * 2
    convert_table(table, tmp_path / "data", images=images)
    frame = PublishedFrame(RADIOGRAPH, CROP)
    for row, made in zip(read_arrow(tmp_path / "data").to_pylist(), rows, strict=True):
        assert "placed_on_image" in row["notes"]
        assert "border_not_restored" not in row["notes"]
        # Half a pixel, by which the table's numbers were rounded.
        assert np.abs(landmarks_of(row) - frame.to_image(made.landmarks)).max() <= 0.51
        np.testing.assert_allclose(np.reshape(row["landmarks_std"], (120, 2)), made.std / frame.scale, atol=0.005)
        assert row["heart_uncertainty_px"] == pytest.approx(made.std[94:].mean() / frame.scale, abs=0.005)
    wrong = np.reshape(read_arrow(tmp_path / "alone")["landmarks"][0].as_py(), (120, 2))
    assert np.abs(wrong - frame.to_image(rows[0].landmarks)).max() > 10


def test_radiographs_tell_the_sizes_that_a_table_lacks(tmp_path: Path) -> None:
    rows = make_rows(4, id_column="Path", shape=RADIOGRAPH)
    images = radiographs(tmp_path / "images", rows[:3])
    rows[0] = rows[0].with_cells(Height="")
    rows[2] = rows[2].with_cells(Height=str(RADIOGRAPH[0] - 1))
    table = write_table(tmp_path / "table.csv", rows, chexmask_u_header("Path"))
    convert_table(table, tmp_path / "data", images=images)
    found = read_arrow(tmp_path / "data")
    assert found["height"].to_pylist() == [RADIOGRAPH[0], RADIOGRAPH[0], RADIOGRAPH[0] - 1, RADIOGRAPH[0]]
    notes = found["notes"].to_pylist()
    assert "size_from_image" in notes[0]
    assert "height_unknown" not in notes[0]
    assert "size_from_image" not in notes[1]
    assert "image_size_differs" in notes[2]
    assert notes[3] == ["image_not_found"]
