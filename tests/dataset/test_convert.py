from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from PIL import Image
from published_samples import (
    ID_FORMS,
    PublishedRow,
    as_json,
    chexmask_header,
    chexmask_u_header,
    make_rows,
    printed,
    write_table,
)

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.dataset.access import landmarks_of, mask_of, read_arrow
from monai_chexmask_u.dataset.convert import SETTINGS_KEY, convert_table
from monai_chexmask_u.dataset.export import write_published
from monai_chexmask_u.dataset.folder import DatasetError, file_sha256, read_manifest
from monai_chexmask_u.dataset.published_frame import PublishedFrame, chexmask_u_way_back
from monai_chexmask_u.dataset.schema import SCHEMA
from monai_chexmask_u.dataset.selection import Selection
from monai_chexmask_u.dataset.sources import SOURCES
from monai_chexmask_u.geometry import Box, fill_polygon

SHAPE = (160, 120)
FILM, CROP = (150, 190), Box(20, 30, 120, 100)


def there_and_back(path: Path, rows: Sequence[PublishedRow], header: Sequence[str]) -> tuple[bytes, bytes]:
    table = write_table(path / "table.csv", rows, header)
    convert_table(table, path / "data")
    write_published(path / "data", path / "back.csv")
    return table.read_bytes(), (path / "back.csv").read_bytes()


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 305 rows as CheXmask-U has them."""
    header = chexmask_u_header("ImageID", latents=True)
    return write_table(
        tmp_path_factory.mktemp("published") / "Padchest.csv", make_rows(305, id_column="ImageID"), header
    )


@pytest.fixture(scope="module")
def converted(published: Path) -> Path:
    folder = published.parent / "converted"
    convert_table(published, folder, rows_per_shard=100, block_bytes=1 << 20)
    return folder


def test_a_table_comes_back_byte_for_byte(published: Path, converted: Path, tmp_path: Path) -> None:
    assert write_published(converted, tmp_path / "back.csv") == 305
    assert (tmp_path / "back.csv").read_bytes() == published.read_bytes()


def test_the_folder_says_what_it_is(published: Path, converted: Path) -> None:
    manifest = read_manifest(converted)
    assert (manifest.kind, manifest.finished, manifest.films, manifest.rows) == ("converted", True, 305, 305)
    assert [shard.rows for shard in manifest.shards] == [100, 100, 100, 5]
    for shard in manifest.shards:
        assert shard.file is not None
        assert file_sha256(converted / shard.file) == shard.sha256
        settings = json.loads(pq.read_schema(converted / shard.file).metadata[SETTINGS_KEY.encode()])
        assert settings == manifest.settings
    assert manifest.settings["table"] == "Padchest.csv"
    assert manifest.settings["frame"] == "preprocessed"
    assert manifest.settings["source"] == "padchest"
    assert str(published.parent) not in json.dumps(dict(manifest.settings))
    assert sorted(path.name for path in converted.iterdir()) == ["data", "failures.parquet", "manifest.json"]


def test_duckdb_and_polars_read_it_without_this_project(published: Path, converted: Path) -> None:
    files = str(converted / "data" / "*.parquet")
    query = "select image_id, landmarks[1], dice_rca_mean from read_parquet(?) where score < 4.1 order by image_id"
    by_duckdb = duckdb.execute(query, [files]).fetchall()
    by_polars = (
        pl.scan_parquet(files)
        .filter(pl.col("score") < 4.1)
        .select("image_id", pl.col("landmarks").arr.get(0), "dice_rca_mean")
        .sort("image_id")
        .collect()
    )
    rows = {row.image_id: row for row in make_rows(305, id_column="ImageID")}
    expected = sorted(
        (name, float(row.landmarks[0, 0]), row.rca_mean) for name, row in rows.items() if row.std.mean() < 4.1
    )
    assert 20 < len(expected) < 285
    assert by_duckdb == expected
    assert by_polars.rows() == expected


def test_the_same_table_gives_the_same_bytes(published: Path, converted: Path, tmp_path: Path) -> None:
    convert_table(published, tmp_path / "again", rows_per_shard=100, block_bytes=300 << 10)
    again, once = read_manifest(tmp_path / "again"), read_manifest(converted)
    assert again.shards == once.shards


@pytest.mark.parametrize("id_column", [name for name in ID_FORMS if name != "Image ID"])
@pytest.mark.parametrize("release", ["chexmask", "chexmask-u"])
def test_tables_of_all_sources_come_back_byte_for_byte(tmp_path: Path, id_column: str, release: str) -> None:
    rows = make_rows(3, id_column=id_column, shape=SHAPE)
    header = chexmask_header(id_column) if release == "chexmask" else chexmask_u_header(id_column)
    there, back = there_and_back(tmp_path, rows, header)
    assert back == there


@pytest.mark.parametrize(
    "variant", ["index", "order", "with suffix", "no heart", "sizes with a point", "short decimals"]
)
def test_variants_come_back_byte_for_byte(tmp_path: Path, variant: str) -> None:
    rows, header = make_rows(4, id_column="Path", shape=SHAPE), chexmask_u_header("Path", latents=True)
    if variant == "index":
        header = ["", *header]
    if variant == "order":
        header = header[::-1]
    if variant == "with suffix":
        rows = [replace(row, image_id=row.image_id + ".jpg") for row in rows]
    if variant == "no heart":
        header.remove("Heart")
    if variant == "sizes with a point":
        rows = [row.with_cells(Height="160.0", Width="120.0") for row in rows]
        rows[2] = rows[2].with_cells(Height="")
    if variant == "short decimals":
        std, latents = (
            ({"Landmarks_(Std)": ",".join(map(repr, row.std.ravel().tolist()))} for row in rows),
            [",".join(map(repr, row.latents.tolist())) for row in rows],
        )
        rows = [row.with_cells(**cells, latents=text) for row, cells, text in zip(rows, std, latents, strict=True)]
    there, back = there_and_back(tmp_path, rows, header)
    assert back == there


def test_a_compressed_table_comes_back(tmp_path: Path) -> None:
    rows, header = make_rows(3, shape=SHAPE), chexmask_u_header()
    there, _ = there_and_back(tmp_path, rows, header)
    write_published(tmp_path / "data", tmp_path / "back.csv.gz")
    assert (tmp_path / "back.csv.gz").read_bytes()[:2] == b"\x1f\x8b"
    convert_table(tmp_path / "back.csv.gz", tmp_path / "again")
    write_published(tmp_path / "again", tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == there


def test_broken_rows_come_back_with_equal_values(tmp_path: Path) -> None:
    clean = make_rows(4, id_column="Image ID", shape=SHAPE)
    rows = [
        clean[0].with_cells(Landmarks=printed(clean[0].landmarks)),
        clean[1].with_cells(Landmarks=as_json(clean[1].landmarks)),
        clean[2].with_cells(Height="120", Width="160"),
        clean[3],
    ]
    _, back = there_and_back(tmp_path, rows, chexmask_header())
    expected = write_table(tmp_path / "clean.csv", clean, chexmask_header())
    assert back == expected.read_bytes()


def test_fractions_of_landmarks_come_back(tmp_path: Path) -> None:
    row = make_rows(1, id_column="Image ID", shape=SHAPE)[0]
    text = ",".join(str(value + 0.25) for value in row.landmarks.ravel())
    there, back = there_and_back(tmp_path, [row.with_cells(Landmarks=text)], chexmask_header())
    assert back == there


def test_what_cannot_be_converted_is_listed_with_its_reason(tmp_path: Path) -> None:
    rows = make_rows(12, shape=SHAPE)
    rows[4] = rows[4].with_cells(**{"Landmarks_(Mean)": "1,2"})
    rows[11] = rows[11].with_cells(Heart="1 2 3")
    table = write_table(tmp_path / "table.csv", rows, chexmask_u_header())
    manifest = convert_table(table, tmp_path / "data", rows_per_shard=5)
    assert (manifest.rows, manifest.failure_count, manifest.films) == (10, 2, 12)
    failures = pq.read_table(tmp_path / "data" / "failures.parquet").to_pylist()
    assert [failure["image_id"] for failure in failures] == [rows[4].image_id, rows[11].image_id]
    assert [failure["code"] for failure in failures] == ["landmarks_broken", "mask_broken"]


def test_a_table_of_bad_rows_alone_is_converted(tmp_path: Path) -> None:
    rows = [row.with_cells(**{"Landmarks_(Mean)": "1"}) for row in make_rows(2, shape=SHAPE)]
    manifest = convert_table(write_table(tmp_path / "table.csv", rows, chexmask_u_header()), tmp_path / "data")
    assert (manifest.rows, manifest.failure_count) == (0, 2)
    assert read_arrow(tmp_path / "data").num_rows == 0
    assert write_published(tmp_path / "data", tmp_path / "back.csv") == 0


def test_rows_are_chosen_on_the_way(tmp_path: Path) -> None:
    rows = make_rows(30, shape=SHAPE)
    table = write_table(tmp_path / "table.csv", rows, chexmask_u_header())
    convert_table(table, tmp_path / "data", where=Selection(min_rca=0.7))
    expected = [row.image_id for row in rows if row.rca_mean >= 0.7]
    assert 0 < len(expected) < 30
    assert read_arrow(tmp_path / "data")["image_id"].to_pylist() == expected
    assert read_manifest(tmp_path / "data").settings["selection"] == {"min_rca": 0.7, "rca": "mean"}
    chosen = Selection(max_score=25)
    assert 0 < write_published(tmp_path / "data", tmp_path / "few.csv", where=chosen) < len(expected)


@pytest.mark.parametrize(
    "where", [Selection(verdicts=("accept",)), Selection(max_score=3), Selection(sources=("padchest",))]
)
def test_a_filter_that_the_table_has_no_column_for_is_refused_at_once(tmp_path: Path, where: Selection) -> None:
    table = write_table(tmp_path / "table.csv", make_rows(1, id_column="Image ID", shape=SHAPE), chexmask_header())
    with pytest.raises(DatasetError, match="leave this filter out"):
        convert_table(table, tmp_path / "data", where=where)
    assert not (tmp_path / "data").exists()


def test_nothing_is_left_of_a_conversion_that_broke_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = write_table(tmp_path / "table.csv", make_rows(20, shape=SHAPE), chexmask_u_header())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("monai_chexmask_u.dataset.convert.finish", full)
    with pytest.raises(OSError, match="No space left"):
        convert_table(table, tmp_path / "data", rows_per_shard=5)
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_a_folder_that_is_not_empty_is_never_replaced(tmp_path: Path) -> None:
    table = write_table(tmp_path / "table.csv", make_rows(1, shape=SHAPE), chexmask_u_header())
    (tmp_path / "data").mkdir()
    convert_table(table, tmp_path / "data")
    before = (tmp_path / "data" / "manifest.json").read_bytes()
    with pytest.raises(DatasetError, match="not empty"):
        convert_table(table, tmp_path / "data")
    with pytest.raises(DatasetError, match="not empty"):
        convert_table(table, table)
    assert (tmp_path / "data" / "manifest.json").read_bytes() == before


def test_progress_is_told(published: Path, tmp_path: Path) -> None:
    steps: list[int] = []
    convert_table(published, tmp_path / "data", block_bytes=1 << 20, progress=steps.append)
    assert sum(steps) == 305
    assert len(steps) > 3


def films(folder: Path, rows: Sequence[PublishedRow], suffix: str = ".jpg") -> Path:
    """Write a film for each row: noise inside `CROP` of `FILM`, black around it."""
    random = np.random.default_rng(0)
    for row in rows:
        image = np.zeros(FILM, dtype=np.uint8)
        image[CROP.slices] = random.integers(60, 255, (CROP.height, CROP.width))
        path = folder / "files" / (row.image_id.removesuffix(suffix) + suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        # PNG in a file called .jpg: readers go by the content, and nothing is lost.
        Image.fromarray(image).save(path, format="PNG")
    return folder


def assert_placed(row: dict[str, object], made: NDArray[np.int64], frame: PublishedFrame) -> None:
    assert (row["frame"], row["height"], row["width"]) == ("image", *FILM)
    points = frame.to_image(made)
    np.testing.assert_allclose(landmarks_of(row), points, atol=1e-4)
    for organ in ORGANS:
        np.testing.assert_array_equal(mask_of(row, organ), fill_polygon(points[organ.nodes], FILM))


@pytest.mark.parametrize(("id_column", "crop"), [("dicom_id", CROP), ("ImageID", CROP), ("Path", Box(0, 0, *FILM))])
def test_preprocessed_tables_are_placed_on_their_films(tmp_path: Path, id_column: str, crop: Box) -> None:
    rows = make_rows(3, id_column=id_column)
    suffix = ".png" if id_column == "ImageID" else ".jpg"
    images = films(tmp_path / "images", rows, suffix)
    table = write_table(tmp_path / "table.csv", rows, chexmask_u_header(id_column))
    manifest = convert_table(table, tmp_path / "data", images=images)
    assert (manifest.rows, manifest.failure_count) == (3, 0)
    frame = PublishedFrame(FILM, crop)
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


def test_rows_without_a_film_cannot_be_placed(tmp_path: Path) -> None:
    rows = make_rows(3)
    images = films(tmp_path / "images", rows[:2])
    broken = images / "files" / f"{rows[1].image_id}.jpg"
    broken.write_bytes(b"no picture")
    table = write_table(tmp_path / "table.csv", rows, chexmask_u_header())
    convert_table(table, tmp_path / "data", images=images)
    assert read_arrow(tmp_path / "data")["image_id"].to_pylist() == [rows[0].image_id]
    failures = pq.read_table(tmp_path / "data" / "failures.parquet").to_pylist()
    assert [failure["image_id"] for failure in failures] == [rows[1].image_id, rows[2].image_id]
    assert failures[1]["code"] == "image_not_found"
    assert failures[0]["image_path"] == f"files/{rows[1].image_id}.jpg"


def test_films_are_read_by_several_processes_alike(tmp_path: Path) -> None:
    rows = make_rows(3)
    images = films(tmp_path / "images", rows)
    (images / "files" / f"{rows[1].image_id}.jpg").write_bytes(b"no picture")
    table = write_table(tmp_path / "table.csv", rows, chexmask_u_header())
    one = convert_table(table, tmp_path / "one", images=images)
    two = convert_table(table, tmp_path / "two", images=images, workers=2)
    assert one.failure_count == 1
    assert two.shards == one.shards


def misplaced(row: PublishedRow) -> PublishedRow:
    """Return a preprocessed row as CheXmask-U's table in original resolution has it."""
    points = np.rint(chexmask_u_way_back(row.landmarks, FILM))
    points = np.clip(points, 0, [FILM[1], FILM[0]]).astype(np.int64)
    std = np.round(row.std * max(FILM) / 1024, 2)
    return replace(row, landmarks=points, std=std, height=FILM[0], width=FILM[1])


