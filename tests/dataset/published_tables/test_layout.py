from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from support.samples.published_tables import (
    ID_FORMS,
    PublishedRow,
    chexmask_header,
    chexmask_u_header,
    make_rows,
    write_table,
)

from monai_chexmask_u.dataset.folder import DatasetError
from monai_chexmask_u.dataset.published_tables.layout import layout_called, read_layout
from monai_chexmask_u.dataset.published_tables.reading import PublishedTable
from monai_chexmask_u.dataset.published_tables.style import published_id, radiograph_id
from monai_chexmask_u.dataset.sources import SOURCES

SHAPE = (160, 120)


def read(path: Path, **options: str) -> tuple[pa.Table, pa.Table]:
    parts = list(PublishedTable(path, **options).parts())
    return pa.concat_tables([part.rows for part in parts]), pa.concat_tables([part.failures for part in parts])


def table(path: Path, rows: Sequence[PublishedRow], header: Sequence[str] | None = None) -> Path:
    return write_table(path / "table.csv", rows, header or chexmask_u_header())


@pytest.mark.parametrize(
    ("id_column", "shape", "options", "frame"),
    [
        ("dicom_id", (1024, 1024), {}, "preprocessed"),
        ("dicom_id", SHAPE, {}, "image"),
        ("Image Index", (1024, 1024), {}, "image"),
        ("Image ID", SHAPE, {}, "image"),
        ("Image ID", (1024, 1024), {"source": "padchest"}, "preprocessed"),
        ("dicom_id", (1024, 1024), {"frame": "image"}, "image"),
        ("Image ID", (1024, 1024), {"frame": "preprocessed"}, "preprocessed"),
    ],
)
def test_the_frame_is_decided_by_rule(
    tmp_path: Path, id_column: str, shape: tuple[int, int], options: dict[str, str], frame: str
) -> None:
    made = PublishedTable(
        table(tmp_path, make_rows(2, id_column=id_column, shape=shape), chexmask_u_header(id_column)), **options
    )
    assert made.frame == frame
    assert made.settings["frame"] == frame
    assert next(made.parts()).rows["frame"].to_pylist() == [frame] * 2


def test_one_row_of_another_size_makes_the_frame_that_of_the_images(tmp_path: Path) -> None:
    rows = [*make_rows(2), make_rows(3, shape=SHAPE)[2]]
    assert PublishedTable(table(tmp_path, rows)).frame == "image"


@pytest.mark.parametrize("unclear", ["no source", "a size is missing", "no sizes"])
def test_an_unclear_frame_is_asked_for(tmp_path: Path, unclear: str) -> None:
    id_column = "Image ID" if unclear == "no source" else "dicom_id"
    rows = make_rows(2, id_column=id_column)
    header = chexmask_u_header(id_column)
    if unclear == "a size is missing":
        rows[1] = rows[1].with_cells(Height="")
    if unclear == "no sizes":
        header = [name for name in header if name not in ("Height", "Width")]
    with pytest.raises(DatasetError, match=r"table\.csv: .*--frame"):
        PublishedTable(table(tmp_path, rows, header))


def test_a_preprocessed_table_without_sizes_is_one_of_1024_pixels(tmp_path: Path) -> None:
    header = [name for name in chexmask_u_header() if name not in ("Height", "Width")]
    found, _ = read(table(tmp_path, make_rows(1), header), frame="preprocessed")
    assert found.select(["height", "width", "notes"]).to_pylist() == [{"height": 1024, "width": 1024, "notes": []}]


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("a,b", "there is no column of image_id"),
        ("dicom_id,Heart", "there is no column of landmarks"),
        ("dicom_id,Landmarks,Landmarks (Mean)", "hold the same"),
        ("", "there is no column of image_id"),
    ],
)
def test_what_is_no_published_table_is_refused(tmp_path: Path, header: str, why: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(header + "\n")
    with pytest.raises(DatasetError, match=f"no published table: .*{why}"):
        read_layout(path)


def test_a_source_that_contradicts_the_header_is_refused(tmp_path: Path) -> None:
    path = table(tmp_path, make_rows(1, shape=SHAPE))
    with pytest.raises(DatasetError, match="'dicom_id' is that of MIMIC-CXR-JPG"):
        PublishedTable(path, source="padchest")
    assert PublishedTable(path, source="mimic-cxr-jpg").frame == "image"


def test_a_missing_table_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="there is no such file"):
        read_layout(tmp_path / "none.csv")


def test_a_table_without_rows_is_read(tmp_path: Path) -> None:
    assert sum(len(part.rows) for part in PublishedTable(table(tmp_path, []), frame="image").parts()) == 0


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_ids_are_the_radiographs_whether_or_not_they_have_a_suffix(source: object) -> None:
    assert isinstance(source, type(SOURCES[0]))
    bare = source.bare(ID_FORMS[source.id_column](5))
    item = radiograph_id(bare, source)
    assert radiograph_id(bare + source.suffix, source) == item == radiograph_id(item, source)
    assert item == source.id_of(f"somewhere/{bare}{source.suffix}")
    assert published_id(item, source, "bare") == bare
    assert published_id(item, source, "file") == bare + source.suffix
    assert published_id(item, source, "film") == item  # as manifests call it


def test_layouts_are_those_of_the_releases() -> None:
    assert list(layout_called("chexmask-u", SOURCES[2], latents=True).header) == chexmask_u_header(latents=True)
    assert list(layout_called("chexmask", None).header) == chexmask_header()
    with pytest.raises(ValueError, match="there is no layout"):
        layout_called("other", None)
