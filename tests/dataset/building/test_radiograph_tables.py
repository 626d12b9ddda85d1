from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.samples.collections import RADIOGRAPH_NAMES as NAMES
from support.samples.collections import RADIOGRAPHS, ids, paths, png_radiograph, write_csv, write_files

from monai_chexmask_u.dataset.building.listing import list_radiographs
from monai_chexmask_u.radiograph import RadiographError


@pytest.fixture
def radiographs(tmp_path: Path) -> Path:
    return write_files(tmp_path / "radiographs", RADIOGRAPHS)


def test_a_list_names_radiographs_relative_to_its_folder(radiographs: Path, tmp_path: Path) -> None:
    outside = write_files(tmp_path / "outside", {"x.png": png_radiograph()}) / "x.png"
    lines = [
        "# radiographs",
        "",
        "a/c.jpg",
        "  ./b.png ",
        str(radiographs / "a" / "d.dcm"),
        str(outside),
        "../radiographs/no.png",
    ]
    (radiographs / "list.txt").write_text("\r\n".join(lines), encoding="utf-8-sig")
    listing = list_radiographs(radiographs / "list.txt")
    assert ids(listing) == paths(listing) == ["../radiographs/no.png", str(outside), *NAMES]
    assert [item.read().path.name for item in listing.radiographs[1:]] == [
        "x.png",
        "c.jpg",
        "d.dcm",
        "b.png",
    ]


@pytest.mark.parametrize("name", ["list.txt", "list.lst", "list"])
def test_a_missing_file_of_a_list_fails_when_it_is_read(name: str, radiographs: Path) -> None:
    (radiographs / name).write_text("b.png\ngone.png\n")
    listing = list_radiographs(radiographs / name)
    assert ids(listing) == ["b.png", "gone.png"]
    with pytest.raises(RadiographError) as refused:
        listing.radiographs[1].read()
    assert refused.value.code == "not_found"


def test_a_list_in_another_encoding_is_refused(radiographs: Path) -> None:
    (radiographs / "list.txt").write_bytes("b.png\ncafé.png".encode("latin-1"))
    with pytest.raises(ValueError, match="UTF-8"):
        list_radiographs(radiographs / "list.txt")


def table_of(path: Path, columns: dict[str, list[Any]]) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.table(columns), path)
        return path
    rows = [["" if value is None else str(value) for value in row] for row in zip(*columns.values(), strict=True)]
    return write_csv(path, [list(columns), *rows])


every_kind = pytest.mark.parametrize("kind", [".csv", ".csv.gz", ".parquet"])


@every_kind
@pytest.mark.parametrize("column", ["path", "Path", "file", "filename", "image", "IMAGE_PATH"])
def test_a_table_names_radiographs(kind: str, column: str, radiographs: Path) -> None:
    listing = list_radiographs(table_of(radiographs / f"table{kind}", {"age": [1, 2, 3], column: NAMES}))
    assert ids(listing) == paths(listing) == NAMES


@every_kind
@pytest.mark.parametrize("column", ["image_id", "ID"])
def test_a_table_may_give_the_ids(kind: str, column: str, radiographs: Path) -> None:
    table = table_of(radiographs / f"table{kind}", {column: [3, 1, 2], "path": NAMES})
    listing = list_radiographs(table)
    assert (ids(listing), paths(listing)) == (["1", "2", "3"], ["a/d.dcm", "b.png", "a/c.jpg"])


@every_kind
def test_options_name_the_columns(kind: str, radiographs: Path) -> None:
    columns = {"path": ["x", "y", "z"], "where": NAMES, "id": ["1", "2", "3"], "who": ["p", "q", "r"]}
    listing = list_radiographs(table_of(radiographs / f"table{kind}", columns), path_column="where", id_column="who")
    assert (ids(listing), paths(listing)) == (["p", "q", "r"], NAMES)


@every_kind
@pytest.mark.parametrize(
    ("options", "columns", "named"),
    [
        ({}, {"age": [1]}, "'path'; its columns are age"),
        ({"path_column": "where"}, {"path": ["b.png"]}, "'where'; its columns are path"),
        ({"id_column": "who"}, {"path": ["b.png"], "id": ["1"]}, "'who'; its columns are path, id"),
    ],
)
def test_a_missing_column_is_named(
    kind: str, options: dict[str, Any], columns: dict[str, list[Any]], named: str, radiographs: Path
) -> None:
    with pytest.raises(ValueError, match=named):
        list_radiographs(table_of(radiographs / f"table{kind}", columns), **options)


@every_kind
def test_rows_without_a_path_or_an_id_are_counted(kind: str, radiographs: Path) -> None:
    table = table_of(radiographs / f"table{kind}", {"path": ["b.png", None, "a/c.jpg"], "id": ["1", "2", None]})
    listing = list_radiographs(table)
    assert (ids(listing), listing.left_out) == (["1"], {"row without a path or an id": 2})


def test_a_csv_may_have_line_breaks_in_cells_and_short_rows(radiographs: Path) -> None:
    (radiographs / "table.csv").write_text('path,report,id\nb.png,"two\nlines",1\n\nshort\n', encoding="utf-8-sig")
    listing = list_radiographs(radiographs / "table.csv")
    assert (ids(listing), listing.left_out) == (["1"], {"row without a path or an id": 1})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("table.csv", b"path\ncaf\xe9.png\n"),
        ("table.csv", b"path\n" + b"x" * 200_000 + b"\n"),
        ("table.csv.gz", b"path\nb.png\n"),
        ("table.csv.gz", gzip.compress(b"path\nb.png\n", mtime=0)[:-5]),
        ("table.parquet", b"PAR1"),
        ("table.parquet", b""),
    ],
)
def test_a_broken_table_is_named(name: str, content: bytes, radiographs: Path) -> None:
    (radiographs / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}: no "):
        list_radiographs(radiographs / name)


def test_an_empty_table_has_no_column(radiographs: Path) -> None:
    (radiographs / "table.csv").write_bytes(b"")
    with pytest.raises(ValueError, match="no column 'path'"):
        list_radiographs(radiographs / "table.csv")


@pytest.mark.parametrize("option", ["id_column", "path_column"])
def test_only_tables_have_columns(option: str, radiographs: Path) -> None:
    options: dict[str, Any] = {option: "x"}
    with pytest.raises(ValueError, match="only tables"):
        list_radiographs(radiographs / "b.png", **options)
    with pytest.raises(ValueError, match="only tables"):
        list_radiographs(radiographs, **options)