def test_landmarks_that_were_placed_without_the_border_are_placed_again(tmp_path: Path) -> None:
    rows = make_rows(2)
    images = films(tmp_path / "images", rows)
    table = write_table(tmp_path / "table.csv", [misplaced(row) for row in rows], chexmask_u_header())
    convert_table(table, tmp_path / "alone")
    assert read_arrow(tmp_path / "alone")["notes"].to_pylist() == [["border_not_restored"]] * 2
    convert_table(table, tmp_path / "data", images=images)
    frame = PublishedFrame(FILM, CROP)
    for row, made in zip(read_arrow(tmp_path / "data").to_pylist(), rows, strict=True):
        assert "placed_on_image" in row["notes"]
        assert "border_not_restored" not in row["notes"]
        # Half a pixel, by which the table's numbers were rounded.
        assert np.abs(landmarks_of(row) - frame.to_image(made.landmarks)).max() <= 0.51
        np.testing.assert_allclose(np.reshape(row["landmarks_std"], (120, 2)), made.std / frame.scale, atol=0.005)
        assert row["heart_uncertainty_px"] == pytest.approx(made.std[94:].mean() / frame.scale, abs=0.005)
    wrong = np.reshape(read_arrow(tmp_path / "alone")["landmarks"][0].as_py(), (120, 2))
    assert np.abs(wrong - frame.to_image(rows[0].landmarks)).max() > 10


def test_films_tell_the_sizes_that_a_table_lacks(tmp_path: Path) -> None:
    rows = make_rows(4, id_column="Path", shape=FILM)
    images = films(tmp_path / "images", rows[:3])
    rows[0] = rows[0].with_cells(Height="")
    rows[2] = rows[2].with_cells(Height=str(FILM[0] - 1))
    table = write_table(tmp_path / "table.csv", rows, chexmask_u_header("Path"))
    convert_table(table, tmp_path / "data", images=images)
    found = read_arrow(tmp_path / "data")
    assert found["height"].to_pylist() == [FILM[0], FILM[0], FILM[0] - 1, FILM[0]]
    notes = found["notes"].to_pylist()
    assert "size_from_image" in notes[0]
    assert "height_unknown" not in notes[0]
    assert "size_from_image" not in notes[1]
    assert "image_size_differs" in notes[2]
    assert notes[3] == ["image_not_found"]


def built(path: Path, sources: Sequence[str]) -> Path:
    """Return a file of rows as a build makes them, one per source."""
    rows = []
    for number, title in enumerate(sources):
        source = next(source for source in SOURCES if source.title == title)
        made = make_rows(1, id_column=source.id_column, shape=FILM, seed=number)[0]
        suffix = (
            "" if made.image_id.endswith(source.suffix) or title in ("MIMIC-CXR-JPG", "VinDr-CXR") else source.suffix
        )
        points = made.landmarks + 0.25
        row = {
            "image_id": made.image_id + suffix,
            "source": title,
            "frame": "image",
            "height": FILM[0],
            "width": FILM[1],
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
        assert found.columns == chexmask_u_header(source.id_column, latents=True)
        assert found[source.id_column].to_list() == [name]
        size = FILM if frame is None else (1024, 1024)
        assert (found["Height"][0], found["Width"][0]) == (str(size[0]), str(size[1]))
        points = make_rows(1, id_column=source.id_column, shape=FILM)[0].landmarks + 0.25
        if frame is not None:
            points = PublishedFrame(FILM, CROP).to_preprocessed(points)
        expected = np.rint(points).astype(int).ravel().tolist()
        assert found["Landmarks (Mean)"][0] == ",".join(map(str, expected))
    write_published(data, tmp_path / "old.csv", layout="chexmask")
    assert pl.read_csv(tmp_path / "old.csv").columns == chexmask_header(source.id_column)


def test_films_of_several_sources_need_a_choice(tmp_path: Path) -> None:
    data = built(tmp_path / "part.parquet", ["CheXpert", "PadChest"])
    with pytest.raises(DatasetError, match="--source"):
        write_published(data, tmp_path / "table.csv")
    assert not (tmp_path / "table.csv").exists()
    assert write_published(data, tmp_path / "table.csv", source="padchest") == 1
    assert pl.read_csv(tmp_path / "table.csv").columns[0] == "ImageID"


def test_a_single_shard_comes_back_in_the_style_of_its_table(published: Path, converted: Path, tmp_path: Path) -> None:
    shutil.copy(converted / "data" / "part-00003.parquet", tmp_path / "some.parquet")
    assert write_published(tmp_path / "some.parquet", tmp_path / "back.csv") == 5
    lines = published.read_bytes().splitlines(keepends=True)
    assert (tmp_path / "back.csv").read_bytes() == b"".join([lines[0], *lines[-5:]])


def test_preprocessed_rows_cannot_become_original_ones_without_films(converted: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="--images"):
        write_published(converted, tmp_path / "back.csv", frame="image")
    assert list(tmp_path.iterdir()) == []
